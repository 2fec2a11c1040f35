/*
 * test_format.c - packing, frames, policy sets, scores, results, verdicts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/frame.h"
#include "format/gate_msg.h"
#include "format/utf8.h"
#include "format/verdict.h"
#include "format/worker_msg.h"

static struct cw_arena *arena;

static int
setup(void **state)
{
	(void)state;
	return cw_arena_open(16 << 20, &arena, NULL) == CW_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

/* ---- samples ---- */

static struct cw_category
category(const char *id, enum cw_severity sev, const char *one,
    const char *two)
{
	struct cw_category c = { .id = id, .title = "A title",
		.severity = sev, .reason = { "TOS-1", "DSA", "Because" },
		.thresholds = { 0.55f, 0.85f } };

	c.calibration.date = "";
	c.nprompts = two == NULL ? 1 : 2;
	c.prompts = cw_arena_zalloc(arena, 2, sizeof(*c.prompts));
	c.prompts[0] = (struct cw_prompt){ one, 1 };
	c.prompts[1] = (struct cw_prompt){ two, 1 };
	return c;
}

/* Two policies: `violence` with two categories of two prompts and two neutral
 * ones, `quiet` (shadow) with one of one and one: a bank of 4 + 2 + 1 + 1. */
static struct cw_policy_set *
sample_set(void)
{
	struct cw_policy_set *set = cw_arena_zalloc(arena, 1, sizeof(*set));
	struct cw_policy *p = cw_arena_zalloc(arena, 2, sizeof(*p));

	for (int i = 0; i < 2; i++) {
		p[i] = (struct cw_policy){ .title = "T", .file = "",
			.version = 1, .ntemplates = 1,
			.on_error = CW_REVIEW, .explain_top = 3 };
		p[i].templates = cw_arena_zalloc(arena, 1, sizeof(char *));
		p[i].templates[0] = "a photo of {}.";
		p[i].categories = cw_arena_zalloc(arena, 2,
		    sizeof(*p[i].categories));
		p[i].neutral = cw_arena_zalloc(arena, 2,
		    sizeof(*p[i].neutral));
	}
	p[0].id = "violence";
	p[0].ncategories = 2;
	p[0].categories[0] = category("violence.weapon", CW_HIGH, "a gun",
	    "a knife");
	p[0].categories[1] = category("violence.blood", CW_CRITICAL,
	    "blood", "a wound");
	p[0].nneutral = 2;
	p[0].neutral[0] = (struct cw_prompt){ "a spoon", 1 };
	p[0].neutral[1] = (struct cw_prompt){ "a phone", 1 };
	p[1].id = "quiet";
	p[1].shadow = true;
	p[1].ncategories = 1;
	p[1].categories[0] = category("quiet.one", CW_LOW, "x", NULL);
	p[1].nneutral = 1;
	p[1].neutral[0] = (struct cw_prompt){ "y", 1 };
	set->policies = p;
	set->npolicies = 2;
	assert_int_equal(cw_policy_set_finish(set, arena, NULL), CW_OK);
	return set;
}

static struct cw_result *
sample_result(const struct cw_policy_set *set)
{
	struct cw_result *r = cw_arena_zalloc(arena, 1, sizeof(*r));
	static float values[4] = { 1.5f, -0.25f, 0, 0.5f };
	static float word_values[2] = { 0.5f, 1 };
	static const char *tokens[2] = { "nice ", "g\xc3\xbcn" };
	static struct cw_region region = { 3, 4, 50, 60, 0.75f };

	r->code = r->message = "";
	r->format = "jpeg";
	r->width = 640;
	r->height = 480;
	r->frames = 1;
	r->nviews = 1;
	r->views = cw_arena_zalloc(arena, 1, sizeof(*r->views));
	r->views[0] = (struct cw_view){ .kind = CW_VIEW_CENTER, .x = 80,
		.w = 480, .h = 480 };
	r->embed = 2;
	r->embeds = cw_arena_floats(arena, 2);
	r->embeds[0] = 0.6f;
	r->embeds[1] = 0.8f;
	r->cats = cw_arena_zalloc(arena, set->ncategories, sizeof(*r->cats));
	r->cosines = cw_arena_zalloc(arena, set->nprompts, sizeof(float));
	r->scores = cw_arena_zalloc(arena, set->nprompts, sizeof(float));
	for (size_t i = 0; i < set->ncategories; i++)
		r->cats[i] = (struct cw_cat_result){ .source = CW_FROM_IMAGE,
			.score = 0.1f, .margin = -2 };
	r->cats[0].score = 0.93f;
	r->cats[0].margin = 2.6f;
	r->cats[0].prompt = 1;
	r->nmaps = 1;
	r->maps = cw_arena_zalloc(arena, 1, sizeof(*r->maps));
	r->maps[0] = (struct cw_map){ .prompt = 1, .gw = 2, .gh = 2,
		.values = values, .total = 2.6f, .remainder = 0.85f,
		.measured = true, .masked = 1, .drop = 1, .random_drop = 2,
		.regions = &region, .nregions = 1 };
	r->text = (struct cw_text_result){ .ntokens = 2, .tokens = tokens,
		.values = word_values, .total = 2, .remainder = 0.5f };
	return r;
}

