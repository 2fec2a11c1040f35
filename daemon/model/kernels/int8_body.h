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

/* What one look at a row says of it. */
struct row_facts {
	float	 mean;			/* of the magnitudes */
	float	 least, most;		/* with 0 among the values */
};

static struct row_facts
row_look(const float *x, int n)
{
	const vf none = vf_all(0);
	vf sum[2] = { none, none }, lo[2] = { none, none };
	vf hi[2] = { none, none };
	int i = 0;

	for (; i + 2 * CW_LANES <= n; i += 2 * CW_LANES)
		for (int j = 0; j < 2; j++) {
			vf v = vf_load(x + i + j * CW_LANES);

			sum[j] += vf_abs(v);
			lo[j] = vf_at_most(lo[j], v);
			hi[j] = vf_at_least(hi[j], v);
		}
	for (; i < n; i += CW_LANES) {
		vf v = vf_load_part(x + i, lanes_left(n, i));

		sum[0] += vf_abs(v);
		lo[0] = vf_at_most(lo[0], v);
		hi[0] = vf_at_least(hi[0], v);
	}
	return (struct row_facts){ vf_sum(sum[0] + sum[1]) / (float)n,
	    -vf_largest(-vf_at_most(lo[0], lo[1])),
	    vf_largest(vf_at_least(hi[0], hi[1])) };
}

/* Columns of row x beyond limit, at most OUTLIERS + 1. */
static int
count_beyond(const float *x, int n, float limit, int *at)
{
	const vf bound = vf_all(limit);
	int found = 0;

	for (int i = 0; i < n && found <= OUTLIERS; i += CW_LANES) {
		int left = lanes_left(n, i);

		if (!vf_any_above(vf_abs(vf_load_part(x + i, left)), bound))
			continue;
		for (int j = i; j < i + left && found <= OUTLIERS; j++)
			if (fabsf(x[j]) > limit) {
				if (found < OUTLIERS)
					at[found] = j;
				found++;
			}
	}
	return found;
}

/* Mean magnitude, none counted for more than limit. */
static float
mean_magnitude(const float *x, int n, float limit)
{
	vf sum = vf_all(0), most = vf_all(limit);

	for (int i = 0; i < n; i += CW_LANES)
		sum += vf_at_most(most, vf_abs(vf_load_part(x + i,
		    lanes_left(n, i))));
	return vf_sum(sum) / (float)n;
}

/* Find what sticks out of the row; the magnitude above which it is cut. */
static float
row_limit(const float *x, int n, struct row_facts f, struct int8_row *row)
{
	float limit = ORDINARY * f.mean;

	row->outliers = 0;
	if (!(limit < INFINITY) || fmaxf(f.most, -f.least) <= limit)
		return limit;
	/* a mean that what sticks out has no great part in */
	limit = ORDINARY * mean_magnitude(x, n, limit);
	while ((row->outliers = count_beyond(x, n, limit, row->at)) > OUTLIERS)
		limit *= 1.5f;
	for (int i = 0; i < row->outliers; i++) {
		float v = x[row->at[i]];

		row->excess[i] = v - copysignf(limit, v);
	}
	return limit;
}

/* CW_LANES values, clamped to limit if cut, in steps */
CW_INLINE vi
in_steps(vf v, bool cut, float limit, float inv, float zero)
{
	if (cut)
		v = vf_at_most(vf_all(limit), vf_at_least(vf_all(-limit), v));
	/* the low byte of 1.5 * 2^23 + k is k */
	return (vi)vf_fma(v, vf_all(inv), vf_all(0x1.8p23f + zero)) & 0xff;
}

