/*
 * rounding.c - see rounding.h.
 */
#include "model/rounding.h"

#include <math.h>
#include <string.h>

#include "model/kernels/openblas.h"
#include "model/linear.h"

/* Inputs that are rounded before the others hear of it. */
#define TOGETHER	128
/*
 * Added to the diagonal, as a share of its mean: what no row has shown yet is
 * not taken for impossible.
 */
#define DAMPING		0.01

/* gram to R; false where it has none. */
static bool
factor_damped(float *gram, int n)
{
	const size_t next = (size_t)n + 1;
	double mean = 0;

	for (size_t i = 0; i < (size_t)n; i++)
		mean += (double)gram[i * next] / n;
	if (!(mean > 0) || !(mean < INFINITY))
		return false;
	for (size_t i = 0; i < (size_t)n; i++)
		gram[i * next] += (float)(DAMPING * mean);
	return cw_factor(gram, n);
}

/* Of R, inputs from .. to - 1: a column as a row of t [][TOGETHER]. */
static void
turn(const float *R, size_t in, int from, int to, float *t)
{
	for (int i = from; i < to; i++)
		for (int j = from; j <= i; j++)
			t[(i - from) * TOGETHER + j - from] =
			    R[(size_t)j * in + (size_t)i];
}

/*
 * n inputs of one output, w [n].  t is R of them, turned; carry [n]: what those
 * beyond them leave, spoilt; lost [n]: w less what it was rounded to.
 */
static void
round_some(float *w, int n, float step, int most, const float *t,
    float *carry, float *lost)
{
	for (int i = n - 1; i >= 0; i--) {
		const float *R = t + (size_t)i * TOGETHER;
		float q = rintf((w[i] + carry[i] / R[i]) / step);

		q = q > (float)most ? (float)most : q;
		q = q < (float)-most ? (float)-most : q;
		lost[i] = w[i] - step * q;
		w[i] = step * q;
		for (int j = 0; j < i; j++)
			carry[j] += R[j] * lost[i];
	}
}

size_t
cw_round_floats(size_t in, size_t out)
{
	return out * (in + TOGETHER) + TOGETHER * TOGETHER;
}

bool
cw_round_weights(float *w, int in, int out, const float *step, int most,
    float *gram, struct cw_arena *scratch)
{
	const size_t mark = cw_arena_mark(scratch), row = (size_t)in;
	float *lost = cw_arena_floats(scratch, (size_t)out * row);
	float *carry = cw_arena_floats(scratch, (size_t)out * TOGETHER);
	float *t = cw_arena_floats(scratch, TOGETHER * TOGETHER);
	const bool fine = t != NULL && factor_damped(gram, in);

	for (int to = in, from; fine && to > 0; to = from) {
		from = to > TOGETHER ? to - TOGETHER : 0;
		turn(gram, row, from, to, t);
		if (to == in)
			memset(carry, 0, (size_t)out * TOGETHER *
			    sizeof(*carry));
		else
			cw_gemm_bt(out, to - from, in - to, 1, lost + to, in,
			    gram + (size_t)from * row + to, in, carry,
			    TOGETHER);
		for (size_t o = 0; o < (size_t)out; o++)
			round_some(w + o * row + from, to - from, step[o],
			    most, t, carry + o * TOGETHER, lost + o * row +
			    from);
	}
	cw_arena_release(scratch, mark);
	return fine;
}
