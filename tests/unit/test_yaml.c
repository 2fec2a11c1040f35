/*
 * test_yaml.c - what the YAML reader takes, and what it must refuse quickly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "conf/yaml.h"

#define ROOM	(64u << 20)	/* hostile input may not cost more */

static int
open_arena(void **state)
{
	struct cw_arena *a;

	if (cw_arena_open(ROOM, &a, NULL) != CW_OK)
		return -1;
	*state = a;
	return 0;
}

static int
close_arena(void **state)
{
	struct cw_arena *a = *state;

	cw_arena_close(&a);
	return 0;
}

static void
test_a_tree_knows_its_places(void **state)
{
	static const char text[] =
	    "# a comment\n"
	    "id: x\n"
	    "list: [a, \"b c\", {k: v}]\n"
	    "block:\n"
	    "  - text: |\n"
	    "      two\n"
	    "      lines\n";
	const struct cw_yaml *list, *block;
	struct cw_yaml *root;
	struct cw_err err;

	assert_int_equal(cw_yaml_parse("f", text, sizeof(text) - 1, *state,
	    &root, &err), CW_OK);
	assert_int_equal(root->kind, CW_YAML_MAP);
	assert_int_equal(root->n, 3);
	assert_string_equal(cw_yaml_get(root, "id")->text, "x");
	assert_int_equal(cw_yaml_get(root, "id")->key_at.line, 2);
	assert_int_equal(cw_yaml_get(root, "id")->at.column, 5);
	assert_null(cw_yaml_get(root, "absent"));
	list = cw_yaml_get(root, "list");
	assert_int_equal(list->kind, CW_YAML_LIST);
	assert_int_equal(list->n, 3);
	assert_true(list->first->plain);
	assert_false(list->first->next->plain);
	assert_string_equal(list->first->next->text, "b c");
	assert_int_equal(list->first->next->next->kind, CW_YAML_MAP);
	block = cw_yaml_get(root, "block")->first;
	assert_int_equal(block->at.line, 5);
	assert_string_equal(cw_yaml_get(block, "text")->text, "two\nlines\n");
}

static void
test_an_empty_file_is_an_empty_mapping(void **state)
{
	static const char *const empty[] = { "", "\n", "# nothing\n", "---\n...\n",
		"\xef\xbb\xbf" };
	struct cw_yaml *root;

	for (size_t i = 0; i < CW_COUNT(empty); i++) {
		assert_int_equal(cw_yaml_parse("f", empty[i],
		    strlen(empty[i]), *state, &root, NULL), CW_OK);
		assert_int_equal(root->n, 0);
	}
}

static void
test_what_multiplies_or_points_is_refused(void **state)
{
	static const struct {
		const char	*text, *want;
	} cases[] = {
		{ "a: &x 1\nb: *x\n", "f:1:4: anchor \"&x\"; want plain values only" },
		{ "b: *x\n", "f:1:4: alias \"*x\"; want plain values only" },
		{ "a: !!str 1\n", "f:1:4: tag" },
		{ "a: !x [1]\n", "f:1:4: tag" },
		{ "a: 1\n---\nb: 2\n", "f:2:1: second document; want one" },
		{ "%YAML 1.1\n---\na: 1\n", "f:1:1: YAML directive; want none" },
		{ "a: 1\nb: 2\na: 3\n", "f:3:1: duplicate key \"a\"; first on line 1" },
		{ "m: {x: 1, x: 2}\n", "f:1:11: duplicate key \"x\"" },
		{ "a:\n\tb: 1\n", "f:2:1: tab as indentation; want spaces" },
		{ "a: 1\nb: \xff\n", "f:2:4: byte 0xff is not UTF-8; want UTF-8 text" },
		{ "a: \xc0\xaf\n", "f:1:4: byte 0xc0 is not UTF-8" },
		{ "a: \xed\xa0\x80\n", "f:1:4: byte 0xed is not UTF-8" },
		{ "a: \xe2\x82", "f:1:4: byte 0xe2 is not UTF-8" },
		{ "a: \x01\n", "f:1:4: control character U+0001" },
		{ "? [a]\n: b\n", "f:1:3: list as a key; want a word" },
		{ "? {a: 1}\n: b\n", "f:1:3: mapping as a key; want a word" },
		{ "a: [1, 2\n", "f:2:1: did not find expected ',' or ']'" },
		{ "a: \"x\n", "f:2:1: found unexpected end of stream" },
		{ "a: \"\\0\"\n", "f:1:4: NUL character; want text" },
		{ "a: b: c\n", "f:1:5: mapping values are not allowed" },
	};

	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		struct cw_yaml *root;
		struct cw_err err;

		if (cw_yaml_parse("f", cases[i].text, strlen(cases[i].text),
		    *state, &root, &err) != CW_E_CONFIG)
			fail_msg("taken: %s", cases[i].text);
		if (strncmp(err.text, cases[i].want, strlen(cases[i].want)))
			fail_msg("got \"%s\", want \"%s\"", err.text,
			    cases[i].want);
	}
}

/* unit repeated into about size bytes, between head and tail. */
static char *
repeated(const char *head, const char *unit, const char *tail, size_t size,
    size_t *len)
{
	const size_t n = strlen(unit);
	char *s = malloc(size + strlen(head) + strlen(tail) + n + 1);
	size_t at = 0;

	assert_non_null(s);
	at += (size_t)sprintf(s, "%s", head);
	while (at + n <= size) {
		memcpy(s + at, unit, n);
		at += n;
	}
	at += (size_t)sprintf(s + at, "%s", tail);
	*len = at;
	return s;
}

