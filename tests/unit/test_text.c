/*
 * test_text.c - many texts encoded together, against each of them alone.
 */
#include "arrays.h"

#include "model/model_state.h"

#define TOGETHER	2e-6	/* a value of a unit vector */
#define ROWS_MOST	256	/* of a chunk, longer texts aside */
#define MANY		400

/* Texts in the making; the marks are those of the model. */
struct corpus {
	struct bench	*b;
	int		 start, end, context;
	const int	*ids[MANY + 64];
	int		 n[MANY + 64];
	int		 count;
	uint32_t	 x;		/* random */
};

static int
random_below(struct corpus *c, int n)
{
	c->x = c->x * 1664525u + 1013904223u;
	return (int)((c->x >> 8) % (uint32_t)n);
}

static void
corpus_open(struct corpus *c, struct bench *b)
{
	struct cw_err err = { "" };
	int *ids = cw_arena_zalloc(b->a, (size_t)b->i->text.tokens,
	    sizeof(*ids));
	int n;

	*c = (struct corpus){ .b = b, .context = b->i->text.tokens, .x = 1 };
	must(cw_model_tokenize(b->m, "", b->a, ids, &n, &err), &err);
	assert_int_equal(n, 2);
	c->start = ids[0];
	c->end = ids[1];
}

/* A text of n words, the first ones as given, the others random. */
static void
say(struct corpus *c, const int *words, int given, int n)
{
	int *ids = cw_arena_zalloc(c->b->a, (size_t)n + 2, sizeof(*ids));

	assert_true(n + 2 <= c->context);
	assert_true(c->count < (int)CW_COUNT(c->ids));
	ids[0] = c->start;
	for (int i = 0; i < n; i++)
		ids[1 + i] = i < given ? words[i] : random_below(c, 200);
	ids[1 + n] = c->end;
	c->ids[c->count] = ids;
	c->n[c->count++] = n + 2;
}

/* Alike, one the beginning of another, equal, short, as long as can be. */
static void
say_all_kinds(struct corpus *c)
{
	static const int words[] = { 5, 9, 5, 7, 9, 5, 2, 11 };
	const int most = c->context - 2;

	for (int n = 8; n >= 0; n--)
		say(c, words, n, n);
	for (int n = 0; n <= 8; n++) {
		say(c, words, n, 8 < most ? 8 + n / 4 : most);
		say(c, words, n, most);
	}
	say(c, words, 4, 4);
	say(c, words + 1, 4, 4);
	say(c, NULL, 0, most);
	c->ids[c->count] = c->ids[c->count - 1];
	c->n[c->count] = c->n[c->count - 1];
	c->count++;
}

static void
say_many(struct corpus *c)
{
	int words[6];

	for (int i = 0; i < MANY; i++) {
		for (int k = 0; k < 6; k++)
			words[k] = random_below(c, 3);
		say(c, words, 6, 1 + random_below(c, c->context - 2 < 12 ?
		    c->context - 2 : 12));
	}
}

static float *
together(struct corpus *c)
{
	float *got = cw_arena_floats(c->b->a, (size_t)c->count *
	    (size_t)c->b->i->E);
	struct cw_err err = { "" };
	struct cw_arena *scratch;
	int bad;

	must(cw_arena_open(cw_model_text_scratch_bytes(c->b->m, c->count),
	    &scratch, &err), &err);
	must(cw_model_encode_texts(c->b->m, c->ids, c->n, c->count, scratch,
	    got, &bad, &err), &err);
	assert_int_equal(cw_arena_used(scratch), 0);
	cw_arena_close(&scratch);
	return got;
}

