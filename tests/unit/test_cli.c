/*
 * test_cli.c - the parts of the command line that need no worker: options,
 * inputs, lines in order, texts made safe, ad hoc policies.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/adhoc.h"
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/map_print.h"
#include "cli/ordered.h"
#include "cli/platt.h"
#include "cli/verdict_print.h"

static struct cw_arena *arena;

/* main.c, which has the real one, is not part of the tests' library. */
static char complaint[512];
int
cw_complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(complaint, sizeof(complaint), fmt, ap);
	va_end(ap);
	return CW_EXIT_ERROR;
}

void
cw_warn(const char *fmt, ...)
{
	(void)fmt;
}

const char *
cw_tint(const struct cw_cli *cli, enum cw_tint t)
{
	(void)cli;
	(void)t;
	return "";
}

enum cw_tint
cw_tint_of(const char *decision)
{
	(void)decision;
	return CW_PLAIN;
}

static int
set_up(void **state)
{
	(void)state;
	return cw_arena_open((size_t)64 << 20, &arena, NULL) == CW_OK ? 0 :
	    -1;
}

static int
tear_down(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

struct parsed {
	bool			 flag;
	const char		*text;
	uint64_t		 count;
	struct cw_strings	 list, rest;
};

static int
parse(struct parsed *p, struct cw_cli *cli, char **argv)
{
	static const struct cw_command command = { "test", "", "", NULL };
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli),
		{ "flag", 'x', OPT_FLAG, &p->flag, NULL, "", 0, 0 },
		{ "text", 't', OPT_TEXT, &p->text, "T", "", 0, 0 },
		{ "count", 'n', OPT_COUNT, &p->count, "N", "", 1, 9 },
		{ "list", 0, OPT_LIST, &p->list, "L", "", 0, 0 },
	};
	int argc = 0;

	while (argv[argc] != NULL)
		argc++;
	*cli = (struct cw_cli){ .command = &command, .arena = arena };
	*p = (struct parsed){ .count = 1 };
	complaint[0] = '\0';
	return cw_options(cli, opts, CW_COUNT(opts), argc, argv, &p->rest);
}

static void
test_options_stand_anywhere_and_in_both_forms(void **state)
{
	char *argv[] = { "test", "a", "--text", "one", "-x", "--count=7",
		"-t", "two", "b", "--list", "l1", "--list=l2", "-f", "file",
		"--json", "--", "-x", NULL };
	struct parsed p;
	struct cw_cli cli;

	(void)state;
	assert_int_equal(parse(&p, &cli, argv), CW_GO_ON);
	assert_true(p.flag && cli.json);
	assert_string_equal(p.text, "two");
	assert_int_equal(p.count, 7);
	assert_int_equal(p.list.n, 2);
	assert_string_equal(p.list.item[1], "l2");
	assert_string_equal(cli.config, "file");
	assert_int_equal(p.rest.n, 3);
	assert_string_equal(p.rest.item[0], "a");
	assert_string_equal(p.rest.item[2], "-x");
}

static void
test_a_wrong_option_says_what_is_wanted(void **state)
{
	static const struct {
		const char	*word[3];
		const char	*want;
	} cases[] = {
		{ { "--txt", "x" }, "test: unknown option \"--txt\"; nearest "
		    "is \"--text\"" },
		{ { "-q" }, "test: unknown option \"-q\"" },
		{ { "--text" }, "test: --text needs a value: T" },
		{ { "--flag=yes" }, "test: --flag takes no value" },
		{ { "--count", "10" }, "test: --count is \"10\"; want 1 to "
		    "9" },
		{ { "-nx" }, "test: --count is \"x\"; want 1 to 9" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		char *argv[] = { "test", (char *)(uintptr_t)cases[i].word[0],
			(char *)(uintptr_t)cases[i].word[1], NULL };
		struct parsed p;
		struct cw_cli cli;

		assert_int_equal(parse(&p, &cli, argv), CW_EXIT_ERROR);
		if (strncmp(complaint, cases[i].want, strlen(cases[i].want)))
			fail_msg("got \"%s\", want \"%s\"", complaint,
			    cases[i].want);
	}
}

/* Each form that is right after the command is right before it. */
static void
test_options_before_the_command_have_every_form(void **state)
{
	static const char *const forms[][4] = {
		{ "clipward", "-f", "x", NULL }, { "clipward", "-fx", NULL },
		{ "clipward", "--config", "x", NULL },
		{ "clipward", "--config=x", NULL },
	};
	struct cw_cli cli;
	int first;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(forms); i++) {
		char *argv[6] = { NULL };
		int argc = 0;

		for (; forms[i][argc] != NULL; argc++)
			argv[argc] = (char *)(uintptr_t)forms[i][argc];
		argv[argc++] = (char *)(uintptr_t)"--socket=s";
		argv[argc] = (char *)(uintptr_t)"status";
		cli = (struct cw_cli){ .arena = arena };
		assert_int_equal(cw_options_leading(&cli, argc + 1, argv,
		    &first), CW_GO_ON);
		assert_int_equal(first, argc);
		assert_string_equal(cli.config, "x");
		assert_string_equal(cli.socket, "s");
		/* Without the value it says which. */
		if (argc > 3) {
			argv[2] = NULL;
			assert_int_equal(cw_options_leading(&cli, 2, argv,
			    &first), CW_EXIT_ERROR);
			assert_non_null(strstr(complaint,
			    "needs a value: FILE"));
		}
	}
}