/*
 * Of three views: `violence` was scored on the first and the last, `quiet` on
 * the second.
 */
static struct cw_result *
several_views(const struct cw_policy_set *set)
{
	static float further[2] = { 0.25f, -0.5f };
	struct cw_result *r = sample_result(set);

	r->nviews = 3;
	r->views = cw_arena_zalloc(arena, 3, sizeof(*r->views));
	r->embeds = cw_arena_zalloc(arena, 6, sizeof(float));
	r->cats[1].view = 2;
	r->cats[1].score = 0.123f;
	r->cats[2].view = 1;
	r->cosines[4] = 0.125f;
	r->cosines[7] = 0.75f;
	r->further = further;
	return r;
}

static struct cw_pack
packed_result(const struct cw_policy_set *set, const struct cw_result *res)
{
	struct cw_pack w;

	cw_pack_init(&w, arena, 0);
	cw_result_pack(res, set, &w);
	assert_true(cw_pack_ok(&w));
	return w;
}

static enum cw_status
unpack_result(const struct cw_policy_set *set, const void *p, size_t n,
    struct cw_result *out)
{
	struct cw_unpack r;

	cw_unpack_init(&r, p, n);
	return cw_result_unpack(&r, set, arena, out, NULL);
}

/* ---- tests ---- */

static void
test_values_come_back_and_leftovers_are_noticed(void **state)
{
	struct cw_unpack r;
	struct cw_pack w;
	size_t n;

	(void)state;
	cw_pack_init(&w, arena, 0);
	cw_put_u8(&w, 7);
	cw_put_u64(&w, 1ull << 60);
	cw_put_f64(&w, -0.5);
	cw_put_str(&w, "h\xc3\xa9");
	cw_put_floats(&w, (const float[]){ 1, 2, 3 }, 3);
	assert_true(cw_pack_ok(&w));
	cw_unpack_init(&r, w.p, w.len);
	assert_int_equal(cw_get_u8(&r), 7);
	assert_true(cw_get_u64(&r) == 1ull << 60);
	assert_true(cw_get_f64(&r) == -0.5);
	assert_string_equal(cw_get_str(&r, 10, arena), "h\xc3\xa9");
	assert_false(cw_unpack_end(&r));
	assert_true(cw_get_floats(&r, 3, arena, &n)[2] == 3);
	assert_true(cw_unpack_end(&r));
	cw_get_u8(&r);
	assert_false(cw_unpack_end(&r));
}

static void
test_lengths_beyond_the_input_or_the_bound_are_bad(void **state)
{
	const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 1, 2 };
	const uint8_t nul[] = { 3, 0, 0, 0, 'a', 0, 'b' };
	struct cw_unpack r;
	size_t n;

	(void)state;
	cw_unpack_init(&r, huge, sizeof(huge));
	assert_string_equal(cw_get_str(&r, 100, arena), "");
	assert_true(r.bad);
	cw_unpack_init(&r, huge, sizeof(huge));
	assert_null(cw_get_floats(&r, SIZE_MAX, arena, &n));
	assert_true(r.bad);
	cw_unpack_init(&r, nul, sizeof(nul));
	cw_get_str(&r, 100, arena);
	assert_true(r.bad);
	cw_unpack_init(&r, nul, sizeof(nul));
	cw_get_blob(&r, 2, &n);
	assert_true(r.bad);
}

static void
test_a_frame_with_a_wrong_magic_or_length_is_refused(void **state)
{
	struct cw_frame f = { .type = CW_F_JOB, .flags = CW_F_MORE, .id = 9,
		.len = 5 }, g;
	uint8_t head[CW_FRAME_HEADER];
	struct cw_err err;

	(void)state;
	cw_frame_header(&f, head);
	assert_int_equal(cw_frame_parse(head, 5, &g, &err), CW_OK);
	assert_int_equal(g.type, CW_F_JOB);
	assert_int_equal(g.flags, CW_F_MORE);
	assert_int_equal(g.id, 9);
	assert_int_equal(cw_frame_parse(head, 4, &g, &err), CW_E_LIMIT);
	assert_string_equal(err.text, "JOB frame of 5 bytes; want at most 4");
	head[0] ^= 1;
	assert_int_equal(cw_frame_parse(head, 5, &g, &err), CW_E_FORMAT);
}

