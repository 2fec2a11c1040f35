/*
 * towers.h - the three encoders behind model.h.
 *
 * Runs in: worker.  Never: logs.  Arguments as in model.h.
 */
#ifndef CW_TOWERS_H
#define CW_TOWERS_H

#include "model/block.h"

/* What an encoder is asked for besides the embedding. */
struct cw_encode {
	unsigned		 want;		/* enum cw_want */
	int			 keep_layers;
	struct cw_trace		*traces;	/* [B] or NULL */
	struct cw_arena		*scratch, *keep;
	const struct cw_tap	*tap;
};

/* pixels [B][3][S][S] -> embed [B][E], norm [B] or NULL */
CW_MUST_USE enum cw_status cw_vit_encode(const struct cw_vit_weights *v,
    const float *pixels, int B, const struct cw_encode *job, float *embed,
    float *norm, struct cw_err *err);
size_t cw_vit_scratch_bytes(const struct cw_vit_weights *v, int B);

/* r->x [B * T][W], what enters the first block; r as made for v's patches. */
void cw_vit_enter(const struct cw_vit_weights *v, const float *pixels, int B,
    const struct cw_run *r);

CW_MUST_USE enum cw_status cw_resnet_encode(
    const struct cw_resnet_weights *w, const float *pixels, int B,
    const struct cw_encode *job, float *embed, float *norm,
    struct cw_err *err);
size_t cw_resnet_scratch_bytes(const struct cw_resnet_weights *w, int B);

/*
 * ids [count] of n [count], the last of each its end mark and no other before
 * it -> embeds [count][E]; on CW_E_NUMERIC *bad is the text at fault.  A trace
 * only of a single text.
 */
CW_MUST_USE enum cw_status cw_text_encode(const struct cw_text_weights *t,
    const int *const *ids, const int *n, int count,
    const struct cw_encode *job, float *embeds, int *bad,
    struct cw_err *err);
size_t cw_text_scratch_bytes(const struct cw_text_weights *t, int count);

#endif /* CW_TOWERS_H */
