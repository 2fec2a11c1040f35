/*
 * test_reissue.c - a stored verdict under another id, and nothing else new.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "supervisor/half.h"
#include "supervisor/json_out.h"
#include "supervisor/reissue.h"

static const char verdict[] = "{\"schema\":\"clipward.verdict/1\","
    "\"id\":\"old\",\"decision\":\"block\",\"received_at\":\"x\","
    "\"scored_at\":\"y\",\"image\":{\"id\":\"inner\",\"bytes\":3},"
    "\"flags\":[{\"prompt\":\"a \\\"quoted\\\" } ] , word\","
    "\"cached\":false}],\"cached\":false,\"attempt\":2,"
    "\"timing_ms\":{\"queue\":1.5,\"total\":[9]},\"build\":\"1\"}";

static struct cw_arena *
arena(void)
{
	struct cw_arena *a;
	struct cw_err err;

	assert_int_equal(cw_arena_open(1u << 20, &a, &err), CW_OK);
	return a;
}

static void
test_only_who_and_when_change(void **state)
{
	struct cw_arena *a = arena();
	const char *s = cw_verdict_reissue(verdict, "new", 0, a);
	json_t *old, *got;

	(void)state;
	assert_non_null(s);
	old = json_loads(verdict, 0, NULL);
	got = json_loads(s, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(got);
	assert_int_equal(json_object_size(got), json_object_size(old));
	assert_string_equal(json_string_value(json_object_get(got, "id")),
	    "new");
	assert_string_equal(json_string_value(json_object_get(got,
	    "scored_at")), "1970-01-01T00:00:00.000Z");
	assert_true(json_is_true(json_object_get(got, "cached")));
	assert_int_equal(json_integer_value(json_object_get(got, "attempt")),
	    1);
	assert_true(json_equal(json_object_get(got, "flags"),
	    json_object_get(old, "flags")));
	assert_true(json_equal(json_object_get(got, "image"),
	    json_object_get(old, "image")));
	assert_string_equal(json_string_value(json_object_get(got, "build")),
	    "1");
	json_decref(old);
	json_decref(got);
	cw_arena_close(&a);
}

/* Whatever stands in the spool, no byte of it may lead astray. */
static void
test_a_damaged_line_is_refused_or_copied_but_never_run_over(void **state)
{
	struct cw_arena *a = arena();
	const size_t n = strlen(verdict);

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		char *s = strndup(verdict, cut);

		assert_null(cw_verdict_reissue(s, "new", 0, a));
		free(s);
	}
	for (size_t i = 0; i < n; i++)
		for (int b = 0; b < 7; b++) {
			char *s = strdup(verdict);

			s[i] ^= (char)(1 << b);
			if (cw_verdict_reissue(s, "new", 0, a) == NULL)
				assert_true(true);
			free(s);
			cw_arena_reset(a, 1u << 20);
		}
	cw_arena_close(&a);
}

static void
test_messages_become_json_strings(void **state)
{
	struct cw_arena *a = arena();

	(void)state;
	assert_string_equal(cw_json_string(a, "a \"b\" \\ \n \x7f"),
	    "\"a \\\"b\\\" \\\\ \\n \x7f\"");
	assert_string_equal(cw_json_string(a, "caf\xc3\xa9"),
	    "\"caf\xc3\xa9\"");
	assert_string_equal(cw_json_string(a, "caf\xc3"), "\"caf?\"");
	cw_arena_close(&a);
}

static void
test_every_half_survives_the_way_through_float(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x10000; h++) {
		const float f = cw_half_to((uint16_t)h);

		if ((h & 0x7c00) == 0x7c00 && (h & 0x3ff) != 0)
			assert_true(f != f);
		else
			assert_int_equal(cw_half_from(f), h);
	}
	assert_int_equal(cw_half_from(65519.0f), 0x7bff);
	assert_int_equal(cw_half_from(65520.0f), 0x7c00);
	assert_int_equal(cw_half_from(1e-9f), 0);
	assert_int_equal(cw_half_from(2.98023224e-8f), 0);	/* tie to even */
	assert_int_equal(cw_half_from(2.99e-8f), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_who_and_when_change),
		cmocka_unit_test(
		    test_a_damaged_line_is_refused_or_copied_but_never_run_over),
		cmocka_unit_test(test_messages_become_json_strings),
		cmocka_unit_test(test_every_half_survives_the_way_through_float),
	};

	return cmocka_run_group_tests_name("reissue", tests, NULL, NULL);
}
