/*
 * test_survey.c - what goes through the matrices of an image tower.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/block.h"
#include "model/survey.h"
#include "model/rows.h"
#include "model/towers.h"

#define WIDTH		24
#define HIDDEN		40
#define PATCH		4
#define SIDE		3
#define TOKENS		(SIDE * SIDE + 1)
#define PIXELS		(SIDE * PATCH)
#define LAYERS		3
#define PICTURES	16

static struct cw_arena *arena;

static float *
noise(size_t n, float size)
{
	static uint32_t state = 11;
	float *v = cw_arena_floats(arena, n);

	assert_non_null(v);
	for (size_t i = 0; i < n; i++) {
		state = state * 1664525u + 1013904223u;
		v[i] = (float)(int32_t)state * 0x1p-31f * size;
	}
	return v;
}

static struct cw_linear
matrix(int in, int out)
{
	return (struct cw_linear){ .in = in, .out = out,
	    .w = noise((size_t)(in * out), 0.3f), .b = noise((size_t)out, 1) };
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

static struct cw_vit_weights
tower(void)
{
	struct cw_vit_weights v = { .S = PIXELS, .P = PATCH, .G = SIDE,
	    .T = TOKENS, .patch = matrix(3 * PATCH * PATCH, WIDTH),
	    .cls = noise(WIDTH, 1), .pos = noise(TOKENS * WIDTH, 1),
	    .pre = { noise(WIDTH, 1), noise(WIDTH, 1) },
	    .enc = { .W = WIDTH, .L = LAYERS, .H = 2, .hidden = HIDDEN,
	    .eps = 1e-5f, .scale = 0.25f, .act = CW_ACT_QUICK_GELU } };

	v.patch.b = NULL;
	return v;
}

/* By hand: X'X of rows x [n][in], compared with the upper triangle of gram. */
static void
same_gram(const char *what, const float *gram, const float *x, int n, int in)
{
	for (int i = 0; i < in; i++)
		for (int j = i; j < in; j++) {
			double sum = 0, size = 1e-3;

			for (int r = 0; r < n; r++) {
				sum += (double)x[r * in + i] * x[r * in + j];
				size += fabs((double)x[r * in + i] *
				    x[r * in + j]);
			}
			if (!(fabs(gram[i * in + j] - sum) <= 1e-5 * size))
				fail_msg("%s[%d][%d] is %g; want %g", what, i,
				    j, (double)gram[i * in + j], sum);
		}
}

/* A run of all pictures, at the first block. */
static struct cw_run
all_pictures(const struct cw_vit_weights *v)
{
	struct cw_seq *seq = cw_arena_zalloc(arena, PICTURES, sizeof(*seq));
	struct cw_run r = { .nseq = PICTURES, .rows = PICTURES * TOKENS,
	    .unit = TOKENS, .longest = TOKENS, .seq = seq, .scratch = arena };
	float *pixels = noise((size_t)PICTURES * 3 * PIXELS * PIXELS, 1);

	for (int i = 0; i < PICTURES; i++) {
		seq[i] = (struct cw_seq){ .n = TOKENS, .at = i * TOKENS };
		cw_survey_picture(i, PIXELS,
		    pixels + (size_t)i * 3 * PIXELS * PIXELS);
	}
	assert_int_equal(cw_run_make(&r, &v->enc, v->patch.in), CW_OK);
	cw_vit_enter(v, pixels, PICTURES, &r);
	return r;
}

static void
test_what_each_matrix_meets_is_summed_block_by_block(void **state)
{
	const size_t mark = cw_arena_mark(arena);
	const int n = PICTURES * TOKENS;
	const struct cw_vit_weights v = tower();
	struct cw_encoder_weights e = v.enc;
	struct cw_block_weights block;
	struct cw_survey *c;
	struct cw_run r;
	struct cw_err err = { "" };
	float *gram[CW_BLOCK_MATRICES];
	float *x = cw_arena_floats(arena, (size_t)n * WIDTH);

	(void)state;
	if (cw_survey_open(&v, &c, &err) != CW_OK)
		fail_msg("%s", err.text);
	r = all_pictures(&v);
	e.scale = 1;		/* folded into q */
	e.L = 2;
	e.block = &block;
	for (int l = 0; l < LAYERS - 1; l++) {
		const struct cw_linear m[] = { matrix(WIDTH, 3 * WIDTH),
		    matrix(WIDTH, WIDTH), matrix(WIDTH, HIDDEN),
		    matrix(HIDDEN, WIDTH) };

		if (cw_survey_block(c, m, gram, &err) != CW_OK)
			fail_msg("%s", err.text);
		cw_layernorm(r.x, n, WIDTH, WIDTH, NULL, NULL, e.eps, x,
		    WIDTH);
		same_gram("qkv", gram[CW_QKV], x, n, WIDTH);
		block = (struct cw_block_weights){ .qkv = m[CW_QKV],
		    .out = m[CW_OUT], .up = m[CW_UP], .down = m[CW_DOWN] };
		cw_block_run(&e, 0, &r);
		/* what it leaves in the wide buffer is what down met */
		same_gram("down", gram[CW_DOWN], r.wide, n, HIDDEN);
	}
	cw_survey_close(&c);
	assert_null(c);
	cw_survey_close(&c);
	cw_arena_release(arena, mark);
}

