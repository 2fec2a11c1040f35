/*
 * test_bank_rows.c - a bank's vectors, against their texts encoded one by one.
 */
#include "arrays.h"

#include "format/worker_msg.h"
#include "worker/bank.h"

#define PROMPTS		400	/* in 3 templates: more than CW_BANK_TEXTS */
#define SCRATCH_BYTES	((size_t)64 << 20)

static const char *templates[] = { "{}", "a photo of {}.", "{} outside" };
static const char *other[] = { "no {} at all" };
static struct cw_prompt prompts[PROMPTS], calm[2], again[3];
static struct cw_category things = { .id = "a.things", .title = "",
	.prompts = prompts, .nprompts = PROMPTS, .reason = { "", "", "" },
	.thresholds = { 0.5f, 0.8f }, .calibration = { .date = "" } };
static struct cw_category bare = { .id = "b.bare", .title = "",
	.prompts = again, .nprompts = 3, .reason = { "", "", "" },
	.thresholds = { 0.5f, 0.8f }, .calibration = { .date = "" } };
static struct cw_policy policies[] = {
	{ .id = "a", .title = "", .file = "", .templates = templates,
	  .ntemplates = 3, .categories = &things, .ncategories = 1,
	  .neutral = calm, .nneutral = 2 },
	{ .id = "b", .title = "", .file = "", .templates = other,
	  .ntemplates = 1, .categories = &bare, .ncategories = 1,
	  .neutral = calm, .nneutral = 2 },
	{ .id = "c", .title = "", .file = "", .templates = templates,
	  .ntemplates = 3, .categories = &bare, .ncategories = 1,
	  .neutral = calm, .nneutral = 2 },
};
static struct bench b;
static struct cw_policy_set set;

static int
setup(void **state)
{
	struct cw_err err = { "" };

	(void)state;
	bench_open(&b, "tests/golden/vit");
	for (int i = 0; i < PROMPTS; i++)
		prompts[i] = (struct cw_prompt){ cw_arena_printf(b.a,
		    "thing %d of %d", i % 7, i), 1 };
	calm[0] = (struct cw_prompt){ "a tree", 1 };
	calm[1] = (struct cw_prompt){ "a cup", 1 };
	again[0] = prompts[3];
	again[1] = calm[0];
	again[2] = (struct cw_prompt){ "alone", 1 };
	set = (struct cw_policy_set){ .policies = policies,
		.npolicies = CW_COUNT(policies) };
	must(cw_policy_set_finish(&set, b.a, &err), &err);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bench_close(&b);
	return 0;
}

static enum cw_status
open_bank(struct cw_bank_row *rows, uint32_t nrows,
    struct cw_policy_done *done, struct cw_bank **bank, struct cw_err *err)
{
	const struct cw_policy_msg msg = { .set = set, .rows = rows,
		.nrows = nrows, .embed = (uint32_t)b.i->E };
	struct cw_arena *scratch;
	struct cw_pack pack;
	enum cw_status st;

	cw_pack_init(&pack, b.a, 4096);
	cw_policy_msg_pack(&msg, &pack);
	assert_true(cw_pack_ok(&pack));
	must(cw_arena_open(SCRATCH_BYTES, &scratch, err), err);
	st = cw_bank_open(b.m, 0, pack.p, pack.len, scratch, done, bank, err);
	assert_int_equal(cw_arena_used(scratch), 0);
	cw_arena_close(&scratch);
	return st;
}

