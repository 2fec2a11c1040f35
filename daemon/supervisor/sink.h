/*
 * sink.h - a job gets its verdict: made, written, noted for the turn's end.
 *
 * Runs in: supervisor.
 *
 * Stored first, told after the commit.  Whatever fails here fails the turn,
 * and the job goes back to the queue.
 */
#ifndef CW_SINK_H
#define CW_SINK_H

#include "format/result.h"
#include "supervisor/daemon.h"
#include "supervisor/generation.h"
#include "supervisor/queue.h"

struct cw_artifact_data {
	uint32_t	 kind;		/* enum cw_artifact */
	const char	*name;
	struct cw_bytes	 data;
};

/* A checked result of job s, scored under g. */
void cw_sink_result(struct cw_daemon *d, struct cw_slot *s,
    const struct cw_generation *g, struct cw_result *res,
    const struct cw_artifact_data *arts, uint32_t narts);

/* No result: an error verdict from the daemon itself.  count (or NULL): of
 * d->stats, one more once that is in force. */
void cw_sink_error(struct cw_daemon *d, struct cw_slot *s,
    enum cw_stage stage, const char *code, const char *message,
    uint64_t *count);

/*
 * A job without a slot whose verdict is already known: the stored one is
 * reissued under its id, as cached, for its owner, and the route hears ACCEPTED
 * and it.  CW_E_NOT_FOUND when none fits, CW_E_BUSY when there is one, and so
 * much to be told already that this has to wait.
 */
CW_MUST_USE enum cw_status cw_sink_cached(struct cw_daemon *d,
    const struct cw_job *job, const char *sha256, const char *options_key,
    const char *owner, uint64_t route, struct cw_err *err);

/*
 * Key of a job's bytes and of every option its verdict depends on, "" when
 * its verdict must not serve another; then the key under a policy set.
 */
void cw_options_key(const struct cw_job *job, const char *sha256,
    char key[CW_SHA256_HEX]);

#endif /* CW_SINK_H */