static void
test_a_frame_travels_through_a_pipe(void **state)
{
	const struct cw_frame f = { .type = CW_F_TEXT, .id = 3, .len = 4,
		.body = "abcd" };
	struct cw_frame g;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(cw_frame_write(fd[1], &f, NULL), CW_OK);
	assert_int_equal(write(fd[1], "CWF1", 4), 4);
	close(fd[1]);
	assert_int_equal(cw_frame_read(fd[0], 100, arena, &g, NULL), CW_OK);
	assert_memory_equal(g.body, "abcd", 4);
	assert_int_equal(cw_frame_read(fd[0], 100, arena, &g, NULL),
	    CW_E_FORMAT);
	assert_int_equal(cw_frame_read(fd[0], 100, arena, &g, NULL),
	    CW_E_CLOSED);
	close(fd[0]);
}

static void
test_a_policy_set_survives_packing_with_its_hash(void **state)
{
	const struct cw_policy_set *set = sample_set();
	struct cw_policy_set back;
	struct cw_unpack r;
	struct cw_pack w;

	(void)state;
	assert_int_equal(set->nprompts, 8);
	assert_int_equal(set->ncategories, 3);
	assert_int_equal(set->policies[0].neutral_bank, 4);
	assert_int_equal(set->policies[1].categories[0].bank, 6);
	cw_pack_init(&w, arena, 0);
	cw_policy_set_pack(set, &w);
	cw_unpack_init(&r, w.p, w.len);
	assert_int_equal(cw_policy_set_unpack(&r, arena, &back, NULL), CW_OK);
	assert_true(cw_unpack_end(&r));
	assert_string_equal(back.hash, set->hash);
	assert_string_equal(back.policies[0].categories[1].prompts[1].text,
	    "a wound");
}

static void
test_no_damaged_policy_set_is_read_past_its_end(void **state)
{
	const struct cw_policy_set *set = sample_set();
	struct cw_pack w;

	(void)state;
	cw_pack_init(&w, arena, 0);
	cw_policy_set_pack(set, &w);
	for (size_t i = 0; i < w.len; i++) {
		const size_t mark = cw_arena_mark(arena);
		struct cw_policy_set back;
		struct cw_unpack r;

		w.p[i] ^= 0xff;
		cw_unpack_init(&r, w.p, w.len);
		(void)!cw_policy_set_unpack(&r, arena, &back, NULL);
		w.p[i] ^= 0xff;
		cw_unpack_init(&r, w.p, i);
		assert_int_not_equal(
		    cw_policy_set_unpack(&r, arena, &back, NULL), CW_OK);
		cw_arena_release(arena, mark);
		assert_false(cw_arena_overflowed(arena));
	}
}

/* A policy's first category, at a logit scale of 20. */
static enum cw_status
score_first(const struct cw_policy *p, const float *cos, const char *model,
    float *each, struct cw_score *out)
{
	double contrast;
	enum cw_status st;

	st = cw_policy_contrast(p, cos, 20, &contrast);
	return st != CW_OK ? st : cw_policy_score(p, &p->categories[0], cos,
	    contrast, 20, model, each, out);
}

static void
test_softmax_is_the_best_prompt_against_all_neutral(void **state)
{
	struct cw_policy_set *set = sample_set();
	const struct cw_policy *p = &set->policies[0];
	const float cos[8] = { 0.2f, 0.3f, 0.1f, 0.1f, 0.25f, 0.15f, 0, 0 };
	const double s = 20;
	double want = exp(s * 0.3) /
	    (exp(s * 0.3) + exp(s * 0.25) + exp(s * 0.15));
	struct cw_score got;
	float each[2];

	(void)state;
	assert_int_equal(score_first(p, cos, "", each, &got), CW_OK);
	assert_int_equal(got.prompt, 1);
	assert_true(fabs(got.score - want) < 1e-6);
	assert_true(fabs(got.margin - log(want / (1 - want))) < 1e-5);
	assert_true(each[1] == got.score && each[0] < each[1]);
}

static void
test_each_scoring_and_weight_follows_its_formula(void **state)
{
	struct cw_policy_set *set = sample_set();
	struct cw_policy *p = &set->policies[0];
	const float cos[8] = { 0.2f, 0.3f, 0.1f, 0.1f, 0.25f, 0.15f, 0, 0 };
	struct cw_score got;

	(void)state;
	p->scoring = CW_MARGIN;
	assert_int_equal(score_first(p, cos, "", NULL, &got),
	    CW_OK);
	assert_true(fabsf(got.score - 0.05f) < 1e-6f);
	p->scoring = CW_COSINE;
	p->categories[0].prompts[0].weight = 100;
	assert_int_equal(score_first(p, cos, "", NULL, &got),
	    CW_OK);
	assert_int_equal(got.prompt, 0);
	assert_true(fabs(got.score - (0.2 + log(100) / 20)) < 1e-6);
}