/* Alone, and with a trace: another reader of the same rows. */
static void
same_alone(struct corpus *c, const float *got)
{
	const size_t E = (size_t)c->b->i->E;
	float *want = cw_arena_floats(c->b->a, E);
	struct cw_err err = { "" };
	struct cw_arena *scratch, *keep;
	struct cw_trace trace;
	char label[32];

	must(cw_arena_open(cw_model_text_scratch_bytes(c->b->m, 1), &scratch,
	    &err), &err);
	must(cw_arena_open(ARENA_BYTES, &keep, &err), &err);
	for (int i = 0; i < c->count; i++) {
		const bool traced = i % 8 == 0;

		must(cw_model_encode_text(c->b->m, c->ids[i], c->n[i],
		    scratch, want, traced ? &trace : NULL, 0, keep, &err),
		    &err);
		snprintf(label, sizeof(label), "text %d", i);
		close_to(c->b, label, got + (size_t)i * E, want, E, TOGETHER);
		cw_arena_reset(keep, 0);
	}
	cw_arena_close(&scratch);
	cw_arena_close(&keep);
}

static void
kinds_agree(struct bench *b)
{
	struct corpus c;

	corpus_open(&c, b);
	say_all_kinds(&c);
	same_alone(&c, together(&c));
}

static void
test_texts_together_are_as_each_alone(void **state)
{
	(void)state;
	each_model(kinds_agree);
}

static void
one_agrees(struct bench *b)
{
	struct corpus c;

	corpus_open(&c, b);
	say(&c, NULL, 0, 3);
	same_alone(&c, together(&c));
}

static void
test_one_text_may_be_all(void **state)
{
	(void)state;
	each_model(one_agrees);
}

static void
golden_agree(struct bench *b)
{
	const size_t E = (size_t)b->i->E, C = (size_t)b->i->text.tokens;
	struct corpus c;
	size_t n;
	const int *ids = array(b, "ids", sizeof(int), &n);
	const float *unit, *got;

	n /= C;
	unit = units(b, floats(b, "text_embeds", n * E), n);
	corpus_open(&c, b);
	for (size_t i = 0; i < n; i++) {	/* backwards: in any order */
		c.ids[i] = ids + (n - 1 - i) * C;
		c.n[i] = (int)C;
	}
	c.count = (int)n;
	got = together(&c);
	for (size_t i = 0; i < n; i++)
		close_to(b, "text", got + (n - 1 - i) * E, unit + i * E, E,
		    2e-5);
}

static void
test_texts_together_embed_as_in_the_reference(void **state)
{
	(void)state;
	each_model(golden_agree);
}

/* ---- what is computed how often ---- */

struct seen {
	int	 chunks, rows, most;
};

static void
tap_rows(void *payload, const char *name, const float *v, int rows, int cols)
{
	struct seen *s = payload;

	(void)v;
	(void)cols;
	if (strcmp(name, "text_embed") != 0)
		return;
	s->chunks++;
	s->rows += rows;
	s->most = rows > s->most ? rows : s->most;
}

static void
test_what_texts_have_in_common_is_computed_once(void **state)
{
	static const int red_car[] = { 1, 2, 3, 4, 5 }, red_cup[] = { 1, 2, 3,
	    4, 6 }, cup[] = { 6 };
	struct seen seen = { 0 };
	struct corpus c;
	struct bench b;

	(void)state;
	bench_open(&b, "tests/golden/vit");
	corpus_open(&c, &b);
	say(&c, red_car, 5, 5);
	say(&c, cup, 1, 1);
	say(&c, red_cup, 5, 5);
	say(&c, red_car, 5, 5);
	say(&c, red_car, 4, 4);
	cw_model_tap(b.m, tap_rows, &seen);
	together(&c);
	cw_model_tap(b.m, NULL, NULL);
	assert_int_equal(seen.chunks, 1);
	/* start 1 2 3 4, then 5 end | 6 end | end, and 6 end */
	assert_int_equal(seen.rows, 5 + 2 + 2 + 1 + 2);
	bench_close(&b);
}

static void
many_agree(struct bench *b)
{
	struct seen seen = { 0 };
	struct corpus c;
	float *got;

	corpus_open(&c, b);
	say_many(&c);
	say_all_kinds(&c);
	cw_model_tap(b->m, tap_rows, &seen);
	got = together(&c);
	cw_model_tap(b->m, NULL, NULL);
	assert_true(seen.chunks > 2);
	assert_true(seen.most <= ROWS_MOST);
	assert_true(seen.most > ROWS_MOST - c.context);
	same_alone(&c, got);
}

