/*
 * test_tower_units.c - an image tower as wide as published ones' least: wide
 * enough for all that a kernel does with the rows of one picture.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/prepare.h"
#include "model/rows.h"
#include "model/survey.h"
#include "model/towers.h"

#define WIDTH	256
#define HIDDEN	3328	/* so wide that a picture goes through it in parts */
#define LAYERS	2
#define PATCH	16
#define EMBED	64
#define BATCH	3

static struct cw_arena *arena;

/* n values of variance 1 / in */
static float *
noise(int n, int in)
{
	static uint32_t state = 3;
	float *v = cw_arena_floats(arena, (size_t)n);

	assert_non_null(v);
	for (int i = 0; i < n; i++) {
		state = state * 1664525u + 1013904223u;
		v[i] = (float)(int32_t)state * 0x1p-31f * sqrtf(3.0f /
		    (float)in);
	}
	return v;
}

static struct cw_linear
matrix(int in, int out)
{
	return (struct cw_linear){ .in = in, .out = out,
	    .w = noise(in * out, in), .b = noise(out, 12) };
}

static struct cw_norm
norm(void)
{
	float *w = noise(WIDTH, 12);

	for (int i = 0; i < WIDTH; i++)
		w[i] += 1;
	return (struct cw_norm){ w, noise(WIDTH, 12) };
}

/* A tower for pictures of G x G patches. */
static struct cw_weights
weights(int G)
{
	struct cw_weights m = { .vit = { .S = G * PATCH, .P = PATCH, .G = G,
	    .T = G * G + 1, .E = EMBED } };
	struct cw_encoder_weights *e = &m.vit.enc;

	m.vit.patch = matrix(3 * PATCH * PATCH, WIDTH);
	m.vit.proj = matrix(WIDTH, EMBED);
	m.vit.proj.b = NULL;
	m.vit.cls = noise(WIDTH, 1);
	m.vit.pos = noise(m.vit.T * WIDTH, 4);
	m.vit.pre = norm();
	m.vit.post = norm();
	*e = (struct cw_encoder_weights){ .W = WIDTH, .L = LAYERS, .H = 4,
	    .hidden = HIDDEN, .eps = 1e-5f, .scale = 0.125f,
	    .act = CW_ACT_QUICK_GELU };
	e->block = cw_arena_zalloc(arena, LAYERS, sizeof(*e->block));
	e->key = cw_arena_zalloc(arena, (size_t)e->H, sizeof(*e->key));
	e->value = cw_arena_zalloc(arena, (size_t)e->H, sizeof(*e->value));
	for (int i = 0; i < LAYERS; i++)
		e->block[i] = (struct cw_block_weights){ .ln1 = norm(),
		    .q = matrix(WIDTH, WIDTH), .k = matrix(WIDTH, WIDTH),
		    .v = matrix(WIDTH, WIDTH), .out = matrix(WIDTH, WIDTH),
		    .ln2 = norm(), .up = matrix(WIDTH, HIDDEN),
		    .down = matrix(HIDDEN, WIDTH) };
	return m;
}

/* Embeddings [n][E] of n pictures in one batch. */
static void
encode(const struct cw_vit_weights *v, const float *pixels, int n,
    float *embed)
{
	const struct cw_encode job = { .scratch = arena };
	struct cw_err err = { "" };
	size_t mark = cw_arena_mark(arena);

	if (cw_vit_encode(v, pixels, n, &job, embed, NULL, &err) != CW_OK)
		fail_msg("%s", err.text);
	cw_arena_release(arena, mark);
}

static void
check(const struct cw_kernel *k, const struct cw_weights *m,
    const float *pixels, float embed[BATCH * EMBED])
{
	const size_t picture = 3 * (size_t)m->vit.S * (size_t)m->vit.S;
	struct cw_block_weights block[LAYERS];
	struct cw_weights own = *m;
	struct cw_prepared p;
	struct cw_err err = { "" };
	float alone[EMBED];

	/* weights are prepared in place */
	memcpy(block, m->vit.enc.block, sizeof(block));
	own.vit.enc.block = block;
	if (cw_prepare(&own, CW_TOWER_VIT, k, CW_DEEP, "", "", arena, &p,
	    &err) != CW_OK)
		fail_msg("%s", err.text);
	if (k->many != NULL) {
		/* all rows go through the first block, one through the last */
		assert_ptr_equal(block[0].qkv.kernel, k->many);
		assert_ptr_equal(block[0].out.kernel, k->many);
		assert_ptr_equal(block[0].up.kernel, k->many);
		assert_ptr_equal(block[0].down.kernel, k->many);
		assert_ptr_equal(block[LAYERS - 1].up.kernel, k);
	}
	encode(&own.vit, pixels, BATCH, embed);
	/* a library's sums are its own business */
	for (int i = 0; i < BATCH && strcmp(k->name, "openblas") != 0; i++) {
		encode(&own.vit, pixels + (size_t)i * picture, 1, alone);
		if (memcmp(alone, embed + i * EMBED, sizeof(alone)) != 0)
			fail_msg("%s: picture %d of %d differs from itself "
			    "alone", k->name, i, BATCH);
	}
	cw_prepared_close(&p);
}

