/*
 * int8_plain.c - the 8-bit product for any CPU.
 */
#include "model/kernels/kernel.h"
#include "model/kernels/vec.h"

#define CW_TILE_ROWS	6
#define LEVELS		256

CW_INLINE vi
dot4(vi acc, vi x, vi w)
{
	for (int i = 0; i < 4; i++)
		acc += (x >> 8 * i & 255) * (w << (24 - 8 * i) >> 24);
	return acc;
}

#include "model/kernels/int8_body.h"

static bool
supported(void)
{
	return true;
}

const struct cw_kernel cw_int8_plain = {
	.name = "plain",
	.int8 = true,
	.supported = supported,
	.packed_bytes = int8_packed_bytes,
	.pack = int8_pack,
	.most = INT8_MOST,
	.apply = int8_apply,
	.apply_normed = int8_apply_normed,
};
