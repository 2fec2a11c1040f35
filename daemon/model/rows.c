/*
 * rows.c - see rows.h.
 */
#include "model/rows.h"

#include "model/kernels/kernel.h"

void
cw_layernorm(const float *x, int rows, int W, int ldx, const float *gamma,
    const float *beta, float eps, float *y, int ldy)
{
	cw_isa_best()->layernorm(x, rows, W, ldx, gamma, beta, eps, y, ldy);
}

void
cw_softmax_rows(float *p, int rows, int cols, int ld, int causal_from)
{
	cw_isa_best()->softmax(p, rows, cols, ld, causal_from);
}
