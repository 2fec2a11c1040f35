/*
 * int8_body.h - matrix products in 8-bit integers, in vec.h's words.
 *
 * Runs in: worker.  Included once by each instruction set's file, which says
 * CW_TILE_ROWS, LEVELS and dot4(); all static.
 *
 * Weights: signed, one scale per output.  Activations: unsigned, one scale and
 * zero point per row, LEVELS of them.  With x = s (q - z) + e and w = t v
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
 *	float t[N] | int32 sum v [N] | int8 v [in/4][N][4]
 *
 * Packed activations, one block: [in/4][rows][4].
 */
#ifndef CW_INT8_BODY_H
#define CW_INT8_BODY_H

#include <math.h>

#include "model/kernels/activate.h"
#include "model/kernels/transpose.h"

#define TILE_VECS	2
#define N		(TILE_VECS * CW_LANES)
/* 255 * 127 * depth has to fit an int32_t */
#define DEPTH_MAX	65536
#define OUTLIERS	8
/* Values up to this many times the row's mean magnitude are never cut. */
#define ORDINARY	10.0f

struct int8_row {
	float	 scale;
	int32_t	 zero;
	int	 outliers;
	int	 at[OUTLIERS];		/* input index */
	float	 excess[OUTLIERS];	/* value less what was kept */
};

struct int8_panel {
	float	 scale[N];
	int32_t	 sum[N];
	int8_t	 v[];			/* [in/4][N][4] */
};

struct int8_out {
	float		*y;
	const float	*bias;		/* or NULL */
	const float	*residual;	/* or NULL */
	size_t		 ld;
	int		 cols;		/* up to N */
	enum cw_act	 act;
	const struct int8_row	*rows;
	const struct int8_panel	*panel;
};

/* ---- activations ---- */

/* Columns of row x beyond limit, at most OUTLIERS + 1. */
static int
count_beyond(const float *x, int n, float limit, int *at)
{
	vf top = vf_all(0);
	int found = 0, i = 0;

	for (; i + CW_LANES <= n; i += CW_LANES)
		top = vf_at_least(top, vf_abs(vf_load(x + i)));
	for (; i < n; i++)
		top[0] = fmaxf(top[0], fabsf(x[i]));
	if (vf_largest(top) <= limit)
		return 0;
	for (i = 0; i < n && found <= OUTLIERS; i++)
		if (fabsf(x[i]) > limit) {
			if (found < OUTLIERS)
				at[found] = i;
			found++;
		}
	return found;
}

/* Mean magnitude, none counted for more than limit. */
static float
mean_magnitude(const float *x, int n, float limit)
{
	vf sum = vf_all(0), most = vf_all(limit);
	float tail = 0;
	int i = 0;

	for (; i + CW_LANES <= n; i += CW_LANES)
		sum += vf_at_most(most, vf_abs(vf_load(x + i)));
	for (; i < n; i++)
		tail += !(fabsf(x[i]) > limit) ? fabsf(x[i]) : limit;
	return (vf_sum(sum) + tail) / (float)n;
}

/* The magnitude above which the row's values are cut. */
static float
row_limit(const float *x, int n, struct int8_row *row)
{
	float limit = ORDINARY * mean_magnitude(x, n, INFINITY);

	if (!(limit < INFINITY) || count_beyond(x, n, limit, row->at) == 0)
		return limit;
	/* a mean that what sticks out has no great part in */
	limit = ORDINARY * mean_magnitude(x, n, limit);
	while ((row->outliers = count_beyond(x, n, limit, row->at)) > OUTLIERS)
		limit *= 1.5f;
	return limit;
}

CW_INLINE vf
clamp(vf v, float limit)
{
	return vf_at_most(vf_all(limit), vf_at_least(vf_all(-limit), v));
}