/* The mean of the unit vectors of the templates, unit length. */
static const float *
mean_of(const struct cw_policy *p, const char *prompt)
{
	const size_t E = (size_t)b.i->E;
	float *sum = cw_arena_zalloc(b.a, E, sizeof(*sum));
	float *v = cw_arena_floats(b.a, E);
	struct cw_err err = { "" };
	int ids[64], n;

	assert_true(b.i->text.tokens <= (int)CW_COUNT(ids));
	for (size_t k = 0; k < p->ntemplates; k++) {
		const char *t = p->templates[k], *at = strstr(t, "{}");

		must(cw_model_tokenize(b.m, cw_arena_printf(b.a, "%.*s%s%s",
		    (int)(at - t), t, prompt, at + 2), b.a, ids, &n, &err),
		    &err);
		must(cw_model_encode_text(b.m, ids, n, b.a, v, NULL, 0, NULL,
		    &err), &err);
		for (size_t i = 0; i < E; i++)
			sum[i] += v[i];
	}
	return units(&b, sum, 1);
}

static void
check_rows(const struct cw_bank *bank)
{
	const size_t E = (size_t)b.i->E;
	size_t at = 0;
	char label[32];

	for (size_t i = 0; i < set.npolicies; i++) {
		const struct cw_policy *p = &policies[i];
		const struct cw_category *c = &p->categories[0];

		for (size_t k = 0; k < c->nprompts + p->nneutral; k++, at++) {
			const char *text = k < c->nprompts ?
			    c->prompts[k].text :
			    p->neutral[k - c->nprompts].text;

			snprintf(label, sizeof(label), "row %zu", at);
			close_to(&b, label, bank->rows + at * E,
			    mean_of(p, text), E, 2e-6);
		}
	}
	assert_int_equal(at, set.nprompts);
}

static void
test_a_row_is_the_mean_over_its_templates(void **state)
{
	struct cw_policy_done done;
	struct cw_bank *bank = NULL;
	struct cw_err err = { "" };

	(void)state;
	must(open_bank(NULL, 0, &done, &bank, &err), &err);
	check_rows(bank);
	assert_int_equal(done.nrows, set.nprompts);
	for (uint32_t i = 0; i < done.nrows; i++) {
		assert_int_equal(done.rows[i].bank, i);
		assert_ptr_equal(done.rows[i].vec, bank->rows +
		    i * (size_t)b.i->E);
	}
	cw_bank_close(&bank);
}

static void
test_only_the_rows_that_are_missing_are_made(void **state)
{
	const uint32_t missing[] = { 0, 399, 401, 404 };
	struct cw_bank *full = NULL, *bank = NULL;
	struct cw_policy_done done;
	struct cw_err err = { "" };
	struct cw_bank_row *rows = cw_arena_zalloc(b.a, set.nprompts,
	    sizeof(*rows));
	uint32_t n = 0;

	(void)state;
	must(open_bank(NULL, 0, &done, &full, &err), &err);
	for (uint32_t i = 0, k = 0; i < set.nprompts; i++)
		if (k < CW_COUNT(missing) && missing[k] == i)
			k++;
		else
			rows[n++] = done.rows[i];
	must(open_bank(rows, n, &done, &bank, &err), &err);
	check_rows(bank);
	assert_int_equal(done.nrows, CW_COUNT(missing));
	for (uint32_t i = 0; i < done.nrows; i++)
		assert_int_equal(done.rows[i].bank, missing[i]);
	cw_bank_close(&full);
	cw_bank_close(&bank);
}

static void
test_a_prompt_that_cannot_be_encoded_is_named(void **state)
{
	const struct cw_prompt was = prompts[350];
	struct cw_bank *bank = NULL;
	struct cw_policy_done done;
	struct cw_err err = { "" };

	(void)state;
	prompts[350].text = "an <|endoftext|> inside";
	assert_int_equal(open_bank(NULL, 0, &done, &bank, &err),
	    CW_E_FORMAT);
	prompts[350] = was;
	assert_null(bank);
	assert_non_null(strstr(err.text,
	    "a.things: prompt \"an <|endoftext|> inside\": "));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_row_is_the_mean_over_its_templates),
		cmocka_unit_test(
		    test_only_the_rows_that_are_missing_are_made),
		cmocka_unit_test(
		    test_a_prompt_that_cannot_be_encoded_is_named),
	};

	return cmocka_run_group_tests_name("bank rows", tests, setup,
	    teardown);
}
