/*
 * rounding.h - weights to steps, so that what goes through them hardly notices.
 *
 * Runs in: worker, at start.  Never: logs.
 *
 * Rounded to the nearest, each weight of an output is off by up to half a step,
 * and over inputs x that resemble each other those errors add up.  Here each
 * weight is rounded in view of what was lost by those before it, which makes
 * |X (w - q)| small, X the rows that went through the matrix.  With X'X = R'R,
 * R upper triangular, and from the last input to the first
 *
 *	q[i] = round(w[i] + sum over j > i of R[i][j] (w[j] - q[j]) / R[i][i])
 *
 * Babai, "On Lovasz' lattice reduction and the nearest lattice point problem"
 * (1986); for weights Frantar et al., "GPTQ" (2022), which takes the same steps
 * by way of the inverse.
 */
#ifndef CW_ROUNDING_H
#define CW_ROUNDING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/*
 *	w	[out][in], afterwards multiples of step[out]
 *	most	of how many steps at most
 *	gram	[in][in] X'X, its upper triangle; destroyed
 *	scratch	released before return; cw_round_floats of it
 *
 * False, and w as it was, when gram is not positive (no rows, or some that are
 * no numbers) or scratch overflows.
 */
CW_MUST_USE bool cw_round_weights(float *w, int in, int out, const float *step,
    int most, float *gram, struct cw_arena *scratch);

size_t cw_round_floats(size_t in, size_t out);

#endif /* CW_ROUNDING_H */
