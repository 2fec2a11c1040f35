/*
 * generation.h - one policy set as the daemon uses it, and its text vectors.
 *
 * Runs in: supervisor.  Never: logs.
 *
 * A generation is immutable once complete (every prompt has its vector) and
 * counted by whoever uses it: the daemon (the current one), each worker (the
 * one it holds) and a reload in progress.  The last to let go frees it.
 */
#ifndef CW_GENERATION_H
#define CW_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "conf/config.h"
#include "conf/policy_file.h"
#include "format/policy.h"
#include "format/worker_msg.h"
#include "supervisor/spool.h"

struct cw_generation {
	uint32_t		 magic;
	uint32_t		 refs;
	struct cw_arena		*arena;		/* holds all of it */
	struct cw_policy_set	 set;
	struct cw_warnings	 warnings;
	uint32_t		 embed;		/* floats of a vector */
	float			*vecs;		/* [nprompts][embed] */
	bool			*have;		/* [nprompts] */
	uint32_t		 missing;	/* prompts without a vector */
	bool			 measured;	/* and warned of what is cut off */
	int64_t			 loaded_us;	/* wall clock */
};

/*
 * Read the policy files that cfg names.  *out has one reference, the caller's.
 * Errors are those of cw_policy_files_read.
 */
CW_MUST_USE enum cw_status cw_generation_read(const struct cw_config *cfg,
    uint64_t number, struct cw_generation **out, struct cw_err *err);
struct cw_generation *cw_generation_ref(struct cw_generation *g);
void cw_generation_unref(struct cw_generation **g);	/* NULL is fine */

/* Make room for vectors of a model and take those that the spool (which may
 * be NULL) has; model_key names everything a vector depends on. */
CW_MUST_USE enum cw_status cw_generation_recall(struct cw_generation *g,
    uint32_t embed, const char *model_key, struct cw_spool *sp,
    struct cw_err *err);
/* Body of a POLICY frame with the vectors that are known, in the arena. */
CW_MUST_USE enum cw_status cw_generation_pack(const struct cw_generation *g,
    struct cw_arena *a, struct cw_bytes *out, struct cw_err *err);
/*
 * Take the vectors a worker made and store them.  CW_E_FORMAT, and nothing is
 * taken, when one is of the wrong length or of a prompt that has its vector;
 * CW_E_FORMAT also when some prompt still has none.  The spool's failure is
 * not ours (they are made again).
 */
CW_MUST_USE enum cw_status cw_generation_learn(struct cw_generation *g,
    const struct cw_policy_done *done, const char *model_key,
    struct cw_spool *sp, struct cw_err *err);

bool cw_generation_has_policy(const struct cw_generation *g, const char *id);
bool cw_generation_has_tests(const struct cw_generation *g);

#endif /* CW_GENERATION_H */