static void
test_calibration_needs_its_own_model(void **state)
{
	struct cw_policy_set *set = sample_set();
	struct cw_policy *p = &set->policies[0];
	struct cw_calibration *k = &p->categories[0].calibration;
	const float cos[8] = { 0.2f, 0.3f, 0, 0, 0.3f, -1, 0, 0 };
	struct cw_score got;
	char model[CW_SHA256_HEX];

	(void)state;
	memset(model, 'a', 64);
	model[64] = '\0';
	k->present = true;
	k->a = 2;
	k->b = 1;
	memcpy(k->model, model, sizeof(model));
	assert_int_equal(score_first(p, cos, model, NULL, &got),
	    CW_OK);
	assert_true(got.calibrated);
	assert_true(fabs(got.score - 1 / (1 + exp(-1))) < 1e-5);
	model[0] = 'b';
	assert_int_equal(score_first(p, cos, model, NULL, &got),
	    CW_OK);
	assert_false(got.calibrated);
	assert_true(fabsf(got.score - 0.5f) < 1e-5f);
}

static void
test_a_nan_or_nothing_to_contrast_with_is_no_score(void **state)
{
	struct cw_policy_set *set = sample_set();
	struct cw_policy *p = &set->policies[0];
	float cos[8] = { 0 };
	struct cw_score got;

	(void)state;
	cos[5] = NAN;
	assert_int_equal(score_first(p, cos, "", NULL, &got),
	    CW_E_NUMERIC);
	cos[5] = 0;
	p->nneutral = 0;
	assert_int_equal(score_first(p, cos, "", NULL, &got),
	    CW_E_NUMERIC);
}

static void
test_decide_at_the_edges(void **state)
{
	static const struct {
		const char	*what;
		float		 score;
		enum cw_action	 want;
	} cases[] = {
		{ "under review",	0.3999f,	CW_ALLOW },
		{ "at review",		0.4000f,	CW_REVIEW },
		{ "under block",	0.7999f,	CW_REVIEW },
		{ "at block",		0.8000f,	CW_BLOCK },
		{ "not a number",	NAN,		CW_REVIEW },
	};
	const struct cw_thresholds t = { .review = 0.4f, .block = 0.8f };

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		enum cw_action got = cw_thresholds_decide(&t, cases[i].score);

		if (got != cases[i].want)
			fail_msg("%s: got %s, want %s", cases[i].what,
			    cw_action_name(got), cw_action_name(cases[i].want));
	}
}

static void
test_a_result_comes_back_as_it_was(void **state)
{
	const struct cw_policy_set *set = sample_set();
	const struct cw_result *res = sample_result(set);
	struct cw_pack w = packed_result(set, res);
	struct cw_result back;

	(void)state;
	assert_int_equal(unpack_result(set, w.p, w.len, &back), CW_OK);
	assert_true(back.cats[0].score == 0.93f);
	assert_true(back.maps[0].values[0] == 1.5f);
	assert_int_equal(back.maps[0].regions[0].w, 50);
	assert_string_equal(back.text.tokens[1], "g\xc3\xbcn");
}

static void
test_neutral_cosines_come_back_for_every_view_used(void **state)
{
	const struct cw_policy_set *set = sample_set();
	const struct cw_result *res = several_views(set);
	struct cw_pack w = packed_result(set, res);
	struct cw_result back;

	(void)state;
	assert_int_equal(cw_result_nfurther(set, res->cats), 2);
	assert_int_equal(unpack_result(set, w.p, w.len, &back), CW_OK);
	assert_int_equal(cw_result_nfurther(set, back.cats), 2);
	assert_memory_equal(back.further, res->further, 2 * sizeof(float));
}

/* A worker that says more, fewer or other neutral cosines than its views. */
static void
test_a_lie_about_neutral_cosines_is_refused(void **state)
{
	const struct cw_policy_set *set = sample_set();
	const float score = 0.123f, first = 0.25f;
	static const struct {
		const char	*what;
		uint32_t	 count, view;
		float		 cosine;
	} lies[] = {
		{ "none", 0, 2, 0.25f }, { "one", 1, 2, 0.25f },
		{ "three", 3, 2, 0.25f }, { "too many", 0x40000000, 2, 0.25f },
		{ "of no view", 2, 0, 0.25f }, { "of a view past the last", 2,
		3, 0.25f }, { "of a view past all", 2, 32, 0.25f },
		{ "of a huge view", 2, UINT32_MAX, 0.25f },
		{ "above one", 2, 2, 1.01f }, { "below", 2, 2, -1.01f },
		{ "not a number", 2, 2, NAN }, { "infinite", 2, 2, INFINITY },
	};
	struct cw_result back;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(lies); i++) {
		struct cw_pack w = packed_result(set, several_views(set));
		uint8_t *cat = memmem(w.p, w.len, &score, sizeof(score));
		uint8_t *list = memmem(w.p, w.len, &first, sizeof(first));

		assert_true(cat != NULL && list != NULL);
		/* score, margin, prompt, view */
		memcpy(cat + 12, &lies[i].view, sizeof(uint32_t));
		memcpy(list - 4, &lies[i].count, sizeof(uint32_t));
		memcpy(list, &lies[i].cosine, sizeof(float));
		if (unpack_result(set, w.p, w.len, &back) == CW_OK)
			fail_msg("%s: accepted", lies[i].what);
	}
}

