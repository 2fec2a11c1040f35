/*
 * resample.c - see resample.h: the taps, and the kernel in plain C.
 */
#include "worker/resample.h"

#include <string.h>

#define HALF	(1 << (CW_RESAMPLE_BITS - 1))
#define SUPPORT	2.0		/* of a bicubic kernel, in samples */

/* Keys' cubic with a = -0.5; the operations in Pillow's order. */
static double
cubic(double x)
{
	const double a = -0.5;

	if (x < 0.0)
		x = -x;
	if (x < 1.0)
		return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
	if (x < 2.0)
		return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
	return 0.0;
}

static int32_t
fixed(double w)
{
	return (int32_t)(w * (1 << CW_RESAMPLE_BITS) + (w < 0 ? -0.5 : 0.5));
}

/* What one output reads, in doubles as Pillow computes it. */
struct span {
	double	center, stretch;
	int	lo, n;
};

static struct span
span_of(int in_size, double scale, int64_t o)
{
	struct span s;
	double support;
	int hi;

	s.stretch = scale < 1.0 ? 1.0 : scale;
	support = SUPPORT * s.stretch;
	s.center = ((double)o + 0.5) * scale;
	s.lo = s.center - support + 0.5 > 0 ?
	    (int)(s.center - support + 0.5) : 0;
	hi = s.center + support + 0.5 < in_size ?
	    (int)(s.center + support + 0.5) : in_size;
	s.n = hi - s.lo;
	return s;
}

static void
weigh(const struct span *s, double *scratch, int32_t *w)
{
	const double inverse = 1.0 / s->stretch;
	double total = 0.0;

	for (int i = 0; i < s->n; i++) {
		scratch[i] = cubic((i + s->lo - s->center + 0.5) * inverse);
		total += scratch[i];
	}
	for (int i = 0; i < s->n; i++)
		w[i] = fixed(total != 0.0 ? scratch[i] / total : scratch[i]);
}

/* w = hi * 2^15 + lo with 0 <= lo < 2^15, so both fit in 16 signed bits. */
static void
pair_up(const int32_t *w, int groups, int32_t *pairs)
{
	for (int g = 0; g < groups; g++, w += 4, pairs += 4)
		for (int p = 0; p < 2; p++) {
			const int32_t a = w[2 * p], b = w[2 * p + 1];
			const uint32_t a_hi = (uint16_t)(a >> 15);
			const uint32_t b_hi = (uint16_t)(b >> 15);

			pairs[p] = (a & 0x7fff) | (b & 0x7fff) << 16;
			pairs[2 + p] = (int32_t)(a_hi | b_hi << 16);
		}
}

enum cw_status
cw_taps_make(int in_size, int64_t out_size, int64_t first, int count,
    struct cw_arena *a, struct cw_taps *out, struct cw_err *err)
{
	const double scale = (double)in_size / (double)out_size;
	struct cw_taps t = { .count = count, .in_lo = in_size };
	double *scratch;
	size_t each;
	int most = 0;

	CW_CHECK(in_size > 0 && count > 0 && first >= 0 &&
	    first + count <= out_size);
	for (int i = 0; i < count; i++) {
		const struct span s = span_of(in_size, scale, first + i);

		most = s.n > most ? s.n : most;
		t.in_lo = s.lo < t.in_lo ? s.lo : t.in_lo;
		t.in_hi = s.lo + s.n > t.in_hi ? s.lo + s.n : t.in_hi;
	}
	t.groups = (most + 3) / 4;
	each = (size_t)t.groups * 4;
	t.lo = cw_arena_zalloc(a, (size_t)count, sizeof(*t.lo));
	t.n = cw_arena_zalloc(a, (size_t)count, sizeof(*t.n));
	t.w = cw_arena_zalloc(a, (size_t)count * each, sizeof(*t.w));
	t.pairs = cw_arena_zalloc(a, (size_t)count * each, sizeof(*t.pairs));
	scratch = cw_arena_zalloc(a, each, sizeof(*scratch));
	if (cw_arena_overflowed(a))
		return cw_err_set(err, CW_E_LIMIT,
		    "no memory to resize %d samples", in_size);
	for (int i = 0; i < count; i++) {
		const struct span s = span_of(in_size, scale, first + i);
		int32_t *w = t.w + (size_t)i * each;

		t.lo[i] = s.lo;
		t.n[i] = s.n;
		weigh(&s, scratch, w);
		pair_up(w, t.groups, t.pairs + (size_t)i * each);
	}
	*out = t;
	return CW_OK;
}

