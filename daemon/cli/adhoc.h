/*
 * adhoc.h - a policy of one prompt, made on the command line.
 *
 * Runs in: cli.
 */
#ifndef CW_ADHOC_H
#define CW_ADHOC_H

#include "base/arena.h"
#include "base/status.h"
#include "conf/config.h"
#include "format/policy.h"

/*
 * Policy "prompt", category "prompt.prompt": softmax of the prompt against
 * neutral (n 0: everyday scenes), always explained.  In the arena.
 */
CW_MUST_USE enum cw_status cw_adhoc_policy(const char *prompt,
    const struct cw_strings *neutral, struct cw_arena *a,
    struct cw_policy_set *out, struct cw_err *err);

#endif /* CW_ADHOC_H */
