/*
 * fp32_body.h - matrix products in float, in vec.h's words.
 *
 * Runs in: worker.  Included once by each instruction set's file, which says
 * CW_TILE_ROWS; all static.
 *
 * A tile of the result, up to CW_TILE_ROWS x N, stays in registers over the
 * whole depth k.  Weights lie in panels of N columns, activations are packed
 * into blocks of as many rows as a tile has, so both are read front to back:
 *
 *	weights, one panel	[k][N]		activations, one block	[k][rows]
 *
 * Row blocks are of even height (50 rows: 13 13 12 12), so none is left over
 * that would be too short to hide the latency of a multiplication.
 */
#ifndef CW_FP32_BODY_H
#define CW_FP32_BODY_H

#include <math.h>

#include "model/kernels/rows_body.h"
#include "model/kernels/transpose.h"

#define TILE_VECS	2
#define N		(TILE_VECS * CW_LANES)
/* Unpacked rows are addressed by pointers of their own: not more of them. */
#define LOOSE_ROWS	(CW_TILE_ROWS < 8 ? CW_TILE_ROWS : 8)
/* Depth of a piece of B that cw_gemm packs on the stack: 12 KiB for AVX-512. */
#define LOOSE_DEPTH	96
/*
 * Deeper products are made in layers of this depth, so that a panel, the one
 * fetched after it and the activations stay in a core's own cache.
 */
#define DEPTH		768

/* How far apart values may be that are summed: by four of 24 bits. */
#define EVEN_RANGE	16

/* Where a tile goes and what happens to it on the way. */
struct fp32_out {
	float		*y;
	const float	*bias;		/* or NULL */
	const float	*residual;	/* or NULL */
	size_t		 ldy, ldr;
	int		 cols;		/* up to N */
	float		 alpha;
	enum cw_act	 act;
};

static void
fp32_finish(int rows, const vf (*acc)[TILE_VECS], const struct fp32_out *o)
{
	for (int j = 0; j < TILE_VECS; j++) {
		int at = j * CW_LANES, n = lanes_left(o->cols, at);
		vf alpha = vf_all(o->alpha), bias = vf_all(0);

		if (n <= 0)
			break;
		if (o->bias != NULL)
			bias = vf_load_part(o->bias + at, n);
		for (int i = 0; i < rows; i++) {
			vf v = vf_fma(acc[i][j], alpha, bias);

			v = activate(o->act, v);
			if (o->residual != NULL)
				v += vf_load_part(o->residual +
				    (size_t)i * o->ldr + at, n);
			if (n == CW_LANES)
				vf_store(o->y + (size_t)i * o->ldy + at, v);
			else
				vf_store_part(o->y + (size_t)i * o->ldy + at,
				    v, n);
		}
	}
}

/*
 * acc = sum over k of a[row * rs + p * ks] * b[p][N], rows a constant.  What
 * lies at ahead is wanted next: fetched meanwhile, step bytes with each p.
 */
CW_INLINE void
fp32_tile(const int rows, int k, const float *a, size_t rs, size_t ks,
    const float *b, const char *ahead, size_t step, const struct fp32_out *o)
{
	vf acc[CW_TILE_ROWS][TILE_VECS];

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < TILE_VECS; j++)
			acc[i][j] = vf_all(0);
	for (int p = 0; p < k; p++, a += ks, b += N, ahead += step) {
		vf w[TILE_VECS];

		__builtin_prefetch(ahead, 0, 2);
		__builtin_prefetch(ahead + 64, 0, 2);
		for (int j = 0; j < TILE_VECS; j++)
			w[j] = vf_load(b + j * CW_LANES);
		for (int i = 0; i < rows; i++) {
			vf x = vf_all(a[(size_t)i * rs]);

			for (int j = 0; j < TILE_VECS; j++)
				acc[i][j] = vf_fma(x, w[j], acc[i][j]);
		}
	}
	fp32_finish(rows, (const vf (*)[TILE_VECS])acc, o);
}

