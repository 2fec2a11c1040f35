/*
 * test_json_write.c - numbers and strings as printf and the JSON library
 * would write them, faster.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "format/float_text.h"
#include "format/json_write.h"

static struct cw_arena *arena;
static struct cw_pack w;

static int
open_arena(void **state)
{
	(void)state;
	return cw_arena_open((size_t)16 << 20, &arena, NULL) == CW_OK ? 0 : -1;
}

static int
close_arena(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

static void
afresh(void)
{
	cw_arena_reset(arena, SIZE_MAX / 2);
	cw_pack_init(&w, arena, 0);
}

/* What was put, as a string. */
static const char *
put(void)
{
	cw_put_u8(&w, '\0');
	assert_true(cw_pack_ok(&w));
	return (const char *)w.p;
}

/* %.7g, with a point or an exponent, and that without '+' and zeros. */
static void
printed(float v, char buf[32])
{
	char *e, *from;

	snprintf(buf, 32, "%.7g", (double)v);
	e = strchr(buf, 'e');
	if (e == NULL) {
		if (strchr(buf, '.') == NULL)
			strcat(buf, ".0");
		return;
	}
	from = ++e;
	if (*from == '-')
		e++;
	for (from++; *from == '0'; from++)
		;
	memmove(e, from, strlen(from) + 1);
}

static void
check_float(float v)
{
	char want[32];

	printed(v, want);
	w.len = 0;
	cw_json_put_float(&w, v);
	assert_true(w.len < CW_FLOAT_TEXT_MAX);
	if (w.len != strlen(want) || memcmp(w.p, want, w.len) != 0)
		fail_msg("%a is \"%.*s\", want \"%s\"", (double)v, (int)w.len,
		    (const char *)w.p, want);
}

static float
of_bits(uint32_t bits)
{
	float v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

static uint32_t
next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint32_t)(*x >> 32);
}

static void
test_a_float_is_what_printf_says_for_millions_of_them(void **state)
{
	uint64_t x = 0x9e3779b97f4a7c15u;

	(void)state;
	afresh();
	for (int i = 0; i < 2000000; i++) {
		const float any = of_bits(next_random(&x));

		if (isfinite(any))
			check_float(any);
		/* and where cosines, scores and their logarithms are */
		check_float((float)next_random(&x) / 0x1p32f);
		check_float(expf(-(float)next_random(&x) / 0x1p26f));
	}
}

static void
test_a_float_is_right_at_its_edges(void **state)
{
	static const float edges[] = { 0, FLT_MIN, FLT_MAX, FLT_TRUE_MIN,
		FLT_EPSILON, 0.5f, 1, 0.1f, 0.0001f, 0.00009999999f,
		0.00001f, 9999999, 9999999.5f, 10000000, 16777216, 99999995,
		123456.75f, 1234567.5f, 1234568.5f, 0.99999994f, 999999.94f };

	(void)state;
	afresh();
	for (size_t i = 0; i < CW_COUNT(edges); i++) {
		check_float(edges[i]);
		check_float(-edges[i]);
	}
	/* Every power of two, denormal ones too, and what stands beside it. */
	for (uint32_t e = 0; e < 0xff; e++)
		for (int d = -300; d <= 300; d++)
			if ((e << 23) + (uint32_t)d < 0x7f800000u)
				check_float(of_bits((e << 23) + (uint32_t)d));
	for (uint32_t bit = 0; bit < 23; bit++)
		check_float(of_bits(1u << bit));
	/* Every power of ten and its neighbours. */
	for (int k = -45; k <= 38; k++) {
		const float v = (float)pow(10, k);

		check_float(v);
		check_float(nextafterf(v, 0));
		check_float(nextafterf(v, 1e38f));
	}
}

static void
test_no_number_is_null(void **state)
{
	(void)state;
	afresh();
	cw_json_put_open(&w, '[');
	cw_json_put_float(&w, NAN);
	cw_json_put_float(&w, INFINITY);
	cw_json_put_float(&w, -0.0f);
	cw_json_put_close(&w, ']');
	assert_string_equal(put(), "[null,null,-0.0]");
}