static void
damage(const struct cw_policy_set *set, const struct cw_result *res)
{
	struct cw_pack w = packed_result(set, res);
	struct cw_result back;

	for (size_t i = 0; i < w.len; i++) {
		const size_t mark = cw_arena_mark(arena);

		assert_int_not_equal(unpack_result(set, w.p, i, &back), CW_OK);
		for (unsigned m = 1; m < 256; m = m * 2 + 1) {
			w.p[i] ^= (uint8_t)m;
			(void)!unpack_result(set, w.p, w.len, &back);
			w.p[i] ^= (uint8_t)m;
		}
		cw_arena_release(arena, mark);
	}
}

static void
test_no_damaged_result_passes_for_a_longer_or_shorter_one(void **state)
{
	const struct cw_policy_set *set = sample_set();

	(void)state;
	damage(set, sample_result(set));
	damage(set, several_views(set));
}

static void
test_a_forged_result_is_refused(void **state)
{
	const struct cw_policy_set *set = sample_set();
	static const char *const what[] = { "nan score", "infinite value",
		"view index", "prompt index", "cosine above one",
		"category of a map", "invalid UTF-8", "code with a space" };
	struct cw_result back;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(what); i++) {
		struct cw_result *res = sample_result(set);
		float inf[4] = { INFINITY, 0, 0, 0 };
		const char *bad[2] = { "\xff", "b" };
		struct cw_pack w;

		switch (i) {
		case 0: res->cats[1].score = NAN; break;
		case 1: res->maps[0].values = inf; break;
		case 2: res->cats[2].view = 1; break;
		case 3: res->cats[2].prompt = 1; break;
		case 4: res->cosines[7] = 1.5f; break;
		case 5: res->maps[0].category = 3; break;
		case 6: res->text.tokens = bad; break;
		case 7: res->code = "a b"; break;
		}
		w = packed_result(set, res);
		if (unpack_result(set, w.p, w.len, &back) == CW_OK)
			fail_msg("%s: accepted", what[i]);
	}
}

static void
test_the_harshest_category_decides_and_shadow_never(void **state)
{
	struct cw_policy_set *set = sample_set();
	struct cw_result *res = sample_result(set);
	struct cw_decision d;

	(void)state;
	d = cw_verdict_decide(set, res);
	assert_int_equal(d.action, CW_BLOCK);
	assert_string_equal(d.policy, "violence");
	res->cats[0].score = 0.6f;
	res->cats[1].score = 0.6f;
	d = cw_verdict_decide(set, res);
	assert_int_equal(d.action, CW_REVIEW);
	assert_int_equal(d.category, 1);	/* critical before high */
	res->cats[0].score = res->cats[1].score = 0;
	res->cats[2].score = 0.99f;		/* shadow */
	d = cw_verdict_decide(set, res);
	assert_int_equal(d.action, CW_ALLOW);
	assert_string_equal(d.policy, "none");
	res->failed = true;
	assert_int_equal(cw_verdict_decide(set, res).action, CW_ERROR);
}

static const char *
verdict_line(const struct cw_policy_set *set, const struct cw_result *res,
    size_t *n)
{
	const struct cw_verdict_facts f = { .id = "j-1", .sha256 = "",
		.bytes = 10, .received_us = 1700000000000000,
		.scored_us = 1700000000005000, .model_name = "starter",
		.model_sha256 = set->hash, .attempt = 1, .surface = "" };

	return cw_verdict_json(&f, set, res, arena, n);
}

/* Of microseconds 32 bits hold 72 minutes. */
static void
test_a_job_may_wait_for_hours(void **state)
{
	struct cw_policy_set *set = sample_set();
	const struct cw_verdict_facts f = { .id = "j-1", .sha256 = "",
		.model_name = "starter", .model_sha256 = set->hash,
		.attempt = 1, .surface = "", .queue_us = 7200000001 };
	const char *line;
	size_t n;

	(void)state;
	line = cw_verdict_json(&f, set, sample_result(set), arena, &n);
	assert_non_null(line);
	assert_non_null(strstr(line, "\"queue\":7200000.001,"));
}

static void
test_a_verdict_is_whole_or_none_when_memory_ends(void **state)
{
	struct cw_policy_set *set = sample_set();
	struct cw_result *res = sample_result(set);
	size_t len, n, refused = 0;
	const char *whole = verdict_line(set, res, &len), *line = NULL;

	(void)state;
	assert_non_null(whole);
	for (size_t limit = 256; line == NULL; limit += 256) {
		struct cw_arena *full = arena, *small;

		assert_int_equal(cw_arena_open(limit, &small, NULL), CW_OK);
		arena = small;
		line = verdict_line(set, res, &n);
		arena = full;
		if (line == NULL)
			refused++;
		else
			assert_string_equal(line, whole);
		cw_arena_close(&small);
	}
	assert_true(refused > 0);
}

