/*
 * test_views.c - which squares are looked at, and that none is forgotten.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/image.h"

static uint8_t one_alpha;

static struct cw_image
picture(int w, int h, bool alpha)
{
	return (struct cw_image){ .width = w, .height = h, .w = w, .h = h,
	    .alpha = alpha ? &one_alpha : NULL };
}

/* How many pixels of im no view looks at, by marking each one. */
static long
unseen(const struct cw_image *im, const struct cw_view *v, int n,
    enum cw_background b)
{
	const size_t size = (size_t)im->width * (size_t)im->height;
	char *seen = test_calloc(size, 1);
	long missing = 0;

	for (int i = 0; i < n; i++) {
		const int x0 = v[i].x > 0 ? v[i].x : 0;
		const int y0 = v[i].y > 0 ? v[i].y : 0;

		for (int y = y0; y < v[i].y + v[i].h && y < im->height; y++)
			for (int x = x0; x < v[i].x + v[i].w &&
			    x < im->width; x++)
				if (v[i].background == b)
					seen[(size_t)y * im->width + x] = 1;
	}
	for (size_t i = 0; i < size; i++)
		missing += !seen[i];
	test_free(seen);
	return missing;
}

static const struct {
	int	w, h;
} sizes[] = {
	{ 1, 1 }, { 640, 480 }, { 480, 640 }, { 100, 100 }, { 131, 100 },
	{ 130, 100 }, { 200, 100 }, { 201, 100 }, { 300, 100 }, { 100, 300 },
	{ 301, 100 }, { 299, 100 }, { 97, 61 }, { 61, 97 }, { 1000, 9 },
	{ 9, 1000 }, { 1, 20000 }, { 20000, 1 }, { 2, 3 }, { 3, 2 },
	{ 800, 100 }, { 801, 100 }, { 700, 100 }, { 77, 1234 },
	{ 106, 100 }, { 107, 100 }, { 100, 107 }, { 129, 100 },
};

static void
test_cover_and_whole_see_every_pixel_of_every_shape(void **state)
{
	static const enum cw_views modes[] = { CW_VIEWS_COVER,
	    CW_VIEWS_WHOLE };

	(void)state;
	for (size_t i = 0; i < CW_COUNT(sizes); i++)
		for (size_t m = 0; m < 2; m++)
			for (int alpha = 0; alpha < 2; alpha++) {
				struct cw_image im = picture(sizes[i].w,
				    sizes[i].h, alpha);
				struct cw_view v[CW_VIEWS_MAX];
				int n = cw_views_plan(modes[m], &im, CW_FRAME_VIEWS, v);

				assert_in_range(n, 1, CW_VIEWS_MAX);
				for (int b = 0; b < (alpha ? 3 : 1); b++)
					if (unseen(&im, v, n,
					    (enum cw_background)b) != 0)
						fail_msg("%d x %d: mode %d, "
						    "background %d: unseen",
						    im.width, im.height,
						    modes[m], b);
			}
}

static void
test_auto_sees_every_pixel_once_crops_hide_any_of_note(void **state)
{
	(void)state;
	for (size_t i = 0; i < CW_COUNT(sizes); i++) {
		struct cw_image im = picture(sizes[i].w, sizes[i].h, false);
		struct cw_view v[CW_VIEWS_MAX];
		int n = cw_views_plan(CW_VIEWS_AUTO, &im, CW_FRAME_VIEWS, v);
		int longer = im.width > im.height ? im.width : im.height;
		int shorter = im.width + im.height - longer;

		assert_int_equal(v[0].kind, CW_VIEW_CENTER);
		assert_int_equal(v[0].w, shorter);
		if (longer * 16 <= shorter * 17)
			assert_int_equal(n, 1);
		else
			assert_int_equal(unseen(&im, v, n, CW_BG_STORED), 0);
		if (longer * 16 > shorter * 17 && longer * 10 <= shorter * 13)
			assert_int_equal(n, 2);
	}
}

