/*
 * test_kernels_prepare.c - packed weights: what is folded, and the file.
 */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/prepare.h"
#include "model/rows.h"

#define SHA	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER	"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define LAYERS	2
#define HIDDEN	80
#define ROWS	7
#define SCALE	0.25f
#define SIDE	3		/* patches of 4 x 4 */

static struct cw_arena *arena;
static char dir[64];

static float *
noise(size_t n)
{
	static uint32_t state = 7;
	float *v = cw_arena_floats(arena, n);

	assert_non_null(v);
	for (size_t i = 0; i < n; i++) {
		state = state * 1664525u + 1013904223u;
		v[i] = (float)(int32_t)state * 0x1p-31f;
	}
	return v;
}

static struct cw_linear
matrix(int in, int out)
{
	return (struct cw_linear){ .in = in, .out = out,
	    .w = noise((size_t)in * (size_t)out), .b = noise((size_t)out) };
}

static struct cw_norm
norm(int W)
{
	return (struct cw_norm){ noise((size_t)W), noise((size_t)W) };
}

static struct cw_encoder_weights
encoder(int W)
{
	struct cw_encoder_weights e = { .W = W, .L = LAYERS, .H = 2,
	    .hidden = HIDDEN, .eps = 1e-5f, .scale = SCALE };

	e.key = cw_arena_zalloc(arena, (size_t)e.H, sizeof(*e.key));
	e.value = cw_arena_zalloc(arena, (size_t)e.H, sizeof(*e.value));
	e.block = cw_arena_zalloc(arena, LAYERS, sizeof(*e.block));
	for (int i = 0; i < LAYERS; i++) {
		struct cw_block_weights *b = &e.block[i];

		b->ln1 = norm(W);
		b->ln2 = norm(W);
		b->q = matrix(W, W);
		b->k = matrix(W, W);
		b->k.b = NULL;
		b->v = matrix(W, W);
		b->out = matrix(W, W);
		b->up = matrix(W, HIDDEN);
		b->down = matrix(HIDDEN, W);
	}
	return e;
}

static struct cw_weights
weights(int W)
{
	struct cw_weights w = { .vit.enc = encoder(W), .text.enc = encoder(W) };
	const int T = SIDE * SIDE + 1;

	w.vit.S = 4 * SIDE;
	w.vit.P = 4;
	w.vit.G = SIDE;
	w.vit.T = T;
	w.vit.cls = noise((size_t)W);
	w.vit.pos = noise((size_t)(T * W));
	w.vit.pre = norm(W);
	w.vit.patch = matrix(48, W);
	w.vit.patch.b = NULL;
	w.vit.proj = matrix(W, 24);
	w.text.proj = matrix(W, 24);
	return w;
}

/* Weights are prepared in place, so each use gets a copy with own blocks. */
static void
own_blocks(struct cw_encoder_weights *e)
{
	const size_t bytes = LAYERS * sizeof(*e->block);
	struct cw_block_weights *block = cw_arena_alloc(arena, bytes);

	memcpy(block, e->block, bytes);
	e->block = block;
	e->key = cw_arena_zalloc(arena, (size_t)e->H, sizeof(*e->key));
	e->value = cw_arena_zalloc(arena, (size_t)e->H, sizeof(*e->value));
}

static struct cw_weights
copy_of(const struct cw_weights *w)
{
	struct cw_weights c = *w;

	own_blocks(&c.vit.enc);
	own_blocks(&c.text.enc);
	return c;
}

static struct cw_prepared
prepare(struct cw_weights *w, const struct cw_kernel *k, const char *sha,
    const char *where)
{
	struct cw_prepared p;
	struct cw_err err = { "" };

	if (cw_prepare(w, CW_TOWER_VIT, k, 0, sha, where, arena, &p, &err) !=
	    CW_OK)
		fail_msg("%s", err.text);
	return p;
}

static int
files_in(const char *path, char *last)
{
	DIR *d = opendir(path);
	int n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.') {
			snprintf(last, 256, "%s/%.180s", path, e->d_name);
			n++;
		}
	closedir(d);
	return n;
}

static int
set_up(void **state)
{
	struct cw_err err;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/clipward-prepare-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(cw_arena_open((size_t)1 << 28, &arena, &err), CW_OK);
	return 0;
}