static void
test_hostile_files_end_within_a_second_and_name_a_place(void **state)
{
	static const struct {
		const char	*what, *head, *unit, *tail;
		size_t		 size;
	} cases[] = {
		{ "100,000 open brackets", "", "[", "", 100000 },
		{ "a megabyte of open brackets", "", "[", "", 1000000 },
		{ "open brackets on lines", "", "[\n", "", 1000000 },
		{ "open braces", "a: ", "{", "", 1000000 },
		{ "brackets and braces", "", "{[", "", 1000000 },
		{ "open pairs", "", "{a: [", "", 1000000 },
		{ "dashes", "", "- ", "x", 1000000 },
		{ "question marks", "", "? ", "x", 1000000 },
		{ "pairs of one line", "", "a: ", "x", 1000000 },
		{ "tag directives", "", "%TAG !a! tag:b\n", "--- x\n", 1000000 },
		{ "comments and an error", "", "# x\n", "a: *b\n", 1000000 },
		{ "documents", "", "---\n", "", 1000000 },
		{ "anchors", "[", "&a x, ", "]", 1000000 },
		{ "aliases", "[", "*a, ", "]", 1000000 },
		{ "equal keys", "", "a: 1\n", "", 1000000 },
		{ "prompts", "prompts:\n", "  - a\n", "", 600000 },
		{ "prompts in a flow", "p: [", "a, ", "b]", 900000 },
		{ "empty values", "p: [", "'',", "b]", 900000 },
		{ "a comma each", "[", ",", "]", 1000000 },
		{ "colons", "", ":", " - x: y: z", 1000000 },
		{ "an open quote", "a: \"", "x\\n", "", 1000000 },
		{ "an open quote over lines", "a: \"", "x\n ", "", 1000000 },
		{ "a megabyte and more", "a: ", "x", "", 1100000 },
		{ "spaces", "a:\n", " ", "\t*b", 1000000 },
	};
	const char *slowest = "";
	uint64_t worst = 0;

	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		const uint64_t start = cw_now_ms();
		struct cw_yaml *root;
		struct cw_err err;
		uint64_t ms;
		size_t len;
		char *s;

		s = repeated(cases[i].head, cases[i].unit, cases[i].tail,
		    cases[i].size, &len);
		cw_arena_reset(*state, 0);
		if (cw_yaml_parse("f", s, len, *state, &root, &err) !=
		    CW_E_CONFIG)
			fail_msg("taken: %s", cases[i].what);
		free(s);
		ms = cw_now_ms() - start;
		if (ms > 1000)
			fail_msg("%s: %d ms", cases[i].what, (int)ms);
		if (strncmp(err.text, "f:", 2) != 0 ||
		    strspn(err.text + 2, "0123456789") == 0)
			fail_msg("%s: no place in \"%s\"", cases[i].what,
			    err.text);
		if (ms > worst) {
			worst = ms;
			slowest = cases[i].what;
		}
	}
	print_message("hostile YAML: slowest is \"%s\", %d ms\n", slowest,
	    (int)worst);
}

static void
test_billion_laughs_ends_at_its_first_anchor(void **state)
{
	static const char text[] =
	    "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	    "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
	    "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n";
	struct cw_yaml *root;
	struct cw_err err;

	assert_int_equal(cw_yaml_parse("f", text, sizeof(text) - 1, *state,
	    &root, &err), CW_E_CONFIG);
	assert_string_equal(err.text,
	    "f:1:4: anchor \"&a\"; want plain values only");
}

static void
test_sixteen_levels_are_taken_and_not_seventeen(void **state)
{
	char text[64];
	struct cw_yaml *root;
	struct cw_err err;

	for (int depth = 1; depth <= 17; depth++) {
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		assert_int_equal(cw_yaml_parse("f", text, (size_t)depth * 2,
		    *state, &root, &err), depth <= 16 ? CW_OK : CW_E_CONFIG);
	}
	assert_string_equal(err.text, "f:1:17: nested deeper than 16 levels");
}

/* No byte of a small file, whatever it becomes, may do more than fail. */
static void
test_every_flipped_byte_is_an_error_or_a_tree(void **state)
{
	static const char text[] = "a: [x, {b: \"c\"}]\nd:\n  - 'e'\n  - |\n   f\n";
	char copy[sizeof(text)];
	struct cw_yaml *root;
	struct cw_err err;

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (int b = 0; b < 256; b++) {
			enum cw_status st;

			memcpy(copy, text, sizeof(text));
			copy[i] = (char)b;
			cw_arena_reset(*state, 0);
			st = cw_yaml_parse("f", copy, sizeof(text) - 1,
			    *state, &root, &err);
			assert_true(st == CW_OK || st == CW_E_CONFIG);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tree_knows_its_places),
		cmocka_unit_test(test_an_empty_file_is_an_empty_mapping),
		cmocka_unit_test(test_what_multiplies_or_points_is_refused),
		cmocka_unit_test(
		    test_hostile_files_end_within_a_second_and_name_a_place),
		cmocka_unit_test(test_billion_laughs_ends_at_its_first_anchor),
		cmocka_unit_test(
		    test_sixteen_levels_are_taken_and_not_seventeen),
		cmocka_unit_test(
		    test_every_flipped_byte_is_an_error_or_a_tree),
	};

	return cmocka_run_group_tests_name("yaml", tests, open_arena,
	    close_arena);
}
