/*
 * fp32_strassen.h - a product of many rows, in seven eighths of its
 * multiplications.
 *
 * Runs in: worker.  Included by fp32_body.h; all static.  strassen.h says what
 * the products are.
 *
 * Usually that takes large matrices, for the additions go through memory.  Here
 * a quarter of c is one tile: two tiles of rows, one under the other, are a
 * group, two panels a pair, and each depth is halved.
 *
 *	a	is packed as its five sums and two quarters, once for all panels
 *	b	is summed by the first tile that multiplies with it, beside its
 *		multiplications, and kept for the other groups
 *	c	takes a product straight from registers, in one tile or two
 *
 * A row is rounded together with another of its group, so a group never has
 * rows of two units (struct cw_input), nor two whose sizes are far apart: the
 * smaller one would lose digits.  Those go straight, and so does a pair of
 * panels with such columns in the same place.
 *
 * Done twice over, 49 products for 64 were hardly faster with eight pictures
 * and slower with one: a sum of four parts of b is more than a second-level
 * cache yields in that time.
 */
#ifndef CW_FP32_STRASSEN_H
#define CW_FP32_STRASSEN_H

#include "model/kernels/strassen.h"

/* Less than that is not worth the additions. */
#define STRASSEN_DEPTH	256

/* ---- one product of a group and a pair ---- */

struct strassen_tile {
	int		 k;
	const float	*a;		/* [k][rows] */
	const float	*b, *other;	/* [k][N] */
	float		*keep;		/* [k][N] for their sum */
	const char	*ahead;		/* fetched meanwhile, */
	size_t		 step;		/* so many bytes with each k */
	int		 parts;
	struct {
		float			*c;	/* [rows][N] */
		enum strassen_how	 how;
	} to[2];
};

CW_INLINE void
strassen_leave(const int rows, vf (*acc)[TILE_VECS],
    const enum strassen_how how, float *c)
{
	/* unrolled, or the sums go through memory */
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < TILE_VECS; j++, c += CW_LANES)
			vf_store(c, how == PUT ? (vf)acc[i][j] :
			    how == ADD ? (vf)(vf_load(c) + acc[i][j]) :
			    (vf)(vf_load(c) - acc[i][j]));
}

/* rows and with are constants */
CW_INLINE void
strassen_tile(const int rows, const enum strassen_with with,
    const struct strassen_tile *t)
{
	const float *a = t->a, *b = t->b, *other = t->other;
	const char *ahead = t->ahead;
	const size_t step = t->step;
	float *keep = t->keep;
	vf acc[CW_TILE_ROWS][TILE_VECS];

#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < TILE_VECS; j++)
			acc[i][j] = vf_all(0);
	for (int p = 0; p < t->k; p++, a += rows, b += N, ahead += step) {
		vf w[TILE_VECS];

		__builtin_prefetch(ahead, 0, 2);
		for (int j = 0; j < TILE_VECS; j++) {
			w[j] = vf_load(b + j * CW_LANES);
			if (with == PLUS)
				w[j] += vf_load(other + j * CW_LANES);
			if (with == MINUS)
				w[j] -= vf_load(other + j * CW_LANES);
			if (with != ALONE)
				vf_store(keep + j * CW_LANES, w[j]);
		}
		if (with != ALONE) {
			other += N;
			keep += N;
		}
		for (int i = 0; i < rows; i++) {
			vf x = vf_all(a[i]);

			for (int j = 0; j < TILE_VECS; j++)
				acc[i][j] = vf_fma(x, w[j], acc[i][j]);
		}
	}
	if (t->to[0].how == PUT)
		strassen_leave(rows, acc, PUT, t->to[0].c);
	else
		strassen_leave(rows, acc, ADD, t->to[0].c);
	if (t->parts == 1)
		return;
	if (t->to[1].how == PUT)
		strassen_leave(rows, acc, PUT, t->to[1].c);
	else if (t->to[1].how == ADD)
		strassen_leave(rows, acc, ADD, t->to[1].c);
	else
		strassen_leave(rows, acc, TAKE, t->to[1].c);
}

CW_TILES(STRASSEN_TILE)