/* Every order of arrival prints the same. */
static void
test_lines_come_out_in_the_order_given(void **state)
{
	static const int orders[][5] = {
		{ 0, 1, 2, 3, 4 }, { 4, 3, 2, 1, 0 }, { 2, 0, 4, 1, 3 },
		{ 1, 0, 3, 2, 4 },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(orders); i++) {
		struct cw_ordered o;
		char *text = NULL;
		size_t len = 0;
		FILE *f = open_memstream(&text, &len);

		assert_int_equal(cw_ordered_open(&o, f, 5, arena, NULL),
		    CW_OK);
		for (size_t k = 0; k < 5; k++) {
			char line[8];

			snprintf(line, sizeof(line), "%d\n", orders[i][k]);
			assert_int_equal(cw_ordered_put(&o,
			    (size_t)orders[i][k], line, 2, NULL), CW_OK);
		}
		cw_ordered_close(&o);
		fclose(f);
		assert_string_equal(text, "0\n1\n2\n3\n4\n");
		free(text);
	}
}

/* Far more bytes go through than may wait at once. */
static void
test_waiting_lines_take_bounded_memory(void **state)
{
	enum { LINES = 3000, BYTES = 100000 };
	static char line[BYTES];
	struct cw_ordered o;
	FILE *f = fopen("/dev/null", "w");

	(void)state;
	memset(line, 'x', sizeof(line));
	assert_int_equal(cw_ordered_open(&o, f, LINES + 4, arena, NULL),
	    CW_OK);
	/* 1; 3 0; 5 2; 7 4; ...: one always waits. */
	assert_int_equal(cw_ordered_put(&o, 1, line, BYTES, NULL), CW_OK);
	for (size_t i = 0; i < LINES; i += 2) {
		assert_int_equal(cw_ordered_put(&o, i + 3, line, BYTES, NULL),
		    CW_OK);
		assert_int_equal(cw_ordered_put(&o, i, line, BYTES, NULL),
		    CW_OK);
		assert_int_equal(o.nwaiting, 1);
		assert_true(cw_arena_used(o.lines) < (size_t)80 << 20);
	}
	assert_int_equal(o.next, LINES);
	cw_ordered_close(&o);
	fclose(f);
}

static void
make_file(const char *dir, const char *name)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
}

/* What is in DIR/NAME, at most 15 bytes of it. */
static const char *
contents(const char *dir, const char *name)
{
	static char text[16];
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	n = f == NULL ? 0 : fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	if (f != NULL)
		fclose(f);
	return text;
}

