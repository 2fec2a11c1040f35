/*
 * test_rounding.c - weights to steps in view of what goes through them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "model/rounding.h"

#define MOST	63

static struct cw_arena *arena;

static float
noise(void)
{
	static uint32_t state = 3;

	state = state * 1664525u + 1013904223u;
	return (float)(int32_t)state * 0x1p-31f;
}

static float *
noises(size_t n)
{
	float *v = cw_arena_floats(arena, n);

	assert_non_null(v);
	for (size_t i = 0; i < n; i++)
		v[i] = noise();
	return v;
}

static int
set_up(void **state)
{
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_arena_open((size_t)1 << 26, &arena, &err), CW_OK);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

/* X'X of rows [n][in] */
static float *
gram_of(const float *x, int n, int in)
{
	float *gram = cw_arena_zalloc(arena, (size_t)in * (size_t)in,
	    sizeof(*gram));

	for (int r = 0; r < n; r++, x += in)
		for (int i = 0; i < in; i++)
			for (int j = i; j < in; j++)
				gram[i * in + j] += x[i] * x[j];
	return gram;
}

/* |X (w - q)|^2 over all outputs */
static double
off_by(const float *x, int n, int in, const float *w, const float *q, int out)
{
	double all = 0;

	for (int r = 0; r < n; r++, x += in)
		for (int o = 0; o < out; o++) {
			double sum = 0;

			for (int i = 0; i < in; i++)
				sum += (double)x[i] * (w[o * in + i] -
				    q[o * in + i]);
			all += sum * sum;
		}
	return all;
}

static void
test_inputs_that_resemble_each_other_lose_little(void **state)
{
	/* one and a half of the chunks that rounding goes by */
	enum { IN = 200, OUT = 24, ROWS = 300, COMMON = 20 };
	const size_t mark = cw_arena_mark(arena);
	float *base = noises(COMMON * IN), *x = noises(ROWS * IN);
	float *w = noises(OUT * IN), *q = noises(OUT * IN);
	float *nearest = noises(OUT * IN), step[OUT];

	(void)state;
	/* each row is a mixture of a few, and a little of its own */
	for (int r = 0; r < ROWS; r++)
		for (int c = 0; c < COMMON; c++) {
			float part = noise();

			for (int i = 0; i < IN; i++)
				x[r * IN + i] = (c == 0 ? 0.1f : 1) *
				    x[r * IN + i] + part * base[c * IN + i];
		}
	memcpy(q, w, OUT * IN * sizeof(*w));
	for (int o = 0; o < OUT; o++) {
		step[o] = (1 + 0.1f * (float)o) / MOST;
		for (int i = 0; i < IN; i++)
			nearest[o * IN + i] = step[o] *
			    rintf(w[o * IN + i] / step[o]);
	}
	assert_true(cw_round_weights(q, IN, OUT, step, MOST,
	    gram_of(x, ROWS, IN), arena));
	for (int i = 0; i < OUT * IN; i++) {
		float n = q[i] / step[i / IN];

		assert_true(fabsf(n - rintf(n)) < 1e-3f);
		assert_true(fabsf(n) < MOST + 1e-3f);
		assert_true(fabsf(q[i] - w[i]) < 8 * step[i / IN]);
	}
	assert_true(off_by(x, ROWS, IN, w, q, OUT) <
	    0.25 * off_by(x, ROWS, IN, w, nearest, OUT));
	cw_arena_release(arena, mark);
}

/* Rows that have nothing in common: no better than to the nearest. */
static void
test_inputs_without_likeness_round_to_the_nearest(void **state)
{
	enum { IN = 150, OUT = 9 };
	const size_t mark = cw_arena_mark(arena);
	float *w = noises(OUT * IN), *q = noises(OUT * IN), step[OUT];
	float *gram = cw_arena_zalloc(arena, IN * IN, sizeof(*gram));

	(void)state;
	memcpy(q, w, OUT * IN * sizeof(*w));
	for (int i = 0; i < IN; i++)
		gram[i * IN + i] = 1 + (float)i;
	for (int o = 0; o < OUT; o++)
		step[o] = 1.0f / 7;
	assert_true(cw_round_weights(q, IN, OUT, step, 5, gram, arena));
	for (int i = 0; i < OUT * IN; i++) {
		float n = fmaxf(-5, fminf(5, rintf(w[i] * 7)));

		assert_true(fabsf(q[i] - n / 7) < 1e-6f);
	}
	cw_arena_release(arena, mark);
}

/* Two inputs that are nearly one: what the second loses the first makes up. */
static void
test_two_inputs_by_hand(void **state)
{
	float gram[] = { 1, 0.9f, NAN, 1 }, w[] = { 0.3f, 0.4f };
	const float step = 1;

	(void)state;
	/* 0.4 to 0; then 0.3 + 0.9 * 0.4 / 1.01 = 0.656 to 1 */
	assert_true(cw_round_weights(w, 2, 1, &step, MOST, gram, arena));
	assert_true(w[0] == 1 && w[1] == 0);
}

static void
test_what_cannot_be_factored_leaves_the_weights(void **state)
{
	static const float bad[] = { 0, NAN, INFINITY, -1 };
	const float was[] = { 0.3f, 0.4f }, step = 1;
	float w[] = { 0.3f, 0.4f }, fine[] = { 1, 0, 0, 1 };
	struct cw_arena *small;
	struct cw_err err;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(bad); i++) {
		float gram[] = { bad[i], 0, 0, bad[i] };
		float beyond[] = { 1, bad[i] == 0 ? 2 : bad[i], 0, 1 };

		assert_false(cw_round_weights(w, 2, 1, &step, MOST, gram,
		    arena));
		assert_memory_equal(w, was, sizeof(w));
		if (bad[i] == -1)
			continue;
		assert_false(cw_round_weights(w, 2, 1, &step, MOST, beyond,
		    arena));
		assert_memory_equal(w, was, sizeof(w));
	}
	assert_int_equal(cw_arena_open(4096, &small, &err), CW_OK);
	while (cw_arena_alloc(small, 64) != NULL)
		;
	assert_false(cw_round_weights(w, 2, 1, &step, MOST, fine, small));
	assert_memory_equal(w, was, sizeof(w));
	cw_arena_close(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inputs_that_resemble_each_other_lose_little),
		cmocka_unit_test(test_inputs_without_likeness_round_to_the_nearest),
		cmocka_unit_test(test_two_inputs_by_hand),
		cmocka_unit_test(test_what_cannot_be_factored_leaves_the_weights),
	};

	return cmocka_run_group_tests_name("rounding", tests, set_up,
	    tear_down);
}
