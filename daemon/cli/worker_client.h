/*
 * worker_client.h - workers of our own: images in, results out.
 *
 * Runs in: cli.  Never: prints.
 *
 * The same programs that the daemon runs, in the same sandbox, driven by one
 * poll loop.  A worker has one batch in hand; while it works, another is fed.
 * The first worker encodes the prompts and the others are given its vectors.
 * A worker that dies takes nothing with it: its jobs are tried again alone,
 * and the one that kills a second worker ends with an error.
 */
#ifndef CW_WORKER_CLIENT_H
#define CW_WORKER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "format/job.h"
#include "format/result.h"
#include "format/worker_msg.h"

#define CW_CLIENTS_MAX	256u

struct cw_clients;			/* opaque */

struct cw_clients_opts {
	const struct cw_init	*init;		/* borrowed until closed */
	const struct cw_policy_set *set;	/* borrowed; NULL: no JOBs */
	uint32_t		 count;		/* of workers */
	uint32_t		 deadline_ms;	/* of a batch */
	/* lines of workers at notice and above; may be NULL */
	void			(*log)(int level, const char *line);
};

/*
 * Start the workers; on return the first has its model and the policies.
 * owned: cw_clients_close.  The error is the worker's own last words.
 */
CW_MUST_USE enum cw_status cw_clients_open(
    const struct cw_clients_opts *opts, struct cw_clients **out,
    struct cw_err *err);
void cw_clients_close(struct cw_clients **c);

const struct cw_model_facts *cw_clients_facts(const struct cw_clients *c);
/* What the first worker said of the policies. */
const struct cw_policy_done *cw_clients_policies(const struct cw_clients *c);

/* One image, when it is done; all of it borrowed for the call. */
struct cw_client_done {
	size_t			 index;
	const struct cw_result	*res;
	const char		*sha256;	/* of the image bytes; "" unread */
	uint64_t		 bytes;
	int64_t			 received_us;	/* wall clock */
	uint32_t		 attempt;
};

/* What the loop asks of its caller. */
struct cw_client_work {
	void	*payload;
	/*
	 * Fill job number i (all but its id) in the arena.  An error ends
	 * that image alone, with stage "queue" and the given code.
	 */
	enum cw_status	(*load)(void *payload, size_t i, struct cw_arena *a,
			    struct cw_job *job, const char **code,
			    struct cw_err *err);
	/* Before done, for each picture the job asked for; may be NULL. */
	void		(*artifact)(void *payload, size_t i,
			    enum cw_artifact kind, const char *name,
			    const void *bytes, size_t n);
	/* In any order.  False ends the run early. */
	bool		(*done)(void *payload, const struct cw_client_done *d);
};

/*
 * Score jobs 0..n-1.  CW_OK when each was answered (or done said stop);
 * else workers could not be kept alive.
 */
CW_MUST_USE enum cw_status cw_clients_run(struct cw_clients *c, size_t n,
    const struct cw_client_work *work, struct cw_err *err);

/* One TEXT, one BENCH; answers land in the arena. */
CW_MUST_USE enum cw_status cw_clients_text(struct cw_clients *c,
    enum cw_text_want want, const char *text, struct cw_arena *a,
    struct cw_text_done *out, struct cw_err *err);
CW_MUST_USE enum cw_status cw_clients_bench(struct cw_clients *c,
    const struct cw_bench_msg *m, struct cw_arena *a, const char **json,
    struct cw_err *err);

#endif /* CW_WORKER_CLIENT_H */
