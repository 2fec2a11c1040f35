/*
 * test_heads.c - attention of a head, in float and coarser, against double.
 *
 * Every remainder of a tile is met; rows are wider than needed, and what lies
 * beside them must stay untouched.
 */
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
#include "model/heads.h"
#include "model/kernels/kernel.h"

#define CANARY	-12345.5f
#define MOST	(600 * 90)	/* floats in a test's buffers */

static struct cw_arena *arena;
static float *q, *k, *v, *p, *mix, *res;

static float
noise(void)
{
	static uint32_t state = 1;

	state = state * 1664525u + 1013904223u;
	return (float)(int32_t)state * 0x1p-31f;
}

static int
set_up(void **state)
{
	float **all[] = { &q, &k, &v, &p, &mix, &res };
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_arena_open((size_t)64 << 20, &arena, &err), CW_OK);
	for (size_t i = 0; i < CW_COUNT(all); i++)
		*all[i] = cw_arena_floats(arena, MOST);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

static int
refill(void **state)
{
	(void)state;
	for (int i = 0; i < MOST; i++) {
		q[i] = noise();
		k[i] = noise();
		v[i] = noise();
		p[i] = mix[i] = CANARY;
	}
	return 0;
}

/* The kernels that differ in what they put beside them; NULL past the last. */
static const struct cw_kernel *
beside(size_t i)
{
	static const struct cw_kernel in_float = { .name = "float" };
	static const struct cw_kernel coarse = { .name = "avx512bf16",
	    .int8 = true, .heads = &cw_heads_avx512bf16 };
	static const struct cw_kernel *const all[] = { &in_float, &coarse };

	return i < CW_COUNT(all) ? all[i] : NULL;
}

static struct cw_head
head(int n, int T, int D, int causal_from, bool keep)
{
	return (struct cw_head){ .n = n, .T = T, .D = D,
	    .causal_from = causal_from, .scale = 1 / sqrtf((float)D),
	    .q = q, .k = k, .v = v, .ldq = D + 3, .ld = D + 1, .p = p,
	    .keep = keep, .mix = mix, .ldm = D + 2 };
}

/* prob [T]: row i of the probabilities, in double */
static void
probabilities(const struct cw_head *h, int i, double *prob)
{
	double top = -INFINITY, sum = 0;
	int seen = h->causal_from < 0 || h->causal_from + i >= h->T ? h->T :
	    h->causal_from + i + 1;

	for (int j = 0; j < h->T; j++) {
		prob[j] = 0;
		for (int d = 0; d < h->D; d++)
			prob[j] += (double)h->scale * h->q[i * h->ldq + d] *
			    h->k[j * h->ld + d];
		top = j < seen ? fmax(top, prob[j]) : top;
	}
	for (int j = 0; j < h->T; j++) {
		prob[j] = j < seen ? exp(prob[j] - top) : 0;
		sum += prob[j];
	}
	for (int j = 0; j < h->T; j++)
		prob[j] /= sum;
}

/* As cw_head_attend, but narrow heads are coarse, too. */
static void
attend(const struct cw_head *h, const struct cw_kernel *at)
{
	if (at->heads != NULL && at->heads->supported())
		at->heads->attend(h, arena);
	else
		cw_head_attend(h, at, arena);
}

static void
near(const char *who, const struct cw_head *h, const char *what, int i, int j,
    double got, double want, double tolerance)
{
	if (!(fabs(got - want) <= tolerance))
		fail_msg("%s, %d of %d tokens of %d, causal %d: %s[%d][%d] is "
		    "%.9g; want %.9g within %g", who, h->n, h->T, h->D,
		    h->causal_from, what, i, j, got, want, tolerance);
}

static void
check(const struct cw_kernel *at, const struct cw_head *h)
{
	const bool coarse = at->heads != NULL && at->heads->supported();
	const double tolerance = coarse ? 0.02 : 2e-6;
	double prob[600];

	for (int i = 0; i < h->n * h->T + 8; i++)
		p[i] = CANARY;
	for (int i = 0; i < (h->n + 1) * h->ldm; i++)
		mix[i] = CANARY;
	attend(h, at);
	for (int i = 0; i < h->n; i++) {
		double total = 0;

		probabilities(h, i, prob);
		for (int j = 0; j < h->T && h->keep; j++) {
			near(at->name, h, "p", i, j, p[i * h->T + j], prob[j],
			    tolerance * fmax(prob[j], 1e-3));
			total += p[i * h->T + j];
		}
		if (h->keep)
			near(at->name, h, "p", i, h->T, total, 1, 2e-6);
		for (int d = 0; d < h->D; d++) {
			double sum = 0;

			for (int j = 0; j < h->T; j++)
				sum += prob[j] * v[j * h->ld + d];
			near(at->name, h, "mix", i, d, mix[i * h->ldm + d],
			    sum, tolerance);
		}
		for (int d = h->D; d < h->ldm; d++)
			assert_true(mix[i * h->ldm + d] == CANARY);
	}
	for (int i = 0; i < 8; i++)
		assert_true(p[h->n * h->T + i] == CANARY);
	assert_true(mix[h->n * h->ldm] == CANARY);
}

