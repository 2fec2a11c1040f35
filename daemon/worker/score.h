/*
 * score.h - from embeddings to scores; the harshest view decides.
 *
 * Runs in: worker.  Never: logs.
 */
#ifndef CW_SCORE_H
#define CW_SCORE_H

#include "base/arena.h"
#include "base/status.h"
#include "worker/worker.h"

/* cos[n][nprompts] = embeds[n][E] x bank', one product for all views. */
void cw_score_cosines(const struct cw_bank *b, const float *embeds, int n,
    float *cos);

/*
 * Make room for a task's scores and find out which policies it asks for.
 * CW_E_NOT_FOUND when it names a policy that the set does not have,
 * CW_E_LIMIT when the arena is full.
 */
CW_MUST_USE enum cw_status cw_score_begin(const struct cw_bank *b,
    struct cw_arena *a, struct cw_task *t, struct cw_err *err);

/*
 * Score one view of an image.
 *
 *	cos	[nprompts] of this view.
 *	better	[ncategories] set where this view is the harshest so far.
 *
 * CW_E_NUMERIC names the category, or the policy, whose score is not a number.
 */
CW_MUST_USE enum cw_status cw_score_view(const struct cw_worker *w,
    struct cw_task *t, uint32_t view, const float *cos, bool *better,
    struct cw_err *err);

/*
 * Every view is scored: the image's scores become the verdict's, with the
 * neutral cosines of the views that they are of.  CW_E_LIMIT when the arena
 * is full.
 */
CW_MUST_USE enum cw_status cw_score_settle(const struct cw_bank *b,
    struct cw_arena *a, struct cw_task *t, struct cw_err *err);

/*
 * Margin of one prompt of a category against its contrast set, as
 * cw_policy_score gives it when that prompt wins.  NaN when it has none.
 */
float cw_score_margin(const struct cw_worker *w, const struct cw_policy *p,
    const struct cw_category *c, uint32_t prompt, const float *cos);

/* Is category a (over the set), scored xa, harsher than b, scored xb? */
bool cw_score_harsher(const struct cw_policy_set *set, uint32_t a, float xa,
    uint32_t b, float xb);

#endif /* CW_SCORE_H */