/* Frames of an animation share the room: what is left sees all the same. */
static void
test_little_room_is_no_reason_to_see_less(void **state)
{
	static const enum cw_views modes[] = { CW_VIEWS_AUTO, CW_VIEWS_COVER,
	    CW_VIEWS_WHOLE };

	(void)state;
	for (size_t i = 0; i < CW_COUNT(sizes); i++)
		for (size_t m = 0; m < CW_COUNT(modes); m++)
			for (int room = 1; room <= CW_FRAME_VIEWS; room++) {
				const bool alpha = room >= CW_BGS;
				struct cw_image im = picture(sizes[i].w,
				    sizes[i].h, alpha);
				struct cw_view v[CW_VIEWS_MAX];
				int n = cw_views_plan(modes[m], &im, room, v);

				assert_in_range(n, 1, room);
				if (modes[m] == CW_VIEWS_AUTO &&
				    v[n - 1].kind == CW_VIEW_CENTER)
					continue;
				for (int b = 0; b < (alpha ? 3 : 1); b++)
					assert_int_equal(unseen(&im, v, n,
					    (enum cw_background)b), 0);
			}
}

/* The narrowest overlap a centre view may stand in for: nothing may slip
 * through when it is rounded to the model's pixels. */
static void
test_auto_repeats_the_middle_where_squares_only_touch(void **state)
{
	struct cw_image touching = picture(300, 100, false);
	struct cw_image roomy = picture(250, 100, false);
	struct cw_view v[CW_VIEWS_MAX];

	(void)state;
	assert_int_equal(cw_views_plan(CW_VIEWS_AUTO, &touching, CW_FRAME_VIEWS, v), 4);
	assert_int_equal(cw_views_plan(CW_VIEWS_AUTO, &roomy, CW_FRAME_VIEWS, v), 3);
}

static void
test_transparent_pictures_are_seen_on_three_grounds(void **state)
{
	struct cw_image im = picture(640, 480, true);
	struct cw_view v[CW_VIEWS_MAX];
	int n = cw_views_plan(CW_VIEWS_CENTER, &im, CW_FRAME_VIEWS, v);

	(void)state;
	assert_int_equal(n, 3);
	for (int i = 0; i < n; i++) {
		assert_int_equal(v[i].background, CW_BG_STORED + i);
		assert_int_equal(v[i].x, 80);
		assert_int_equal(v[i].w, 480);
		assert_int_equal(v[i].h, 480);
	}
}

static void
test_views_are_squares_in_their_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < CW_COUNT(sizes); i++)
		for (int alpha = 0; alpha < 2; alpha++)
			for (int mode = 0; mode < CW_VIEWS; mode++) {
				struct cw_image im = picture(sizes[i].w,
				    sizes[i].h, alpha);
				struct cw_view v[CW_VIEWS_MAX];
				int n = cw_views_plan((enum cw_views)mode,
				    &im, CW_FRAME_VIEWS, v);

				for (int k = 0; k < n; k++) {
					assert_int_equal(v[k].w, v[k].h);
					assert_true(v[k].w > 0);
					assert_true(v[k].x < im.width);
					assert_true(v[k].y < im.height);
					assert_true(v[k].x + v[k].w > 0);
					assert_true(v[k].y + v[k].h > 0);
				}
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_cover_and_whole_see_every_pixel_of_every_shape),
		cmocka_unit_test(
		    test_auto_sees_every_pixel_once_crops_hide_any_of_note),
		cmocka_unit_test(test_little_room_is_no_reason_to_see_less),
		cmocka_unit_test(
		    test_auto_repeats_the_middle_where_squares_only_touch),
		cmocka_unit_test(
		    test_transparent_pictures_are_seen_on_three_grounds),
		cmocka_unit_test(test_views_are_squares_in_their_bounds),
	};

	return cmocka_run_group_tests_name("views", tests, NULL, NULL);
}
