/*
 * test_plugin.c - a plugin that does not fit is refused with words.
 *
 * The misfits are compiled here, each from a line or two.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/image.h"

static char dir[] = "/tmp/clipward-plugin-XXXXXX";
static const char *build, *cc;
static struct cw_err err;

static int
set_up(void **state)
{
	(void)state;
	if ((build = getenv("CW_BUILD")) == NULL)
		build = "build";
	if ((cc = getenv("CC")) == NULL)
		cc = "cc";
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	return rmdir(dir);
}

/* What every misfit begins with. */
static const char fits[] =
    "#include \"plugins/clipward_plugin.h\"\n"
    "static int o(const struct cw_host *h, const char *s, void **p)\n"
    "{ (void)h; (void)s; *p = 0; return 0; }\n"
    "static int sad(const struct cw_host *h, const char *s, void **p)\n"
    "{ (void)s; (void)p; h->log(3, \"the moon is not full\"); return -1; }\n"
    "static void c(void *p) { (void)p; }\n"
    "static int probe(const uint8_t *b, size_t n)\n"
    "{ return n > 3 && b[0] == 'T' && b[1] == 'S' && b[2] == 'T'; }\n"
    "static int lie(void *p, const struct cw_decode_in *in,\n"
    "    struct cw_decode_out *out)\n"
    "{ (void)p; out->width = out->height = 40000; out->frames = 1;\n"
    "  out->nframes = in->bytes[3];\n"
    "  out->frame = in->alloc(in->host, sizeof(struct cw_frame)); return 0; }\n"
    "#define HEAD(MAJ, MIN, SIZE, KIND, NAME, OPEN) .head = { MAJ, MIN, \\\n"
    "    SIZE, KIND, NAME, \"1\", OPEN, c }\n"
    "#define D sizeof(struct cw_plugin_decoder)\n"
    "void *keep[] = { o, sad, c, probe, lie };\n"
    "const struct cw_plugin_decoder CALLED = { ";

/* Compile, load, remove; skipped where there is no compiler. */
static enum cw_status
load(const char *called, const char *rest)
{
	char path[64], line[512];
	enum cw_status st;
	FILE *f;

	snprintf(path, sizeof(path), "%s/p.so", dir);
	snprintf(line, sizeof(line),
	    "cd '%s/..' && %s -x c -I. -fPIC -shared -w -DCALLED=%s -o %s - ",
	    build, cc, called, path);
	if ((f = popen(line, "w")) == NULL)
		skip();
	fprintf(f, "%s %s };\n", fits, rest);
	if (pclose(f) != 0)
		skip();
	err.text[0] = '\0';
	st = cw_plugin_load(path, &err);
	unlink(path);
	return st;
}

static void
test_misfits_are_refused_with_words(void **state)
{
	static const struct {
		const char	*called, *rest, *want;
		enum cw_status	 st;
	} cases[] = {
		{ "other", "HEAD(1, 0, D, 1, \"t\", o), probe, lie",
		    "no symbol \"clipward_plugin\"", CW_E_ABI },
		{ "clipward_plugin", "HEAD(2, 0, D, 1, \"t\", o), probe, lie",
		    "ABI 2.0; this daemon speaks 1.0", CW_E_ABI },
		{ "clipward_plugin", "HEAD(0, 9, D, 1, \"t\", o), probe, lie",
		    "ABI 0.9", CW_E_ABI },
		{ "clipward_plugin", "HEAD(1, 7, D, 1, \"t\", o), probe, lie",
		    "ABI 1.7", CW_E_ABI },
		{ "clipward_plugin", "HEAD(1, 0, 12, 1, \"t\", o), probe, lie",
		    "descriptor of 12 bytes; want", CW_E_ABI },
		{ "clipward_plugin",
		    "HEAD(1, 0, D - 1, 1, \"t\", o), probe, lie",
		    "decoder descriptor of", CW_E_ABI },
		{ "clipward_plugin", "HEAD(1, 0, D, 4, \"t\", o), probe, lie",
		    "is a sink; want a decoder", CW_E_ABI },
		{ "clipward_plugin", "HEAD(1, 0, D, 99, \"t\", o), probe, lie",
		    "of unknown kind", CW_E_ABI },
		{ "clipward_plugin", "HEAD(1, 0, D, 1, \"t\", 0), probe, lie",
		    "is NULL", CW_E_ABI },
		{ "clipward_plugin", "HEAD(1, 0, D, 1, \"t\", o), probe, 0",
		    "is NULL", CW_E_ABI },
		{ "clipward_plugin",
		    "HEAD(1, 0, D, 1, \"T st\", o), probe, lie",
		    "its name is not", CW_E_ABI },
		{ "clipward_plugin", "HEAD(1, 0, D, 1, \"t\", sad), probe, lie",
		    "the moon is not full", CW_E_ABI },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		enum cw_status st = load(cases[i].called, cases[i].rest);

		if (st != cases[i].st ||
		    strstr(err.text, cases[i].want) == NULL)
			fail_msg("%s: %s; want %s", cw_status_name(st),
			    err.text, cases[i].want);
		assert_non_null(strstr(err.text, "p.so: "));
	}
	assert_string_equal(cw_plugin_names(), "");
}

