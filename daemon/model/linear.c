/*
 * linear.c - see linear.h.
 */
#include "model/linear.h"

#include <math.h>

#include <cblas.h>

static float
activate(enum cw_act act, float v)
{
	switch (act) {
	case CW_ACT_NONE:
		return v;
	case CW_ACT_QUICK_GELU:
		return v / (1 + expf(-1.702f * v));
	case CW_ACT_GELU:
		return 0.5f * v * (1 + erff(v * 0.70710678f));
	case CW_ACT_RELU:
		return v < 0 ? 0 : v;
	}
	return v;
}

static void
finish_rows(const struct cw_linear *l, int rows, float *y, int ldy,
    enum cw_act act, const float *residual)
{
	for (int r = 0; r < rows; r++, y += ldy) {
		for (int o = 0; o < l->out; o++) {
			y[o] = activate(act, y[o] +
			    (l->b != NULL ? l->b[o] : 0));
			if (residual != NULL)
				y[o] += residual[o];
		}
		if (residual != NULL)
			residual += ldy;
	}
}

void
cw_linear_apply(const struct cw_linear *l, int rows, const float *x, int ldx,
    float *y, int ldy, enum cw_act act, const float *residual,
    struct cw_arena *scratch)
{
	float *t = y;
	int ldt = ldy;
	size_t mark = cw_arena_mark(scratch);

	if (residual == y) {
		t = cw_arena_floats(scratch, (size_t)rows * (size_t)l->out);
		ldt = l->out;
		if (t == NULL)
			return;
	}
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, l->out,
	    l->in, 1, x, ldx, l->w, l->in, 0, t, ldt);
	if (t == y) {
		finish_rows(l, rows, y, ldy, act, residual);
	} else {
		finish_rows(l, rows, t, ldt, act, NULL);
		for (int r = 0; r < rows; r++)
			for (int o = 0; o < l->out; o++)
				y[(size_t)r * (size_t)ldy + (size_t)o] +=
				    t[(size_t)r * (size_t)ldt + (size_t)o];
	}
	cw_arena_release(scratch, mark);
}

void
cw_gemm(int m, int n, int k, float alpha, const float *a, int lda,
    const float *b, int ldb, float *c, int ldc)
{
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, alpha,
	    a, lda, b, ldb, 0, c, ldc);
}

void
cw_gemm_bt(int m, int n, int k, float alpha, const float *a, int lda,
    const float *b, int ldb, float *c, int ldc)
{
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, alpha,
	    a, lda, b, ldb, 0, c, ldc);
}
