/*
 * linear.c - see linear.h.
 */
#include "model/linear.h"

#include "model/kernels/kernel.h"

void
cw_linear_apply(const struct cw_linear *l, const struct cw_input *x, float *y,
    int ldy, enum cw_act act, const float *residual, struct cw_arena *scratch)
{
	const struct cw_kernel *kernel = l->kernel;
	struct cw_linear plain;

	if (kernel == NULL) {
		plain = *l;
		plain.packed = l->w;
		l = &plain;
		kernel = &cw_fp32_openblas;
	}
	kernel->apply(l, x, y, ldy, act, residual, scratch);
}

void
cw_linear_apply_normed(const struct cw_linear *l, float eps,
    const struct cw_input *x, float *norm, float *y, int ldy, enum cw_act act,
    struct cw_arena *scratch)
{
	struct cw_input rows = *x;

	if (l->kernel != NULL && l->kernel->apply_normed != NULL) {
		l->kernel->apply_normed(l, eps, x, y, ldy, act, scratch);
		return;
	}
	cw_isa_best()->layernorm(x->x, x->n, l->in, x->ld, NULL, NULL, eps,
	    norm, l->in);
	rows.x = norm;
	rows.ld = l->in;
	cw_linear_apply(l, &rows, y, ldy, act, NULL, scratch);
}

void
cw_gemm(int m, int n, int k, float alpha, const float *a, int lda,
    const float *b, int ldb, float *c, int ldc)
{
	cw_isa_best()->gemm(m, n, k, alpha, a, lda, b, ldb, false, c, ldc);
}

void
cw_gemm_bt(int m, int n, int k, float alpha, const float *a, int lda,
    const float *b, int ldb, float *c, int ldc)
{
	cw_isa_best()->gemm(m, n, k, alpha, a, lda, b, ldb, true, c, ldc);
}
