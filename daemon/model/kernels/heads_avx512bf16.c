/*
 * heads_avx512bf16.c - attention with AVX-512 BF16: two products and their
 * sum per lane in one instruction.
 *
 * A "pair" is two neighbours in bfloat16 in one 32-bit word:
 *
 *	q [n][D/2]	pairs along the row, times scale and log2 e
 *	k [D/2][T]	the same, turned
 *	v [T/2][D]	pairs of rows
 *	p [n][T/2]	2^(score - largest of its row), not yet divided by the sum
 *
 * T and D are rounded up to whole vectors, with zeros where they are summed
 * over.  TILE_ROWS rows go from their scores to their mix before the next.
 */
#include <math.h>

#include "model/kernels/kernel.h"
#include "model/kernels/vec.h"

#define TILE_ROWS	6
#define TILE_VECS	4
#include "model/kernels/transpose.h"

#define LOG2_E		1.44269504f

/* A head's operands in pairs, and a tile's worth of rows. */
struct packed {
	int	 wd, wt;		/* words of a row of q, of p */
	int	 cd, ct;		/* columns of v, of k */
	int32_t	*q;			/* [n][wd] */
	int32_t	*k;			/* [wd][ct] */
	int32_t	*v;			/* [wt][cd] */
	int32_t	*p;			/* [TILE_ROWS][ct / 2] */
	float	*s;			/* [TILE_ROWS][ct] scores */
	float	*y;			/* [TILE_ROWS][cd] */
};

static int
round_up(int n, int to)
{
	return (n + to - 1) / to * to;
}

/* The lanes from column i on of n, as a mask; none when i is past n. */
CW_INLINE __mmask16
lanes_from(int n, int i)
{
	return n - i >= CW_LANES ? 0xffff :
	    n <= i ? 0 : (__mmask16)((1u << (n - i)) - 1);
}

/* to [wd] = the n floats of x times by, in pairs */
static void
pack_row(const float *x, int n, float by, int32_t *to)
{
	const vf scale = vf_all(by);

	for (int i = 0; i < n; i += 2 * CW_LANES, to += CW_LANES) {
		vf a = _mm512_maskz_loadu_ps(lanes_from(n, i), x + i);
		vf b = _mm512_maskz_loadu_ps(lanes_from(n, i + CW_LANES),
		    x + i + CW_LANES);

		_mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(b * scale,
		    a * scale));
	}
}

/* to [n] = rows a and b (NULL: zeros) side by side in pairs */
static void
pack_two(const float *a, const float *b, int n, int32_t *to)
{
	static const _Alignas(64) uint16_t turn[32] = { 0, 16, 1, 17, 2, 18,
	    3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27,
	    12, 28, 13, 29, 14, 30, 15, 31 };
	const __m512i order = _mm512_load_si512(turn);

	for (int i = 0; i < n; i += CW_LANES) {
		const __mmask16 m = lanes_from(n, i);
		vf low = _mm512_maskz_loadu_ps(m, a + i);
		vf high = b == NULL ? vf_all(0) :
		    _mm512_maskz_loadu_ps(m, b + i);

		_mm512_storeu_si512(to + i, _mm512_permutexvar_epi16(order,
		    (__m512i)_mm512_cvtne2ps_pbh(high, low)));
	}
}

static void
pack_head(const struct cw_head *h, const struct packed *b, int32_t *turned)
{
	for (int i = 0; i < h->n; i++)
		pack_row(h->q + (size_t)i * (size_t)h->ldq, h->D,
		    h->scale * LOG2_E, b->q + i * b->wd);
	for (int j = 0; j < h->T; j++)
		pack_row(h->k + (size_t)j * (size_t)h->ld, h->D, 1,
		    turned + j * b->wd);
	cw_transpose((const float *)turned, (size_t)b->wd, h->T, b->wd,
	    (float *)b->k, (size_t)b->ct);
	for (int j = 0; j < h->T; j += 2) {
		const float *v = h->v + (size_t)j * (size_t)h->ld;

		pack_two(v, j + 1 < h->T ? v + h->ld : NULL, h->D,
		    b->v + j / 2 * b->cd);
	}
}

/* y [rows][ldy] = sum over w words of a [rows][lda] times b [w][ldb] */
CW_INLINE void
tile(const int rows, const int vecs, int w, const int32_t *a, size_t lda,
    const int32_t *b, size_t ldb, float *y, size_t ldy)
{
	vf acc[TILE_ROWS][TILE_VECS];

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < vecs; j++)
			acc[i][j] = vf_all(0);
	for (int p = 0; p < w; p++, a++, b += ldb) {
		__m512bh pair[TILE_VECS];

		for (int j = 0; j < vecs; j++)
			pair[j] = (__m512bh)_mm512_loadu_si512(b +
			    j * CW_LANES);
		for (int i = 0; i < rows; i++) {
			__m512bh x = (__m512bh)_mm512_set1_epi32(
			    a[(size_t)i * lda]);

			for (int j = 0; j < vecs; j++)
				acc[i][j] = _mm512_dpbf16_ps(acc[i][j], x,
				    pair[j]);
		}
	}
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < vecs; j++)
			vf_store(y + (size_t)i * ldy + j * CW_LANES,
			    acc[i][j]);
}

#define TILE(r, c)							\
static void								\
tile_##r##_##c(int w, const int32_t *a, size_t lda, const int32_t *b,	\
    size_t ldb, float *y, size_t ldy)					\
{									\
	tile(r, c, w, a, lda, b, ldb, y, ldy);				\
}
#define TILES(r)	TILE(r, 1) TILE(r, 2) TILE(r, 3) TILE(r, 4)
CW_FEW_TILES(TILES)

