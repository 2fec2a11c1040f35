/*
 * fp32_plain.c - what any CPU can run, and what the others are tested against.
 */
#include "model/kernels/kernel.h"

#define CW_TILE_ROWS	6
#include "model/kernels/fp32_body.h"

static bool
supported(void)
{
	return true;
}

const struct cw_isa cw_isa_plain = {
	"plain", supported, rows_layernorm, rows_softmax, fp32_gemm, rows_finish
};

const struct cw_kernel cw_fp32_plain = {
	.name = "plain",
	.supported = supported,
	.packed_bytes = fp32_packed_bytes,
	.pack = fp32_pack,
	.apply = fp32_apply,
};