static int
tear_down(void **state)
{
	char name[256];

	(void)state;
	while (files_in(dir, name) > 0)
		assert_int_equal(unlink(name), 0);
	assert_int_equal(rmdir(dir), 0);
	cw_arena_close(&arena);
	return 0;
}

/* ---- what is folded ---- */

/* want = l(norm(x)) * scale by plain sums */
static void
by_hand(const struct cw_linear *l, const struct cw_norm *n, float scale,
    const float *x, float *want, int ld)
{
	float *t = cw_arena_floats(arena, (size_t)(ROWS * l->in));

	cw_layernorm(x, ROWS, l->in, l->in, n->w, n->b, 1e-5f, t, l->in);
	for (int r = 0; r < ROWS; r++)
		for (int o = 0; o < l->out; o++) {
			double sum = l->b != NULL ? l->b[o] : 0;

			for (int i = 0; i < l->in; i++)
				sum += (double)t[r * l->in + i] *
				    l->w[o * l->in + i];
			want[r * ld + o] = (float)sum * scale;
		}
}

static void
same(const char *who, const char *what, const float *got, const float *want,
    int cols, int ld, float tolerance)
{
	for (int r = 0; r < ROWS; r++)
		for (int c = 0; c < cols; c++)
			if (!(fabsf(got[r * ld + c] - want[r * ld + c]) <=
			    tolerance))
				fail_msg("%s %s[%d][%d] is %g; want %g", who,
				    what, r, c, (double)got[r * ld + c],
				    (double)want[r * ld + c]);
}

static void
check_qkv(const struct cw_block_weights *was,
    const struct cw_block_weights *is, const float *x,
    const struct cw_input *normed, float tolerance)
{
	/* what is added to every key alike is left out */
	const struct cw_norm unshifted = { was->ln1.w, NULL };
	const int W = normed->ld;
	float *want = cw_arena_floats(arena, (size_t)(ROWS * 3 * W));
	float *got = cw_arena_floats(arena, (size_t)(ROWS * 3 * W));

	by_hand(&was->q, &was->ln1, SCALE, x, want, 3 * W);
	by_hand(&was->k, &unshifted, 1, x, want + W, 3 * W);
	by_hand(&was->v, &was->ln1, 1, x, want + 2 * W, 3 * W);
	cw_linear_apply(&is->qkv, normed, got, 3 * W, CW_ACT_NONE, NULL,
	    arena);
	same(is->qkv.kernel->name, "qkv", got, want, 3 * W, 3 * W, tolerance);
}

/* The last block: q, each head's K' that queries go through, each head's V. */
static void
check_read(const struct cw_encoder_weights *was,
    const struct cw_encoder_weights *is, const float *x,
    const struct cw_input *normed, float tolerance)
{
	const struct cw_block_weights *b = &was->block[LAYERS - 1];
	const struct cw_linear *q = &is->block[LAYERS - 1].q;
	const int W = was->W, D = W / was->H;
	float *want = cw_arena_floats(arena, (size_t)(ROWS * W));
	float *got = cw_arena_floats(arena, (size_t)(ROWS * W));

	by_hand(&b->v, &b->ln1, 1, x, want, W);
	for (int h = 0; h < was->H; h++)
		cw_linear_apply(&is->value[h], normed, got + h * D, W,
		    CW_ACT_NONE, NULL, arena);
	same(q->kernel->name, "value", got, want, W, W, tolerance);
	by_hand(&b->q, &b->ln1, SCALE, x, want, W);
	cw_linear_apply(q, normed, got, W, CW_ACT_NONE, NULL, arena);
	same(q->kernel->name, "q", got, want, W, W, tolerance);
	for (int h = 0; h < was->H; h++) {
		const struct cw_input query = { want + h * D, ROWS, W, 1 };
		float *turned = cw_arena_zalloc(arena, (size_t)(ROWS * W),
		    sizeof(*turned));

		for (int r = 0; r < ROWS; r++)
			for (int i = 0; i < W; i++)
				for (int d = 0; d < D; d++)
					turned[r * W + i] += want[r * W +
					    h * D + d] * b->k.w[(h * D + d) *
					    W + i] * b->ln1.w[i];
		cw_linear_apply(&is->key[h], &query, got, W, CW_ACT_NONE,
		    NULL, arena);
		same(is->key[h].kernel->name, "key", got, turned, W, W,
		    tolerance);
	}
}

