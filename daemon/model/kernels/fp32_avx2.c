/*
 * fp32_avx2.c - AVX2 and FMA: 6 x 16 tiles, 12 of the 16 registers.
 */
#include "model/kernels/kernel.h"

#define CW_TILE_ROWS	6
#include "model/kernels/fp32_body.h"

static bool
supported(void)
{
	return __builtin_cpu_supports("avx2") &&
	    __builtin_cpu_supports("fma");
}

const struct cw_isa cw_isa_avx2 = {
	"avx2", supported, rows_layernorm, rows_softmax, fp32_gemm, rows_finish
};

const struct cw_kernel cw_fp32_avx2 = {
	.name = "avx2",
	.supported = supported,
	.packed_bytes = fp32_packed_bytes,
	.pack = fp32_pack,
	.apply = fp32_apply,
};
