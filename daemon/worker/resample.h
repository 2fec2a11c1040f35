/*
 * resample.h - Pillow's antialiased bicubic for 8-bit RGB, bit for bit.
 *
 * Runs in: worker.  Never: logs.
 *
 * A resize is two passes, across and then down, each rounded to 8 bits.  Every
 * output sample is an integer sum of weights in 22-bit fixed point, so any
 * order of summation, and any instruction set, gives the same bytes.  Taps
 * are made for a window of outputs only: what is cropped away costs nothing.
 */
#ifndef CW_RESAMPLE_H
#define CW_RESAMPLE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

#define CW_RESAMPLE_BITS	22
#define CW_RESAMPLE_PAD		16	/* bytes readable behind a row */
#define CW_RESAMPLE_ROWS	4	/* rows a kernel takes at once */

/* Weights of outputs first .. first + count - 1. */
struct cw_taps {
	int	 count;
	int	 groups;	/* of four taps, per output; zero-padded */
	int	*lo, *n;	/* [count] first input, how many */
	int32_t	*w;		/* [count][groups * 4] */
	/*
	 * The same for multiply-add of 16-bit pairs, w = hi * 2^15 + lo:
	 * [count][groups][lo 01, lo 23, hi 01, hi 23]
	 */
	int32_t	*pairs;
	int	 in_lo, in_hi;	/* inputs touched: in_lo .. in_hi - 1 */
};

/*
 * Taps of a resize from in_size to out_size samples; arrays in the arena.
 * 0 <= first, first + count <= out_size.  CW_E_LIMIT on overflow.
 */
CW_MUST_USE enum cw_status cw_taps_make(int in_size, int64_t out_size,
    int64_t first, int count, struct cw_arena *a, struct cw_taps *out,
    struct cw_err *err);

struct cw_resampler {
	const char	*name;		/* "avx2", "c" */
	/*
	 * Four rows across.  in[i] is the row's input 0, RGB, readable for
	 * CW_RESAMPLE_PAD bytes behind input t->in_hi - 1; out[i] has room
	 * for t->count * 3 + 1 bytes.  Rows may be the same one.
	 */
	void	(*across)(const struct cw_taps *t,
		    const uint8_t *const in[CW_RESAMPLE_ROWS],
		    uint8_t *const out[CW_RESAMPLE_ROWS]);
	/*
	 * Output o of t, down: in is input t->in_lo's row, rows are pitch
	 * bytes apart; bytes of each are summed, and out and every row have
	 * room for bytes rounded up to 16.
	 */
	void	(*down)(const struct cw_taps *t, int o, const uint8_t *in,
		    size_t pitch, int bytes, uint8_t *out);
};

extern const struct cw_resampler cw_resampler_c, cw_resampler_avx2;

/* The best this CPU has. */
const struct cw_resampler *cw_resampler_best(void);

/*
 * A whole picture: rgb [h][w][3] to out [out_h][out_w][3].  The scratch arena
 * is left as it was.  CW_E_LIMIT when it is too small.
 */
CW_MUST_USE enum cw_status cw_resample(const uint8_t *rgb, int w, int h,
    uint8_t *out, int out_w, int out_h, struct cw_arena *scratch,
    struct cw_err *err);

#endif /* CW_RESAMPLE_H */