static uint8_t
clip8(int32_t sum)
{
	sum >>= CW_RESAMPLE_BITS;
	return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void
across_c(const struct cw_taps *t, const uint8_t *const in[CW_RESAMPLE_ROWS],
    uint8_t *const out[CW_RESAMPLE_ROWS])
{
	for (int r = 0; r < CW_RESAMPLE_ROWS; r++)
		for (int i = 0; i < t->count; i++) {
			const int32_t *w = t->w + (size_t)i * t->groups * 4;
			const uint8_t *p = in[r] + (size_t)t->lo[i] * 3;
			int32_t sum[3] = { HALF, HALF, HALF };

			for (int k = 0; k < t->n[i]; k++, p += 3)
				for (int c = 0; c < 3; c++)
					sum[c] += w[k] * p[c];
			for (int c = 0; c < 3; c++)
				out[r][3 * i + c] = clip8(sum[c]);
		}
}

static void
down_c(const struct cw_taps *t, int o, const uint8_t *in, size_t pitch,
    int bytes, uint8_t *out)
{
	const int32_t *w = t->w + (size_t)o * t->groups * 4;
	const uint8_t *top = in + (size_t)(t->lo[o] - t->in_lo) * pitch;

	for (int x = 0; x < bytes; x++) {
		int32_t sum = HALF;

		for (int k = 0; k < t->n[o]; k++)
			sum += w[k] * top[(size_t)k * pitch + (size_t)x];
		out[x] = clip8(sum);
	}
}

const struct cw_resampler cw_resampler_c = { "c", across_c, down_c };

const struct cw_resampler *
cw_resampler_best(void)
{
	return __builtin_cpu_supports("avx2") ? &cw_resampler_avx2 :
	    &cw_resampler_c;
}

/* Rows near the end of the picture are copied to where they may be overread. */
static void
across_all(const struct cw_taps *tx, const uint8_t *rgb, int w, int h,
    uint8_t *spare, uint8_t *tmp, size_t pitch)
{
	const struct cw_resampler *k = cw_resampler_best();
	const size_t row = (size_t)w * 3, line = row + CW_RESAMPLE_PAD;

	for (int y = 0; y < h; y += CW_RESAMPLE_ROWS) {
		const uint8_t *in[CW_RESAMPLE_ROWS];
		uint8_t *out[CW_RESAMPLE_ROWS];

		for (int i = 0; i < CW_RESAMPLE_ROWS; i++) {
			const size_t at = (size_t)(y + i < h ? y + i : h - 1);

			in[i] = rgb + at * row;
			if (((size_t)h - 1 - at) * row < CW_RESAMPLE_PAD)
				in[i] = memcpy(spare + (size_t)i * line,
				    in[i], row);
			out[i] = tmp + at * pitch;
		}
		k->across(tx, in, out);
	}
}

enum cw_status
cw_resample(const uint8_t *rgb, int w, int h, uint8_t *out, int out_w,
    int out_h, struct cw_arena *scratch, struct cw_err *err)
{
	const size_t pitch = (size_t)out_w * 3 + CW_RESAMPLE_PAD;
	const size_t mark = cw_arena_mark(scratch);
	struct cw_taps tx, ty;
	uint8_t *tmp, *line, *spare;
	enum cw_status st;

	if ((st = cw_taps_make(w, out_w, 0, out_w, scratch, &tx, err)) !=
	    CW_OK ||
	    (st = cw_taps_make(h, out_h, 0, out_h, scratch, &ty, err)) !=
	    CW_OK)
		goto undo;
	tmp = cw_arena_zalloc(scratch, (size_t)h, pitch);
	line = cw_arena_alloc(scratch, pitch);
	spare = cw_arena_zalloc(scratch, CW_RESAMPLE_ROWS, (size_t)w * 3 +
	    CW_RESAMPLE_PAD);
	if (cw_arena_overflowed(scratch)) {
		st = cw_err_set(err, CW_E_LIMIT,
		    "no memory to resize %d x %d pixels", w, h);
		goto undo;
	}
	across_all(&tx, rgb, w, h, spare, tmp, pitch);
	for (int o = 0; o < out_h; o++) {
		cw_resampler_best()->down(&ty, o, tmp + (size_t)ty.in_lo *
		    pitch, pitch, out_w * 3, line);
		memcpy(out + (size_t)o * out_w * 3, line, (size_t)out_w * 3);
	}
undo:
	cw_arena_release(scratch, mark);
	return st;
}
