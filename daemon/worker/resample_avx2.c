/*
 * resample_avx2.c - the kernels of resample.h in AVX2.
 *
 * A 22-bit weight is too wide for a 16-bit multiply-add, so it comes in two
 * halves, w = hi * 2^15 + lo, and so does the sum.  The halves may wrap; put
 * together modulo 2^32 they give the sum exactly, since that one fits.
 */
#include "worker/resample.h"

#include <immintrin.h>
#include <string.h>

/* Halves of the sums to bytes in the low lane: r g b x (or 4 of a row). */
static inline __m256i
finish(__m256i lo, __m256i hi)
{
	const __m256i half = _mm256_set1_epi32(1 << (CW_RESAMPLE_BITS - 1));

	lo = _mm256_add_epi32(lo, _mm256_slli_epi32(hi, 15));
	return _mm256_srai_epi32(_mm256_add_epi32(lo, half), CW_RESAMPLE_BITS);
}

/*
 * Four taps of one row are 12 bytes r0 g0 b0 r1 ... b3.  Spread to 16 bits as
 *
 *	low lane   r0 r1  g0 g1  b0 b1  0 0	times  w0 w1 in each pair
 *	high lane  r2 r3  g2 g3  b2 b3  0 0	times  w2 w3
 */
static void
across_avx2(const struct cw_taps *t,
    const uint8_t *const in[CW_RESAMPLE_ROWS],
    uint8_t *const out[CW_RESAMPLE_ROWS])
{
	const __m256i spread = _mm256_setr_epi8(
	    0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,
	    6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
	const __m256i take_lo = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
	const __m256i take_hi = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);

	for (int i = 0; i < t->count; i++) {
		const int32_t *w = t->pairs + (size_t)i * t->groups * 4;
		const size_t at = (size_t)t->lo[i] * 3;
		const int groups = (t->n[i] + 3) / 4;
		__m256i lo[CW_RESAMPLE_ROWS], hi[CW_RESAMPLE_ROWS];

		for (int r = 0; r < CW_RESAMPLE_ROWS; r++)
			lo[r] = hi[r] = _mm256_setzero_si256();
		for (int g = 0; g < groups; g++) {
			const __m256i ws = _mm256_castsi128_si256(
			    _mm_load_si128((const __m128i *)(w + 4 * g)));
			const __m256i wl = _mm256_permutevar8x32_epi32(ws,
			    take_lo);
			const __m256i wh = _mm256_permutevar8x32_epi32(ws,
			    take_hi);

			for (int r = 0; r < CW_RESAMPLE_ROWS; r++) {
				__m256i p = _mm256_broadcastsi128_si256(
				    _mm_loadu_si128((const __m128i *)
				    (in[r] + at + (size_t)g * 12)));

				p = _mm256_shuffle_epi8(p, spread);
				lo[r] = _mm256_add_epi32(lo[r],
				    _mm256_madd_epi16(p, wl));
				hi[r] = _mm256_add_epi32(hi[r],
				    _mm256_madd_epi16(p, wh));
			}
		}
		for (int r = 0; r < CW_RESAMPLE_ROWS; r++) {
			const __m256i zero = _mm256_setzero_si256();
			__m256i s;
			__m128i b;
			int rgbx;

			/* Taps 0 1 and 2 3 meet before the halves do. */
			lo[r] = _mm256_add_epi32(lo[r],
			    _mm256_permute2x128_si256(lo[r], zero, 0x81));
			hi[r] = _mm256_add_epi32(hi[r],
			    _mm256_permute2x128_si256(hi[r], zero, 0x81));
			s = finish(lo[r], hi[r]);
			b = _mm_packs_epi32(_mm256_castsi256_si128(s),
			    _mm_setzero_si128());
			rgbx = _mm_cvtsi128_si32(_mm_packus_epi16(b, b));
			memcpy(out[r] + 3 * i, &rgbx, 4);
		}
	}
}

/* 16 bytes of two rows, interleaved to 16-bit pairs, times w0 w1. */
static void
down_avx2(const struct cw_taps *t, int o, const uint8_t *in, size_t pitch,
    int bytes, uint8_t *out)
{
	const int32_t *w = t->w + (size_t)o * t->groups * 4;
	const uint8_t *top = in + (size_t)(t->lo[o] - t->in_lo) * pitch;
	const int n = t->n[o];

	for (int x = 0; x < bytes; x += 16) {
		__m256i lo[2], hi[2];
		__m128i b[2];

		lo[0] = lo[1] = hi[0] = hi[1] = _mm256_setzero_si256();
		for (int k = 0; k < n; k += 2) {
			const int next = k + 1 < n ? k + 1 : k;
			const int32_t w1 = k + 1 < n ? w[k + 1] : 0;
			const __m256i wl = _mm256_set1_epi32(
			    (w[k] & 0x7fff) | (w1 & 0x7fff) << 16);
			const __m256i wh = _mm256_set1_epi32((int32_t)(
			    (uint32_t)(uint16_t)(w[k] >> 15) |
			    (uint32_t)(uint16_t)(w1 >> 15) << 16));
			const __m128i p = _mm_loadu_si128((const __m128i *)
			    (top + (size_t)k * pitch + x));
			const __m128i q = _mm_loadu_si128((const __m128i *)
			    (top + (size_t)next * pitch + x));
			const __m256i a = _mm256_cvtepu8_epi16(
			    _mm_unpacklo_epi8(p, q));
			const __m256i z = _mm256_cvtepu8_epi16(
			    _mm_unpackhi_epi8(p, q));

			lo[0] = _mm256_add_epi32(lo[0],
			    _mm256_madd_epi16(a, wl));
			hi[0] = _mm256_add_epi32(hi[0],
			    _mm256_madd_epi16(a, wh));
			lo[1] = _mm256_add_epi32(lo[1],
			    _mm256_madd_epi16(z, wl));
			hi[1] = _mm256_add_epi32(hi[1],
			    _mm256_madd_epi16(z, wh));
		}
		for (int h = 0; h < 2; h++) {
			const __m256i s = finish(lo[h], hi[h]);

			b[h] = _mm_packs_epi32(_mm256_castsi256_si128(s),
			    _mm256_extracti128_si256(s, 1));
		}
		_mm_storeu_si128((__m128i *)(out + x),
		    _mm_packus_epi16(b[0], b[1]));
	}
}

const struct cw_resampler cw_resampler_avx2 = {
	"avx2", across_avx2, down_avx2
};