/* by height and enum strassen_with */
static void (*const strassen_tiles[][3])(const struct strassen_tile *) = {
	{ NULL }, CW_TILES(STRASSEN_NAMES)
};

/* ---- all seven ---- */

/*
 * 2h rows from row `at` on, and what belongs to them.  Where their number is
 * odd the last of the upper h goes with itself, and its product is not used.
 */
struct strassen_group {
	int	 at, h, odd;
	float	*a;		/* [STRASSEN_SUMS][k][h] */
	float	*c;		/* [QUARTERS][h][N] */
};

/* The lower half of a group, x as its upper half begins. */
static void
strassen_pack_below(const struct strassen_group *g, const float *x, size_t ldx,
    int k, float *to)
{
	const size_t h = (size_t)g->h, last = h - 1;

	cw_transpose(x + h * ldx, ldx, g->h - g->odd, k, to, h);
	if (g->odd)
		cw_transpose(x + last * ldx, ldx, 1, k, to + last, h);
}

/* x: inputs p .. p+2k-1 of the group's first row. */
static void
strassen_pack(const struct strassen_group *g, const float *x, size_t ldx,
    int k)
{
	const size_t h = (size_t)g->h, n = h * (size_t)k;
	float *to[STRASSEN_SUMS];

	for (size_t i = 0; i < STRASSEN_SUMS; i++)
		to[i] = g->a + i * n;
	cw_transpose(x, ldx, g->h, k, to[A11], h);
	cw_transpose(x + k, ldx, g->h, k, to[A12_LESS_A22], h);
	strassen_pack_below(g, x, ldx, k, to[A21_LESS_A11]);
	strassen_pack_below(g, x + k, ldx, k, to[A22]);
	for (size_t i = 0; i < n; i += CW_LANES) {
		vf a11 = vf_load(to[A11] + i);
		vf a12 = vf_load(to[A12_LESS_A22] + i);
		vf a21 = vf_load(to[A21_LESS_A11] + i);
		vf a22 = vf_load(to[A22] + i);

		vf_store(to[A11_A22] + i, a11 + a22);
		vf_store(to[A21_A22] + i, a21 + a22);
		vf_store(to[A11_A12] + i, a11 + a12);
		vf_store(to[A12_LESS_A22] + i, a12 - a22);
		vf_store(to[A21_LESS_A11] + i, a21 - a11);
	}
}

/*
 * n groups' c = a b, inputs of the matrix from panel on, 2k of them; the next
 * pair is fetched meanwhile.
 */
static void
strassen_multiply(const struct strassen_group *g, int n, int k,
    const float *panel, size_t in, float *keep)
{
	const size_t half = (size_t)k * N, bytes = 2 * half * sizeof(float);
	const size_t steps = CW_COUNT(strassen_products) * (size_t)(n * k);
	const size_t step = (2 * bytes + steps - 1) / steps;
	const char *next = (const char *)(panel + 2 * in * N);
	const float *const b[] = { panel, panel + in * N, panel + half,
	    panel + in * N + half };
	size_t ahead = 0;

	for (size_t m = 0; m < CW_COUNT(strassen_products); m++) {
		const struct strassen_product *p = &strassen_products[m];
		enum strassen_with with = p->with;
		struct strassen_tile t = { .k = k, .b = b[p->b],
		    .other = b[p->other], .keep = keep, .step = step,
		    .parts = p->parts };

		for (int i = 0; i < n; i++, ahead += step * (size_t)k) {
			t.a = g[i].a + p->a * g[i].h * k;
			/* the second panel lies behind all of the first */
			t.ahead = next + ahead + (ahead < bytes ? 0 :
			    in * N * sizeof(float) - bytes);
			for (int j = 0; j < p->parts; j++) {
				t.to[j].c = g[i].c + p->to[j].c * g[i].h * N;
				t.to[j].how = p->to[j].how;
			}
			strassen_tiles[g[i].h][with](&t);
			if (with != ALONE) {
				with = ALONE;
				t.b = keep;
			}
		}
	}
}