static void
test_a_file_that_is_none_is_refused(void **state)
{
	char path[1024];

	(void)state;
	assert_int_equal(cw_plugin_load("/nowhere/p.so", &err), CW_E_CONFIG);
	assert_non_null(strstr(err.text, "/nowhere/p.so"));
	snprintf(path, sizeof(path), "%s/../Makefile", build);
	assert_int_equal(cw_plugin_load(path, &err), CW_E_CONFIG);
}

static void
test_what_a_decoder_says_is_checked(void **state)
{
	static const struct {
		uint64_t	 pixels;
		const char	*bytes, *code;
	} cases[] = {
		{ 1000, "TST\1", "too_many_pixels" },
		{ UINT64_C(1) << 40, "TST\0", "corrupt" },
		{ UINT64_C(1) << 40, "TST\2", "corrupt" },
		{ UINT64_C(1) << 40, "TSU\1", "unknown_format" },
	};
	struct cw_arena *arena;

	(void)state;
	assert_int_equal(load("clipward_plugin",
	    "HEAD(1, 0, D, 1, \"tst\", o), probe, lie"), CW_OK);
	assert_string_equal(cw_plugin_names(), "tst");
	assert_int_equal(cw_arena_open(1 << 20, &arena, &err), CW_OK);
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		const struct cw_limits limits = { .bytes = 100,
		    .decoded_bytes = 1 << 19, .pixels = cases[i].pixels,
		    .scans = 1, .frames = 1, .cpu_ms = 1000 };
		struct cw_image im;
		const char *code = "";

		assert_int_not_equal(cw_decode((const uint8_t *)cases[i].bytes,
		    4, &limits, 0, arena, &im, &code, &err), CW_OK);
		if (strcmp(code, cases[i].code) != 0)
			fail_msg("%s (%s); want %s", code, err.text,
			    cases[i].code);
	}
	cw_arena_close(&arena);
}

static void
test_the_shipped_decoders_load_once_each(void **state)
{
	static const char *const names[] = { "png", "webp", "gif" };
	char path[1024];

	(void)state;
	for (size_t i = 0; i < CW_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/plugins/%s.so", build,
		    names[i]);
		if (cw_plugin_load(path, &err) != CW_OK)
			fail_msg("%s", err.text);
		assert_int_equal(cw_plugin_load(path, &err), CW_E_CONFIG);
		assert_non_null(strstr(err.text, "loaded already"));
	}
	assert_non_null(strstr(cw_plugin_names(), "png webp gif"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_misfits_are_refused_with_words),
		cmocka_unit_test(test_a_file_that_is_none_is_refused),
		cmocka_unit_test(test_what_a_decoder_says_is_checked),
		cmocka_unit_test(test_the_shipped_decoders_load_once_each),
	};

	return cmocka_run_group_tests_name("plugin", tests, set_up, tear_down);
}