#define NAMES(r)	{ tile_##r##_1, tile_##r##_2, tile_##r##_3,	\
	tile_##r##_4 },
static void (*const tiles[TILE_ROWS][TILE_VECS])(int, const int32_t *, size_t,
    const int32_t *, size_t, float *, size_t) = { CW_FEW_TILES(NAMES) };

/* y [rows][cols] = a times b, cols a whole number of vectors */
static void
multiply(int rows, int cols, int w, const int32_t *a, int lda,
    const int32_t *b, float *y)
{
	for (int c = 0; c < cols; c += TILE_VECS * CW_LANES) {
		int vecs = (cols - c) / CW_LANES;

		vecs = vecs < TILE_VECS ? vecs : TILE_VECS;
		tiles[rows - 1][vecs - 1](w, a, (size_t)lda, b + c,
		    (size_t)cols, y + c, (size_t)cols);
	}
}

/* 2 to the power of v, v at most 0; no less than 2^-126 */
CW_INLINE vf
two_to(vf v)
{
	/* adding 1.5 * 2^23 leaves the nearest integer in the low bits */
	const vf magic = vf_all(0x1.8p23f);
	vf t, f, p;

	v = vf_at_least(vf_all(-126), v);
	t = v + magic;
	f = v - (t - magic);
	p = vf_fma(vf_all(1.327647e-3f), f, vf_all(9.675541e-3f));
	p = vf_fma(p, f, vf_all(5.5507135e-2f));
	p = vf_fma(p, f, vf_all(0.2402212f));
	p = vf_fma(p, f, vf_all(0.69314694f));
	p = vf_fma(p, f, vf_all(1));
	return p * (vf)(((vi)t - (vi)magic + 127) << 23);
}

/*
 * The first `seen` of s [cols] to powers of two: p in pairs, s itself if they
 * are kept, zeros behind them; 1 / their sum.
 */
static float
powers(float *s, int seen, int cols, bool keep, int32_t *p)
{
	vf top = vf_all(-INFINITY), sum = vf_all(0);

	for (int i = 0; i < seen; i += CW_LANES)
		top = _mm512_mask_max_ps(top, lanes_from(seen, i), top,
		    vf_load(s + i));
	top = vf_all(vf_largest(top));
	for (int i = 0; i < cols; i += CW_LANES) {
		vf e = _mm512_maskz_mov_ps(lanes_from(seen, i),
		    two_to(vf_load(s + i) - top));

		sum += e;
		_mm256_storeu_si256((__m256i *)(p + i / 2),
		    (__m256i)_mm512_cvtneps_pbh(e));
		if (keep)
			vf_store(s + i, e);
	}
	return 1 / vf_sum(sum);
}

/* to [n] = from times by */
static void
scale_row(const float *from, int n, float by, float *to)
{
	for (int i = 0; i < n; i += CW_LANES)
		_mm512_mask_storeu_ps(to + i, lanes_from(n, i),
		    vf_load(from + i) * vf_all(by));
}

/* Rows first .. first+rows-1, from scores to mix. */
static void
attend_rows(const struct cw_head *h, const struct packed *b, int first,
    int rows)
{
	const int lp = b->ct / 2;
	float inv[TILE_ROWS];

	multiply(rows, b->ct, b->wd, b->q + first * b->wd, b->wd, b->k, b->s);
	for (int i = 0; i < rows; i++) {
		int seen = h->causal_from + first + i + 1;
		float *s = b->s + i * b->ct;

		if (h->causal_from < 0 || seen > h->T)
			seen = h->T;
		inv[i] = powers(s, seen, b->ct, h->keep, b->p + i * lp);
		if (h->keep)
			scale_row(s, h->T, inv[i],
			    h->p + (size_t)(first + i) * (size_t)h->T);
	}
	multiply(rows, b->cd, b->wt, b->p, lp, b->v, b->y);
	for (int i = 0; i < rows; i++)
		scale_row(b->y + i * b->cd, h->D, inv[i],
		    h->mix + (size_t)(first + i) * (size_t)h->ldm);
}

static void
attend(const struct cw_head *h, struct cw_arena *scratch)
{
	const int blocks = (h->n + TILE_ROWS - 1) / TILE_ROWS;
	const size_t mark = cw_arena_mark(scratch), word = sizeof(int32_t);
	struct packed b = {
		.wd = round_up(h->D, 2 * CW_LANES) / 2, .wt = (h->T + 1) / 2,
		.cd = round_up(h->D, CW_LANES), .ct = round_up(h->T, CW_LANES),
	};
	int32_t *turned;

	b.q = cw_arena_alloc(scratch, word * (size_t)(h->n * b.wd));
	b.k = cw_arena_alloc(scratch, word * (size_t)(b.wd * b.ct));
	b.v = cw_arena_alloc(scratch, word * (size_t)(b.wt * b.cd));
	b.p = cw_arena_alloc(scratch, word * (size_t)(TILE_ROWS * b.ct / 2));
	b.s = cw_arena_floats(scratch, (size_t)(TILE_ROWS * b.ct));
	b.y = cw_arena_floats(scratch, (size_t)(TILE_ROWS * b.cd));
	turned = cw_arena_alloc(scratch, word * (size_t)(h->T * b.wd));
	if (cw_arena_overflowed(scratch))
		return;
	pack_head(h, &b, turned);
	for (int i = 0; i < blocks; i++) {
		int first = cw_part(h->n, i, blocks);

		attend_rows(h, &b, first, cw_part(h->n, i + 1, blocks) - first);
	}
	cw_arena_release(scratch, mark);
}

static bool
supported(void)
{
	return cw_isa_avx512.supported() &&
	    __builtin_cpu_supports("avx512bf16");
}

const struct cw_heads cw_heads_avx512bf16 = { "avx512bf16", supported, attend };