static void
check_block(const struct cw_encoder_weights *was,
    const struct cw_encoder_weights *is, int l, float tolerance)
{
	const struct cw_block_weights *b = &was->block[l], *p = &is->block[l];
	const int W = was->W;
	const float *x = noise((size_t)(ROWS * W));
	float *t = cw_arena_floats(arena, (size_t)(ROWS * W));
	float *want = cw_arena_floats(arena, (size_t)(ROWS * HIDDEN));
	float *got = cw_arena_floats(arena, (size_t)(ROWS * HIDDEN));
	const struct cw_input normed = { t, ROWS, W, 1 };

	cw_layernorm(x, ROWS, W, W, p->ln1.w, p->ln1.b, 1e-5f, t, W);
	if (l < LAYERS - 1)
		check_qkv(b, p, x, &normed, tolerance);
	else
		check_read(was, is, x, &normed, tolerance);
	by_hand(&b->up, &b->ln2, 1, x, want, HIDDEN);
	cw_linear_apply(&p->up, &normed, got, HIDDEN, CW_ACT_NONE, NULL,
	    arena);
	same(p->up.kernel->name, "up", got, want, HIDDEN, HIDDEN, tolerance);
	assert_ptr_equal(p->out.w, b->out.w);
	assert_ptr_equal(p->out.b, b->out.b);
}

static void
test_prepared_blocks_do_what_their_parts_did(void **state)
{
	static const int widths[] = { 24, 48, 64, 96 };
	const struct cw_kernel *k;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(widths); i++) {
		struct cw_weights was = weights(widths[i]);

		for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
			struct cw_weights is = copy_of(&was);
			struct cw_prepared p;

			if (!k->supported())
				continue;
			p = prepare(&is, k, SHA, "");
			assert_false(p.cached);
			assert_true(is.vit.enc.scale == 1);
			for (int l = 0; l < LAYERS; l++) {
				check_block(&was.vit.enc, &is.vit.enc, l,
				    k->int8 ? 0.25f : 1e-4f);
				check_block(&was.text.enc, &is.text.enc, l,
				    k->int8 ? 0.25f : 1e-4f);
			}
			cw_prepared_close(&p);
		}
	}
}

static void
test_shallow_matrices_stay_in_float(void **state)
{
	struct cw_weights was = weights(64);
	const struct cw_kernel *k;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
		struct cw_weights is = copy_of(&was);
		const struct cw_block_weights *b = &is.vit.enc.block[0];
		struct cw_prepared p;
		struct cw_err err = { "" };

		if (!k->supported())
			continue;
		/* q, k, v, out and up have 64 inputs, down has HIDDEN. */
		if (cw_prepare(&is, CW_TOWER_VIT, k, HIDDEN, "", "", arena,
		    &p, &err) != CW_OK)
			fail_msg("%s", err.text);
		assert_false(b->qkv.kernel->int8);
		assert_false(b->out.kernel->int8);
		assert_false(b->up.kernel->int8);
		assert_ptr_equal(b->down.kernel, k);
		check_block(&was.vit.enc, &is.vit.enc, 0,
		    k->int8 ? 0.25f : 1e-4f);
		cw_prepared_close(&p);
	}
}

/* ---- the file ---- */

static void
test_the_file_is_made_once_and_used_again(void **state)
{
	const struct cw_kernel *k = cw_kernel_find("", false);
	struct cw_weights was = weights(64), a = copy_of(&was),
	    b = copy_of(&was), c = copy_of(&was);
	struct cw_prepared one, two, other;
	char name[256], again[256];
	struct stat first, second;

	(void)state;
	one = prepare(&a, k, SHA, dir);
	assert_true(one.cached);
	assert_int_equal(files_in(dir, name), 1);
	assert_int_equal(stat(name, &first), 0);
	two = prepare(&b, k, SHA, dir);
	assert_true(two.cached);
	assert_int_equal(files_in(dir, again), 1);
	assert_int_equal(stat(again, &second), 0);
	assert_true(first.st_ino == second.st_ino &&
	    first.st_mtim.tv_nsec == second.st_mtim.tv_nsec);
	assert_memory_equal(one.base, two.base, one.bytes);
	/* another model's weights are another file */
	other = prepare(&c, k, OTHER, dir);
	assert_int_equal(files_in(dir, name), 2);
	cw_prepared_close(&one);
	cw_prepared_close(&two);
	cw_prepared_close(&other);
	assert_null(one.base);
}

