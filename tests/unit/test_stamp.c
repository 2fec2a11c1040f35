/*
 * test_stamp.c - when a hash that was kept stands for the files, and when not.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/stamp.h"

#define OTHER	"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define NOW	INT64_C(1700000000000000000)
#define SECOND	INT64_C(1000000000)

static char dir[64];
static const struct cw_bytes files[2] = { { "ab", 2 }, { "c", 1 } };
/* SHA-256 of "abc" */
static const char want[] =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void
ids_make(struct cw_stamp_id ids[2])
{
	ids[0] = (struct cw_stamp_id){ 1, 2, 2, NOW - 9 * SECOND,
	    NOW - 9 * SECOND };
	ids[1] = (struct cw_stamp_id){ 1, 3, 1, NOW - 8 * SECOND,
	    NOW - 8 * SECOND };
}

/* Name of the only file of the directory, or "" when there is none. */
static const char *
only_file(void)
{
	static char path[400];
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	path[0] = '\0';
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
			n++;
		}
	closedir(d);
	assert_true(n <= 1);
	return path;
}

static void
write_stamp(const char *text)
{
	FILE *f = fopen(only_file(), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/cw-stamp-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	if (only_file()[0] != '\0')
		unlink(only_file());
	return rmdir(dir);
}

static void
test_computed_once_then_read(void **state)
{
	struct cw_stamp_id ids[2];
	char hex[CW_SHA256_HEX];

	(void)state;
	ids_make(ids);
	cw_stamp_sha256(files, ids, 2, dir, NOW, hex);
	assert_string_equal(hex, want);
	assert_string_not_equal(only_file(), "");
	write_stamp(OTHER "\n");
	cw_stamp_sha256(files, ids, 2, dir, NOW, hex);
	assert_string_equal(hex, OTHER);
}

static void
test_any_change_asks_for_another_stamp(void **state)
{
	struct cw_stamp_id ids[2];
	char hex[CW_SHA256_HEX];

	(void)state;
	ids_make(ids);
	cw_stamp_sha256(files, ids, 2, dir, NOW, hex);
	write_stamp(OTHER "\n");
	for (int i = 0; i < 5; i++) {
		/* Not settled, so that no second stamp is written. */
		ids_make(ids);
		switch (i) {
		case 0: ids[1].dev++; break;
		case 1: ids[1].ino++; break;
		case 2: ids[1].size++; break;
		case 3: ids[1].mtime_ns++; break;
		case 4: ids[1].ctime_ns++; break;
		}
		cw_stamp_sha256(files, ids, 2, dir, NOW - 7 * SECOND, hex);
		assert_string_equal(hex, want);
	}
	ids_make(ids);
	cw_stamp_sha256(files, ids, 1, dir, NOW - 8 * SECOND, hex);
	assert_string_not_equal(hex, OTHER);
}

static void
test_spoilt_stamps_are_made_anew(void **state)
{
	static const char *const spoilt[] = { "", "\n", OTHER, OTHER "x",
	    OTHER "\n\n", "FEDC" OTHER "\n" };
	struct cw_stamp_id ids[2];
	char hex[CW_SHA256_HEX];

	(void)state;
	ids_make(ids);
	for (size_t i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		cw_stamp_sha256(files, ids, 2, dir, NOW, hex);
		write_stamp(spoilt[i]);
		cw_stamp_sha256(files, ids, 2, dir, NOW, hex);
		assert_string_equal(hex, want);
	}
}

static void
test_files_just_changed_get_none(void **state)
{
	struct cw_stamp_id ids[2];
	char hex[CW_SHA256_HEX];

	(void)state;
	ids_make(ids);
	ids[1].ctime_ns = NOW - SECOND;
	cw_stamp_sha256(files, ids, 2, dir, NOW, hex);
	assert_string_equal(hex, want);
	assert_string_equal(only_file(), "");
}

static void
test_no_directory_is_no_error(void **state)
{
	struct cw_stamp_id ids[2];
	char hex[CW_SHA256_HEX];

	(void)state;
	ids_make(ids);
	cw_stamp_sha256(files, ids, 2, "", NOW, hex);
	assert_string_equal(hex, want);
	cw_stamp_sha256(files, ids, 2, "/dev/null", NOW, hex);
	assert_string_equal(hex, want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_computed_once_then_read,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_any_change_asks_for_another_stamp, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_spoilt_stamps_are_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_files_just_changed_get_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_directory_is_no_error,
		    setup, teardown),
	};

	return cmocka_run_group_tests_name("stamp", tests, NULL, NULL);
}