static json_t *
verdict(const struct cw_policy_set *set, const struct cw_result *res)
{
	const char *line;
	json_t *root;
	char *again;
	size_t n;

	line = verdict_line(set, res, &n);
	assert_non_null(line);
	assert_int_equal(strlen(line), n);
	assert_null(strchr(line, '\n'));
	root = json_loads(line, 0, NULL);
	assert_non_null(root);
	/* Byte for byte what the library would have written. */
	again = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(7));
	assert_string_equal(line, again);
	free(again);
	return root;
}

static void
test_a_verdict_names_what_the_set_names(void **state)
{
	struct cw_policy_set *set = sample_set();
	struct cw_result *res = sample_result(set);
	const char *decision, *prompt, *code;
	json_t *root, *maps;
	double drop;
	int weak;

	(void)state;
	res->cats[2].score = 0.9f;
	root = verdict(set, res);
	assert_int_equal(json_unpack(root, "{s:s,s:[{s:s,s:{s:s}}]}",
	    "decision", &decision, "flags", "prompt", &prompt, "reason",
	    "code", &code), 0);
	assert_string_equal(decision, "block");
	assert_string_equal(prompt, "a knife");
	assert_string_equal(code, "TOS-1");
	assert_int_equal(json_array_size(json_object_get(root, "scores")), 5);
	assert_int_equal(json_array_size(json_object_get(root, "neutral")), 3);
	assert_int_equal(json_array_size(json_object_get(root, "shadow")), 1);
	maps = json_object_get(root, "maps");
	assert_int_equal(json_unpack(maps, "[{s:{s:f,s:b}}]", "faithfulness",
	    "drop", &drop, "weak", &weak), 0);
	assert_true(weak);
	json_decref(root);
}

static void
test_a_verdict_names_the_view_of_every_cosine(void **state)
{
	struct cw_policy_set *set = sample_set();
	json_t *root = verdict(set, several_views(set)), *list, *o;
	double cosine, also;
	size_t i;
	int view;

	(void)state;
	list = json_object_get(root, "scores");
	assert_null(json_object_get(json_array_get(list, 0), "view"));
	for (i = 2; i < 4; i++)
		assert_int_equal(json_integer_value(json_object_get(
		    json_array_get(list, i), "view")), 2);
	list = json_object_get(root, "neutral");
	assert_int_equal(json_unpack(json_array_get(list, 0),
	    "{s:f,s:{s:f}}", "cosine", &cosine, "also", "2", &also), 0);
	assert_true(cosine == 0.125 && also == 0.25);
	assert_null(json_object_get(json_array_get(list, 0), "view"));
	assert_int_equal(json_unpack(json_array_get(list, 1), "{s:{s:f}}",
	    "also", "2", &also), 0);
	assert_true(also == -0.5);
	assert_int_equal(json_unpack(json_array_get(list, 2), "{s:i,s:f}",
	    "view", &view, "cosine", &cosine), 0);
	assert_true(view == 1 && cosine == 0.75);
	assert_null(json_object_get(json_array_get(list, 2), "also"));
	json_array_foreach(json_object_get(root, "views"), i, o)
		assert_true(json_is_true(json_object_get(o, "used")));
	json_decref(root);
	/* With one view there is nothing to tell apart. */
	root = verdict(set, sample_result(set));
	o = json_array_get(json_object_get(root, "views"), 0);
	assert_null(json_object_get(o, "used"));
	json_decref(root);
}

static void
test_a_map_that_lowers_nothing_is_weak(void **state)
{
	static const struct {
		float	drop, random_drop;
		bool	want;
	} cases[] = {
		{ 1.0f, 0.5f, false }, { 1.0f, 1.0f, true },
		{ 0.5f, 1.0f, true }, { 0.5f, -1.0f, false },
		{ -0.5f, -1.0f, true }, { 0, -1.0f, true },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		const struct cw_map m = { .measured = true,
			.drop = cases[i].drop,
			.random_drop = cases[i].random_drop };

		assert_int_equal(cw_map_weak(&m), cases[i].want);
	}
}

static void
test_a_verdict_says_why_a_flag_has_no_map(void **state)
{
	struct cw_policy_set *set = sample_set();
	struct cw_result *res = sample_result(set), back;
	const char *category, *reason;
	struct cw_pack w;
	json_t *root;

	(void)state;
	res->cats[0].no_map = CW_NO_MAP_INCOMPLETE;
	res->cats[1].no_map = CW_NO_MAP_NEVER;	/* but it is not flagged */
	w = packed_result(set, res);
	assert_int_equal(unpack_result(set, w.p, w.len, &back), CW_OK);
	root = verdict(set, &back);
	assert_int_equal(json_array_size(json_object_get(root,
	    "maps_absent")), 1);
	assert_int_equal(json_unpack(root, "{s:[{s:s,s:s}]}", "maps_absent",
	    "category", &category, "reason", &reason), 0);
	assert_string_equal(category, "violence.weapon");
	assert_string_equal(reason, "incomplete");
	json_decref(root);
	res->cats[0].no_map = CW_MAP_MADE;
	root = verdict(set, res);
	assert_null(json_object_get(root, "maps_absent"));
	json_decref(root);
	res->cats[0].no_map = CW_NO_MAPS;
	w = packed_result(set, res);
	assert_int_equal(unpack_result(set, w.p, w.len, &back), CW_E_FORMAT);
}