static void
damage(const char *name, off_t at, int how)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);
	unsigned char c;

	assert_true(fd >= 0);
	if (how < 0) {
		assert_int_equal(ftruncate(fd, at), 0);
	} else {
		assert_int_equal(pread(fd, &c, 1, at), 1);
		c ^= (unsigned char)how;
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
	}
	close(fd);
}

static void
test_a_damaged_file_is_made_anew(void **state)
{
	const struct { off_t at; int how; } cases[] = { { 0, 1 }, { 9, 1 },
	    { 100, 1 }, { 130, 4 }, { 4096, 128 }, { 9999, 1 }, { 50001, 2 },
	    { 0, -1 }, { 100, -1 }, { 20000, -1 } };
	const struct cw_kernel *k = cw_kernel_find("", true);
	struct cw_weights was = weights(64), a = copy_of(&was);
	struct cw_prepared whole = prepare(&a, k, SHA, ""), p;
	char name[256];

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		struct cw_weights b = copy_of(&was), c = copy_of(&was);

		p = prepare(&b, k, SHA, dir);
		cw_prepared_close(&p);
		assert_int_equal(files_in(dir, name), 1);
		damage(name, cases[i].at, cases[i].how);
		p = prepare(&c, k, SHA, dir);
		assert_true(p.cached && p.bytes == whole.bytes);
		/* all but the head, which a private copy has no use for */
		assert_memory_equal((const char *)p.base + 4096,
		    (const char *)whole.base + 4096, whole.bytes - 4096);
		cw_prepared_close(&p);
		assert_int_equal(files_in(dir, name), 1);
	}
	cw_prepared_close(&whole);
}

/* What a process left that was killed is no more than room for the next. */
static void
test_a_file_that_was_never_done_is_done(void **state)
{
	const struct cw_kernel *k = cw_kernel_find("", true);
	struct cw_weights was = weights(64), a = copy_of(&was);
	struct cw_weights b = copy_of(&was);
	struct cw_prepared p = prepare(&a, k, SHA, dir);
	char name[256], half[264];

	(void)state;
	cw_prepared_close(&p);
	assert_int_equal(files_in(dir, name), 1);
	snprintf(half, sizeof(half), "%s.new", name);
	assert_int_equal(rename(name, half), 0);
	damage(half, 9999, 1);
	assert_int_equal(truncate(half, 1 << 24), 0);
	p = prepare(&b, k, SHA, dir);
	assert_true(p.cached);
	cw_prepared_close(&p);
	assert_int_equal(files_in(dir, half), 1);
	assert_string_equal(half, name);
}

static void
test_no_place_for_the_file_is_no_error(void **state)
{
	static const char *const places[] = { "/dev/null/cache", "/proc/cache",
	    "" };
	const struct cw_kernel *k = cw_kernel_find("", false);
	struct cw_weights was = weights(48);

	(void)state;
	for (size_t i = 0; i < CW_COUNT(places); i++) {
		struct cw_weights w = copy_of(&was);
		struct cw_prepared p = prepare(&w, k, SHA, places[i]);

		assert_false(p.cached);
		assert_non_null(w.vit.enc.block[0].qkv.packed);
		assert_non_null(w.vit.enc.key[0].packed);
		cw_prepared_close(&p);
	}
}

static void
test_processes_that_start_together_leave_one_file(void **state)
{
	enum { PROCESSES = 6 };
	const struct cw_kernel *k = cw_kernel_find("", false);
	struct cw_weights w = weights(64);
	pid_t pid[PROCESSES];
	char name[256];
	int status;

	(void)state;
	for (int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0) {
			struct cw_prepared p;
			struct cw_err err;

			_exit(cw_prepare(&w, CW_TOWER_VIT, k, 0, SHA, dir,
			    arena, &p, &err) == CW_OK && p.cached ? 0 : 1);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(files_in(dir, name), 1);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_prepared_blocks_do_what_their_parts_did),
		TEST(test_shallow_matrices_stay_in_float),
		TEST(test_the_file_is_made_once_and_used_again),
		TEST(test_a_damaged_file_is_made_anew),
		TEST(test_a_file_that_was_never_done_is_done),
		TEST(test_no_place_for_the_file_is_no_error),
		TEST(test_processes_that_start_together_leave_one_file),
	};

	return cmocka_run_group_tests_name("prepare", tests, NULL, NULL);
}
