/*
 * test_policy_file.c - policies from YAML: what is taken, refused, warned of.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/io.h"
#include "conf/policy_file.h"

#define HEX64	"0123456789abcdef0123456789abcdef" \
		"0123456789abcdef0123456789abcdef"

/* The parts of a policy that is right, for cases to change one of. */
#define HEAD	"schema: clipward.policy/1\nid: v\n"
#define CATS	"categories:\n  - {id: v.a, prompts: [a gun]}\n"
#define NEUTRAL	"neutral: [b, c, d, e, f, g, h, i]\n"
#define LEVELS	"thresholds: {review: 0.5, block: 0.9}\n"

static struct cw_arena *arena;

static int
set_up(void **state)
{
	(void)state;
	return cw_arena_open(CW_POLICY_ARENA, &arena, NULL) == CW_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

static enum cw_status
read_text(const char *text, struct cw_policy_set *set,
    struct cw_warnings *w, struct cw_err *err)
{
	cw_arena_reset(arena, 0);
	return cw_policy_bytes_read("f", text, strlen(text), NULL, arena, set,
	    w, err);
}

static void
test_every_key_lands_in_its_field(void **state)
{
	static const char text[] =
	    "schema: clipward.policy/1\n"
	    "id: v\nversion: 7\ntitle: Title\n"
	    "templates: [\"a {}.\", \"{}\"]\n"
	    "categories:\n"
	    "  - id: v.one\n"
	    "    title: One\n"
	    "    severity: critical\n"
	    "    prompts: [plain, {text: heavy, weight: 2.5}]\n"
	    "    reason: {code: C-1, dsa: D, text: Because}\n"
	    "    thresholds: {review: 0.25}\n"
	    "  - id: v.two\n"
	    "    prompts: [x]\n"
	    "    calibration: {kind: platt, a: 2, b: -1.5, n: 9,\n"
	    "      model: \"sha256:" HEX64 "\", date: 2026-11-23}\n"
	    "neutral: [n1, {text: n2, weight: 0.5}]\n"
	    "score: margin\n"
	    "thresholds: {review: -0.1, block: 1.5}\n"
	    "heads: []\n"
	    "explain: {when: always, top: 5, faithfulness: true}\n"
	    "on_error: block\nshadow: true\n"
	    "tests: [{image: t/x.jpg, expect: block}]\n";
	const struct cw_category *c;
	struct cw_policy_set set;
	const struct cw_policy *p;
	struct cw_err err;

	(void)state;
	assert_int_equal(read_text(text, &set, NULL, &err), CW_E_CONFIG);
	/* v.two is calibrated, so its thresholds are probabilities. */
	assert_string_equal(err.text, "f:13:5: category v.two: thresholds "
	    "-0.1 and 1.5 do not fit its score; want 0 to 1");
	assert_int_equal(read_text(strstr(text, "id: v"), &set, NULL, &err),
	    CW_E_CONFIG);
	assert_string_equal(err.text,
	    "f:1:1: no schema; want schema: clipward.policy/1");
	cw_arena_reset(arena, 0);
	{
		char *fixed = strdup(text);

		assert_non_null(fixed);
		memcpy(strstr(fixed, "-0.1, block: 1.5"), "0.1,  block: 0.5",
		    16);
		assert_int_equal(cw_policy_bytes_read("f", fixed,
		    strlen(fixed), NULL, arena, &set, NULL, &err), CW_OK);
		free(fixed);
	}
	p = &set.policies[0];
	assert_string_equal(p->id, "v");
	assert_int_equal(p->version, 7);
	assert_string_equal(p->title, "Title");
	assert_int_equal(p->ntemplates, 2);
	assert_int_equal(p->ncategories, 2);
	c = &p->categories[0];
	assert_int_equal(c->severity, CW_CRITICAL);
	assert_string_equal(c->prompts[1].text, "heavy");
	assert_true(c->prompts[1].weight == 2.5f);
	assert_true(c->prompts[0].weight == 1);
	assert_string_equal(c->reason.text, "Because");
	assert_true(c->thresholds.review == 0.25f);
	assert_true(c->thresholds.block == 0.5f);
	assert_false(c->calibration.present);
	c = &p->categories[1];
	assert_int_equal(c->severity, CW_MEDIUM);
	assert_string_equal(c->title, "v.two");
	assert_true(c->calibration.present);
	assert_true(c->calibration.a == 2 && c->calibration.b == -1.5);
	assert_string_equal(c->calibration.model, HEX64);
	assert_int_equal(c->bank, 2);
	assert_int_equal(p->neutral_bank, 3);
	assert_int_equal(set.nprompts, 5);
	assert_int_equal(p->scoring, CW_MARGIN);
	assert_int_equal(p->explain_when, CW_WHEN_ALWAYS);
	assert_int_equal(p->explain_top, 5);
	assert_true(p->faithfulness && p->shadow);
	assert_int_equal(p->on_error, CW_BLOCK);
	assert_int_equal(p->ntests, 1);
	assert_int_equal(p->tests[0].expect, CW_BLOCK);
}

static void
test_what_is_left_out_has_a_default(void **state)
{
	const struct cw_policy_defaults d = { CW_WHEN_NEVER, 9 };
	static const char text[] = HEAD CATS NEUTRAL LEVELS;
	struct cw_policy_set set;
	struct cw_err err;

	(void)state;
	if (read_text(text, &set, NULL, &err) != CW_OK)
		fail_msg("%s", err.text);
	assert_int_equal(set.policies[0].version, 1);
	assert_string_equal(set.policies[0].title, "v");
	assert_string_equal(set.policies[0].templates[0], "a photo of {}.");
	assert_int_equal(set.policies[0].scoring, CW_SOFTMAX);
	assert_int_equal(set.policies[0].explain_top, 3);
	assert_int_equal(set.policies[0].on_error, CW_REVIEW);
	assert_int_equal(cw_policy_bytes_read("f", text, strlen(text), &d,
	    arena, &set, NULL, &err), CW_OK);
	assert_int_equal(set.policies[0].explain_when, CW_WHEN_NEVER);
	assert_int_equal(set.policies[0].explain_top, 9);
}

static void
test_a_wrong_policy_names_its_place_and_what_is_wanted(void **state)
{
#define WITH(x)	HEAD CATS NEUTRAL LEVELS x
#define CAT(x)	HEAD "categories:\n  - " x "\n" NEUTRAL LEVELS
	static const struct {
		const char	*text, *want;
	} cases[] = {
		{ "", "f:1:1: no schema; want schema: clipward.policy/1" },
		{ "- a\n", "f:1:1: a policy is a list; want a mapping" },
		{ "schema: clipward.policy/2\n", "f:1:9: schema is "
		    "\"clipward.policy/2\"; want clipward.policy/1" },
		{ WITH("treshold: 1\n"), "f:7:1: unknown key \"treshold\" in a "
		    "policy; nearest is \"thresholds\"" },
		{ "schema: clipward.policy/1\n", "f:1:1: no id" },
		{ "schema: clipward.policy/1\nid: a.b\n", "f:2:5: id \"a.b\"; "
		    "want a name of [a-z0-9_-]" },
		{ "schema: clipward.policy/1\nid: none\n", "f:2:5: id" },
		{ "schema: clipward.policy/1\nid: ''\n", "f:2:5: id is empty; "
		    "want a text" },
		{ HEAD NEUTRAL LEVELS, "f:1:1: categories; want a list of 1 "
		    "to 64" },
		{ HEAD "categories: []\n", "f:3:13: categories; want a list" },
		{ HEAD CATS LEVELS, "f:1:1: no neutral prompts; score: "
		    "softmax wants a contrast set" },
		{ HEAD CATS NEUTRAL, "f:4:5: category v.a has no threshold "
		    "for review" },
		{ HEAD CATS NEUTRAL "thresholds: {review: 0.4}\n", "f:4:5: "
		    "category v.a has no threshold for block" },
		{ HEAD CATS NEUTRAL "thresholds: {review: 0.9, block: 0.4}\n",
		    "f:6:13: thresholds: review 0.9 is above block 0.4" },
		{ HEAD CATS NEUTRAL "thresholds: {review: 0.9, block: 1.4}\n",
		    "f:6:34: thresholds.block is \"1.4\"; want a number from "
		    "0 to 1" },
		{ HEAD CATS NEUTRAL "thresholds: {review: .nan, block: 1}\n",
		    "f:6:22: thresholds.review is \".nan\"; want a number" },
		{ HEAD CATS NEUTRAL "thresholds: {review: nan, block: 1}\n",
		    "f:6:22: thresholds.review is \"nan\"" },
		{ HEAD CATS NEUTRAL "thresholds: {review: 1e999, block: 1}\n",
		    "f:6:22: thresholds.review is \"1e999\"" },
		{ HEAD CATS NEUTRAL "thresholds: {review: 0x1, block: 1}\n",
		    "f:6:22: thresholds.review is \"0x1\"" },
		{ HEAD CATS NEUTRAL "thresholds: 0.5\n", "f:6:13: thresholds "
		    "is \"0.5\"; want a mapping" },
		{ WITH("score: head\n"), "f:7:8: score: head is not read by "
		    "this version; want softmax, margin or cosine" },
		{ WITH("score: soft\n"), "f:7:8: score is \"soft\"; want "
		    "softmax, margin or cosine" },
		{ WITH("heads: [{id: x}]\n"), "f:7:8: heads: linear heads are "
		    "not read by this version; want []" },
		{ WITH("version: 0\n"), "f:7:10: version is \"0\"; want 1 to" },
		{ WITH("shadow: maybe\n"), "f:7:9: shadow is \"maybe\"; want "
		    "true or false" },
		{ WITH("on_error: allow\n"), "f:7:11: on_error is \"allow\"; "
		    "want review or block" },
		{ WITH("explain: {top: 0}\n"), "f:7:16: explain.top is \"0\"" },
		{ WITH("explain: {wen: x}\n"), "f:7:11: unknown key \"wen\" "
		    "in explain; nearest is \"when\"" },
		{ WITH("tests: [{image: x}]\n"), "f:7:9: test without "
		    "expect" },
		{ WITH("tests: [{image: x, expect: error}]\n"), "f:7:28: "
		    "test.expect is \"error\"; want allow, review or block" },
		{ WITH("templates: []\n"), "f:7:12: templates is" },
		{ WITH("templates: [\"a photo\"]\n"), "f:7:13: template \"a "
		    "photo\" has no {}; want exactly one" },
		{ WITH("templates: [\"{} {}\"]\n"), "f:7:13: template \"{} "
		    "{}\" has more than one {}" },
		{ WITH("templates: [\"{}<|endoftext|>\"]\n"), "f:7:13: "
		    "\"<|endoftext|>\" in a text; want plain words" },
		{ CAT("{prompts: [x]}"), "f:4:5: category without an id" },
		{ CAT("{id: w.a, prompts: [x]}"), "f:4:10: category id "
		    "\"w.a\"; want v. and a name" },
		{ CAT("{id: v., prompts: [x]}"), "f:4:10: category id" },
		{ CAT("{id: v.A, prompts: [x]}"), "f:4:10: category id" },
		{ CAT("{id: v.a}"), "f:4:5: category v.a without prompts" },
		{ CAT("{id: v.a, prompts: []}"), "f:4:24: prompts is an empty "
		    "list; want a list of texts" },
		{ CAT("{id: v.a, prompts: gun}"), "f:4:24: prompts is "
		    "\"gun\"; want a list of texts" },
		{ CAT("{id: v.a, prompts: ['']}"), "f:4:25: prompt is empty; "
		    "want a text" },
		{ CAT("{id: v.a, prompts: ['  ']}"), "f:4:25: prompt is "
		    "\"  \"; want a text" },
		{ CAT("{id: v.a, prompts: [a <|EndOfText|>]}"), "f:4:25: "
		    "\"<|endoftext|>\" in a text" },
		{ CAT("{id: v.a, prompts: [{weight: 1}]}"), "f:4:25: prompt "
		    "without text" },
		{ CAT("{id: v.a, prompts: [{text: x, weight: 0}]}"),
		    "f:4:43: weight is \"0\"; want a number above 0" },
		{ CAT("{id: v.a, prompts: [{text: x, weight: 1e-60}]}"),
		    "f:4:43: weight is 1e-60" },
		{ CAT("{id: v.a, prompts: [{txt: x}]}"), "f:4:26: unknown key "
		    "\"txt\" in a prompt; nearest is \"text\"" },
		{ CAT("{id: v.a, prompts: [[x]]}"), "f:4:25: prompt is a "
		    "list" },
		{ CAT("{id: v.a, severity: huge, prompts: [x]}"), "f:4:25: "
		    "severity is \"huge\"; want low, medium, high or "
		    "critical" },
		{ CAT("{id: v.a, prompts: [x], calibration: {a: 1, b: 0}}"),
		    "f:4:42: calibration without model" },
		{ CAT("{id: v.a, prompts: [x], calibration: {a: 1, b: 0, "
		    "model: beef}}"), "f:4:62: calibration.model; want "
		    "sha256:" },
		{ CAT("{id: v.a, prompts: [x], calibration: {kind: beta, "
		    "a: 1, b: 0, model: " HEX64 "}}"), "f:4:49: "
		    "calibration.kind is \"beta\"; want platt" },
		{ HEAD "categories:\n  - {id: v.a, prompts: [x]}\n"
		    "  - {id: v.a, prompts: [y]}\n" NEUTRAL LEVELS,
		    "f:5:10: category \"v.a\" again" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		struct cw_policy_set set;
		struct cw_err err;

		if (read_text(cases[i].text, &set, NULL, &err) != CW_E_CONFIG)
			fail_msg("taken: %s", cases[i].text);
		if (strncmp(err.text, cases[i].want, strlen(cases[i].want)))
			fail_msg("got \"%s\", want \"%s\"", err.text,
			    cases[i].want);
	}
}

static void
test_an_unwise_policy_is_warned_of(void **state)
{
	static const char text[] = HEAD
	    "categories:\n"
	    "  - {id: v.a, prompts: [a gun, A Gun, tree]}\n"
	    "neutral: [tree, x]\n"
	    "thresholds: {review: 0.5, block: 0.5}\n"
	    "calibration: {a: -1, b: 0, model: " HEX64 "}\n";
	static const char *const want[] = {
		"f:5:10: only 2 neutral prompts; 8 or more keep harmless "
		"images out",
		"f:4:5: category v.a: review equals block, so nothing is ever "
		"only reviewed",
		"f:4:5: category v.a has no reason.code to tell people",
		"f:4:5: category v.a: calibration a is not above 0, so higher "
		"scores count less",
		"f:4:32: \"A Gun\" again (line 4)",
		"f:5:11: \"tree\" is a prompt and a neutral one (line 4); it "
		"can tell nothing apart",
		"f: category v.a: calibration belongs to model 0123456789ab, "
		"not to fedc, and is not applied",
	};
	struct cw_policy_set set;
	struct cw_warnings w;
	struct cw_err err;

	(void)state;
	if (read_text(text, &set, &w, &err) != CW_OK)
		fail_msg("%s", err.text);
	cw_policy_set_lint_model(&set, "fedc", arena, &w);
	assert_int_equal(w.n, CW_COUNT(want));
	for (size_t i = 0; i < w.n; i++)
		assert_string_equal(w.text[i], want[i]);
}

static void
test_the_shipped_policies_pass_without_a_warning(void **state)
{
	const char *build = getenv("CW_BUILD"), *dir;
	struct cw_policy_set set;
	struct cw_warnings w;
	struct cw_err err;

	(void)state;
	cw_arena_reset(arena, 0);
	dir = build == NULL ? "policies" :
	    cw_arena_printf(arena, "%s/../policies", build);
	if (cw_policy_files_read(&(struct cw_strings){ &dir, 1 }, NULL, arena,
	    &set, &w, &err) != CW_OK)
		fail_msg("%s", err.text);
	assert_true(set.npolicies >= 3);
	for (size_t i = 0; i < w.n; i++)
		print_error("%s\n", w.text[i]);
	assert_int_equal(w.n, 0);
}

static void
write_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
remove_directory(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	rmdir(dir);
}

static void
test_a_directory_is_read_in_order_and_an_id_only_once(void **state)
{
	static const char one[] = HEAD CATS NEUTRAL LEVELS;
	static const char two[] = "schema: clipward.policy/1\nid: w\n"
	    "categories:\n  - {id: w.a, prompts: [a gun]}\n" NEUTRAL LEVELS;
	char dir[] = "/tmp/cw-policies-XXXXXX", hash[CW_SHA256_HEX];
	const char *path = dir, *absent = "/nonexistent";
	const struct cw_strings paths = { &path, 1 };
	struct cw_policy_set set;
	struct cw_err err;

	(void)state;
	cw_arena_reset(arena, 0);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(cw_policy_files_read(&paths, NULL, arena, &set,
	    NULL, &err), CW_E_CONFIG);
	assert_non_null(strstr(err.text, "no policy in it; want *.yaml"));
	write_file(dir, "b.yaml", one);
	write_file(dir, "a.yml", two);
	write_file(dir, ".c.yaml", "hidden");
	write_file(dir, "README", "not one");
	assert_int_equal(cw_policy_files_read(&paths, NULL, arena, &set,
	    NULL, &err), CW_OK);
	assert_int_equal(set.npolicies, 2);
	assert_string_equal(set.policies[0].id, "w");
	assert_string_equal(set.policies[1].id, "v");
	memcpy(hash, set.hash, sizeof(hash));
	write_file(dir, "d.yaml", two);
	assert_int_equal(cw_policy_files_read(&paths, NULL, arena, &set,
	    NULL, &err), CW_E_CONFIG);
	assert_non_null(strstr(err.text,
	    "/d.yaml:2:5: policy \"w\" again; "));
	assert_string_equal(set.hash, hash);	/* untouched by the failure */
	assert_int_equal(cw_policy_files_read(&(struct cw_strings){ &absent,
	    1 }, NULL, arena, &set, NULL, &err), CW_E_NOT_FOUND);
	remove_directory(dir);
}

static void
test_prompts_beyond_the_bank_are_refused_within_a_second(void **state)
{
	static const size_t sizes[] = { CW_PROMPTS_MAX + 1, 30000, 100000 };

	(void)state;
	for (size_t i = 0; i < CW_COUNT(sizes); i++) {
		const uint64_t start = cw_now_ms();
		char *text = malloc(sizes[i] * 7 + 256), *at = text;
		struct cw_policy_set set;
		struct cw_warnings w;
		struct cw_err err;

		at += sprintf(at, HEAD LEVELS NEUTRAL
		    "categories:\n - id: v.a\n   prompts:\n");
		for (size_t j = 0; j < sizes[i]; j++)
			at += sprintf(at, "   - a\n");
		assert_int_equal(read_text(text, &set, &w, &err),
		    CW_E_CONFIG);
		free(text);
		assert_true(cw_now_ms() - start <= 1000);
		assert_int_equal(strncmp(err.text, "f:", 2), 0);
	}
}

/* The most prompts that fit are read and linted in time too. */
static void
test_a_full_bank_is_read_within_a_second(void **state)
{
	const uint64_t start = cw_now_ms();
	char *text = malloc(CW_PROMPTS_MAX * 16 + 256), *at = text;
	struct cw_policy_set set;
	struct cw_warnings w;
	struct cw_err err;

	(void)state;
	at += sprintf(at, HEAD LEVELS NEUTRAL
	    "categories:\n - id: v.a\n   prompts:\n");
	for (size_t j = 0; j < CW_PROMPTS_MAX - 8; j++)
		at += sprintf(at, "   - p%zu\n", j % 4000);
	if (read_text(text, &set, &w, &err) != CW_OK)
		fail_msg("%s", err.text);
	free(text);
	assert_int_equal(set.nprompts, CW_PROMPTS_MAX);
	assert_int_equal(w.n, CW_WARNINGS_MAX);
	assert_true(w.dropped > 4000);
	assert_true(cw_now_ms() - start <= 1000);
}

static void
test_every_flipped_byte_of_a_policy_is_an_error_or_a_policy(void **state)
{
	static const char text[] = WITH("explain: {when: flagged, top: 2}\n"
	    "tests: [{image: x, expect: allow}]\n");
	char copy[sizeof(text)];
	struct cw_policy_set set;
	struct cw_warnings w;
	struct cw_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (int b = 0; b < 256; b += 5) {
			memcpy(copy, text, sizeof(text));
			copy[i] = (char)b;
			cw_arena_reset(arena, 0);
			(void)!cw_policy_bytes_read("f", copy,
			    sizeof(text) - 1, NULL, arena, &set, &w, &err);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_lands_in_its_field),
		cmocka_unit_test(test_what_is_left_out_has_a_default),
		cmocka_unit_test(
		    test_a_wrong_policy_names_its_place_and_what_is_wanted),
		cmocka_unit_test(test_an_unwise_policy_is_warned_of),
		cmocka_unit_test(
		    test_the_shipped_policies_pass_without_a_warning),
		cmocka_unit_test(
		    test_a_directory_is_read_in_order_and_an_id_only_once),
		cmocka_unit_test(
		    test_prompts_beyond_the_bank_are_refused_within_a_second),
		cmocka_unit_test(test_a_full_bank_is_read_within_a_second),
		cmocka_unit_test(
		    test_every_flipped_byte_of_a_policy_is_an_error_or_a_policy),
	};

	return cmocka_run_group_tests_name("policy_file", tests, set_up,
	    tear_down);
}
