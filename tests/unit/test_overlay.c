/*
 * test_overlay.c - maps on pictures: the right patch, the right colour, and
 * every odd shape without a stray pixel.
 */
#include "pictures.h"

#include "worker/font.h"

static struct cw_image
grey_picture(int w, int h)
{
	struct cw_image im = { .format = "jpeg", .frames = 1, .width = w,
	    .height = h, .w = w, .h = h };

	im.rgb = cw_arena_alloc(arena, (size_t)w * h * 3);
	memset(im.rgb, 128, (size_t)w * h * 3);
	return im;
}

/* The overlay, decoded again. */
static struct cw_image
overlay(const struct cw_image *im, const struct cw_view *v,
    const struct cw_map *m, const char *caption)
{
	struct cw_image out;
	const char *code;
	uint8_t *png;
	size_t n;

	if (cw_overlay_png(im, v, m, caption, arena, &png, &n, &err) != CW_OK)
		fail_msg("%s", err.text);
	if (cw_decode(png, n, &limits, 0, arena, &out, &code, &err) != CW_OK)
		fail_msg("%s", err.text);
	return out;
}

static const uint8_t *
at(const struct cw_image *im, int x, int y)
{
	return im->rgb + ((size_t)y * im->w + x) * 3;
}

static void
test_for_is_orange_against_is_blue_and_nothing_is_grey(void **state)
{
	struct cw_image im = grey_picture(640, 640), out;
	struct cw_view v = { .w = 640, .h = 640 };
	float values[16] = { 0 };
	struct cw_map m = { .gw = 4, .gh = 4, .values = values };
	const uint8_t *p;

	(void)state;
	values[1 * 4 + 2] = 1;
	values[3 * 4 + 0] = -1;
	out = overlay(&im, &v, &m, "");
	assert_int_equal(out.w, 640);
	p = at(&out, 2 * 160 + 80, 160 + 80);
	assert_true(p[0] > p[1] + 60 && p[1] > p[2] + 20);
	p = at(&out, 80, 3 * 160 + 80);
	assert_true(p[2] > p[1] + 40 && p[1] > p[0] + 40);
	p = at(&out, 80, 80);
	assert_true(p[0] == p[1] && p[1] == p[2]);
}

static void
test_the_same_amount_is_the_same_colour_in_every_picture(void **state)
{
	struct cw_image im = grey_picture(640, 640), a, b;
	struct cw_view v = { .w = 640, .h = 640 };
	float one[16] = { [5] = 0.5f }, two[16] = { [5] = 0.5f, [9] = 4 };
	struct cw_map m = { .gw = 4, .gh = 4, .values = one };

	(void)state;
	a = overlay(&im, &v, &m, "");
	m.values = two;
	b = overlay(&im, &v, &m, "");
	assert_memory_equal(at(&a, 240, 240), at(&b, 240, 240), 3);
}

static void
test_what_the_view_did_not_see_is_hatched(void **state)
{
	struct cw_image im = grey_picture(800, 400), out;
	struct cw_view v = { .x = 200, .w = 400, .h = 400 };
	float values[4] = { 0 };
	struct cw_map m = { .gw = 2, .gh = 2, .values = values };
	int seen = 0, unseen = 0;

	(void)state;
	out = overlay(&im, &v, &m, "");
	for (int x = 20; x < 180; x++) {
		unseen += memcmp(at(&out, x, 100), at(&out, x + 1, 100), 3) !=
		    0;
		seen += memcmp(at(&out, 210 + x, 100), at(&out, 211 + x, 100),
		    3) != 0;
	}
	assert_true(unseen > 30);
	assert_true(seen <= 4);
}

