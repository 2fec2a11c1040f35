/*
 * test_bank.c - from cosines to scores, contrasts and regions.
 *
 * No model here: cosines are made up, so every rule is seen on its own.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/explain.h"
#include "worker/regions.h"
#include "worker/score.h"
#include "worker/worker.h"

#define SCALE	20.0f		/* exp of the logit scale */

/* Two policies; bank: 0 1 | 2 | 3 4 (neutral) || 5 | 6 (neutral) */
static struct cw_prompt gun[] = { { "a gun", 1 }, { "a rifle", 0.5f } };
static struct cw_prompt blood[] = { { "blood", 1 } };
static struct cw_prompt calm[] = { { "a phone", 1 }, { "a tree", 2 } };
static struct cw_prompt nude[] = { { "a nude", 1 } };
static struct cw_prompt plain[] = { { "a dress", 1 } };
static struct cw_category violence[] = {
	{ .id = "v.gun", .title = "", .severity = CW_HIGH, .prompts = gun,
	  .nprompts = 2, .thresholds = { 0.5f, 0.8f },
	  .reason = { "", "", "" }, .calibration = { .date = "" } },
	{ .id = "v.blood", .title = "", .severity = CW_CRITICAL,
	  .prompts = blood, .nprompts = 1, .thresholds = { 0.5f, 0.8f },
	  .reason = { "", "", "" }, .calibration = { .date = "" } },
};
static struct cw_category nudity[] = {
	{ .id = "n.nude", .title = "", .severity = CW_LOW, .prompts = nude,
	  .nprompts = 1, .thresholds = { 0.5f, 0.8f },
	  .reason = { "", "", "" }, .calibration = { .date = "" } },
};
static struct cw_policy policies[] = {
	{ .id = "violence", .title = "", .file = "", .categories = violence,
	  .ncategories = 2, .neutral = calm, .nneutral = 2,
	  .explain_when = CW_WHEN_ALWAYS, .explain_top = 1 },
	{ .id = "nudity", .title = "", .file = "", .categories = nudity,
	  .ncategories = 1, .neutral = plain, .nneutral = 1,
	  .explain_when = CW_WHEN_FLAGGED, .explain_top = 3 },
};
#define PROMPTS	7

static struct cw_model_info info = { .logit_scale = SCALE, .E = 4, .G = 3 };
static struct cw_bank bank;
static struct cw_worker worker;

static int
setup(void **state)
{
	struct cw_err err;

	(void)state;
	bank.set = (struct cw_policy_set){ .policies = policies,
		.npolicies = 2 };
	worker = (struct cw_worker){ .magic = CW_WORKER_MAGIC, .info = &info,
		.bank = &bank };
	assert_int_equal(cw_arena_open(1 << 22, &worker.batch, &err), CW_OK);
	assert_int_equal(cw_arena_open(1 << 22, &worker.scratch, &err),
	    CW_OK);
	assert_int_equal(cw_policy_set_finish(&bank.set, worker.batch, &err),
	    CW_OK);
	assert_int_equal(bank.set.nprompts, PROMPTS);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cw_arena_close(&worker.batch);
	cw_arena_close(&worker.scratch);
	return 0;
}

static struct cw_task
begin(const char **ids, size_t n)
{
	struct cw_task t = { .job = { .id = "t", .policies = ids,
		.npolicies = n } };
	struct cw_err err = { "" };

	if (cw_score_begin(&bank, worker.batch, &t, &err) != CW_OK)
		fail_msg("%s", err.text);
	return t;
}

static void
view(struct cw_task *t, uint32_t i, const float *cos, bool *better)
{
	struct cw_err err = { "" };

	if (cw_score_view(&worker, t, i, cos, better, &err) != CW_OK)
		fail_msg("%s", err.text);
}

