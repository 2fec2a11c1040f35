/*
 * verdict.h - a checked result becomes the verdict people and programs read.
 *
 * Runs in: supervisor, cli.  Never: logs.
 *
 * One JSON line, schema clipward.verdict/1 (daemon/format/verdict.schema.json,
 * clipward-protocol(7)).  Absent parts are absent, not null.
 */
#ifndef CW_VERDICT_H
#define CW_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "format/job.h"
#include "format/policy.h"
#include "format/result.h"

#define CW_VERDICT_SCHEMA	"clipward.verdict/1"

/* What the supervisor (or the CLI) knows beside the result. */
struct cw_verdict_facts {
	const char	*id;
	const char	*sha256;	/* of the image bytes; "" unknown */
	uint64_t	 bytes;
	int64_t		 received_us, scored_us;	/* wall clock */
	const char	*model_name, *model_sha256;
	uint32_t	 attempt;	/* 1 is the first */
	bool		 cached;	/* scored from a stored embedding or verdict */
	uint64_t	 queue_us;	/* waiting, before a worker had it */
	const char	*surface;	/* "" or the job's context */
	const uint32_t	*evidence;	/* [nevidence] enum cw_artifact of each */
	uint32_t	 nevidence;	/* picture that goes with the verdict */
};

struct cw_decision {
	enum cw_action	 action;	/* the image's */
	const char	*policy;	/* id behind it, "none" for allow,
					   "error" for an error */
	uint32_t	 category;	/* over all of the set; when flagged */
	float		 score;
};

/*
 * The harshest action of any applied, non-shadow category; a failed result
 * is CW_ERROR.  Ties go to the higher severity, then the higher score.
 */
struct cw_decision cw_verdict_decide(const struct cw_policy_set *set,
    const struct cw_result *res);

/* Find category number i of the whole set. */
void cw_policy_set_category(const struct cw_policy_set *set, uint32_t i,
    const struct cw_policy **p, const struct cw_category **c);

/*
 * The JSON line without a newline, in the arena; NULL when it overflows: never
 * a line that lacks something.
 */
const char *cw_verdict_json(const struct cw_verdict_facts *f,
    const struct cw_policy_set *set, const struct cw_result *res,
    struct cw_arena *a, size_t *len);

#endif /* CW_VERDICT_H */
