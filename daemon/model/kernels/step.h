/*
 * step.h - what the weights of an output are counted in, in 8 bits.
 *
 * Runs in: worker, at start.
 */
#ifndef CW_STEP_H
#define CW_STEP_H

#include <math.h>

/*
 * The finest step that leaves none of w [in] beyond `most` of them; NaN where
 * one is no number or infinite.
 */
static inline float
cw_weight_step(const float *w, int in, int most)
{
	float top = 0;

	for (int i = 0; i < in; i++) {
		if (!(fabsf(w[i]) < INFINITY))
			return NAN;
		top = fabsf(w[i]) > top ? fabsf(w[i]) : top;
	}
	return top > 1e-30f ? top / (float)most : 1;
}

#endif /* CW_STEP_H */