static void
test_a_link_stays_and_its_target_is_written(void **state)
{
	static const char *const targets[] = { "there", "not-yet" };
	char dir[] = "/tmp/cw-output-XXXXXX", path[256];
	struct stat sb;

	(void)state;
	assert_non_null(mkdtemp(dir));
	make_file(dir, "there");
	for (size_t i = 0; i < CW_COUNT(targets); i++) {
		snprintf(path, sizeof(path), "%s/link", dir);
		assert_int_equal(symlink(targets[i], path), 0);
		assert_int_equal(cw_output_file(path, "text", 4, NULL),
		    CW_OK);
		assert_int_equal(lstat(path, &sb), 0);
		assert_true(S_ISLNK(sb.st_mode));
		assert_string_equal(contents(dir, targets[i]), "text");
		assert_int_equal(unlink(path), 0);
		snprintf(path, sizeof(path), "%s/%s", dir, targets[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0);	/* nothing else is left */
}

static void
test_an_output_that_cannot_be_is_named_as_typed(void **state)
{
	static const char *const cases[][2] = {
		{ "/", "/: a directory; want a file to write to" },
		{ "/absent/x.png", "/absent/x.png: No such file" },
		{ "/dev/null/x.png", "/dev/null/x.png: Not a directory" },
	};
	struct cw_err err;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		assert_int_not_equal(cw_output_check(cases[i][0], &err),
		    CW_OK);
		if (strncmp(err.text, cases[i][1], strlen(cases[i][1])) != 0)
			fail_msg("got \"%s\", want \"%s\"", err.text,
			    cases[i][1]);
	}
	assert_int_equal(cw_output_check("x.png", &err), CW_OK);
	assert_int_equal(cw_output_check("/dev/stdout", &err), CW_OK);
	assert_int_not_equal(cw_output_file("/absent/x", "", 0, &err), CW_OK);
	assert_string_equal(err.text, "/absent/x: No such file or directory");
}

static void
test_directories_are_walked_in_sorted_order(void **state)
{
	static const char *const want[] = { "a.jpg", "b/1.png", "b/2.png",
		"c.jpg" };
	char dir[] = "/tmp/cw-inputs-XXXXXX", path[256];
	const char *args[] = { dir, "/nonexistent/x.jpg" };
	struct cw_strings out;
	struct cw_err err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/b", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	make_file(dir, "c.jpg");
	make_file(dir, "a.jpg");
	make_file(dir, ".hidden");
	make_file(dir, "b/2.png");
	make_file(dir, "b/1.png");
	snprintf(path, sizeof(path), "%s/b/loop", dir);
	assert_int_equal(symlink("..", path), 0);
	assert_int_equal(cw_inputs_list(&(struct cw_strings){ args, 2 },
	    arena, &out, &err), CW_OK);
	assert_int_equal(out.n, CW_COUNT(want) + 1);
	for (size_t i = 0; i < CW_COUNT(want); i++)
		assert_string_equal(out.item[i] + strlen(dir) + 1, want[i]);
	assert_string_equal(out.item[4], "/nonexistent/x.jpg");
	snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

static void
test_names_from_outside_are_made_safe(void **state)
{
	static const struct {
		const char	*text, *want;
	} cases[] = {
		{ "plain.jpg", "plain.jpg" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "bad\xff\xc3.jpg", "bad\\xff\\xc3.jpg" },
		{ "esc\033[2J", "esc\\x1b[2J" },
		{ "two\nlines", "two\\x0alines" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++)
		assert_string_equal(cw_text_clean(cases[i].text, arena),
		    cases[i].want);
	assert_string_equal(cw_inputs_base("/a/b/c.jpg", arena), "c.jpg");
	assert_string_equal(cw_inputs_base("/a/b/", arena), "image");
	assert_string_equal(cw_inputs_base("x\ny", arena), "x_y");
}

static void
test_an_ad_hoc_policy_is_a_whole_one(void **state)
{
	const char *neutral[] = { "n1", "n2" };
	struct cw_policy_set set;
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_adhoc_policy("a cat", &(struct cw_strings){ 0 },
	    arena, &set, &err), CW_OK);
	assert_int_equal(set.npolicies, 1);
	assert_true(set.nprompts > 20);
	assert_string_equal(set.policies[0].categories[0].prompts[0].text,
	    "a cat");
	assert_int_equal(set.policies[0].explain_when, CW_WHEN_ALWAYS);
	assert_int_equal(cw_adhoc_policy("a cat", &(struct cw_strings){
	    neutral, 2 }, arena, &set, &err), CW_OK);
	assert_int_equal(set.nprompts, 3);
	assert_string_equal(set.policies[0].neutral[1].text, "n2");
}

static void
test_patches_are_listed_from_the_largest(void **state)
{
	float values[6] = { 0.1f, -2, 3, 0, 0.5f, -0.1f };
	const uint32_t want[6] = { 2, 4, 0, 3, 5, 1 };
	const struct cw_map m = { .gw = 3, .gh = 2, .values = values };
	uint32_t order[6];

	(void)state;
	cw_map_order(&m, order);
	assert_memory_equal(order, want, sizeof(want));
}

static void
test_a_verdict_is_one_line_for_people(void **state)
{
	static const char json[] = "{\"decision\":\"block\",\"flags\":["
	    "{\"category\":\"v.a\",\"decision\":\"review\",\"score\":0.7,"
	    "\"threshold\":0.5,\"prompt\":\"p1\",\"reason\":{}},"
	    "{\"category\":\"v.b\",\"decision\":\"block\",\"score\":0.9,"
	    "\"threshold\":0.85,\"prompt\":\"p2\",\"source\":\"image\","
	    "\"reason\":{\"code\":\"T-1\"}}]}";
	const struct cw_cli cli = { .arena = arena };
	json_t *o = json_loads(json, 0, NULL);
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(o);
	cw_verdict_print(&cli, f, "x.jpg", o);
	fclose(f);
	assert_string_equal(text, "x.jpg: block  v.b 0.900 >= 0.850 \"p2\" "
	    "[T-1]\n    review: v.a 0.700 >= 0.500 \"p1\"\n");
	free(text);
	json_decref(o);
}

/* Labels drawn from a known curve give that curve back. */
static void
test_a_calibration_finds_the_curve_behind_the_labels(void **state)
{
	enum { N = 20000 };
	static struct cw_labelled v[N];
	double a, b, review, block;
	uint32_t seed = 1;
	struct cw_err err;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		const double x = (double)i / N * 8 - 4;

		seed = seed * 1664525u + 1013904223u;
		v[i].x = x;
		v[i].yes = (seed >> 8) / 16777216.0 <
		    1 / (1 + exp(-(1.7 * x - 0.4)));
	}
	assert_int_equal(cw_platt_fit(v, N, &a, &b, &err), CW_OK);
	assert_true(fabs(a - 1.7) < 0.06 && fabs(b + 0.4) < 0.06);
	assert_true(cw_platt_thresholds(v, N, 0.95, 0.95, &review,
	    &block) > 0.9);
	assert_true(review < block);
	assert_int_equal(cw_platt_fit(v, 0, &a, &b, &err), CW_E_LIMIT);
}

static void
test_a_separable_set_is_calibrated_without_infinity(void **state)
{
	struct cw_labelled v[] = { { 3, true }, { -1, false }, { 2, true },
		{ -2, false } };
	double a, b, review, block;
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_platt_fit(v, 4, &a, &b, &err), CW_OK);
	assert_true(isfinite(a) && isfinite(b) && a > 0);
	assert_true(cw_platt_thresholds(v, 4, 0.95, 0.95, &review,
	    &block) > 0.999);
	assert_true(review >= 2 && review <= 2 && block >= 2 && block <= 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_stand_anywhere_and_in_both_forms),
		cmocka_unit_test(test_a_wrong_option_says_what_is_wanted),
		cmocka_unit_test(test_options_before_the_command_have_every_form),
		cmocka_unit_test(test_lines_come_out_in_the_order_given),
		cmocka_unit_test(test_waiting_lines_take_bounded_memory),
		cmocka_unit_test(test_directories_are_walked_in_sorted_order),
		cmocka_unit_test(test_a_link_stays_and_its_target_is_written),
		cmocka_unit_test(test_an_output_that_cannot_be_is_named_as_typed),
		cmocka_unit_test(test_names_from_outside_are_made_safe),
		cmocka_unit_test(test_an_ad_hoc_policy_is_a_whole_one),
		cmocka_unit_test(test_patches_are_listed_from_the_largest),
		cmocka_unit_test(test_a_verdict_is_one_line_for_people),
		cmocka_unit_test(
		    test_a_calibration_finds_the_curve_behind_the_labels),
		cmocka_unit_test(
		    test_a_separable_set_is_calibrated_without_infinity),
	};

	return cmocka_run_group_tests_name("cli", tests, set_up, tear_down);
}
