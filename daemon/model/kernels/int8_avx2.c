/*
 * int8_avx2.c - AVX2: pairs in 16 bits, then pairs of those, 6 x 16 tiles.
 *
 * Two products of 7-bit activations and weights up to 127 stay within 16 bits
 * (2 * 127 * 127 = 32,258), those of 8-bit activations would saturate.
 */
#include "model/kernels/kernel.h"
#include "model/kernels/vec.h"

#define CW_TILE_ROWS	6
#define LEVELS		128

CW_INLINE vi
dot4(vi acc, vi x, vi w)
{
	__m256i pairs = _mm256_maddubs_epi16((__m256i)x, (__m256i)w);

	return acc + (vi)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

#include "model/kernels/int8_body.h"

static bool
supported(void)
{
	return cw_isa_avx2.supported();
}

const struct cw_kernel cw_int8_avx2 = {
	.name = "avx2",
	.int8 = true,
	.supported = supported,
	.packed_bytes = int8_packed_bytes,
	.pack = int8_pack,
	.most = INT8_MOST,
	.apply = int8_apply,
	.apply_normed = int8_apply_normed,
	.fine = &cw_fp32_avx2,
};