static void
test_the_harshest_view_wins_for_each_category(void **state)
{
	const float first[PROMPTS] = { 0.30f, 0.1f, 0.1f, 0.2f, 0.2f, 0.1f,
		0.2f };
	const float second[PROMPTS] = { 0.10f, 0.1f, 0.3f, 0.2f, 0.1f, 0.3f,
		0.3f };
	struct cw_task t = begin(NULL, 0);
	struct cw_err err = { "" };
	bool better[3];

	(void)state;
	view(&t, 0, first, better);
	assert_true(better[0] && better[1] && better[2]);
	view(&t, 1, second, better);
	assert_false(better[0]);
	assert_true(better[1] && better[2]);
	t.res.nviews = 2;
	assert_int_equal(cw_score_settle(&bank, worker.batch, &t, &err),
	    CW_OK);
	assert_int_equal(t.res.cats[0].view, 0);
	assert_int_equal(t.res.cats[1].view, 1);
	assert_int_equal(t.res.cats[2].view, 1);
	/* Cosines come from the category's view, neutral ones from each. */
	assert_true(t.res.cosines[0] == first[0]);
	assert_true(t.res.cosines[2] == second[2]);
	assert_memory_equal(t.res.cosines + 3, first + 3, 2 * sizeof(float));
	assert_int_equal(cw_result_views(&policies[0], &t.res.cats[0]), 3);
	assert_int_equal(cw_result_nfurther(&bank.set, t.res.cats), 2);
	assert_memory_equal(t.res.further, second + 3, 2 * sizeof(float));
	/* The other policy is of the second alone, and so are its neutral ones. */
	assert_int_equal(cw_result_views(&policies[1], &t.res.cats[2]), 2);
	assert_true(t.res.cosines[6] == second[6]);
	assert_true(t.res.scores[2] == t.res.cats[1].score);
	assert_true(t.res.scores[3] == 0);
}

static void
test_a_view_that_was_harshest_for_a_while_leaves_nothing(void **state)
{
	float cos[PROMPTS] = { 0.1f, 0, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f };
	struct cw_task t = begin(NULL, 0);
	struct cw_err err = { "" };
	bool better[3];

	(void)state;
	t.res.nviews = CW_VIEWS_MAX;
	for (uint32_t v = 0; v < t.res.nviews; v++) {
		cos[0] += 0.01f;
		cos[3] = cos[5] = -0.01f * (float)v;
		if (v == 5)	/* the harshest of blood and of nudity */
			cos[2] = cos[5] = 0.9f;
		view(&t, v, cos, better);
		if (v == 5)
			cos[2] = 0.1f;
	}
	assert_int_equal(cw_score_settle(&bank, worker.batch, &t, &err),
	    CW_OK);
	assert_int_equal(cw_result_views(&policies[0], &t.res.cats[0]),
	    1u << 5 | 1u << (CW_VIEWS_MAX - 1));
	assert_int_equal(cw_result_nfurther(&bank.set, t.res.cats), 2);
	assert_true(t.res.cosines[3] == -0.01f * 5);
	assert_true(t.res.further[0] == cos[3]);
	assert_int_equal(cw_result_views(&policies[1], &t.res.cats[2]),
	    1u << 5);
}

static void
test_a_saturated_score_is_decided_by_its_margin(void **state)
{
	const float strong[PROMPTS] = { 0.99f, 0, 0, -0.9f, -0.9f, 0, 0 };
	const float stronger[PROMPTS] = { 1.0f, 0, 0, -1.0f, -1.0f, 0, 0 };
	struct cw_task t = begin(NULL, 0);
	bool better[3];

	(void)state;
	view(&t, 0, strong, better);
	view(&t, 1, stronger, better);
	assert_true(t.image[0].score == 1.0f);
	assert_int_equal(t.image[0].view, 1);
	view(&t, 2, strong, better);
	assert_false(better[0]);
	assert_int_equal(t.image[0].view, 1);
}

