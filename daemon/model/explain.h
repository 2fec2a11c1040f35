/*
 * explain.h - which patch (or word) moved the score, in parts that add up.
 *
 * Runs in: worker.  Never: logs.
 *
 * Additive decomposition of the residual stream (Gandelsman, Efros and
 * Steinhardt, ICLR 2024), folded: a direction t in embedding space becomes one
 * vector r per layer and head, and token j of layer l contributes
 *	scale * A[l][h][read][j] * (v[l][h][j] . r[l][h])
 * to the cosine.  The sum of all terms is the cosine exactly.
 */
#ifndef CW_EXPLAIN_H
#define CW_EXPLAIN_H

#include "base/arena.h"
#include "base/status.h"
#include "model/model.h"

enum cw_side { CW_SIDE_IMAGE, CW_SIDE_TEXT };

/* A direction, folded through one tower's output side. */
struct cw_fold {
	int	 Lk, W;
	float	*q;		/* [W] through projection and final norm */
	float	*r;		/* [Lk][W] through out_proj of each kept layer */
	float	*ob;		/* [Lk] contribution of out_proj's bias */
	float	 k;		/* final norm's bias (ResNet: output bias) */
};

/*
 * Fold a direction t [E] (need not be unit length; folding is linear, so a
 * weighted sum of folds is the fold of the weighted sum).  keep_layers as in
 * cw_model_encode_images.  Arrays in the arena.  CW_E_LIMIT on overflow.
 */
CW_MUST_USE enum cw_status cw_fold_make(const struct cw_model *m,
    enum cw_side side, const float *t, int keep_layers, struct cw_arena *a,
    struct cw_fold *out);
/* out = sum_i w[i] * f[i], arrays in the arena. */
CW_MUST_USE enum cw_status cw_fold_mix(const struct cw_fold *const *f,
    const float *w, int n, struct cw_arena *a, struct cw_fold *out);

/* Terms of t . u/|u|; their sum is the dot product (a cosine for unit t). */
struct cw_terms {
	float	*tokens;	/* [T-1] all tokens but the read one, in order,
				   summed over kept layers and heads */
	float	 read;		/* the read token's own values */
	float	 mlp;
	float	 out_bias;
	float	 rest;		/* the stream entering the first kept layer */
	float	 ln_bias;
};

/*
 * by_layer, if not NULL: [Lk][T-1] receives the same per layer.
 * ResNet: tokens are the positions with their share of the mean token.
 */
CW_MUST_USE enum cw_status cw_explain(const struct cw_model *m,
    const struct cw_trace *tr, const struct cw_fold *f, struct cw_arena *a,
    struct cw_terms *out, float *by_layer);

/* Rivals: [T-1], no direction involved. */
CW_MUST_USE enum cw_status cw_explain_raw(const struct cw_trace *tr,
    float *out);
CW_MUST_USE enum cw_status cw_explain_rollout(const struct cw_model *m,
    const struct cw_trace *tr, struct cw_arena *scratch, float *out);

#endif /* CW_EXPLAIN_H */