CW_INLINE void
quantise_row(const float *x, int n, bool cut, float limit,
    const struct int8_row *row, uint8_t *q)
{
	typedef uint8_t vb __attribute__((vector_size(CW_LANES), aligned(1),
	    may_alias));
	const float inv = 1 / row->scale, zero = (float)row->zero;
	int i = 0;

	for (; i + CW_LANES <= n; i += CW_LANES)
		*(vb *)(q + i) = __builtin_convertvector(in_steps(
		    vf_load(x + i), cut, limit, inv, zero), vb);
	if (i < n) {
		vb b = __builtin_convertvector(in_steps(vf_load_part(x + i,
		    n - i), cut, limit, inv, zero), vb);

		for (int j = 0; j < ((n - i + 3) & ~3); j++)
			q[i + j] = b[j];
	}
}

/* q [n rounded up to 4] = x in steps; the row's scale and the like */
static void
quantise(const float *x, int n, uint8_t *q, struct int8_row *row)
{
	const struct row_facts f = row_look(x, n);
	const float limit = row_limit(x, n, f, row);
	const float least = fmaxf(f.least, -limit);
	const float most = fminf(f.most, limit);

	row->zero = 0;
	if (!(limit < INFINITY)) {
		/* a NaN or an infinity: so is the whole result */
		memset(q, 0, (size_t)((n + 3) & ~3));
		row->scale = NAN;
		return;
	}
	row->scale = fmaxf((most - least) / (LEVELS - 2), 1e-30f);
	row->zero = (int32_t)(0.5f - least / row->scale);
	if (row->outliers > 0)
		quantise_row(x, n, true, limit, row, q);
	else
		quantise_row(x, n, false, limit, row, q);
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

/* From sums to results; act is a constant. */
CW_INLINE void
int8_finish_as(const enum cw_act act, int rows, const vi (*acc)[TILE_VECS],
    const struct int8_out *o)
{
	const bool full = o->cols == N;
	vf bias[TILE_VECS], scale[TILE_VECS];
	vi sum[TILE_VECS];
	int left[TILE_VECS];

	memcpy(scale, o->panel->scale, sizeof(scale));
	memcpy(sum, o->panel->sum, sizeof(sum));
	for (int j = 0; j < TILE_VECS; j++) {
		left[j] = lanes_left(o->cols, j * CW_LANES);
		left[j] = left[j] < 0 ? 0 : left[j];
		bias[j] = o->bias == NULL ? vf_all(0) :
		    vf_load_part(o->bias + j * CW_LANES, left[j]);
	}
	for (int i = 0; i < rows; i++) {
		const struct int8_row *row = o->rows + i;
		const size_t at = (size_t)i * o->ld;
		vf v[TILE_VECS];

		for (int j = 0; j < TILE_VECS; j++)
			v[j] = __builtin_convertvector(acc[i][j] -
			    row->zero * sum[j], vf) * vf_all(row->scale);
		if (row->outliers > 0)
			for (int j = 0; j < TILE_VECS; j++)
				v[j] += outlier_sum(row, o->panel,
				    j * CW_LANES);
		for (int j = 0; j < TILE_VECS; j++) {
			const size_t to = at + (size_t)j * CW_LANES;

			v[j] = activate(act, vf_fma(v[j], scale[j], bias[j]));
			if (full) {
				if (o->residual != NULL)
					v[j] += vf_load(o->residual + to);
				vf_store(o->y + to, v[j]);
			} else {
				if (o->residual != NULL)
					v[j] += vf_load_part(o->residual + to,
					    left[j]);
				vf_store_part(o->y + to, v[j], left[j]);
			}
		}
	}
}

static void
int8_finish(int rows, const vi (*acc)[TILE_VECS], const struct int8_out *o)
{
	switch (o->act) {
	case CW_ACT_NONE:
		int8_finish_as(CW_ACT_NONE, rows, acc, o);
		break;
	case CW_ACT_QUICK_GELU:
		int8_finish_as(CW_ACT_QUICK_GELU, rows, acc, o);
		break;
	case CW_ACT_GELU:
		int8_finish_as(CW_ACT_GELU, rows, acc, o);
		break;
	case CW_ACT_RELU:
		int8_finish_as(CW_ACT_RELU, rows, acc, o);
		break;
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

		__builtin_prefetch(ahead, 0, 3);
		__builtin_prefetch(ahead + 64, 0, 3);
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
