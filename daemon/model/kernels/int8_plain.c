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
	"plain", true, supported, int8_packed_bytes,
	int8_pack, int8_apply, int8_apply_normed, NULL, NULL
};