/* q [n rounded up to 4] = x in steps; the row's scale and the like */
static void
quantise(const float *x, int n, uint8_t *q, struct int8_row *row)
{
	typedef uint8_t vb __attribute__((vector_size(CW_LANES), aligned(1),
	    may_alias));
	vf lo = vf_all(0), hi = vf_all(0), inv, zero;
	float limit, least, most;
	int i;

	row->outliers = 0;
	row->zero = 0;
	limit = row_limit(x, n, row);
	if (!(limit < INFINITY)) {
		/* a NaN or an infinity: so is the whole result */
		memset(q, 0, (size_t)((n + 3) & ~3));
		row->scale = NAN;
		return;
	}
	for (i = 0; i < n; i += CW_LANES) {
		vf v = clamp(vf_load_part(x + i, lanes_left(n, i)), limit);

		lo = vf_at_most(lo, v);
		hi = vf_at_least(hi, v);
	}
	most = vf_largest(hi);
	least = -vf_largest(-lo);
	row->scale = fmaxf((most - least) / (LEVELS - 2), 1e-30f);
	row->zero = (int32_t)(0.5f - least / row->scale);
	for (i = 0; i < row->outliers; i++) {
		float v = x[row->at[i]];

		row->excess[i] = v - copysignf(limit, v);
	}
	/* the low byte of 1.5 * 2^23 + k is k */
	inv = vf_all(1 / row->scale);
	zero = vf_all(0x1.8p23f + (float)row->zero);
	for (i = 0; i < n; i += CW_LANES) {
		int left = lanes_left(n, i);
		vf v = clamp(vf_load_part(x + i, left), limit);
		vi t = (vi)vf_fma(v, inv, zero) & 0xff;
		vb b = __builtin_convertvector(t, vb);

		if (left == CW_LANES)
			*(vb *)(q + i) = b;
		else
			for (int j = 0; j < ((left + 3) & ~3); j++)
				q[i + j] = b[j];
	}
}

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
int8_pack_column(const float *w, int in, struct int8_panel *p, int c)
{
	float top = 0, inv;
	bool finite = true;

	for (int i = 0; i < in; i++) {
		top = fabsf(w[i]) > top ? fabsf(w[i]) : top;
		finite = finite && fabsf(w[i]) < INFINITY;
	}
	inv = top > 1e-30f && finite ? 127 / top : 1;
	p->scale[c] = finite ? 1 / inv : NAN;
	for (int i = 0; i < in; i++) {
		/* the low byte of 1.5 * 2^23 + k is k */
		float t = w[i] * inv + 0x1.8p23f;
		int8_t v;

		memcpy(&v, &t, sizeof(v));
		p->v[((size_t)(i / 4) * N + (size_t)c) * 4 + i % 4] = v;
		p->sum[c] += v;
	}
}