/* One tile of c to h rows of y; act is a constant */
CW_INLINE void
strassen_put(const enum cw_act act, const struct fp32_out *out, size_t at,
    size_t left, int h, const float *c)
{
	const float *residual = out->residual;
	vf bias[TILE_VECS];

	for (size_t j = 0; j < TILE_VECS; j++)
		bias[j] = out->bias == NULL ? vf_all(0) :
		    vf_load(out->bias + left + j * CW_LANES);
	at += left;
	for (int i = 0; i < h; i++, at += out->ldy)
		for (size_t j = 0; j < TILE_VECS; j++, c += CW_LANES) {
			const size_t to = at + j * CW_LANES;
			vf v = activate(act, vf_load(c) + bias[j]);

			if (residual != NULL)
				v += vf_load(residual + to);
			vf_store(out->y + to, v);
		}
}

/* A group's four tiles to where out says, 2N columns; all whole. */
static void
strassen_finish(const struct strassen_group *g, const struct fp32_out *out)
{
	for (int q = 0; q < QUARTERS; q++) {
		const bool below = q >= Q21;
		const int h = below ? g->h - g->odd : g->h;
		const size_t at = below ? (size_t)g->h * out->ldy : 0;
		const size_t left = q == Q12 || q == Q22 ? N : 0;
		const float *c = g->c + (size_t)(q * g->h) * N;

		switch (out->act) {
#define STRASSEN_PUT(act)						\
		case act:						\
			strassen_put(act, out, at, left, h, c);		\
			break;
		STRASSEN_PUT(CW_ACT_NONE)
		STRASSEN_PUT(CW_ACT_QUICK_GELU)
		STRASSEN_PUT(CW_ACT_GELU)
		STRASSEN_PUT(CW_ACT_RELU)
		}
	}
}

/* The largest magnitude of a row, NaN or infinite if one of it is. */
static float
strassen_size(const float *row, int n)
{
	vf top = vf_all(0), nan = vf_all(0);

	for (int i = 0; i < n; i += CW_LANES) {
		vf v = vf_abs(vf_load(row + i));

		top = vf_at_least(top, v);
		nan += v - v;
	}
	return vf_largest(top) + vf_sum(nan);
}

/* Is every row of the group of one order with that it goes with? */
static bool
strassen_even(const struct strassen_group *g, const float *x, size_t ldx,
    int in)
{
	for (int i = 0; i < g->h; i++) {
		const int other = i < g->h - g->odd ? i + g->h : i;
		float a = strassen_size(x + (size_t)i * ldx, in);
		float b = strassen_size(x + (size_t)other * ldx, in);

		if (!(a <= EVEN_RANGE * b && b <= EVEN_RANGE * a))
			return false;
	}
	return true;
}

/* The columns of an uneven pair from output o on, of a group's rows. */
static void
strassen_straight(const struct cw_linear *l, int o,
    const struct strassen_group *g, const struct cw_input *x, float *y,
    size_t ldy, enum cw_act act, const float *residual,
    struct cw_arena *scratch)
{
	const size_t at = (size_t)g->at * ldy + (size_t)o;
	const struct cw_linear pair = { .in = l->in, .out = 2 * N,
	    .b = l->b != NULL ? l->b + o : NULL, .packed =
	    (const float *)l->packed + (size_t)o * (size_t)l->in };

	fp32_straight(&pair, &(struct cw_input){ x->x + (size_t)g->at *
	    (size_t)x->ld, 2 * g->h - g->odd, x->ld, 1 }, y + at, (int)ldy,
	    act, residual != NULL ? residual + at : NULL, scratch);
}

/* Does such a product gain by it? */
static bool
strassen_fits(const struct cw_linear *l, int unit, enum cw_act act)
{
	return unit >= STRASSEN_ROWS && l->in >= STRASSEN_DEPTH &&
	    l->in % (2 * CW_LANES) == 0 && l->out % (2 * N) == 0 &&
	    (act == CW_ACT_NONE || l->in <= 2 * DEPTH);
}

