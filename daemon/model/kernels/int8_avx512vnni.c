/*
 * int8_avx512vnni.c - AVX-512 VNNI: four products and their sum per lane in
 * one instruction, 14 x 32 tiles.
 */
#include "model/kernels/kernel.h"
#include "model/kernels/vec.h"

#define CW_TILE_ROWS	14
#define LEVELS		256

CW_INLINE vi
dot4(vi acc, vi x, vi w)
{
	return (vi)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)x, (__m512i)w);
}

#include "model/kernels/int8_body.h"
#include "model/kernels/int8_strassen.h"

static bool
supported(void)
{
	return cw_isa_avx512.supported() &&
	    __builtin_cpu_supports("avx512vnni");
}

const struct cw_kernel cw_int8_avx512vnni = {
	.name = "avx512vnni",
	.int8 = true,
	.supported = supported,
	.packed_bytes = int8_packed_bytes,
	.pack = int8_pack,
	.most = INT8_MOST,
	.apply = int8_apply,
	.apply_normed = int8_apply_normed,
	.many = &cw_int8_avx512vnni_many,
	.heads = &cw_heads_avx512bf16,
};

const struct cw_kernel cw_int8_avx512vnni_many = {
	.name = "avx512vnni-7",
	.int8 = true,
	.supported = supported,
	.packed_bytes = int8_packed_bytes,
	.pack = strassen_pack_weights,
	.most = STRASSEN_MOST,
	.pays = strassen_pays,
	.apply = strassen_apply,
	.apply_normed = strassen_apply_normed,
	.heads = &cw_heads_avx512bf16,
};
