/*
 * test_log.c - one event, one line, whatever is in it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

static char heard[CW_LOG_MAX + 64];	/* the last line */
static enum cw_level heard_level;
static int lines;

static void
hear(void *payload, enum cw_level level, const char *line)
{
	(void)payload;
	snprintf(heard, sizeof(heard), "%s", line);
	heard_level = level;
	lines++;
}

static int
listen(void **state)
{
	(void)state;
	cw_log_flush();
	cw_log_open("test", CW_LOG_STDERR, CW_LOG_INFO);
	cw_log_hook(hear, NULL);
	lines = 0;
	return 0;
}

static int
listen_no_more(void **state)
{
	(void)state;
	cw_log_flush();
	cw_log_hook(NULL, NULL);
	return 0;
}

static void
test_control_bytes_are_taken_out(void **state)
{
	char all[128];

	(void)state;
	cw_log(CW_LOG_ERR, "a\033[31mb\nc\r\td\177e");
	assert_string_equal(heard, "a?[31mb?c??d?e");
	for (int i = 1; i < 128; i++)
		all[i - 1] = (char)i;
	all[127] = '\0';
	cw_log(CW_LOG_ERR, "%s", all);
	assert_int_equal(strlen(heard), 127);
	for (int i = 1; i < 128; i++)
		assert_int_equal(heard[i - 1], i < 32 || i == 127 ? '?' : i);
	/* what is not ASCII is left */
	cw_log(CW_LOG_ERR, "Gr\303\274\303\237e");
	assert_string_equal(heard, "Gr\303\274\303\237e");
	assert_int_equal(lines, 3);
}

static void
test_a_long_line_is_cut(void **state)
{
	char text[3 * CW_LOG_MAX];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cw_log(CW_LOG_ERR, "%s", text);
	assert_int_equal(strlen(heard), CW_LOG_MAX - 1);
	assert_int_equal(lines, 1);
}

static void
test_a_repeated_line_is_counted(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		cw_log(CW_LOG_WARNING, "again");
	assert_int_equal(lines, 1);
	cw_log_flush();
	assert_int_equal(lines, 2);
	assert_string_equal(heard, "again ... (4 more)");
	assert_int_equal(heard_level, CW_LOG_WARNING);
	/* of another level it is another line */
	cw_log(CW_LOG_ERR, "again");
	assert_int_equal(lines, 3);
}

static void
test_a_level_that_nobody_wants_is_not_said(void **state)
{
	(void)state;
	errno = ENOENT;
	cw_log(CW_LOG_DEBUG, "a detail");
	assert_int_equal(lines, 0);
	cw_log(CW_LOG_INFO, "a verdict");
	assert_int_equal(lines, 1);
	assert_int_equal(errno, ENOENT);
}

static void
test_a_value_in_quotes_ends_where_it_ends(void **state)
{
	char text[2 * CW_LOG_MAX], *q;

	(void)state;
	cw_log(CW_LOG_ERR, "reload error=%s n=1",
	    cw_quote("unknown \"a\\b\"").text);
	assert_string_equal(heard,
	    "reload error=\"unknown \\\"a\\\\b\\\"\" n=1");
	cw_log(CW_LOG_ERR, "error=%s", cw_quote("").text);
	assert_string_equal(heard, "error=\"\"");
	/* too long: cut, never inside of an escape */
	for (size_t odd = 0; odd < 2; odd++) {
		memset(text, '\\', sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		memset(text, 'x', odd);
		cw_log(CW_LOG_ERR, "error=%s n=1", cw_quote(text).text);
		q = heard + strlen("error=\"") + odd;
		assert_int_equal(strspn(q, "\\") % 2, 0);
		assert_string_equal(q + strspn(q, "\\"), "\" n=1");
	}
}

#define HEARD(test)	\
	cmocka_unit_test_setup_teardown(test, listen, listen_no_more)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HEARD(test_control_bytes_are_taken_out),
		HEARD(test_a_long_line_is_cut),
		HEARD(test_a_repeated_line_is_counted),
		HEARD(test_a_level_that_nobody_wants_is_not_said),
		HEARD(test_a_value_in_quotes_ends_where_it_ends),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
