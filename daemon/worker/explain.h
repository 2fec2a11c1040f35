/*
 * explain.h - a map for what fired: which patch moved the margin.
 *
 * Runs in: worker.  Never: logs.
 *
 * The margin of a category is a weighted sum of cosines and a constant, so
 * one folded vector explains it (model/explain.h), exactly.  Calibration
 * comes after the margin and changes no map.
 */
#ifndef CW_WORKER_EXPLAIN_H
#define CW_WORKER_EXPLAIN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "worker/worker.h"

/* margin = sum_i weight[i] * cos[bank[i]] + constant */
struct cw_contrast {
	uint32_t	*bank;		/* [n] */
	float		*weight;	/* [n] */
	int		 n;
	double		 constant;	/* entropy and log-weights; 0 if linear */
};

/*
 * The contrast that the winning prompt of a category stood in, at these
 * cosines (policy.h has the scores, s = logit scale):
 *	softmax: s on the winner, -s nu_j on the neutral ones, nu = softmax;
 *		 constant = log w_i - sum nu_j log w_j - Ent(nu)
 *	margin:	 1 on the winner, -1 on the largest neutral one
 *	cosine:	 1 on the winner
 * Arrays in the arena.  CW_E_LIMIT when it is full.
 */
CW_MUST_USE enum cw_status cw_contrast_make(const struct cw_policy *p,
    const struct cw_category *c, uint32_t prompt, const float *cos,
    float logit_scale, struct cw_arena *a, struct cw_contrast *out);

/*
 * |sum of the parts - margin| may be this large: rounding only.  Margins of
 * softmax are logits, an embedding's rounding times the logit scale.
 */
#define CW_COMPLETE_WITHIN	1e-4
/*
 * With 8-bit weights the output projections round what the fold does not:
 * this much of each cosine (0.003 was seen).  It is a part of its own, the
 * map's rounding, so that the parts add up all the same.
 */
#define CW_INT8_WITHIN		0.02

/*
 * Is slack, the margin less its parts, no more than rounding?  reach: the sum
 * of |weight| over the cosines in it.
 */
bool cw_explain_adds_up(const struct cw_model_info *info, double slack,
    double reach);

/* What a task needs from a forward pass: or-ed enum cw_want. */
unsigned cw_explain_want(const struct cw_worker *w, const struct cw_task *t);

/*
 * Make maps of one view for the categories that are among the first
 * `explain.top` of their policy there and harshest there so far (better).
 * CW_E_NUMERIC when the parts of a map do not add up.
 */
CW_MUST_USE enum cw_status cw_explain_view(struct cw_worker *w,
    struct cw_task *t, uint32_t view, const float *cos, const bool *better,
    const struct cw_trace *trace, struct cw_err *err);

/*
 * All views are done, the result has the image's scores: choose the maps that
 * it keeps, harshest first, find their regions, and say which flagged category
 * has none, and why.
 */
CW_MUST_USE enum cw_status cw_explain_settle(const struct cw_worker *w,
    struct cw_task *t, struct cw_err *err);

#endif /* CW_WORKER_EXPLAIN_H */