static void
int8_pack(const float *w, int in, int out, void *dst)
{
	CW_CHECK(in <= DEPTH_MAX);
	memset(dst, 0, int8_packed_bytes(in, out));
	for (int o = 0; o < out; o++) {
		size_t at = (size_t)(o / N) * int8_panel_bytes(in);

		int8_pack_column(w + (size_t)o * (size_t)in, in,
		    (struct int8_panel *)((char *)dst + at), o % N);
	}
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

static void
int8_finish(int rows, const vi (*acc)[TILE_VECS], const struct int8_out *o)
{
	for (int j = 0; j < TILE_VECS; j++) {
		int at = j * CW_LANES, n = lanes_left(o->cols, at);
		vf bias = vf_all(0), scale = vf_load(o->panel->scale + at);
		vi sum;

		if (n <= 0)
			break;
		if (o->bias != NULL)
			bias = vf_load_part(o->bias + at, n);
		memcpy(&sum, o->panel->sum + at, sizeof(sum));
		for (int i = 0; i < rows; i++) {
			const struct int8_row *row = o->rows + i;
			float *y = o->y + (size_t)i * o->ld + at;
			vf v = __builtin_convertvector(acc[i][j] -
			    row->zero * sum, vf) * vf_all(row->scale);

			if (row->outliers > 0)
				v += outlier_sum(row, o->panel, at);
			v = activate(o->act, vf_fma(v, scale, bias));
			if (o->residual != NULL)
				v += vf_load_part(o->residual +
				    (size_t)i * o->ld + at, n);
			if (n == CW_LANES)
				vf_store(y, v);
			else
				vf_store_part(y, v, n);
		}
	}
}

/* What lies at ahead is wanted next: fetched meanwhile, step bytes at a time. */
CW_INLINE void
int8_tile(const int rows, int quads, const int32_t *a, const char *ahead,
    size_t step, const struct int8_out *o)
{
	const int8_t *b = o->panel->v;
	vi acc[CW_TILE_ROWS][TILE_VECS];

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < TILE_VECS; j++)
			acc[i][j] = (vi){ 0 };
	for (int p = 0; p < quads; p++, a += rows, b += 4 * N, ahead += step) {
		vi w[TILE_VECS];

		__builtin_prefetch(ahead, 0, 2);
		__builtin_prefetch(ahead + 64, 0, 2);
		for (int j = 0; j < TILE_VECS; j++)
			memcpy(&w[j], b + 4 * j * CW_LANES, sizeof(w[j]));
		for (int i = 0; i < rows; i++) {
			vi x = (vi){ 0 } + a[i];

			for (int j = 0; j < TILE_VECS; j++)
				acc[i][j] = dot4(acc[i][j], x, w[j]);
		}
	}
	int8_finish(rows, (const vi (*)[TILE_VECS])acc, o);
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

/* Rows from..to of x, quantised and packed into one block at a. */
static void
int8_pack_block(const float *x, size_t ldx, int rows, int in, uint8_t *q,
    int32_t *a, struct int8_row *info)
{
	size_t quads = (size_t)(in + 3) / 4;

	for (int r = 0; r < rows; r++)
		quantise(x + (size_t)r * ldx, in, q + (size_t)r * quads * 4,
		    info + r);
	cw_transpose((const float *)q, quads, rows, (int)quads, (float *)a,
	    (size_t)rows);
}

static void
int8_apply(const struct cw_linear *l, int rows, const float *x, int ldx,
    float *y, int ldy, enum cw_act act, const float *residual,
    struct cw_arena *scratch)
{
	int blocks = (rows + CW_TILE_ROWS - 1) / CW_TILE_ROWS;
	size_t mark = cw_arena_mark(scratch), quads = (size_t)(l->in + 3) / 4;
	const size_t bytes = int8_panel_bytes(l->in);
	const char *panel = l->packed;
	int32_t *a = cw_arena_alloc(scratch, (size_t)rows * quads * 4);
	uint8_t *q = cw_arena_alloc(scratch, CW_TILE_ROWS * quads * 4);
	struct int8_row *info = cw_arena_alloc(scratch,
	    (size_t)rows * sizeof(*info));

	if (cw_arena_overflowed(scratch))
		return;
	for (int i = 0; i < blocks; i++) {
		int r = rows * i / blocks;

		int8_pack_block(x + (size_t)r * (size_t)ldx, (size_t)ldx,
		    rows * (i + 1) / blocks - r, l->in, q,
		    a + (size_t)r * quads, info + r);
	}
	for (int o = 0; o < l->out; o += N, panel += bytes) {
		struct int8_out out = {
			.bias = l->b != NULL ? l->b + o : NULL,
			.ld = (size_t)ldy, .act = act,
			.cols = l->out - o < N ? l->out - o : N,
			.panel = (const struct int8_panel *)panel,
		};

		for (int i = 0; i < blocks; i++) {
			int r = rows * i / blocks;
			size_t at = (size_t)r * (size_t)ldy + (size_t)o;
			size_t step = 4 * N / (size_t)blocks;

			out.y = y + at;
			out.residual = residual != NULL ? residual + at : NULL;
			out.rows = info + r;
			int8_tiles[rows * (i + 1) / blocks - r]((int)quads,
			    a + (size_t)r * quads, panel + bytes +
			    (size_t)i * step * quads, step, &out);
		}
	}
	cw_arena_release(scratch, mark);
}

#endif /* CW_INT8_BODY_H */
