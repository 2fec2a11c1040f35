/*
 * int8_body.h - matrix products in 8-bit integers, in vec.h's words.
 *
 * Runs in: worker.  Included once by each instruction set's file, which says
 * CW_TILE_ROWS, LEVELS and dot4(); all static.
 *
 * Weights: signed, up to 127, one scale per output.  Activations: unsigned, one
 * scale and zero point per row, LEVELS of them.  (Fewer of both where sums of
 * two are multiplied, see int8_strassen.h.)  With x = s (q - z) + e and w = t v
 *
 *	sum x w = t (s (sum q v - z sum v) + sum e v)
 *
 * where e is what sticks out of the row's range: a handful of values far above
 * the row's mean would stretch the steps of all others, so at most OUTLIERS
 * of a row are cut, and the rest of each is multiplied in float.  A row's
 * result depends on that row alone, not on what shares its batch.
 *
 * Packed weights, one panel of N columns after another:
 *
 *	float t[N] | int32 sum v [N] | of the upper half [N] | int8 v [in/4][N][4]
 *
 * Packed activations: see int8_rows.h.
 */
#ifndef CW_INT8_BODY_H
#define CW_INT8_BODY_H

#include "model/kernels/int8_rows.h"
#include "model/kernels/step.h"
#include "model/kernels/transpose.h"

#define TILE_VECS	2
#define N		(TILE_VECS * CW_LANES)
/* 255 * 127 * depth has to fit an int32_t */
#define DEPTH_MAX	65536
#define INT8_MOST	127

struct int8_panel {
	float	 scale[N];
	int32_t	 sum[N], upper[N];	/* of all inputs, of those < in/2 */
	int8_t	 v[];			/* [in/4][N][4] */
};

struct int8_out {
	float		*y;
	const float	*bias;		/* or NULL */
	const float	*residual;	/* or NULL */
	size_t		 ld;
	int		 cols;		/* up to N */
	bool		 direct;	/* N columns, nothing sticks out */
	enum cw_act	 act;
	const struct int8_row	*rows;
	const struct int8_panel	*panel;
};

/* ---- weights ---- */

static size_t
int8_panel_bytes(int in)
{
	return sizeof(struct int8_panel) + (size_t)(in + 3) / 4 * 4 * N;
}

static size_t
int8_packed_bytes(int in, int out)
{
	size_t bytes = (size_t)((out + N - 1) / N) * int8_panel_bytes(in);

	return (bytes + 63) & ~(size_t)63;
}

static void
int8_pack_column(const float *w, int in, float step, struct int8_panel *p,
    int c)
{
	const float inv = step > 0 ? 1 / step : 1;

	p->scale[c] = step;
	for (int i = 0; i < in; i++) {
		/* the low byte of 1.5 * 2^23 + k is k */
		float t = w[i] * inv + 0x1.8p23f;
		int8_t v;

		memcpy(&v, &t, sizeof(v));
		p->v[((size_t)(i / 4) * N + (size_t)c) * 4 + i % 4] = v;
		p->sum[c] += v;
		if (i < in / 2)
			p->upper[c] += v;
	}
}

static void
int8_pack_within(int most, const float *w, const float *step, int in, int out,
    void *dst)
{
	CW_CHECK(in <= DEPTH_MAX);
	memset(dst, 0, int8_packed_bytes(in, out));
	for (int o = 0; o < out; o++) {
		const float *column = w + (size_t)o * (size_t)in;
		size_t at = (size_t)(o / N) * int8_panel_bytes(in);

		int8_pack_column(column, in, step != NULL ? step[o] :
		    cw_weight_step(column, in, most),
		    (struct int8_panel *)((char *)dst + at), o % N);
	}
}

static void
int8_pack(const float *w, const float *step, int in, int out, void *dst)
{
	int8_pack_within(INT8_MOST, w, step, in, out, dst);
}

/* ---- the product ---- */

/* sum of e v over a row's outliers, for CW_LANES columns from `at` on */
static vf
outlier_sum(const struct int8_row *row, const struct int8_panel *p, int at)
{
	vf sum = vf_all(0);

	for (int i = 0; i < row->outliers; i++) {
		int k = row->at[i];
		vi v;

		memcpy(&v, p->v + ((size_t)(k / 4) * N + (size_t)at) * 4,
		    sizeof(v));
		v = v << (24 - 8 * (k % 4)) >> 24;
		sum = vf_fma(__builtin_convertvector(v, vf),
		    vf_all(row->excess[i]), sum);
	}
	return sum;
}

