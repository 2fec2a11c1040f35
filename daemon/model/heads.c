/*
 * heads.c - see heads.h.
 */
#include "model/heads.h"

#include "model/kernels/kernel.h"
#include "model/rows.h"

/*
 * Heads at least this wide may be coarser.  Over short rows the errors of
 * bfloat16 do not average out: with 8 columns a map of a tiny model changes by
 * 0.23 of its length, with float by 0.15.  Every published CLIP has 64.
 */
#define WIDE	64

void
cw_head_attend(const struct cw_head *h, const struct cw_kernel *beside,
    struct cw_arena *scratch)
{
	const struct cw_heads *coarse = beside != NULL ? beside->heads : NULL;

	if (coarse != NULL && h->D >= WIDE && coarse->supported()) {
		coarse->attend(h, scratch);
		return;
	}
	cw_gemm_bt(h->n, h->T, h->D, h->scale, h->q, h->ldq, h->k, h->ld,
	    h->p, h->T);
	cw_softmax_rows(h->p, h->n, h->T, h->T, h->causal_from);
	cw_gemm(h->n, h->D, h->T, 1, h->p, h->T, h->v, h->ld, h->mix, h->ldm);
}