static void
test_only_the_policies_asked_for_are_applied(void **state)
{
	const char *some[] = { "nudity" }, *none[] = { "nudity", "hate" };
	const float cos[PROMPTS] = { 0.3f, 0.1f, 0.1f, 0.2f, 0.2f, 0.1f,
		0.2f };
	struct cw_task t = begin(some, 1);
	struct cw_err err = { "" };
	bool better[3];

	(void)state;
	view(&t, 0, cos, better);
	assert_int_equal(cw_score_settle(&bank, worker.batch, &t, &err),
	    CW_OK);
	assert_int_equal(t.res.cats[0].source, CW_FROM_NONE);
	assert_int_equal(t.res.cats[1].source, CW_FROM_NONE);
	assert_int_equal(t.res.cats[2].source, CW_FROM_IMAGE);
	/* What was measured is still reported. */
	assert_true(t.res.cosines[0] == cos[0]);
	t.job.policies = none;
	t.job.npolicies = 2;
	assert_int_equal(cw_score_begin(&bank, worker.batch, &t, &err),
	    CW_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "hate"));
}

static void
test_what_is_not_a_number_is_an_error(void **state)
{
	float cos[PROMPTS] = { 0 };
	struct cw_err err = { "" };
	bool better[3];

	(void)state;
	for (int i = 0; i < PROMPTS; i++) {
		struct cw_task t = begin(NULL, 0);

		cos[i] = i % 2 ? NAN : INFINITY;
		assert_int_equal(cw_score_view(&worker, &t, 0, cos, better,
		    &err), CW_E_NUMERIC);
		cos[i] = 0;
	}
}

static void
test_harsher_is_action_then_severity_then_score(void **state)
{
	static const struct {
		const char	*what;
		uint32_t	 a;
		float		 xa;
		uint32_t	 b;
		float		 xb;
		bool		 want;
	} cases[] = {
		{ "a block before a review",	2, 0.81f, 1, 0.79f, true },
		{ "a review before an allow",	2, 0.51f, 1, 0.49f, true },
		{ "severity between blocks",	1, 0.81f, 0, 0.99f, true },
		{ "score in one severity",	0, 0.95f, 0, 0.90f, true },
		{ "nothing fired: the nearest",	2, 0.40f, 1, 0.30f, true },
		{ "not than itself",		0, 0.90f, 0, 0.90f, false },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++)
		if (cw_score_harsher(&bank.set, cases[i].a, cases[i].xa,
		    cases[i].b, cases[i].xb) != cases[i].want)
			fail_msg("%s", cases[i].what);
}

/* The winner's weights and logarithms of them included. */
static void
test_a_contrast_sums_to_the_margin_for_every_scoring(void **state)
{
	uint32_t x = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		float cos[PROMPTS];

		for (int i = 0; i < PROMPTS; i++) {
			x = x * 1664525u + 1013904223u;
			cos[i] = (float)(x >> 8) / (1 << 23) - 1;
		}
		for (int s = 0; s < CW_SCORINGS; s++) {
			struct cw_policy p = policies[0];
			struct cw_contrast k;
			struct cw_score score;
			double against, sum;

			p.scoring = (enum cw_scoring)s;
			assert_int_equal(cw_policy_contrast(&p, cos, SCALE,
			    &against), CW_OK);
			assert_int_equal(cw_policy_score(&p, &violence[0],
			    cos, against, SCALE, "", NULL, &score), CW_OK);
			assert_int_equal(cw_contrast_make(&p, &violence[0],
			    score.prompt, cos, SCALE, worker.batch, &k),
			    CW_OK);
			sum = k.constant;
			for (int i = 0; i < k.n; i++)
				sum += (double)k.weight[i] * cos[k.bank[i]];
			if (fabs(sum - score.margin) > 1e-5)
				fail_msg("%s: %.6f, want %.6f",
				    cw_scoring_name(p.scoring), sum,
				    score.margin);
			assert_true(fabsf(score.margin - cw_score_margin(
			    &worker, &p, &violence[0], score.prompt, cos)) <
			    1e-6f);
		}
	}
}

