/*
 * int8_avxvnni.c - AVX-VNNI: the VNNI product in 8 lanes, 6 x 16 tiles.
 *
 * For CPUs that have it without AVX-512.
 */
#include <cpuid.h>

#include "model/kernels/kernel.h"
#include "model/kernels/vec.h"

#define CW_TILE_ROWS	6
#define LEVELS		256
#define AVX_VNNI	(1u << 4)

CW_INLINE vi
dot4(vi acc, vi x, vi w)
{
	return (vi)_mm256_dpbusd_epi32((__m256i)acc, (__m256i)x, (__m256i)w);
}

#include "model/kernels/int8_body.h"

/* Leaf 7, 1 of CPUID: clang 14 has no name for it. */
static bool
supported(void)
{
	unsigned eax = 0, ebx, ecx, edx;

	return cw_isa_avx2.supported() &&
	    __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) &&
	    (eax & AVX_VNNI) != 0;
}

const struct cw_kernel cw_int8_avxvnni = {
	.name = "avxvnni",
	.int8 = true,
	.supported = supported,
	.packed_bytes = int8_packed_bytes,
	.pack = int8_pack,
	.most = INT8_MOST,
	.apply = int8_apply,
	.apply_normed = int8_apply_normed,
};
