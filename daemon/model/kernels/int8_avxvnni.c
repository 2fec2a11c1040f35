/*
 * int8_avxvnni.c - AVX-VNNI: the VNNI product in 8 lanes, 6 x 16 tiles.
 *
 * For CPUs that have it without AVX-512.
 */
#include "model/kernels/kernel.h"
#include "model/kernels/vec.h"

#define CW_TILE_ROWS	6
#define LEVELS		256

CW_INLINE vi
dot4(vi acc, vi x, vi w)
{
	return (vi)_mm256_dpbusd_epi32((__m256i)acc, (__m256i)x, (__m256i)w);
}

#include "model/kernels/int8_body.h"

static bool
supported(void)
{
	return cw_isa_avx2.supported() && __builtin_cpu_supports("avxvnni");
}

const struct cw_kernel cw_int8_avxvnni = {
	"avxvnni", true, N, supported, int8_packed_bytes, int8_pack, int8_apply, NULL
};