static void
test_a_picture_is_the_same_in_any_batch_and_kernel(void **state)
{
	static const int sides[] = { 7, 8 };	/* 50 and 65 tokens */
	const struct cw_kernel *k;
	float want[BATCH * EMBED], got[BATCH * EMBED];

	(void)state;
	for (size_t s = 0; s < CW_COUNT(sides); s++) {
		size_t mark = cw_arena_mark(arena);
		struct cw_weights m = weights(sides[s]);
		const float *pixels = noise(BATCH * 3 * m.vit.S * m.vit.S, 1);

		check(&cw_fp32_openblas, &m, pixels, want);
		for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
			if (!k->supported())
				continue;
			check(k, &m, pixels, got);
			for (int i = 0; i < BATCH * EMBED; i++)
				if (!(fabsf(got[i] - want[i]) <=
				    (k->int8 ? 0.02f : 1e-6f)))
					fail_msg("%s: %d tokens, embed[%d] is "
					    "%g; want %g", k->name, m.vit.T, i,
					    (double)got[i], (double)want[i]);
		}
		cw_arena_release(arena, mark);
	}
}

/* Rows that meet the first block's qkv: of pictures no survey has seen. */
static float *
first_rows(const struct cw_vit_weights *v, int pictures)
{
	struct cw_seq *seq = cw_arena_zalloc(arena, (size_t)pictures,
	    sizeof(*seq));
	struct cw_run r = { .nseq = pictures, .rows = pictures * v->T,
	    .unit = v->T, .longest = v->T, .seq = seq, .scratch = arena };
	const size_t picture = 3 * (size_t)v->S * (size_t)v->S;
	float *pixels = noise((int)picture * pictures, 1);

	for (int i = 0; i < pictures; i++)
		cw_survey_picture(20 + i, v->S, pixels + (size_t)i * picture);
	assert_int_equal(cw_run_make(&r, &v->enc, v->patch.in), CW_OK);
	cw_vit_enter(v, pixels, pictures, &r);
	cw_layernorm(r.x, r.rows, WIDTH, WIDTH, NULL, NULL, v->enc.eps,
	    r.norm, WIDTH);
	return r.norm;
}

/*
 * |rows (q - w)|^2, w [3W][W]: what 8 bits lose of w alone, as l has it or to
 * the nearest.  Each row of ones and zeros that l is applied to is exact.
 */
static double
lost(const struct cw_linear *l, const float *w, const float *rows, int n,
    bool nearest)
{
	enum { OUT = 3 * WIDTH };
	struct cw_linear own = { l->in, l->out, NULL, NULL, l->kernel,
	    l->packed };
	float *one = cw_arena_zalloc(arena, WIDTH * WIDTH, sizeof(*one));
	float *off = cw_arena_floats(arena, WIDTH * OUT);
	float *y = cw_arena_floats(arena, (size_t)n * OUT);
	void *packed = cw_arena_alloc(arena, l->kernel->packed_bytes(WIDTH,
	    OUT));
	double sum = 0;

	if (nearest) {
		l->kernel->pack(w, NULL, WIDTH, OUT, packed);
		own.packed = packed;
	}
	for (int i = 0; i < WIDTH; i++)
		one[i * WIDTH + i] = 1;
	cw_linear_apply(&own, &(struct cw_input){ one, WIDTH, WIDTH, 1 }, off,
	    OUT, CW_ACT_NONE, NULL, arena);
	for (int i = 0; i < WIDTH; i++)
		for (int o = 0; o < OUT; o++)
			off[i * OUT + o] -= w[o * WIDTH + i];
	cw_gemm(n, OUT, WIDTH, 1, rows, WIDTH, off, OUT, y, OUT);
	for (int i = 0; i < n * OUT; i++)
		sum += (double)y[i] * y[i];
	return sum;
}

static struct cw_prepared
prepare(const struct cw_kernel *k, const struct cw_weights *m,
    struct cw_block_weights block[LAYERS])
{
	struct cw_weights own = *m;
	struct cw_prepared p;
	struct cw_err err = { "" };

	memcpy(block, m->vit.enc.block, LAYERS * sizeof(*block));
	own.vit.enc.block = block;
	if (cw_prepare(&own, CW_TOWER_VIT, k, CW_DEEP, "", "", arena, &p,
	    &err) != CW_OK)
		fail_msg("%s", err.text);
	return p;
}

static void
test_weights_are_rounded_by_what_goes_through_them(void **state)
{
	enum { PICTURES = 4 };
	struct cw_block_weights block[LAYERS], exact[LAYERS];
	struct cw_weights m = weights(7);
	const float *rows = first_rows(&m.vit, PICTURES), *w;
	struct cw_prepared p = prepare(&cw_fp32_openblas, &m, exact), q;
	const struct cw_kernel *k;

	(void)state;
	/* "packed" is the matrix as it is */
	w = exact[0].qkv.packed;
	for (size_t i = 0; (k = cw_kernel_at(i)) != NULL; i++) {
		size_t mark = cw_arena_mark(arena);
		double rounded, nearest;

		if (!k->int8 || !k->supported())
			continue;
		q = prepare(k, &m, block);
		rounded = lost(&block[0].qkv, w, rows, PICTURES * m.vit.T,
		    false);
		nearest = lost(&block[0].qkv, w, rows, PICTURES * m.vit.T,
		    true);
		print_message("%s: %.3f of what is lost to the nearest\n",
		    k->name, rounded / nearest);
		assert_true(rounded < 0.3 * nearest);
		cw_prepared_close(&q);
		cw_arena_release(arena, mark);
	}
	cw_prepared_close(&p);
}

static int
set_up(void **state)
{
	struct cw_err err;

	(void)state;
	return cw_arena_open((size_t)1 << 28, &arena, &err);
}

static int
tear_down(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_picture_is_the_same_in_any_batch_and_kernel),
		cmocka_unit_test(
		    test_weights_are_rounded_by_what_goes_through_them),
	};

	return cmocka_run_group_tests_name("tower, units", tests, set_up,
	    tear_down);
}
