/*
 * int8_strassen.h - products of 8-bit integers in seven eighths of their
 * multiplications, to the bit what they are otherwise.
 *
 * Runs in: worker.  Included after int8_body.h; all static.  strassen.h says
 * what the products are, fp32_strassen.h what groups and pairs are.
 *
 * A sum of two has to fit 8 bits, so there is a bit less for each: weights of up
 * to 63 steps, 128 levels of activations.  What that costs is made up for where
 * weights are rounded by what the matrix is multiplied with: see survey.h.
 * Differences of activations are stored with 128 added, which a tile takes away
 * again by what its sums begin with.
 *
 * Integers lose no digits: which rows share a group makes no difference, nor
 * does whether there are enough of them.
 */
#ifndef CW_INT8_STRASSEN_H
#define CW_INT8_STRASSEN_H

#include "model/kernels/strassen.h"

#define STRASSEN_LEVELS	128
#define STRASSEN_MOST	63
/* Inputs that are worth the additions, and whose sums fit the scratch. */
#define STRASSEN_LEAST	256
#define STRASSEN_INPUTS	8192

typedef uint8_t	vb __attribute__((vector_size(4 * CW_LANES), may_alias));

/* ---- one product of a group and a pair ---- */

struct strassen_tile {
	int		 quads;		/* inputs / 4 */
	const int32_t	*a;		/* [in/CHUNK][rows][CHUNK] bytes */
	const int8_t	*b, *other;	/* [in/4][N][4] */
	int8_t		*keep;		/* as b, for their sum */
	const int32_t	*first;		/* [N] what sums begin with */
	const char	*ahead;		/* fetched meanwhile, */
	size_t		 step;		/* so many bytes with each quad */
	int		 parts;
	struct {
		int32_t			*c;	/* [rows][N] */
		enum strassen_how	 how;
	} to[2];
};

CW_INLINE void
strassen_leave(const int rows, vi (*acc)[TILE_VECS],
    const enum strassen_how how, int32_t *to)
{
	vi *c = (vi *)to;

	/* unrolled, or the sums go through memory */
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < TILE_VECS; j++, c++)
			*c = how == PUT ? acc[i][j] :
			    how == ADD ? *c + acc[i][j] : *c - acc[i][j];
}

/* Weights of a quad, or their sum with others, which is kept. */
CW_INLINE void
strassen_weights(const enum strassen_with with, const int8_t *b,
    const int8_t *other, int8_t *keep, vi *w)
{
	for (size_t j = 0; j < TILE_VECS; j++) {
		const size_t at = 4 * j * CW_LANES;
		vi o;

		memcpy(&w[j], b + at, sizeof(w[j]));
		if (with == ALONE)
			continue;
		memcpy(&o, other + at, sizeof(o));
		w[j] = with == PLUS ? (vi)((vb)w[j] + (vb)o) :
		    (vi)((vb)w[j] - (vb)o);
		memcpy(keep + at, &w[j], sizeof(w[j]));
	}
}

/* rows and with are constants */
CW_INLINE void
strassen_tile(const int rows, const enum strassen_with with,
    const struct strassen_tile *t)
{
	const int line = CHUNK / 4, jump = (rows - 1) * line + 1;
	const int32_t *a = t->a;
	const int8_t *b = t->b, *other = t->other;
	const char *ahead = t->ahead;
	const size_t step = t->step;
	int8_t *keep = t->keep;
	vi acc[CW_TILE_ROWS][TILE_VECS], first[TILE_VECS];

	memcpy(first, t->first, sizeof(first));
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < TILE_VECS; j++)
			acc[i][j] = first[j];
	for (int p = 1; p <= t->quads; p++, b += 4 * N, ahead += step) {
		vi w[TILE_VECS];

		__builtin_prefetch(ahead, 0, 2);
		strassen_weights(with, b, other, keep, w);
		if (with != ALONE) {
			other += 4 * N;
			keep += 4 * N;
		}
		for (int i = 0; i < rows; i++) {
			vi x = (vi){ 0 } + a[i * line];

			for (int j = 0; j < TILE_VECS; j++)
				acc[i][j] = dot4(acc[i][j], x, w[j]);
		}
		a += p % line != 0 ? 1 : jump;
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
	bool	 cut;		/* something sticks out of a row */
	uint8_t	*a;		/* [STRASSEN_SUMS][in/2/CHUNK][h][CHUNK] */
	int32_t	*c;		/* [QUARTERS][h][N] */
};