static void
test_whole_numbers_and_thousandths_keep_every_digit(void **state)
{
	static const struct {
		int64_t		 v;
		const char	*whole, *thousandths;
	} cases[] = {
		{ 0, "0", "0.0" }, { 7, "7", "0.007" }, { 10, "10", "0.01" },
		{ 500, "500", "0.5" }, { 1000, "1000", "1.0" },
		{ -12, "-12", "-0.012" }, { -1500, "-1500", "-1.5" },
		{ 12345678901, "12345678901", "12345678.901" },
		{ INT64_MAX, "9223372036854775807", "9223372036854775.807" },
		{ INT64_MIN, "-9223372036854775808", "-9223372036854775.808" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		afresh();
		cw_json_put_int(&w, cases[i].v);
		assert_string_equal(put(), cases[i].whole);
		afresh();
		cw_json_put_thousandths(&w, cases[i].v);
		assert_string_equal(put(), cases[i].thousandths);
	}
}

static void
test_commas_come_between_values_only(void **state)
{
	(void)state;
	afresh();
	cw_json_put_open(&w, '{');
	cw_json_put_text(&w, "none", "");
	cw_json_put_text(&w, "a", "{[:");
	cw_json_put_text(&w, "none", NULL);
	cw_json_put_key(&w, "b");
	cw_json_put_open(&w, '[');
	cw_json_put_open(&w, '{');
	cw_json_put_close(&w, '}');
	cw_json_put_bool(&w, true);
	cw_json_put_open(&w, '[');
	cw_json_put_close(&w, ']');
	cw_json_put_raw(&w, "{}", 2);
	cw_json_put_close(&w, ']');
	cw_json_put_key(&w, "c");
	cw_json_put_bool(&w, false);
	cw_json_put_close(&w, '}');
	assert_string_equal(put(),
	    "{\"a\":\"{[:\",\"b\":[{},true,[],{}],\"c\":false}");
}

static void
test_every_character_comes_back(void **state)
{
	char text[8], *want;
	json_t *s;

	(void)state;
	for (unsigned c = 1; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
		size_t n = 0;

		if (c >= 0xd800 && c < 0xe000)
			continue;
		if (c < 0x80)
			text[n++] = (char)c;
		else if (c < 0x800)
			text[n++] = (char)(0xc0 | c >> 6);
		else if (c < 0x10000)
			text[n++] = (char)(0xe0 | c >> 12);
		else
			text[n++] = (char)(0xf0 | c >> 18);
		if (c >= 0x10000)
			text[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		if (c >= 0x800)
			text[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		if (c >= 0x80)
			text[n++] = (char)(0x80 | (c & 0x3f));
		memcpy(text + n, "x", 2);
		afresh();
		cw_json_put_string(&w, text);
		s = json_loads(put(), JSON_DECODE_ANY, NULL);
		assert_non_null(s);
		assert_string_equal(json_string_value(s), text);
		want = json_dumps(s, JSON_ENCODE_ANY);
		assert_int_equal(strcasecmp(want, (char *)w.p), 0);
		free(want);
		json_decref(s);
	}
}

static void
test_bytes_that_are_no_text_become_question_marks(void **state)
{
	(void)state;
	afresh();
	cw_json_put_string(&w, "a\xff\"caf\xc3\xa9\xc3");
	assert_string_equal(put(), "\"a?\\\"caf???\"");
}

static void
test_an_overflow_is_remembered(void **state)
{
	struct cw_arena *small;

	(void)state;
	assert_int_equal(cw_arena_open(4096, &small, NULL), CW_OK);
	cw_pack_init(&w, small, 0);
	for (int i = 0; i < 1000; i++) {
		cw_json_put_float(&w, 0.25f);
		cw_json_put_string(&w, "some text");
	}
	assert_false(cw_pack_ok(&w));
	assert_null(cw_pack_reserve(&w, 1));
	cw_arena_close(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_float_is_what_printf_says_for_millions_of_them),
		cmocka_unit_test(test_a_float_is_right_at_its_edges),
		cmocka_unit_test(test_no_number_is_null),
		cmocka_unit_test(
		    test_whole_numbers_and_thousandths_keep_every_digit),
		cmocka_unit_test(test_commas_come_between_values_only),
		cmocka_unit_test(test_every_character_comes_back),
		cmocka_unit_test(
		    test_bytes_that_are_no_text_become_question_marks),
		cmocka_unit_test(test_an_overflow_is_remembered),
	};

	return cmocka_run_group_tests_name("json_write", tests, open_arena,
	    close_arena);
}
