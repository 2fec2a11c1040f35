/*
 * test_kernels_avxvnni.c - the AVX-VNNI kernel on CPUs that have AVX-512's.
 *
 * Both write the same instruction, vpdpbusd on 256 bits, in another encoding.
 * So the kernel's own source is compiled here with the encoding of AVX-512,
 * and must give what plain C gives; all that is left out is that encoding.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <immintrin.h>

#include <cmocka.h>

#include "base/arena.h"

static inline __attribute__((always_inline)) __m256i
dpbusd_evex(__m256i acc, __m256i x, __m256i w)
{
	__asm__("%{evex%} vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
	return acc;
}

#undef _mm256_dpbusd_epi32
#define _mm256_dpbusd_epi32	dpbusd_evex
#define cw_int8_avxvnni		kernel_evex
#include "model/kernels/int8_avxvnni.c"

#define ROWS	31
#define IN	1600
#define OUT	100
#define EXTREME	1e30f

static struct cw_arena *arena;
static float *w, *x, *bias, *res;

static float
noise(void)
{
	static uint32_t state = 5;

	state = state * 1664525u + 1013904223u;
	return (float)(int32_t)state * 0x1p-31f;
}

static float *
noises(size_t n)
{
	float *v = cw_arena_floats(arena, n);

	for (size_t i = 0; i < n; i++)
		v[i] = noise();
	return v;
}

static int
set_up(void **state)
{
	struct cw_err err;

	(void)state;
	if (cw_arena_open((size_t)64 << 20, &arena, &err) != CW_OK)
		return -1;
	w = noises((size_t)IN * OUT);
	x = noises((size_t)IN * ROWS);
	bias = noises(OUT);
	res = noises((size_t)OUT * ROWS);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

static void
multiply(const struct cw_kernel *k, int rows, int in, int out, enum cw_act act,
    float *y)
{
	struct cw_linear l = { in, out, w, bias, k, NULL };
	void *p = cw_arena_alloc(arena, k->packed_bytes(in, out));

	assert_non_null(p);
	k->pack(w, NULL, in, out, p);
	l.packed = p;
	k->apply(&l, &(struct cw_input){ x, rows, in, 1 }, y, out, act, res,
	    arena);
}

static void
compare(int rows, int in, int out, enum cw_act act)
{
	const size_t mark = cw_arena_mark(arena), n = (size_t)(rows * out);
	float *want = cw_arena_floats(arena, n), *got = cw_arena_floats(arena,
	    n);

	multiply(&cw_int8_plain, rows, in, out, act, want);
	multiply(&kernel_evex, rows, in, out, act, got);
	for (size_t i = 0; i < n; i++) {
		if (isnan(want[i]) && isnan(got[i]))
			continue;
		if (!(fabsf(got[i] - want[i]) <= 2e-5f *
		    (1 + fabsf(want[i]))))
			fail_msg("%d x %d x %d: [%zu] is %.9g; want %.9g",
			    rows, in, out, i, (double)got[i],
			    (double)want[i]);
	}
	cw_arena_release(arena, mark);
}

static void
skip_without(void)
{
	if (!__builtin_cpu_supports("avx512vnni") ||
	    !__builtin_cpu_supports("avx512vl")) {
		print_message("this CPU lacks avx512vnni\n");
		skip();
	}
}

static void
test_all_remainders_as_in_plain_c(void **state)
{
	static const int depths[] = { 1, 2, 3, 4, 5, 7, 8, 31, 64, 130, 1600 };
	static const int widths[] = { 1, 7, 8, 15, 16, 17, 32, 33, 64, 100 };

	(void)state;
	skip_without();
	for (int rows = 1; rows <= ROWS; rows++)
		compare(rows, 37, 35, (enum cw_act)(rows % 4));
	for (size_t i = 0; i < CW_COUNT(depths); i++)
		for (size_t j = 0; j < CW_COUNT(widths); j++)
			compare(9, depths[i], widths[j],
			    (enum cw_act)((i + j) % 4));
}

/* Products at both ends of the 8 bits do not saturate on their way. */
static void
test_extreme_values_as_in_plain_c(void **state)
{
	static const float bad[] = { NAN, INFINITY, -INFINITY, EXTREME };
	float kept;

	(void)state;
	skip_without();
	for (int i = 0; i < IN; i++) {
		x[i] = i % 2 == 0 ? 1 : 0.999f;
		x[IN + i] = i % 2 == 0 ? -1 : 1;
		w[i] = 1;
		w[IN + i] = -1;
	}
	compare(2, IN, 2, CW_ACT_NONE);
	for (size_t i = 0; i < CW_COUNT(bad); i++) {
		kept = x[3];
		x[3] = bad[i];
		compare(2, IN, 17, CW_ACT_NONE);
		x[3] = kept;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_remainders_as_in_plain_c),
		cmocka_unit_test(test_extreme_values_as_in_plain_c),
	};

	return cmocka_run_group_tests_name("kernels_avxvnni", tests, set_up,
	    tear_down);
}
