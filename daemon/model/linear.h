/*
 * linear.h - y = act(x W' + b) + residual, the hot tenth of the code.
 *
 * Runs in: worker.  Never: logs, allocates while applying.
 *
 * One struct for every weight matrix of a tower.  How the weights are stored
 * (row-major for OpenBLAS, packed panels for our own kernels, int8) is decided
 * once when the model is opened and hidden behind cw_linear_apply.
 */
#ifndef CW_LINEAR_H
#define CW_LINEAR_H

#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"

enum cw_act { CW_ACT_NONE, CW_ACT_QUICK_GELU, CW_ACT_GELU, CW_ACT_RELU };

struct cw_kernel;		/* model/kernels/kernel.h */

struct cw_linear {
	int		 in, out;
	const float	*w;	/* [out][in], row-major; borrowed, mapped or widened */
	const float	*b;	/* [out] or NULL */
	const struct cw_kernel *kernel;	/* NULL: OpenBLAS, by w */
	const void	*packed;	/* kernel's own form of w */
};

/* What a matrix is applied to. */
struct cw_input {
	const float	*x;	/* [n] rows of `in`, ld floats apart */
	int		 n, ld;
	/*
	 * How many of them belong together, as one picture's do; n is a
	 * multiple.  A row may be rounded together with others of its unit; in
	 * our own kernels nothing of it depends on those of another.
	 */
	int		 unit;
};

/* Bytes of scratch that applying takes beside n rows of `in` or `out`. */
#define CW_LINEAR_SCRATCH	(4u << 20)

/*
 * y[r][o] = act(sum_i x[r][i] w[o][i] + b[o]) + (residual ? residual[r][o] : 0)
 *
 *	y	[x->n] rows of `out`, ldy floats apart, not over x
 *	residual	rows ldy floats apart, too; may equal y
 *	scratch	for packed activations; released before return.  When it
 *		overflows, y is not all written: ask cw_arena_overflowed
 */
void cw_linear_apply(const struct cw_linear *l, const struct cw_input *x,
    float *y, int ldy, enum cw_act act, const float *residual,
    struct cw_arena *scratch);

/*
 * The same without residual, of rows that a layer norm without weights goes
 * before: x less its row's mean, over its deviation (see cw_layernorm).
 *
 *	norm	[x->n] rows of `in`, where the normed rows may be put
 */
void cw_linear_apply_normed(const struct cw_linear *l, float eps,
    const struct cw_input *x, float *norm, float *y, int ldy, enum cw_act act,
    struct cw_arena *scratch);

/* y = a * b or a * b', small and strided: attention. C[m][n] = alpha A B(') */
void cw_gemm(int m, int n, int k, float alpha, const float *a, int lda,
    const float *b, int ldb, float *c, int ldc);
void cw_gemm_bt(int m, int n, int k, float alpha, const float *a, int lda,
    const float *b, int ldb, float *c, int ldc);

#endif /* CW_LINEAR_H */
