/*
 * verdict_scores.h - what every prompt of a set said, in the verdict.
 *
 * Runs in: supervisor, cli.  Never: logs.
 */
#ifndef CW_VERDICT_SCORES_H
#define CW_VERDICT_SCORES_H

#include "format/pack.h"
#include "format/policy.h"
#include "format/result.h"

/*
 * "scores": an object a prompt of every category, and "neutral": one a neutral
 * prompt, into an object that is open.  Sticky like all of pack.h.
 */
void cw_verdict_put_scores(struct cw_pack *w, const struct cw_policy_set *set,
    const struct cw_result *res);

#endif /* CW_VERDICT_SCORES_H */