/* Where each sum lies: the halves of a row as one, so that it is packed so. */
static const int strassen_place[STRASSEN_SUMS] = {
	[A11] = 0, [A12_LESS_A22] = 1, [A21_LESS_A11] = 2, [A22] = 3,
	[A11_A22] = 4, [A21_A22] = 5, [A11_A12] = 6,
};

static uint8_t *
strassen_at(const struct strassen_group *g, int in, enum strassen_sum sum)
{
	return g->a + (size_t)strassen_place[sum] * (size_t)g->h *
	    (size_t)in / 2;
}

/* A group's rows in 7 bits, then their sums. */
static void
strassen_pack(struct strassen_group *g, const struct cw_input *x, int in,
    const float *eps, float *plain, struct int8_row *info)
{
	const size_t h = (size_t)g->h, step = h * CHUNK;
	const size_t rows = 2 * h - (size_t)g->odd;
	const vb turn = (vb)((vi){ 0 } + (int32_t)0x80808080);
	uint8_t *below = strassen_at(g, in, A21_LESS_A11);
	const vb *a11 = (const vb *)strassen_at(g, in, A11);
	const vb *a22 = (const vb *)strassen_at(g, in, A22);
	vb *a12 = (vb *)strassen_at(g, in, A12_LESS_A22), *a21 = (vb *)below;
	vb *a11_a22 = (vb *)strassen_at(g, in, A11_A22);
	vb *a21_a22 = (vb *)strassen_at(g, in, A21_A22);
	vb *a11_a12 = (vb *)strassen_at(g, in, A11_A12);

	g->cut = false;
	for (size_t r = 0; r < rows; r++) {
		uint8_t *q = r < h ? g->a + r * CHUNK : below +
		    (r - h) * CHUNK;

		quantise(x->x + ((size_t)g->at + r) * (size_t)x->ld, in, eps,
		    STRASSEN_LEVELS, plain, q, step, info + r);
		g->cut = g->cut || info[r].outliers > 0;
	}
	for (size_t i = 0; g->odd && i < (size_t)in / CHUNK; i++)
		memcpy(below + i * step + (h - 1) * CHUNK, g->a + i * step +
		    (h - 1) * CHUNK, CHUNK);
	for (size_t i = 0; i < h * (size_t)in / 2 / sizeof(vb); i++) {
		const vb b12 = a12[i], b21 = a21[i];

		a11_a22[i] = a11[i] + a22[i];
		a21_a22[i] = b21 + a22[i];
		a11_a12[i] = a11[i] + b12;
		a12[i] = (b12 - a22[i]) ^ turn;
		a21[i] = (b21 - a11[i]) ^ turn;
	}
}

/* What the 128 of differences have added to their two products, taken away. */
static void
strassen_first(const struct int8_panel *p1, const struct int8_panel *p2,
    int32_t *upper, int32_t *lower)
{
	for (int j = 0; j < N; j++) {
		upper[j] = -128 * (p1->upper[j] + p2->upper[j]);
		lower[j] = -128 * (p1->sum[j] + p2->sum[j]) - upper[j];
	}
}

