/*
 * fp32_openblas.c - the library's product, our bias, activation and residual.
 *
 * "Packed" is the matrix as it is.
 */
#include <math.h>
#include <string.h>

#include <cblas.h>
#include <f77blas.h>

#include "model/kernels/kernel.h"
#include "model/kernels/openblas.h"

static bool
supported(void)
{
	return true;
}

static size_t
packed_bytes(int in, int out)
{
	return ((size_t)in * (size_t)out * sizeof(float) + 63) & ~(size_t)63;
}

static void
pack(const float *w, const float *step, int in, int out, void *dst)
{
	size_t bytes = (size_t)in * (size_t)out * sizeof(float);

	(void)step;
	memcpy(dst, w, bytes);
	memset((char *)dst + bytes, 0, packed_bytes(in, out) - bytes);
}

static void
apply(const struct cw_linear *l, const struct cw_input *x, float *y, int ldy,
    enum cw_act act, const float *residual, struct cw_arena *scratch)
{
	size_t mark = cw_arena_mark(scratch);
	float *t = y;
	int ldt = ldy;

	if (residual == y) {
		t = cw_arena_floats(scratch, (size_t)x->n * (size_t)l->out);
		ldt = l->out;
		if (t == NULL)
			return;
	}
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, x->n, l->out,
	    l->in, 1, x->x, x->ld, l->packed, l->in, 0, t, ldt);
	cw_isa_best()->finish(t, ldt, x->n, l->out, l->b, act, residual, y,
	    ldy);
	cw_arena_release(scratch, mark);
}

const struct cw_kernel cw_fp32_openblas = {
	.name = "openblas",
	.supported = supported,
	.packed_bytes = packed_bytes,
	.pack = pack,
	.apply = apply,
};

void
cw_gram_add(const float *x, int n, int in, int ld, float *gram)
{
	cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, in, n, 1, x, ld, 1,
	    gram, in);
}

bool
cw_factor(float *a, int n)
{
	blasint size = n, failed = 0;

	/* the lower triangle of columns is the upper one of rows */
	(void)BLASFUNC(spotrf)((char []){ "L" }, &size, a, &size, &failed);
	for (size_t i = 0; i < (size_t)n; i++)
		if (!(a[i * ((size_t)n + 1)] > 0) ||
		    !(a[i * ((size_t)n + 1)] < INFINITY))
			return false;
	return failed == 0;
}

int
cw_blas_threads(int n)
{
	const int was = openblas_get_num_threads();

	openblas_set_num_threads(n);
	return was;
}