static void
test_a_result_keeps_the_top_maps_of_each_policy(void **state)
{
	/* gun fires, blood fires harder, nothing nude */
	const float cos[PROMPTS] = { 0.4f, 0.1f, 0.5f, 0.2f, 0.2f, 0.1f,
		0.4f };
	struct cw_view whole = { .w = 30, .h = 30 };
	float values[9] = { 0, 1, 0, 0, 1, 0, 0, 0, 0 };
	struct cw_task t = begin(NULL, 0);
	struct cw_err err = { "" };
	bool better[3];

	(void)state;
	t.res.views = &whole;
	t.res.nviews = 1;
	t.res.width = t.res.height = 30;
	view(&t, 0, cos, better);
	for (uint32_t i = 0; i < 3; i++)
		t.maps[i] = (struct cw_map){ .category = i, .gw = 3, .gh = 3,
			.values = values };
	assert_int_equal(cw_explain_settle(&worker, &t, &err), CW_OK);
	assert_int_equal(t.res.nmaps, 1);	/* explain_top of violence */
	assert_int_equal(t.res.maps[0].category, 1);
	assert_int_equal(t.res.maps[0].nregions, 1);
	assert_int_equal(t.res.maps[0].regions[0].h, 20);
}

static void
test_patches_that_touch_by_a_side_are_one_region(void **state)
{
	static const struct {
		const char	*what;
		float		 v[16];		/* 4 x 4 */
		uint32_t	 want;
	} cases[] = {
		{ "nothing positive", { -1, -2 }, 0 },
		{ "one patch", { 0, 5 }, 1 },
		{ "side by side", { 5, 5 }, 1 },
		{ "one over the other", { 5, 0, 0, 0, 5 }, 1 },
		{ "by a corner: two", { 5, 0, 0, 0, 0, 5 }, 2 },
		{ "the row's end is no neighbour", { 0, 0, 0, 5, 5 }, 2 },
		{ "a faint one is left out", { 9, 0, 0.2f }, 1 },
	};
	const struct cw_view all = { .w = 40, .h = 40 };
	struct cw_region r[CW_REGIONS_MAX];

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		const uint32_t n = cw_regions_find(cases[i].v, 4, 4, &all,
		    40, 40, r);

		if (n != cases[i].want)
			fail_msg("%s: %u regions, want %u", cases[i].what, n,
			    cases[i].want);
	}
}

static void
test_a_region_stays_inside_the_picture(void **state)
{
	/* `whole`: a square of 40 over a picture of 20 x 40, padded beside. */
	const struct cw_view v = { .x = -10, .y = 0, .w = 40, .h = 40 };
	const float row[16] = { 1, 2, 1, 1 }, pad[16] = { 1 };
	struct cw_region r[CW_REGIONS_MAX];

	(void)state;
	assert_int_equal(cw_regions_find(row, 4, 4, &v, 20, 40, r), 1);
	assert_int_equal(r[0].x, 0);
	assert_int_equal(r[0].w, 20);
	assert_int_equal(r[0].h, 10);
	assert_true(fabsf(r[0].share - 1) < 1e-6f);
	assert_int_equal(cw_regions_find(pad, 4, 4, &v, 20, 40, r), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_harshest_view_wins_for_each_category),
		cmocka_unit_test(
		    test_a_view_that_was_harshest_for_a_while_leaves_nothing),
		cmocka_unit_test(
		    test_a_saturated_score_is_decided_by_its_margin),
		cmocka_unit_test(test_only_the_policies_asked_for_are_applied),
		cmocka_unit_test(test_what_is_not_a_number_is_an_error),
		cmocka_unit_test(
		    test_harsher_is_action_then_severity_then_score),
		cmocka_unit_test(
		    test_a_contrast_sums_to_the_margin_for_every_scoring),
		cmocka_unit_test(
		    test_a_result_keeps_the_top_maps_of_each_policy),
		cmocka_unit_test(
		    test_patches_that_touch_by_a_side_are_one_region),
		cmocka_unit_test(test_a_region_stays_inside_the_picture),
	};

	return cmocka_run_group_tests_name("bank", tests, setup, teardown);
}
