/*
 * test_arena.c - base/arena, base/status and base/io.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/sha256.h"

static void
test_overflow_is_sticky_until_reset(void **state)
{
	struct cw_arena *a;

	(void)state;
	assert_int_equal(cw_arena_open(4096, &a, NULL), CW_OK);
	assert_non_null(cw_arena_alloc(a, 1000));
	assert_null(cw_arena_alloc(a, 4000));
	assert_null(cw_arena_alloc(a, 1));
	assert_true(cw_arena_overflowed(a));
	cw_arena_reset(a, 0);
	assert_false(cw_arena_overflowed(a));
	assert_non_null(cw_arena_alloc(a, 4000));
	cw_arena_close(&a);
	assert_null(a);
	cw_arena_close(&a);
}

static void
test_products_that_wrap_are_refused(void **state)
{
	struct cw_arena *a;

	(void)state;
	assert_int_equal(cw_arena_open(4096, &a, NULL), CW_OK);
	assert_null(cw_arena_zalloc(a, SIZE_MAX / 2, 4));
	cw_arena_reset(a, 0);
	assert_null(cw_arena_floats(a, SIZE_MAX / 2));
	cw_arena_reset(a, 0);
	assert_null(cw_arena_alloc(a, SIZE_MAX));
	cw_arena_close(&a);
}

static void
test_memory_is_aligned_and_given_back_to_a_mark(void **state)
{
	struct cw_arena *a;
	size_t mark;
	char *p;

	(void)state;
	assert_int_equal(cw_arena_open(1 << 20, &a, NULL), CW_OK);
	for (size_t n = 1; n < 200; n += 7)
		assert_int_equal((uintptr_t)cw_arena_alloc(a, n) %
		    CW_ARENA_ALIGN, 0);
	mark = cw_arena_mark(a);
	p = cw_arena_printf(a, "%d-%s", 7, "x");
	assert_string_equal(p, "7-x");
	cw_arena_release(a, mark);
	assert_int_equal(cw_arena_used(a), mark);
	cw_arena_close(&a);
}

static void
test_what_is_kept_moves_down_to_the_mark(void **state)
{
	struct cw_arena *a;
	size_t mark;
	char *p;

	(void)state;
	assert_int_equal(cw_arena_open(1 << 16, &a, NULL), CW_OK);
	assert_non_null(cw_arena_alloc(a, 10));
	mark = cw_arena_mark(a);
	assert_non_null(cw_arena_alloc(a, 30));
	p = cw_arena_alloc(a, 300);	/* reaches over where it goes */
	assert_non_null(p);
	for (int i = 0; i < 300; i++)
		p[i] = (char)i;
	assert_non_null(cw_arena_alloc(a, 30));
	p = cw_arena_keep(a, mark, p, 300);
	for (int i = 0; i < 300; i++)
		assert_int_equal(p[i], (char)i);
	assert_int_equal(cw_arena_used(a), mark + 320);
	cw_arena_close(&a);
}

static void
test_an_overflow_outlives_its_mark_until_it_is_forgiven(void **state)
{
	struct cw_arena *a;
	size_t mark;
	char *kept;

	(void)state;
	assert_int_equal(cw_arena_open(4096, &a, NULL), CW_OK);
	kept = cw_arena_strdup(a, "kept");
	mark = cw_arena_mark(a);
	assert_non_null(cw_arena_alloc(a, 2000));
	assert_null(cw_arena_alloc(a, 4000));
	cw_arena_release(a, mark);
	assert_true(cw_arena_overflowed(a));
	assert_null(cw_arena_alloc(a, 1));
	cw_arena_forgive(a);
	assert_false(cw_arena_overflowed(a));
	assert_int_equal(cw_arena_used(a), mark);
	assert_non_null(cw_arena_alloc(a, 2000));
	assert_string_equal(kept, "kept");
	cw_arena_close(&a);
}

static void
test_an_error_is_one_clean_line(void **state)
{
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_err_set(&err, CW_E_FORMAT, "a\nb\x1b[2J"),
	    CW_E_FORMAT);
	assert_string_equal(err.text, "a?b?[2J");
	assert_string_equal(cw_status_name(CW_E_BUSY), "busy");
}

static void
test_a_child_gets_its_channel_and_nothing_else(void **state)
{
	char *argv[] = { "/bin/sh", "-c",
		"ls /proc/self/fd | tr '\\n' ' ' >&3; echo \"$CW_T\" >&3",
		NULL };
	char *env[] = { "CW_T=yes", NULL };
	char buf[256];
	ssize_t n, got = 0;
	int fd, status;
	pid_t pid;

	(void)state;
	assert_int_equal(cw_spawn(argv, env, &pid, &fd, NULL), CW_OK);
	while ((n = read(fd, buf + got, sizeof(buf) - 1 - (size_t)got)) > 0)
		got += n;
	buf[got] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* ls itself opens one more, the directory it lists. */
	assert_non_null(strstr(buf, "0 1 2 3 "));
	assert_null(strstr(buf, " 5 "));
	assert_non_null(strstr(buf, "yes"));
	cw_close(&fd);
	assert_int_equal(fd, -1);
}

static void
test_a_program_that_is_missing_is_named(void **state)
{
	char *argv[] = { "/nonexistent/x", NULL };
	struct cw_err err;
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(cw_spawn(argv, NULL, &pid, &fd, &err), CW_E_SYSTEM);
	assert_string_equal(err.text,
	    "/nonexistent/x: No such file or directory");
}

static void
test_a_part_is_found_beside_or_where_it_is_installed(void **state)
{
	const char *path;
	struct cw_arena *a;
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_arena_open(1 << 20, &a, NULL), CW_OK);
	assert_int_equal(cw_find_program("test_arena", a, &path, &err), CW_OK);
	assert_non_null(strstr(path, "/test_arena"));
	assert_int_equal(cw_find_program("no-such-part", a, &path, &err),
	    CW_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "../libexec/clipward"));
	cw_arena_close(&a);
}

static void
test_sha256_of_parts_is_that_of_the_whole(void **state)
{
	const struct cw_bytes parts[] = { { "a", 1 }, { "bc", 2 } };
	char hex[CW_SHA256_HEX];

	(void)state;
	cw_sha256(parts, 2, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
	assert_true(cw_sha256_valid(hex));
	hex[3] = 'G';
	assert_false(cw_sha256_valid(hex));
	assert_false(cw_sha256_valid(""));
}

static void
test_wall_time_is_written_as_rfc3339(void **state)
{
	char buf[CW_RFC3339_MAX];

	(void)state;
	cw_rfc3339(1700000000123456, buf);
	assert_string_equal(buf, "2023-11-14T22:13:20.123Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overflow_is_sticky_until_reset),
		cmocka_unit_test(test_products_that_wrap_are_refused),
		cmocka_unit_test(test_memory_is_aligned_and_given_back_to_a_mark),
		cmocka_unit_test(test_what_is_kept_moves_down_to_the_mark),
		cmocka_unit_test(
		    test_an_overflow_outlives_its_mark_until_it_is_forgiven),
		cmocka_unit_test(test_an_error_is_one_clean_line),
		cmocka_unit_test(test_a_child_gets_its_channel_and_nothing_else),
		cmocka_unit_test(test_a_program_that_is_missing_is_named),
		cmocka_unit_test(
		    test_a_part_is_found_beside_or_where_it_is_installed),
		cmocka_unit_test(test_sha256_of_parts_is_that_of_the_whole),
		cmocka_unit_test(test_wall_time_is_written_as_rfc3339),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