/* From sums to to [rows][ld], but for what sticks out; all in registers. */
CW_INLINE void
int8_finish(const int rows, vi (*acc)[TILE_VECS], const bool gelu,
    const float *residual, const struct int8_out *o, float *to, size_t ld)
{
	vf bias[TILE_VECS], scale[TILE_VECS];
	vi sum[TILE_VECS];

	memcpy(scale, o->panel->scale, sizeof(scale));
	memcpy(sum, o->panel->sum, sizeof(sum));
	for (int j = 0; j < TILE_VECS; j++) {
		int left = lanes_left(o->cols, j * CW_LANES);

		bias[j] = o->bias == NULL || left <= 0 ? vf_all(0) :
		    vf_load_part(o->bias + j * CW_LANES, left);
	}
	/* unrolled, or the sums go through memory */
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < TILE_VECS; j++) {
			const size_t at = (size_t)i * ld +
			    (size_t)j * CW_LANES;
			vf v = __builtin_convertvector(acc[i][j] -
			    o->rows[i].zero * sum[j], vf) *
			    vf_all(o->rows[i].scale);

			v = vf_fma(v, scale[j], bias[j]);
			if (gelu)
				v = vf_quick_gelu_coarse(v);
			if (residual != NULL)
				v += vf_load(residual + at);
			vf_store(to + at, v);
		}
}

/* What sticks out of some rows, times the weights, to t [rows][N]. */
static void
add_outliers(int rows, const struct int8_out *o, float *t)
{
	for (int i = 0; i < rows; i++, t += N)
		for (int j = 0; o->rows[i].outliers > 0 && j < N;
		    j += CW_LANES)
			vf_store(t + j, vf_fma(outlier_sum(o->rows + i,
			    o->panel, j), vf_load(o->panel->scale + j),
			    vf_load(t + j)));
}

/* From t [rows][N] to where results go; act is a constant. */
CW_INLINE void
int8_activate(const enum cw_act act, int rows, const float *t,
    const struct int8_out *o)
{
	float *y = o->y;
	const float *residual = o->residual;

	for (int i = 0; i < rows; i++, t += N, y += o->ld) {
		for (int j = 0; j < o->cols; j += CW_LANES) {
			const int left = lanes_left(o->cols, j);
			vf v = act == CW_ACT_QUICK_GELU ?
			    vf_quick_gelu_coarse(vf_load(t + j)) :
			    activate(act, vf_load(t + j));

			if (residual != NULL)
				v += vf_load_part(residual + j, left);
			vf_store_part(y + j, v, left);
		}
		if (residual != NULL)
			residual += o->ld;
	}
}

/* The same, and before it what sticks out. */
static void
int8_finish_rest(int rows, float *t, const struct int8_out *o)
{
	add_outliers(rows, o, t);
	switch (o->act) {
	case CW_ACT_NONE:
		int8_activate(CW_ACT_NONE, rows, t, o);
		break;
	case CW_ACT_QUICK_GELU:
		int8_activate(CW_ACT_QUICK_GELU, rows, t, o);
		break;
	case CW_ACT_GELU:
		int8_activate(CW_ACT_GELU, rows, t, o);
		break;
	case CW_ACT_RELU:
		int8_activate(CW_ACT_RELU, rows, t, o);
		break;
	}
}

/* What lies at ahead is wanted next: fetched meanwhile, step bytes at a time. */
CW_INLINE void
int8_tile(const int rows, int quads, const int32_t *a, const char *ahead,
    size_t step, const struct int8_out *o)
{
	const int line = CHUNK / 4, jump = (rows - 1) * line + 1;
	const int8_t *b = o->panel->v;
	_Alignas(64) float t[CW_TILE_ROWS * N];
	vi acc[CW_TILE_ROWS][TILE_VECS];

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < TILE_VECS; j++)
			acc[i][j] = (vi){ 0 };
	for (int p = 1; p <= quads; p++, b += 4 * N, ahead += step) {
		vi w[TILE_VECS];

		__builtin_prefetch(ahead, 0, 3);
		__builtin_prefetch(ahead + 64, 0, 3);
		for (int j = 0; j < TILE_VECS; j++)
			memcpy(&w[j], b + 4 * j * CW_LANES, sizeof(w[j]));
		for (int i = 0; i < rows; i++) {
			vi x = (vi){ 0 } + a[i * line];

			for (int j = 0; j < TILE_VECS; j++)
				acc[i][j] = dot4(acc[i][j], x, w[j]);
		}
		a += p % line != 0 ? 1 : jump;
	}
	if (o->direct && o->act == CW_ACT_NONE) {
		int8_finish(rows, acc, false, o->residual, o, o->y, o->ld);
	} else if (o->direct && o->act == CW_ACT_QUICK_GELU) {
		int8_finish(rows, acc, true, o->residual, o, o->y, o->ld);
	} else {
		int8_finish(rows, acc, false, NULL, o, t, N);
		int8_finish_rest(rows, t, o);
	}
}

