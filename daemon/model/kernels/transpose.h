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

/*
 * to [k][stride] = from [rows][k]; the first `rows` of each line are written.
 * Of four rows or more, the last four are taken together, some of them again.
 */
static inline void
cw_transpose(const float *from, size_t ld, int rows, int k, float *to,
    size_t stride)
{
	const int whole = rows >= 4 ? k / 4 * 4 : 0;

	for (int i = 0; i < rows && whole > 0; i += 4) {
		const size_t r = (size_t)(i + 4 <= rows ? i : rows - 4);

		for (size_t p = 0; p < (size_t)whole; p += 4)
			transpose4(from + r * ld + p, ld, to + p * stride + r,
			    stride);
	}
	for (int i = 0; i < rows; i++, from += ld)
		for (int p = whole; p < k; p++)
			to[(size_t)p * stride + (size_t)i] = from[p];
}

#endif /* CW_TRANSPOSE_H */