static void
test_every_shape_view_and_caption_fits(void **state)
{
	static const struct {
		int	w, h;
	} sizes[] = {
		{ 1, 1 }, { 1, 3000 }, { 3000, 1 }, { 640, 480 }, { 7, 900 },
		{ 2000, 1500 },
	};
	static const char *const captions[] = {
		"", "\n", "\n\n\n\n\n\n\n\n\n\n", "short",
		"a very long prompt that goes on and on over several lines, "
		"withaverylongwordthatfitsnowhereandhastobecutsomewhereorother"
		"becauseitdoesnotend, and some more after it",
		"umlauts \xc3\xa4\xc3\xb6\xc3\xbc and \xf0\x9f\x94\xab and "
		"broken \xff\xfe\xc3",
	};
	float values[64];
	struct cw_region regions[] = {
		{ -50, -50, 5000, 5000, 1 }, { 1, 1, 1, 1, 0.5f },
		{ 2990, 0, 100, 100, 0.01f },
	};

	(void)state;
	for (int i = 0; i < 64; i++)
		values[i] = (float)(i - 32) / 64;
	for (size_t i = 0; i < CW_COUNT(sizes); i++)
		for (int mode = 0; mode < CW_VIEWS; mode++) {
			struct cw_image im = grey_picture(sizes[i].w,
			    sizes[i].h);
			struct cw_map m = { .gw = 8, .gh = 8,
			    .values = values, .regions = regions,
			    .nregions = 3 };
			struct cw_view v[CW_VIEWS_MAX];
			int n = cw_views_plan((enum cw_views)mode, &im,
			    CW_SQUARES_MAX, v);

			m.method = (enum cw_method)(mode % CW_METHODS);
			(void)overlay(&im, &v[n - 1], &m,
			    captions[(i + (size_t)mode) % CW_COUNT(captions)]);
			cw_arena_reset(arena, 0);
		}
}

static void
test_no_box_covers_the_label_of_another(void **state)
{
	struct cw_image im = grey_picture(640, 640), alone, both;
	struct cw_view v = { .w = 640, .h = 640 };
	float values[1] = { 0 };
	struct cw_region regions[] = {
		{ 80, 80, 400, 400, 0.67f }, { 80, 80, 60, 160, 0.06f },
		{ 100, 60, 30, 60, 0.05f },
	};
	struct cw_map m = { .gw = 1, .gh = 1, .values = values,
		.regions = regions, .nregions = 1 };

	(void)state;
	alone = overlay(&im, &v, &m, "");
	m.nregions = CW_COUNT(regions);
	both = overlay(&im, &v, &m, "");
	/* the plate of the first, in its upper left corner */
	for (int y = 84; y < 100; y++)
		assert_memory_equal(at(&alone, 84, y), at(&both, 84, y), 3 * 36);
	/* and the second has its own, in its lower left */
	assert_memory_not_equal(at(&alone, 90, 225), at(&both, 90, 225), 3);
}

static void
test_too_small_an_arena_is_an_error(void **state)
{
	struct cw_image im = grey_picture(640, 640);
	struct cw_view v = { .w = 640, .h = 640 };
	float values[1] = { 1 };
	struct cw_map m = { .gw = 1, .gh = 1, .values = values };
	uint8_t *png;
	size_t n;

	(void)state;
	for (size_t room = 4096; room < 4 << 20; room *= 4) {
		struct cw_arena *small;

		assert_int_equal(cw_arena_open(room, &small, &err), CW_OK);
		assert_int_equal(cw_overlay_png(&im, &v, &m, "x", small, &png,
		    &n, &err), CW_E_LIMIT);
		cw_arena_close(&small);
	}
}

static void
test_lines_break_at_spaces_and_newlines(void **state)
{
	static const struct {
		const char	*text;
		int		 cells;
		size_t		 fit, skip;
	} cases[] = {
		{ "abc def", 7, 7, 7 }, { "abc def", 6, 3, 4 },
		{ "abc def", 3, 3, 4 }, { "abcdef", 3, 3, 3 },
		{ "ab\ncd", 9, 2, 3 }, { "", 9, 0, 0 }, { "\n", 9, 0, 1 },
		{ "\xc3\xa4\xc3\xb6 x", 2, 4, 5 },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		size_t skip, fit = cw_font_fit(cases[i].text, cases[i].cells,
		    &skip);

		if (fit != cases[i].fit || skip != cases[i].skip)
			fail_msg("case %zu: %zu and %zu", i, fit, skip);
	}
}

#define CASE(f)	cmocka_unit_test_teardown(f, empty)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_for_is_orange_against_is_blue_and_nothing_is_grey),
		CASE(test_the_same_amount_is_the_same_colour_in_every_picture),
		CASE(test_what_the_view_did_not_see_is_hatched),
		CASE(test_every_shape_view_and_caption_fits),
		CASE(test_no_box_covers_the_label_of_another),
		CASE(test_too_small_an_arena_is_an_error),
		CASE(test_lines_break_at_spaces_and_newlines),
	};

	return cmocka_run_group_tests_name("overlay", tests, set_up, NULL);
}