#define INT8_TILE(n)							\
static void								\
int8_tile_##n(int quads, const int32_t *a, const char *ahead,		\
    size_t step, const struct int8_out *o)				\
{									\
	int8_tile(n, quads, a, ahead, step, o);				\
}
CW_TILES(INT8_TILE)

#define INT8_TILE_NAME(n)	int8_tile_##n,
static void (*const int8_tiles[])(int, const int32_t *, const char *, size_t,
    const struct int8_out *) = { NULL, CW_TILES(INT8_TILE_NAME) };

/* Rows of x, quantised and packed into one block at a; does one stick out? */
static bool
int8_pack_block(const float *x, size_t ldx, int rows, int in,
    const float *eps, int levels, float *plain, int32_t *a,
    struct int8_row *info)
{
	bool cut = false;

	for (int r = 0; r < rows; r++) {
		quantise(x + (size_t)r * ldx, in, eps, levels, plain,
		    (uint8_t *)a + r * CHUNK, (size_t)rows * CHUNK, info + r);
		cut = cut || info[r].outliers > 0;
	}
	return cut;
}

/* eps: of the layer norm before it, or NULL */
static void
int8_straight(const struct cw_linear *l, const float *eps, int levels,
    const struct cw_input *x, float *y, int ldy, enum cw_act act,
    const float *residual, struct cw_arena *scratch)
{
	int rows = x->n, blocks = (rows + CW_TILE_ROWS - 1) / CW_TILE_ROWS;
	size_t mark = cw_arena_mark(scratch), quads = (size_t)(l->in + 3) / 4;
	const size_t bytes = int8_panel_bytes(l->in);
	const size_t words = (size_t)(l->in + CHUNK - 1) / CHUNK * CHUNK / 4;
	const char *panel = l->packed;
	int32_t *a = cw_arena_alloc(scratch, (size_t)rows * words * 4);
	float *plain = cw_arena_floats(scratch, (size_t)l->in);
	bool *cut = cw_arena_alloc(scratch, (size_t)blocks * sizeof(*cut));
	struct int8_row *info = cw_arena_alloc(scratch,
	    (size_t)rows * sizeof(*info));

	if (cw_arena_overflowed(scratch))
		return;
	for (int i = 0; i < blocks; i++) {
		int r = cw_part(rows, i, blocks);

		cut[i] = int8_pack_block(x->x + (size_t)r * (size_t)x->ld,
		    (size_t)x->ld, cw_part(rows, i + 1, blocks) - r, l->in, eps,
		    levels, plain, a + (size_t)r * words, info + r);
	}
	for (int o = 0; o < l->out; o += N, panel += bytes) {
		struct int8_out out = {
			.bias = l->b != NULL ? l->b + o : NULL,
			.ld = (size_t)ldy, .act = act,
			.cols = l->out - o < N ? l->out - o : N,
			.panel = (const struct int8_panel *)panel,
		};

		for (int i = 0; i < blocks; i++) {
			int r = cw_part(rows, i, blocks);
			size_t at = (size_t)r * (size_t)ldy + (size_t)o;
			size_t step = 4 * N / (size_t)blocks;

			out.y = y + at;
			out.residual = residual != NULL ? residual + at : NULL;
			out.rows = info + r;
			out.direct = out.cols == N && !cut[i];
			int8_tiles[cw_part(rows, i + 1, blocks) - r]((int)quads,
			    a + (size_t)r * words, panel + bytes +
			    (size_t)i * step * quads, step, &out);
		}
	}
	cw_arena_release(scratch, mark);
}

static void
int8_apply(const struct cw_linear *l, const struct cw_input *x, float *y,
    int ldy, enum cw_act act, const float *residual, struct cw_arena *scratch)
{
	int8_straight(l, NULL, LEVELS, x, y, ldy, act, residual, scratch);
}

static void
int8_apply_normed(const struct cw_linear *l, float eps,
    const struct cw_input *x, float *y, int ldy, enum cw_act act,
    struct cw_arena *scratch)
{
	int8_straight(l, &eps, LEVELS, x, y, ldy, act, NULL, scratch);
}

#endif /* CW_INT8_BODY_H */