#define PACKED_TILE(n)							\
static void								\
fp32_tile_##n(int k, const float *a, const float *b,			\
    const char *ahead, size_t step, const struct fp32_out *o)		\
{									\
	fp32_tile(n, k, a, 1, n, b, ahead, step, o);			\
}
CW_TILES(PACKED_TILE)

#define TILE_NAME(n)	fp32_tile_##n,
static void (*const fp32_tiles[])(int, const float *, const float *,
    const char *, size_t, const struct fp32_out *) = {
	NULL, CW_TILES(TILE_NAME)
};

static void
fp32_loose_tile(int rows, int k, const float *a, size_t lda, const float *b,
    const struct fp32_out *o)
{
	switch (rows) {
#define LOOSE_CASE(n)							\
	case n:								\
		fp32_tile(n, k, a, lda, 1, b, (const char *)b, 0, o);	\
		break;
	CW_FEW_TILES(LOOSE_CASE)
#if CW_TILE_ROWS >= 8
	LOOSE_CASE(7)
	LOOSE_CASE(8)
#endif
	}
}

static size_t
fp32_panel_bytes(int in, int out)
{
	return (size_t)((out + N - 1) / N * N) * (size_t)in * sizeof(float);
}

/* The panels, and behind them a byte for each pair: see fp32_strassen.h. */
static size_t
fp32_packed_bytes(int in, int out)
{
	const size_t pairs = (size_t)(out / (2 * N));

	return (fp32_panel_bytes(in, out) + pairs + 63) & ~(size_t)63;
}

static float
fp32_largest(const float *row, int n)
{
	float top = 0;

	for (int i = 0; i < n; i++)
		top = fabsf(row[i]) <= top ? top : fabsf(row[i]);
	return top;
}

/* Is each of N columns of weights of one order with that N behind it? */
static bool
fp32_even_pair(const float *w, int in)
{
	for (int o = 0; o < N; o++, w += in) {
		float a = fp32_largest(w, in);
		float b = fp32_largest(w + (size_t)N * (size_t)in, in);

		if (!(a <= EVEN_RANGE * b && b <= EVEN_RANGE * a))
			return false;
	}
	return true;
}

static void
fp32_pack(const float *w, const float *step, int in, int out, void *dst)
{
	const size_t panels = fp32_panel_bytes(in, out);
	unsigned char *even = (unsigned char *)dst + panels;
	float *to = dst;

	(void)step;
	memset(even, 0, fp32_packed_bytes(in, out) - panels);
	for (int o = 0; o < out; o += N, w += (size_t)N * (size_t)in) {
		int cols = out - o < N ? out - o : N;

		if (cols < N)
			memset(to, 0, (size_t)in * N * sizeof(*to));
		cw_transpose(w, (size_t)in, cols, in, to, N);
		to += (size_t)in * N;
		if (o % (2 * N) == 0 && out - o >= 2 * N)
			*even++ = fp32_even_pair(w, in);
	}
}

/*
 * y = inputs p .. p+depth-1 of the product, plus residual (y itself, once the
 * first inputs are in), with bias and activation.
 */
static void
fp32_layer(const struct cw_linear *l, int p, int depth, int rows,
    const float *a, float *y, size_t ldy, enum cw_act act,
    const float *residual)
{
	const int blocks = (rows + CW_TILE_ROWS - 1) / CW_TILE_ROWS;
	const size_t in = (size_t)l->in;
	const float *panel = (const float *)l->packed + (size_t)p * N;
	const size_t step = N * sizeof(float) / (size_t)blocks;

	for (int o = 0; o < l->out; o += N, panel += in * N) {
		struct fp32_out out = {
			.bias = l->b != NULL && p == 0 ? l->b + o : NULL,
			.ldy = ldy, .ldr = ldy, .alpha = 1, .act = act,
			.cols = l->out - o < N ? l->out - o : N,
		};

		for (int i = 0; i < blocks; i++) {
			int r = cw_part(rows, i, blocks);
			int n = cw_part(rows, i + 1, blocks) - r;
			size_t at = (size_t)r * ldy + (size_t)o;

			out.y = y + at;
			out.residual = residual != NULL ? residual + at : NULL;
			fp32_tiles[n](depth, a + (size_t)r * in +
			    (size_t)(p * n), panel, (const char *)(panel +
			    in * N) + (size_t)i * step * (size_t)depth, step,
			    &out);
		}
	}
}