/* n groups through inputs p .. p+2k-1 of the matrix. */
static void
strassen_layer(const struct cw_linear *l, int p, int k,
    const struct strassen_group *g, int n, const struct cw_input *x, float *y,
    size_t ldy, enum cw_act act, const float *residual, float *keep,
    struct cw_arena *scratch)
{
	const float *panel = (const float *)l->packed + (size_t)p * N;
	const unsigned char *pair_even = (const unsigned char *)l->packed +
	    fp32_panel_bytes(l->in, l->out);
	const size_t in = (size_t)l->in, ldx = (size_t)x->ld;

	for (int i = 0; i < n; i++)
		strassen_pack(&g[i], x->x + (size_t)g[i].at * ldx + p, ldx, k);
	for (int o = 0; o < l->out; o += 2 * N, panel += 2 * in * N) {
		struct fp32_out out = { .ldy = ldy, .ldr = ldy, .act = act,
		    .alpha = 1, .cols = 2 * N,
		    .bias = l->b != NULL && p == 0 ? l->b + o : NULL };
		const bool even = *pair_even++ != 0;

		if (even)
			strassen_multiply(g, n, k, panel, in, keep);
		for (int i = 0; i < n && !even && p == 0; i++)
			strassen_straight(l, o, &g[i], x, y, ldy, act,
			    residual, scratch);
		for (int i = 0; i < n && even; i++) {
			size_t at = (size_t)g[i].at * ldy + (size_t)o;

			out.y = y + at;
			out.residual = residual != NULL ? residual + at : NULL;
			strassen_finish(&g[i], &out);
		}
	}
}

/* As fp32_straight. */
static void
strassen_apply(const struct cw_linear *l, const struct cw_input *x, float *y,
    int ldy, enum cw_act act, const float *residual, struct cw_arena *scratch)
{
	const int pairs = (x->unit + 1) / 2;
	const int each = (pairs + CW_TILE_ROWS - 1) / CW_TILE_ROWS;
	const int depth = l->in > 2 * DEPTH ? DEPTH : l->in;
	const size_t mark = cw_arena_mark(scratch), ldx = (size_t)x->ld;
	struct strassen_group g[STRASSEN_GROUPS];
	float *keep = cw_arena_floats(scratch, (size_t)(depth / 2 * N));
	int n = 0, total = x->n / x->unit * each;

	for (int i = 0; i < STRASSEN_GROUPS; i++) {
		g[i].a = cw_arena_floats(scratch, (size_t)(STRASSEN_SUMS *
		    CW_TILE_ROWS * depth / 2));
		g[i].c = cw_arena_floats(scratch, QUARTERS * CW_TILE_ROWS * N);
	}
	if (cw_arena_overflowed(scratch))
		total = 0;
	for (int i = 0; i < total; i++) {
		const int r = cw_part(pairs, i % each, each);
		const int above = i / each * x->unit;
		const float *rows = x->x + (size_t)(above + 2 * r) * ldx;
		const size_t to = (size_t)(above + 2 * r) * (size_t)ldy;

		g[n].at = above + 2 * r;
		g[n].h = cw_part(pairs, i % each + 1, each) - r;
		g[n].odd = 2 * (r + g[n].h) > x->unit;
		if (strassen_even(&g[n], rows, ldx, l->in))
			n++;
		else
			fp32_straight(l, &(struct cw_input){ rows,
			    2 * g[n].h - g[n].odd, x->ld, 1 }, y + to, ldy,
			    act, residual == NULL ? NULL : residual + to,
			    scratch);
		if (n < STRASSEN_GROUPS && i + 1 < total)
			continue;
		for (int p = 0; p < l->in && n > 0; p += depth)
			strassen_layer(l, p, (p + depth < l->in ? depth :
			    l->in - p) / 2, g, n, x, y, (size_t)ldy, act,
			    p > 0 ? y : residual, keep, scratch);
		n = 0;
	}
	cw_arena_release(scratch, mark);
}

_Static_assert(sizeof(float) * (DEPTH * N + STRASSEN_GROUPS *
    (STRASSEN_SUMS * CW_TILE_ROWS * DEPTH + QUARTERS * CW_TILE_ROWS * N)) +
    (2 * STRASSEN_GROUPS + 1) * CW_ARENA_ALIGN <= CW_LINEAR_SCRATCH,
    "what linear.h promises is enough");

#endif /* CW_FP32_STRASSEN_H */
