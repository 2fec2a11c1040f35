/*
 * product.h - what the kernels' tests share: noise, and a product against sums
 * in double.
 *
 * The including file says MAX, the floats in each buffer.
 */
#ifndef CW_TESTS_PRODUCT_H
#define CW_TESTS_PRODUCT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "model/kernels/kernel.h"
#include "model/linear.h"

#define CANARY	-12345.5f

static struct cw_arena *arena;
static float *w, *x, *y, *res, *bias;

static inline float
noise(void)
{
	static uint32_t state = 1;

	state = state * 1664525u + 1013904223u;
	return (float)(int32_t)state * 0x1p-31f;
}

static inline int
set_up(void **state)
{
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_arena_open((size_t)1 << 30, &arena, &err), CW_OK);
	w = cw_arena_floats(arena, MAX);
	x = cw_arena_floats(arena, MAX);
	y = cw_arena_floats(arena, MAX);
	res = cw_arena_floats(arena, MAX);
	bias = cw_arena_floats(arena, MAX);
	return 0;
}

static inline int
refill(void **state)
{
	(void)state;
	for (int i = 0; i < MAX; i++) {
		w[i] = noise();
		x[i] = noise();
		res[i] = noise();
		bias[i] = noise();
	}
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

static inline double
activated(enum cw_act act, double v)
{
	switch (act) {
	case CW_ACT_NONE:
		break;
	case CW_ACT_QUICK_GELU:
		return v / (1 + exp(-1.702 * v));
	case CW_ACT_GELU:
		return 0.5 * v * (1 + erf(v / sqrt(2)));
	case CW_ACT_RELU:
		return v > 0 ? v : 0;
	}
	return v;
}

static inline void
fill(float *to, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = CANARY;
}

static inline void
near(const char *who, const char *what, int r, int c, double got, double want,
    double tolerance)
{
	if (!(fabs(got - want) <= tolerance))
		fail_msg("%s: %s[%d][%d] is %.9g; want %.9g within %g", who,
		    what, r, c, got, want, tolerance);
}

/* Tolerance of int8: half a step of weights and activations, summed. */
static inline double
product_tolerance(const struct cw_kernel *k, int in)
{
	return k->int8 ? 127.0 / k->most * (0.012 * sqrt(in) + 0.004) :
	    2e-7 * in + 1e-6;
}

static inline void
check_units(const struct cw_kernel *k, int rows, int unit, int in, int out,
    enum cw_act act, bool with_bias, bool with_residual)
{
	int ldx = in + 3, ldy = out + 5;
	size_t mark = cw_arena_mark(arena);
	struct cw_linear l = { in, out, w, with_bias ? bias : NULL, k, NULL };
	void *p = cw_arena_alloc(arena, k->packed_bytes(in, out));

	k->pack(w, NULL, in, out, p);
	l.packed = p;
	fill(y, rows * ldy);
	if (with_residual)
		for (int r = 0; r < rows; r++)
			memcpy(y + r * ldy, res + r * ldy,
			    (size_t)out * sizeof(*y));
	cw_linear_apply(&l, &(struct cw_input){ x, rows, ldx, unit }, y, ldy,
	    act, with_residual ? y : NULL, arena);
	for (int r = 0; r < rows; r++) {
		for (int o = 0; o < out; o++) {
			double sum = with_bias ? bias[o] : 0;

			for (int i = 0; i < in; i++)
				sum += (double)x[r * ldx + i] * w[o * in + i];
			sum = activated(act, sum);
			if (with_residual)
				sum += res[r * ldy + o];
			near(k->name, "y", r, o, y[r * ldy + o], sum,
			    product_tolerance(k, in));
		}
		for (int o = out; o < ldy; o++)
			assert_true(y[r * ldy + o] == CANARY);
	}
	cw_arena_release(arena, mark);
}

#endif /* CW_TESTS_PRODUCT_H */