static void
fp32_straight(const struct cw_linear *l, const struct cw_input *x, float *y,
    int ldy, enum cw_act act, const float *residual, struct cw_arena *scratch)
{
	int rows = x->n, blocks = (rows + CW_TILE_ROWS - 1) / CW_TILE_ROWS;
	size_t mark = cw_arena_mark(scratch), in = (size_t)l->in;
	int depth = act == CW_ACT_NONE && l->in > 2 * DEPTH ? DEPTH : l->in;
	float *a = cw_arena_floats(scratch, (size_t)rows * in);

	if (a == NULL)
		return;
	for (int i = 0; i < blocks; i++) {
		int r = cw_part(rows, i, blocks), n = cw_part(rows, i + 1, blocks) - r;

		cw_transpose(x->x + (size_t)r * (size_t)x->ld, (size_t)x->ld,
		    n, l->in, a + (size_t)r * in, (size_t)n);
	}
	for (int p = 0; p < l->in; p += depth)
		fp32_layer(l, p, p + depth < l->in ? depth : l->in - p, rows,
		    a, y, (size_t)ldy, act, p > 0 ? y : residual);
	cw_arena_release(scratch, mark);
}

#include "model/kernels/fp32_strassen.h"

static void
fp32_apply(const struct cw_linear *l, const struct cw_input *x, float *y,
    int ldy, enum cw_act act, const float *residual, struct cw_arena *scratch)
{
	CW_CHECK(x->unit > 0 && x->n % x->unit == 0);
	if (strassen_fits(l, x->unit, act))
		strassen_apply(l, x, y, ldy, act, residual, scratch);
	else
		fp32_straight(l, x, y, ldy, act, residual, scratch);
}

/* One piece of B, k x cols, into a panel on the stack. */
static void
fp32_pack_piece(const float *b, size_t ldb, bool transposed, int k, int cols,
    float *to)
{
	if (transposed) {
		cw_transpose(b, ldb, cols, k, to, N);
		return;
	}
	for (int p = 0; p < k; p++, b += ldb, to += N)
		for (int j = 0; j < cols; j += CW_LANES)
			vf_store(to + j, vf_load_part(b + j,
			    lanes_left(cols, j)));
}

static void
fp32_gemm(int m, int n, int k, float alpha, const float *a, int lda,
    const float *b, int ldb, bool transposed, float *c, int ldc)
{
	_Alignas(64) float panel[LOOSE_DEPTH * N] = { 0 };
	int blocks = (m + LOOSE_ROWS - 1) / LOOSE_ROWS;

	for (int o = 0; o < n; o += N)
		for (int p = 0; p < k; p += LOOSE_DEPTH) {
			struct fp32_out out = {
				.ldy = (size_t)ldc, .ldr = (size_t)ldc,
				.cols = n - o < N ? n - o : N,
				.alpha = alpha, .act = CW_ACT_NONE,
			};
			int depth = k - p < LOOSE_DEPTH ? k - p : LOOSE_DEPTH;
			size_t at = transposed ?
			    (size_t)o * (size_t)ldb + (size_t)p :
			    (size_t)p * (size_t)ldb + (size_t)o;

			fp32_pack_piece(b + at, (size_t)ldb, transposed,
			    depth, out.cols, panel);
			for (int i = 0; i < blocks; i++) {
				int r = cw_part(m, i, blocks);

				out.y = c + (size_t)r * (size_t)ldc + o;
				out.residual = p > 0 ? out.y : NULL;
				fp32_loose_tile(cw_part(m, i + 1, blocks) - r,
				    depth, a + (size_t)r * (size_t)lda + p,
				    (size_t)lda, panel, &out);
			}
		}
}

#endif /* CW_FP32_BODY_H */
