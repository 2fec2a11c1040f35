/*
 * test_child_log.c - a child may say so much, and no more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"
#include "supervisor/child_log.h"

static uint32_t heard;

static void
hear(void *payload, enum cw_level level, const char *line)
{
	(void)payload;
	(void)level;
	(void)line;
	heard++;
}

static void
test_a_flood_of_lines_is_dropped_and_at_last_refused(void **state)
{
	struct cw_log_rate rate = { 0 };
	enum cw_status st = CW_OK;
	struct cw_arena *a;
	struct cw_unpack r;
	struct cw_pack w;
	struct cw_err err;
	uint32_t said = 0;

	(void)state;
	assert_int_equal(cw_arena_open(1 << 20, &a, &err), CW_OK);
	cw_log_hook(hear, NULL);
	while (st == CW_OK && said++ < 100000) {
		char line[32];

		/* Each another one: repeated lines are folded by the log. */
		snprintf(line, sizeof(line), "line %u", said);
		cw_arena_reset(a, 1 << 16);
		cw_pack_init(&w, a, 64);
		cw_put_u8(&w, CW_LOG_ERR);
		cw_put_str(&w, line);
		assert_true(cw_pack_ok(&w));
		cw_unpack_init(&r, w.p, w.len);
		st = cw_child_log("worker", 1, &rate, &r, a, &err);
	}
	cw_log_hook(NULL, NULL);
	assert_int_equal(st, CW_E_FORMAT);
	assert_int_equal(rate.dropped, 10000);
	/* 50 of each second that it took, and a line about the rest */
	assert_in_range(heard, 50, (said - 10000) + 10);
	cw_arena_close(&a);
}

/* A LOG body of that level and line, and whether it was taken. */
static enum cw_status
log_of(uint8_t level, const char *line, size_t cut)
{
	struct cw_log_rate rate = { 0 };
	struct cw_arena *a;
	struct cw_unpack r;
	struct cw_pack w;
	struct cw_err err = { "" };
	enum cw_status st;

	assert_int_equal(cw_arena_open(1 << 20, &a, &err), CW_OK);
	cw_log_hook(hear, NULL);
	cw_pack_init(&w, a, 64);
	cw_put_u8(&w, level);
	cw_put_str(&w, line);
	assert_true(cw_pack_ok(&w));
	cw_unpack_init(&r, w.p, w.len - cut);
	st = cw_child_log("gate", 0, &rate, &r, a, &err);
	cw_log_hook(NULL, NULL);
	cw_arena_close(&a);
	return st;
}

static void
test_a_line_of_no_level_or_no_end_is_refused(void **state)
{
	(void)state;
	heard = 0;
	assert_int_equal(log_of(CW_LOG_ERR, "only one of its kind", 0), CW_OK);
	assert_int_equal(heard, 1);
	assert_int_equal(log_of(CW_LOG_ERR - 1, "", 0), CW_E_FORMAT);
	assert_int_equal(log_of(CW_LOG_DEBUG + 1, "", 0), CW_E_FORMAT);
	assert_int_equal(log_of(CW_LOG_ERR, "cut", 1), CW_E_FORMAT);
	assert_int_equal(heard, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_flood_of_lines_is_dropped_and_at_last_refused),
		cmocka_unit_test(test_a_line_of_no_level_or_no_end_is_refused),
	};

	return cmocka_run_group_tests_name("child_log", tests, NULL, NULL);
}