static void
test_an_error_verdict_is_neither_allow_nor_flag(void **state)
{
	struct cw_policy_set *set = sample_set();
	struct cw_result res = { .failed = true, .stage = CW_ST_DECODE,
		.code = "truncated", .message = "ends in scan 3",
		.format = "jpeg" };
	const char *decision, *stage, *advice;
	json_t *root;

	(void)state;
	set->policies[0].on_error = CW_BLOCK;
	root = verdict(set, &res);
	assert_int_equal(json_unpack(root, "{s:s,s:s,s:{s:s}}", "decision",
	    &decision, "on_error", &advice, "error", "stage", &stage), 0);
	assert_string_equal(decision, "error");
	assert_string_equal(advice, "block");
	assert_string_equal(stage, "decode");
	assert_null(json_object_get(root, "flags"));
	assert_null(json_object_get(root, "scores"));
	json_decref(root);
}

static void
test_a_job_header_is_read_and_its_faults_are_named(void **state)
{
	static const struct {
		const char	*json, *want;
	} cases[] = {
		{ "{\"id\":\"a b\"}", "id is \"a b\"; want 1 to 128 of "
		    "A-Z a-z 0-9 . _ : -" },
		{ "{\"idd\":\"a\"}", "header: unknown key \"idd\"" },
		{ "{\"id\":5}", "header: id: want a string" },
		{ "{\"explain\":\"maybe\"}", "explain is \"maybe\"; want "
		    "flagged, always or never" },
		{ "{\"deadline_ms\":-1}", "header: deadline_ms: want a whole "
		    "number from 0 to 86400000" },
		{ "{\"sha256\":\"zz\"}",
		    "sha256: want 64 lower-case hex digits" },
		{ "{\"policies\":[1]}",
		    "policies[0]: want the id of a policy" },
		{ "[]", "header: want a JSON object" },
		{ "{\"context\":{\"txt\":\"\"}}",
		    "context: unknown key \"txt\"" },
		{ "{\"evidence\":\"blur\"}", "evidence: want overlay, redacted, "
		    "inverted or curves" },
		{ "{\"artifacts\":[\"x\"]}", "artifacts[0]: want overlay, "
		    "redacted, inverted or curves" },
	};
	struct cw_job j;
	struct cw_err err;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		const char *s = cases[i].json;

		assert_int_equal(cw_job_from_json(s, strlen(s), arena, &j,
		    &err), CW_E_FORMAT);
		assert_string_equal(err.text, cases[i].want);
	}
	const char *good = "{\"id\":\"a-1\",\"context\":{\"text\":\"hi\"},"
	    "\"policies\":[\"violence\"],\"explain\":\"always\","
	    "\"deadline_ms\":50,\"priority\":\"bulk\","
	    "\"artifacts\":[\"overlay\"],\"evidence\":\"redacted\"}";

	assert_int_equal(cw_job_from_json(good, strlen(good), arena, &j,
	    &err), CW_OK);
	assert_string_equal(j.id, "a-1");
	assert_string_equal(j.text, "hi");
	assert_int_equal(j.priority, CW_BULK);
	assert_int_equal(j.artifacts, CW_ART_OVERLAY | CW_ART_REDACTED);
}

static void
test_a_job_survives_packing_and_damage(void **state)
{
	const char *ids[] = { "violence" };
	const struct cw_job j = { .id = "x", .text = "t", .surface = "",
		.uploader = "u", .policies = ids, .npolicies = 1,
		.image = (const uint8_t *)"bytes", .nimage = 5 };
	struct cw_unpack r;
	struct cw_pack w;
	struct cw_job b;

	(void)state;
	cw_pack_init(&w, arena, 0);
	cw_job_pack(&j, &w);
	cw_unpack_init(&r, w.p, w.len);
	assert_int_equal(cw_job_unpack(&r, arena, &b, NULL), CW_OK);
	assert_true(cw_unpack_end(&r));
	assert_string_equal(b.policies[0], "violence");
	assert_memory_equal(b.image, "bytes", 5);
	for (size_t i = 0; i < w.len; i++) {
		w.p[i] ^= 0xff;
		cw_unpack_init(&r, w.p, w.len);
		(void)!cw_job_unpack(&r, arena, &b, NULL);
		w.p[i] ^= 0xff;
		cw_unpack_init(&r, w.p, i);
		assert_int_not_equal(cw_job_unpack(&r, arena, &b, NULL),
		    CW_OK);
	}
}