/* n groups' c = a b of a pair of panels; the next is fetched meanwhile. */
static void
strassen_multiply(const struct strassen_group *g, int n, int in,
    const struct int8_panel *p1, const struct int8_panel *p2, int8_t *keep)
{
	static const int32_t none[N];
	const size_t half = (size_t)in / 2 * N, bytes = int8_panel_bytes(in);
	const int quads = in / 2 / 4;
	const size_t steps = CW_COUNT(strassen_products) * (size_t)(n * quads);
	const size_t step = (2 * bytes + steps - 1) / steps;
	const char *next = (const char *)p1 + 2 * bytes;
	const int8_t *const b[] = { p1->v, p2->v, p1->v + half, p2->v + half };
	int32_t upper[N], lower[N];

	strassen_first(p1, p2, upper, lower);
	for (size_t m = 0; m < CW_COUNT(strassen_products); m++) {
		const struct strassen_product *p = &strassen_products[m];
		enum strassen_with with = p->with;
		struct strassen_tile t = { .quads = quads, .b = b[p->b],
		    .other = b[p->other], .keep = keep, .step = step,
		    .parts = p->parts, .first = p->a == A21_LESS_A11 ? upper :
		    p->a == A12_LESS_A22 ? lower : none };

		for (int i = 0; i < n; i++, next += step * (size_t)quads) {
			t.a = (const int32_t *)strassen_at(&g[i], in, p->a);
			t.ahead = next;
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

/* One quarter of a group to where o says. */
static void
strassen_put(int h, int32_t *sums, bool cut, const struct int8_out *o)
{
	_Alignas(64) float t[CW_TILE_ROWS * N];
	vi (*c)[TILE_VECS] = (void *)sums;

	if (!cut && o->act == CW_ACT_NONE) {
		int8_finish(h, c, false, o->residual, o, o->y, o->ld);
	} else if (!cut && o->act == CW_ACT_QUICK_GELU) {
		int8_finish(h, c, true, o->residual, o, o->y, o->ld);
	} else {
		int8_finish(h, c, false, NULL, o, t, N);
		int8_finish_rest(h, t, o);
	}
}

/* A group's four tiles to where all says, 2N columns. */
static void
strassen_finish(const struct strassen_group *g, const struct int8_out *all,
    const struct int8_panel *p1, const struct int8_panel *p2)
{
	for (int q = 0; q < QUARTERS; q++) {
		const bool below = q >= Q21, right = q == Q12 || q == Q22;
		const size_t to = (below ? (size_t)g->h * all->ld : 0) +
		    (right ? N : 0);
		struct int8_out o = *all;

		o.panel = right ? p2 : p1;
		o.rows += below ? g->h : 0;
		o.y += to;
		if (o.residual != NULL)
			o.residual += to;
		if (o.bias != NULL && right)
			o.bias += N;
		strassen_put(below ? g->h - g->odd : g->h,
		    g->c + q * g->h * N, g->cut, &o);
	}
}

/* n groups through all panels; out is as for the first group's first column. */
static void
strassen_columns(const struct cw_linear *l, const struct strassen_group *g,
    int n, const struct int8_out *out, int8_t *keep)
{
	const size_t bytes = int8_panel_bytes(l->in);
	const char *panel = l->packed;

	for (int o = 0; o < l->out; o += 2 * N, panel += 2 * bytes) {
		const struct int8_panel *p1 = (const void *)panel;
		const struct int8_panel *p2 = (const void *)(panel + bytes);

		strassen_multiply(g, n, l->in, p1, p2, keep);
		for (int i = 0; i < n; i++) {
			const size_t at = (size_t)g[i].at * out->ld +
			    (size_t)o;
			struct int8_out to = *out;

			to.y += at;
			to.rows += g[i].at;
			if (to.residual != NULL)
				to.residual += at;
			if (to.bias != NULL)
				to.bias += o;
			strassen_finish(&g[i], &to, p1, p2);
		}
	}
}

static void
strassen_rows(const struct cw_linear *l, const float *eps,
    const struct cw_input *x, float *y, int ldy, enum cw_act act,
    const float *residual, struct cw_arena *scratch)
{
	const int pairs = (x->n + 1) / 2;
	const int each = (pairs + CW_TILE_ROWS - 1) / CW_TILE_ROWS;
	const size_t mark = cw_arena_mark(scratch);
	struct strassen_group g[STRASSEN_GROUPS];
	float *plain = cw_arena_floats(scratch, (size_t)l->in);
	int8_t *keep = cw_arena_alloc(scratch, (size_t)l->in / 2 * N);
	struct int8_row *info = cw_arena_alloc(scratch,
	    (size_t)x->n * sizeof(*info));
	const struct int8_out out = { .y = y, .bias = l->b,
	    .residual = residual, .ld = (size_t)ldy, .cols = N, .act = act,
	    .rows = info };
	int n = 0;

	for (int i = 0; i < STRASSEN_GROUPS && i < each; i++) {
		g[i].a = cw_arena_alloc(scratch, STRASSEN_SUMS * CW_TILE_ROWS *
		    (size_t)l->in / 2);
		g[i].c = cw_arena_alloc(scratch, QUARTERS * CW_TILE_ROWS * N *
		    sizeof(int32_t));
	}
	for (int i = 0; i < each && !cw_arena_overflowed(scratch); i++) {
		const int r = cw_part(pairs, i, each);

		g[n].at = 2 * r;
		g[n].h = cw_part(pairs, i + 1, each) - r;
		g[n].odd = 2 * (r + g[n].h) > x->n;
		strassen_pack(&g[n], x, l->in, eps, plain, info + 2 * r);
		if (++n < STRASSEN_GROUPS && i + 1 < each)
			continue;
		strassen_columns(l, g, n, &out, keep);
		n = 0;
	}
	cw_arena_release(scratch, mark);
}

/* ---- the kernel ---- */

static bool
strassen_pays(int rows, int in, int out)
{
	return rows >= STRASSEN_ROWS && in >= STRASSEN_LEAST &&
	    in <= STRASSEN_INPUTS && in % (2 * CHUNK) == 0 &&
	    out % (2 * N) == 0;
}

static void
strassen_apply_to(const struct cw_linear *l, const float *eps,
    const struct cw_input *x, float *y, int ldy, enum cw_act act,
    const float *residual, struct cw_arena *scratch)
{
	if (strassen_pays(x->n, l->in, l->out))
		strassen_rows(l, eps, x, y, ldy, act, residual, scratch);
	else
		int8_straight(l, eps, STRASSEN_LEVELS, x, y, ldy, act,
		    residual, scratch);
}

static void
strassen_pack_weights(const float *w, const float *step, int in, int out,
    void *dst)
{
	int8_pack_within(STRASSEN_MOST, w, step, in, out, dst);
}

static void
strassen_apply(const struct cw_linear *l, const struct cw_input *x, float *y,
    int ldy, enum cw_act act, const float *residual, struct cw_arena *scratch)
{
	strassen_apply_to(l, NULL, x, y, ldy, act, residual, scratch);
}

static void
strassen_apply_normed(const struct cw_linear *l, float eps,
    const struct cw_input *x, float *y, int ldy, enum cw_act act,
    struct cw_arena *scratch)
{
	strassen_apply_to(l, &eps, x, y, ldy, act, NULL, scratch);
}

_Static_assert(2 * STRASSEN_MOST <= 127 && 2 * (STRASSEN_LEVELS - 1) <= 255,
    "a sum of two fits 8 bits");
_Static_assert(sizeof(float) * STRASSEN_INPUTS + STRASSEN_INPUTS / 2 * N +
    STRASSEN_GROUPS * (STRASSEN_SUMS * CW_TILE_ROWS * STRASSEN_INPUTS / 2 +
    QUARTERS * CW_TILE_ROWS * N * sizeof(int32_t)) + (2 * STRASSEN_GROUPS + 3) *
    CW_ARENA_ALIGN <= CW_LINEAR_SCRATCH, "what linear.h promises is enough");

#endif /* CW_INT8_STRASSEN_H */