/* What attention gives out, and what the MLP is given, follow from x. */
static void
test_out_and_up_are_summed_too(void **state)
{
	const size_t mark = cw_arena_mark(arena);
	const int n = PICTURES * TOKENS;
	const struct cw_vit_weights v = tower();
	struct cw_linear m[] = { matrix(WIDTH, 3 * WIDTH),
	    matrix(WIDTH, WIDTH), matrix(WIDTH, HIDDEN),
	    matrix(HIDDEN, WIDTH) };
	float *one = cw_arena_zalloc(arena, WIDTH * WIDTH, sizeof(*one));
	float *zero = cw_arena_zalloc(arena, 3 * WIDTH * WIDTH, sizeof(*zero));
	float *x = cw_arena_floats(arena, (size_t)n * WIDTH);
	float *mix = cw_arena_zalloc(arena, (size_t)n * WIDTH, sizeof(*mix));
	struct cw_survey *c;
	struct cw_err err = { "" };
	float *gram[CW_BLOCK_MATRICES];
	struct cw_run r;

	(void)state;
	/* q and k are nothing, so attention is even; v and out are as x is */
	for (int i = 0; i < WIDTH; i++) {
		one[i * WIDTH + i] = 1;
		zero[(2 * WIDTH + i) * WIDTH + i] = 1;
	}
	m[CW_QKV].w = zero;
	m[CW_OUT].w = one;
	m[CW_QKV].b = m[CW_OUT].b = NULL;
	assert_int_equal(cw_survey_open(&v, &c, &err), CW_OK);
	assert_int_equal(cw_survey_block(c, m, gram, &err), CW_OK);
	r = all_pictures(&v);
	cw_layernorm(r.x, n, WIDTH, WIDTH, NULL, NULL, v.enc.eps, x, WIDTH);
	for (int s = 0; s < n; s++)
		for (int t = 0; t < TOKENS; t++)
			for (int i = 0; i < WIDTH; i++)
				mix[s * WIDTH + i] += x[(s / TOKENS * TOKENS +
				    t) * WIDTH + i] / TOKENS;
	same_gram("out", gram[CW_OUT], mix, n, WIDTH);
	for (int i = 0; i < n * WIDTH; i++)
		r.x[i] += mix[i];
	cw_layernorm(r.x, n, WIDTH, WIDTH, NULL, NULL, v.enc.eps, x, WIDTH);
	same_gram("up", gram[CW_UP], x, n, WIDTH);
	cw_survey_close(&c);
	cw_arena_release(arena, mark);
}

static void
test_pictures_are_many_and_the_same_each_time(void **state)
{
	enum { S = 32, N = 3 * S * S };
	static float all[PICTURES][N], again[N];

	(void)state;
	for (int i = 0; i < PICTURES; i++) {
		float least = INFINITY, most = -INFINITY;

		cw_survey_picture(i, S, all[i]);
		cw_survey_picture(i, S, again);
		assert_memory_equal(all[i], again, sizeof(again));
		for (int p = 0; p < N; p++) {
			least = fminf(least, all[i][p]);
			most = fmaxf(most, all[i][p]);
		}
		assert_true(least >= -1.7f && most <= 2.1f);
		assert_true(most - least > 0.3f);
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(all[i], all[j],
			    sizeof(again));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_each_matrix_meets_is_summed_block_by_block),
		cmocka_unit_test(test_out_and_up_are_summed_too),
		cmocka_unit_test(test_pictures_are_many_and_the_same_each_time),
	};

	return cmocka_run_group_tests_name("survey", tests, set_up,
	    tear_down);
}