static void
test_a_head_attends_on_all_remainders(void **state)
{
	static const int depths[] = { 1, 2, 15, 16, 17, 31, 32, 33, 48, 64,
	    65, 80, 88 };
	const struct cw_kernel *at;

	(void)state;
	for (size_t i = 0; (at = beside(i)) != NULL; i++) {
		struct cw_head h;

		if (at->heads != NULL && !at->heads->supported())
			print_message("this CPU lacks %s\n", at->heads->name);
		for (int T = 1; T <= 70; T++) {
			int n = 1 + (T * 7 + 3) % T;

			h = head(n, T, depths[T % (int)CW_COUNT(depths)], -1,
			    T % 2 == 0);
			check(at, &h);
			h.causal_from = T - n;
			h.keep = !h.keep;
			check(at, &h);
		}
		for (int n = 1; n <= 20; n++) {
			h = head(n, 50, 64, -1, n % 2 == 0);
			check(at, &h);
			h = head(n, 77, 64, n - 1, true);
			check(at, &h);
		}
		for (size_t d = 0; d < CW_COUNT(depths); d++) {
			h = head(7, 577, depths[d], -1, true);
			check(at, &h);
		}
	}
}

static void
test_large_scores_pick_one_token(void **state)
{
	const struct cw_kernel *at;

	(void)state;
	for (size_t i = 0; (at = beside(i)) != NULL; i++) {
		struct cw_head h = head(5, 50, 64, -1, true);

		refill(NULL);
		h.scale = 1;
		for (int d = 0; d < 64; d++)
			for (int r = 0; r < 5; r++) {
				q[r * h.ldq + d] = 300;
				k[(10 + r) * h.ld + d] = r == 0 ? 100 : -100;
			}
		attend(&h, at);
		for (int r = 0; r < 5; r++)
			for (int d = 0; d < 64; d++)
				near(at->name, &h, "mix", r, d,
				    mix[r * h.ldm + d], v[10 * h.ld + d],
				    0.004);
	}
}

static void
test_a_nan_in_q_or_v_is_seen(void **state)
{
	static const float bad[] = { NAN, INFINITY };
	const struct cw_kernel *at;

	(void)state;
	for (size_t i = 0; (at = beside(i)) != NULL; i++)
		for (size_t b = 0; b < CW_COUNT(bad); b++) {
			struct cw_head h = head(5, 50, 64, -1, true);

			refill(NULL);
			q[2 * h.ldq + 7] = bad[b];
			attend(&h, at);
			assert_false(isfinite(mix[2 * h.ldm]));
			assert_true(isfinite(mix[h.ldm]));
			refill(NULL);
			v[3 * h.ld + 9] = bad[b];
			attend(&h, at);
			for (int r = 0; r < 5; r++) {
				assert_false(isfinite(mix[r * h.ldm + 9]));
				assert_true(isfinite(mix[r * h.ldm + 8]));
			}
		}
}

static void
test_only_wide_heads_are_coarse(void **state)
{
	const int widths[] = { 32, 63, 64, 80 };

	(void)state;
	for (size_t i = 0; i < CW_COUNT(widths); i++) {
		const int D = widths[i];
		struct cw_head h = head(9, 50, D, -1, true);
		bool same = true;

		cw_head_attend(&h, beside(0), arena);
		h.mix = res;
		cw_head_attend(&h, beside(1), arena);
		for (int r = 0; r < 9; r++)
			for (int d = 0; d < D; d++)
				same = same && mix[r * h.ldm + d] ==
				    res[r * h.ldm + d];
		assert_int_equal(same, D < 64 ||
		    !cw_heads_avx512bf16.supported());
	}
}

static void
test_a_full_scratch_leaves_the_mix_alone(void **state)
{
	const struct cw_head h = head(50, 50, 64, -1, false);
	struct cw_arena *small;
	struct cw_err err;

	(void)state;
	if (!cw_heads_avx512bf16.supported())
		return;
	assert_int_equal(cw_arena_open(4096, &small, &err), CW_OK);
	cw_head_attend(&h, beside(1), small);
	assert_true(cw_arena_overflowed(small));
	for (int i = 0; i < 50 * h.ldm; i++)
		assert_true(mix[i] == CANARY);
	cw_arena_close(&small);
}

#define TEST(f)	cmocka_unit_test_setup(f, refill)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_head_attends_on_all_remainders),
		TEST(test_large_scores_pick_one_token),
		TEST(test_a_nan_in_q_or_v_is_seen),
		TEST(test_only_wide_heads_are_coarse),
		TEST(test_a_full_scratch_leaves_the_mix_alone),
	};

	return cmocka_run_group_tests_name("heads", tests, set_up, tear_down);
}