static void
test_gate_messages_come_back(void **state)
{
	struct cw_request q = { .verb = CW_V_GET, .has_job = true,
		.job = { .id = "k" }, .rights = CW_R_WATCH,
		.key = "0123456789012345678901234567890123456789" }, qb;
	struct cw_reply p = { .answer = CW_A_VERDICT, .json = "{}",
		.parts = { { "png", 3 } }, .nparts = 1 }, pb;
	struct cw_unpack r;
	struct cw_pack w;

	(void)state;
	cw_pack_init(&w, arena, 0);
	cw_request_pack(&q, &w);
	cw_unpack_init(&r, w.p, w.len);
	assert_int_equal(cw_request_unpack(&r, arena, &qb, NULL), CW_OK);
	assert_string_equal(qb.job.id, "k");
	assert_int_equal(qb.rights, CW_R_WATCH);
	assert_string_equal(qb.key, q.key);
	cw_pack_init(&w, arena, 0);
	cw_reply_pack(&p, &w);
	cw_unpack_init(&r, w.p, w.len);
	assert_int_equal(cw_reply_unpack(&r, arena, &pb, NULL), CW_OK);
	assert_memory_equal(pb.parts[0].p, "png", 3);
	cw_unpack_init(&r, w.p, w.len - 1);
	assert_int_equal(cw_reply_unpack(&r, arena, &pb, NULL), CW_E_FORMAT);
	assert_int_equal(cw_verb_parse("SUBMIT", 6), CW_V_SUBMIT);
	assert_int_equal(cw_verb_parse("SUBMITS", 7), -1);
}

static void
test_a_program_of_another_build_is_told_apart(void **state)
{
	const struct cw_init m = { .model_dir = "m", .batch = 1 };
	struct cw_init back;
	struct cw_unpack r;
	struct cw_err err;
	struct cw_pack w;

	(void)state;
	cw_pack_init(&w, arena, 0);
	cw_init_pack(&m, &w);
	cw_unpack_init(&r, w.p, w.len);
	assert_int_equal(cw_init_unpack(&r, arena, &back, &err), CW_OK);
	w.p[0]++;
	cw_unpack_init(&r, w.p, w.len);
	assert_int_equal(cw_init_unpack(&r, arena, &back, &err), CW_E_CONFIG);
	assert_non_null(strstr(err.text, "another build"));
}

static void
test_utf8_follows_the_standard(void **state)
{
	static const struct {
		const char	*s;
		bool		 want;
	} cases[] = {
		{ "", true }, { "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true },
		{ "\xc0\x80", false }, { "\xe0\x80\x80", false },
		{ "\xed\xa0\x80", false }, { "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false }, { "\xc3", false },
		{ "\x80", false },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++)
		assert_int_equal(cw_utf8_valid(cases[i].s,
		    strlen(cases[i].s)), cases[i].want);
	assert_false(cw_utf8_valid("a\0b", 3));
	assert_int_equal(cw_utf8_cut("abc", 3), 3);
	assert_int_equal(cw_utf8_cut("abcd", 3), 3);
	assert_int_equal(cw_utf8_cut("ab\303\266", 4), 4);
	assert_int_equal(cw_utf8_cut("ab\303\266", 3), 2);
	assert_int_equal(cw_utf8_cut("a\342\202\254", 3), 1);
	assert_int_equal(cw_utf8_cut("\360\237\230\200", 3), 0);
	assert_int_equal(cw_utf8_cut("", 0), 0);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_values_come_back_and_leftovers_are_noticed),
		T(test_lengths_beyond_the_input_or_the_bound_are_bad),
		T(test_a_frame_with_a_wrong_magic_or_length_is_refused),
		T(test_a_frame_travels_through_a_pipe),
		T(test_a_policy_set_survives_packing_with_its_hash),
		T(test_no_damaged_policy_set_is_read_past_its_end),
		T(test_softmax_is_the_best_prompt_against_all_neutral),
		T(test_each_scoring_and_weight_follows_its_formula),
		T(test_calibration_needs_its_own_model),
		T(test_a_nan_or_nothing_to_contrast_with_is_no_score),
		T(test_decide_at_the_edges),
		T(test_a_result_comes_back_as_it_was),
		T(test_neutral_cosines_come_back_for_every_view_used),
		T(test_a_lie_about_neutral_cosines_is_refused),
		T(test_no_damaged_result_passes_for_a_longer_or_shorter_one),
		T(test_a_forged_result_is_refused),
		T(test_the_harshest_category_decides_and_shadow_never),
		T(test_a_job_may_wait_for_hours),
		T(test_a_verdict_is_whole_or_none_when_memory_ends),
		T(test_a_verdict_names_what_the_set_names),
		T(test_a_verdict_names_the_view_of_every_cosine),
		T(test_a_verdict_says_why_a_flag_has_no_map),
		T(test_a_map_that_lowers_nothing_is_weak),
		T(test_an_error_verdict_is_neither_allow_nor_flag),
		T(test_a_job_header_is_read_and_its_faults_are_named),
		T(test_a_job_survives_packing_and_damage),
		T(test_gate_messages_come_back),
		T(test_a_program_of_another_build_is_told_apart),
		T(test_utf8_follows_the_standard),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