static void
test_texts_in_several_chunks_are_as_each_alone(void **state)
{
	static const char *const models[] = { "vit", "openai", "resnet" };
	char dir[64];

	(void)state;
	for (size_t i = 0; i < CW_COUNT(models); i++) {
		struct bench b;

		snprintf(dir, sizeof(dir), "tests/golden/%s", models[i]);
		bench_open(&b, dir);
		many_agree(&b);
		bench_close(&b);
	}
}

/* A row of packed products does not depend on what shares its batch. */
static void
test_texts_in_8_bits_are_as_each_alone(void **state)
{
	struct cw_model_opts o = plain_opts;
	struct cw_err err = { "" };
	struct bench b;

	(void)state;
	bench_open(&b, "tests/golden/vit");
	cw_model_close(&b.m);
	o.int8 = o.shallow_int8 = true;
	must(cw_model_open("tests/golden/vit", &o, &b.m, &err), &err);
	b.i = cw_model_info(b.m);
	many_agree(&b);
	bench_close(&b);
}

/* ---- what can go wrong ---- */

static void
test_a_text_without_a_vector_is_named(void **state)
{
	/* Its beginning belongs to others, too; 300 is nowhere else. */
	static const int sick[] = { 1, 2, 300 };
	struct cw_err err = { "" };
	struct corpus c;
	struct bench b;
	size_t n, W;
	float *tok, *got;
	int bad = -1;

	(void)state;
	bench_open(&b, "tests/golden/vit");
	corpus_open(&c, &b);
	say_many(&c);
	say(&c, sick, 3, 3);
	c.ids[211] = c.ids[--c.count];
	c.n[211] = c.n[c.count];
	W = (size_t)b.i->text.width;
	n = (size_t)b.i->vocab * W;
	tok = cw_arena_floats(b.a, n);
	memcpy(tok, b.m->weights.text.tok, n * sizeof(*tok));
	tok[300 * W] = NAN;
	b.m->weights.text.tok = tok;
	got = cw_arena_floats(b.a, (size_t)c.count * (size_t)b.i->E);
	assert_int_equal(cw_model_encode_texts(b.m, c.ids, c.n, c.count, b.a,
	    got, &bad, &err), CW_E_NUMERIC);
	assert_int_equal(bad, 211);
	assert_non_null(strstr(err.text, "not a finite vector"));
	bench_close(&b);
}

static void
test_a_small_scratch_is_an_error_and_not_a_crash(void **state)
{
	struct cw_err err = { "" };
	struct cw_arena *scratch;
	struct corpus c;
	struct bench b;
	size_t enough;
	float *got;
	int bad;

	(void)state;
	bench_open(&b, "tests/golden/vit");
	corpus_open(&c, &b);
	say_many(&c);
	got = cw_arena_floats(b.a, (size_t)c.count * (size_t)b.i->E);
	enough = cw_model_text_scratch_bytes(b.m, c.count);
	for (size_t bytes = 4096; bytes < enough; bytes += 32768) {
		enum cw_status st;

		must(cw_arena_open(bytes, &scratch, &err), &err);
		st = cw_model_encode_texts(b.m, c.ids, c.n, c.count, scratch,
		    got, &bad, &err);
		assert_true(st == CW_OK || st == CW_E_LIMIT);
		assert_int_equal(cw_arena_used(scratch), 0);
		cw_arena_close(&scratch);
	}
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_together_are_as_each_alone),
		cmocka_unit_test(test_one_text_may_be_all),
		cmocka_unit_test(
		    test_texts_together_embed_as_in_the_reference),
		cmocka_unit_test(
		    test_what_texts_have_in_common_is_computed_once),
		cmocka_unit_test(
		    test_texts_in_several_chunks_are_as_each_alone),
		cmocka_unit_test(test_texts_in_8_bits_are_as_each_alone),
		cmocka_unit_test(test_a_text_without_a_vector_is_named),
		cmocka_unit_test(
		    test_a_small_scratch_is_an_error_and_not_a_crash),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
