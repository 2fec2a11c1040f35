/*
 * transpose.h - rows into blocks that a tile reads front to back.
 *
 * Runs in: worker.  Moves 4-byte words, whatever they mean: floats, or four
 * quantised values.
 */
#ifndef CW_TRANSPOSE_H
#define CW_TRANSPOSE_H

#include "model/kernels/vec.h"

/* X(1) .. X(CW_TILE_ROWS): a tile for each height */
#define CW_FEW_TILES(X)	X(1) X(2) X(3) X(4) X(5) X(6)
#if CW_TILE_ROWS == 14
#define CW_TILES(X)	CW_FEW_TILES(X) X(7) X(8) X(9) X(10) X(11) X(12) \
	X(13) X(14)
#elif CW_TILE_ROWS == 6
#define CW_TILES(X)	CW_FEW_TILES(X)
#endif

typedef float	f4 __attribute__((vector_size(16), aligned(4), may_alias));

/* to[p * stride + i] = from[i * ld + p] for 4 x 4 values */
CW_INLINE void
transpose4(const float *from, size_t ld, float *to, size_t stride)
{
	f4 a = *(const f4 *)from, b = *(const f4 *)(from + ld);
	f4 c = *(const f4 *)(from + 2 * ld), d = *(const f4 *)(from + 3 * ld);
	f4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
	f4 cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);

	*(f4 *)to = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
	*(f4 *)(to + stride) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
	ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
	cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
	*(f4 *)(to + 2 * stride) = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
	*(f4 *)(to + 3 * stride) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/* to [k][stride] = from [rows][k]; the first `rows` of each line are written */
static inline void
cw_transpose(const float *from, size_t ld, int rows, int k, float *to,
    size_t stride)
{
	int i = 0;

	for (; i + 4 <= rows; i += 4, from += 4 * ld) {
		int p = 0;

		for (; p + 4 <= k; p += 4)
			transpose4(from + p, ld, to + (size_t)p * stride + i,
			    stride);
		for (; p < k; p++)
			for (int j = 0; j < 4; j++)
				to[(size_t)p * stride + i + j] =
				    from[(size_t)j * ld + p];
	}
	for (; i < rows; i++, from += ld)
		for (int p = 0; p < k; p++)
			to[(size_t)p * stride + i] = from[p];
}

#endif /* CW_TRANSPOSE_H */
