/*
 * fp32_avx512.c - AVX-512 F, BW, VL, DQ: 14 x 32 tiles, 28 of the 32 registers.
 */
#include "model/kernels/kernel.h"

#define CW_TILE_ROWS	14
#include "model/kernels/fp32_body.h"

static bool
supported(void)
{
	return __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("fma");
}

const struct cw_isa cw_isa_avx512 = {
	"avx512", supported, rows_layernorm, rows_softmax, fp32_gemm, rows_finish
};

const struct cw_kernel cw_fp32_avx512 = {
	.name = "avx512",
	.supported = supported,
	.packed_bytes = fp32_packed_bytes,
	.pack = fp32_pack,
	.apply = fp32_apply,
};
