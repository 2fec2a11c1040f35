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
				int n = cw_views_plan(modes[m], &im, CW_SQUARES_MAX, v);

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

/* Is there nothing of note beside the middle of it? */
static bool
is_square(const struct cw_image *im)
{
	const int longer = im->width > im->height ? im->width : im->height;
	const int shorter = im->width + im->height - longer;

	return longer * 16 <= shorter * 17;
}

static void
test_auto_sees_every_pixel_once_crops_hide_any_of_note(void **state)
{
	(void)state;
	for (size_t i = 0; i < CW_COUNT(sizes); i++) {
		struct cw_image im = picture(sizes[i].w, sizes[i].h, false);
		struct cw_view v[CW_VIEWS_MAX];
		int n = cw_views_plan(CW_VIEWS_AUTO, &im, CW_SQUARES_MAX, v);
		int longer = im.width > im.height ? im.width : im.height;
		int shorter = im.width + im.height - longer;

		assert_int_equal(v[0].kind, CW_VIEW_CENTER);
		assert_int_equal(v[0].w, shorter);
		if (is_square(&im))
			assert_int_equal(n, 1);
		else
			assert_int_equal(unseen(&im, v, n, CW_BG_STORED), 0);
		if (!is_square(&im) && longer * 10 <= shorter * 13)
			assert_int_equal(n, 2);
	}
}

/* Frames of an animation share the room: what is left sees all the same. */
static void
check_room(enum cw_views mode, const struct cw_image *im, int squares)
{
	const int grounds = im->alpha != NULL ? CW_BGS : 1;
	struct cw_view v[CW_VIEWS_MAX];
	int n = cw_views_plan(mode, im, squares, v);

	assert_in_range(n, grounds, squares * grounds);
	if (mode == CW_VIEWS_AUTO && is_square(im))
		return;
	for (int b = 0; b < grounds; b++)
		if (unseen(im, v, n, (enum cw_background)b) != 0)
			fail_msg("%d x %d: mode %d, %d squares, ground %d: "
			    "unseen", im->width, im->height, mode, squares, b);
}

static void
test_little_room_is_no_reason_to_see_less(void **state)
{
	static const enum cw_views modes[] = { CW_VIEWS_AUTO, CW_VIEWS_COVER,
	    CW_VIEWS_WHOLE };

	(void)state;
	for (size_t i = 0; i < CW_COUNT(sizes); i++)
		for (size_t m = 0; m < CW_COUNT(modes); m++)
			for (int k = 2; k < 2 * CW_SQUARES_MAX + 2; k++) {
				struct cw_image im = picture(sizes[i].w,
				    sizes[i].h, k % 2 == 1);

				check_room(modes[m], &im, k / 2);
			}
}

/* One pixel that shines through costs a strip none of its squares. */
static void
test_alpha_has_the_same_squares_on_every_ground(void **state)
{
	(void)state;
	for (size_t i = 0; i < CW_COUNT(sizes); i++) {
		struct cw_image plain = picture(sizes[i].w, sizes[i].h, false);
		struct cw_image alpha = picture(sizes[i].w, sizes[i].h, true);
		struct cw_view a[CW_VIEWS_MAX], b[CW_VIEWS_MAX];
		int n = cw_views_plan(CW_VIEWS_AUTO, &plain, CW_SQUARES_MAX, a);

		assert_int_equal(cw_views_plan(CW_VIEWS_AUTO, &alpha,
		    CW_SQUARES_MAX, b), n * CW_BGS);
		for (int k = 0; k < n * CW_BGS; k++) {
			assert_int_equal(b[k].x, a[k / CW_BGS].x);
			assert_int_equal(b[k].y, a[k / CW_BGS].y);
			assert_int_equal(b[k].w, a[k / CW_BGS].w);
			assert_int_equal(b[k].background, k % CW_BGS);
		}
	}
}

/* n frames, of which every step'th from `from` on has alpha. */
static int
share(int n, int from, int step, int *squares)
{
	struct cw_image frames[256];
	int looks, room = 0;

	for (int i = 0; i < n; i++)
		frames[i] = picture(48, 48, i >= from && (i - from) % step ==
		    0);
	looks = cw_views_share(frames, n, squares);
	assert_in_range(looks, 1, n);
	assert_int_equal(cw_views_frame(0, looks, n), 0);
	assert_int_equal(cw_views_frame(looks - 1, looks, n),
	    looks > 1 ? n - 1 : 0);
	for (int i = 0; i < looks; i++)
		room += cw_views_grounds(&frames[cw_views_frame(i, looks, n)]);
	assert_in_range(room * *squares, 1, CW_VIEWS_MAX);
	return looks;
}

/* Frames come before squares, and alpha in one costs only its own grounds. */
static void
test_frames_share_the_room(void **state)
{
	static const struct {
		int	n, from, step, looks, squares;
	} cases[] = {
		{ 1, 1, 1, 1, 9 }, { 1, 0, 1, 1, 9 }, { 8, 8, 1, 8, 4 },
		{ 8, 7, 1, 8, 3 }, { 8, 0, 1, 8, 1 }, { 12, 11, 1, 12, 2 },
		{ 30, 14, 30, 30, 1 }, { 32, 32, 1, 32, 1 },
		{ 10, 0, 1, 10, 1 }, { 11, 0, 1, 10, 1 }, { 256, 0, 1, 10, 1 },
		{ 256, 256, 1, 32, 1 }, { 32, 14, 32, 30, 1 },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		int squares, looks = share(cases[i].n, cases[i].from,
		    cases[i].step, &squares);

		if (looks != cases[i].looks || squares != cases[i].squares)
			fail_msg("case %zu: %d looks, %d squares", i, looks,
			    squares);
	}
	for (int n = 1; n <= 256; n++)
		for (int step = 1, squares; step < 5; step++)
			share(n, step % 3, step, &squares);
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
	assert_int_equal(cw_views_plan(CW_VIEWS_AUTO, &touching, CW_SQUARES_MAX, v), 4);
	assert_int_equal(cw_views_plan(CW_VIEWS_AUTO, &roomy, CW_SQUARES_MAX, v), 3);
}

static void
test_transparent_pictures_are_seen_on_three_grounds(void **state)
{
	struct cw_image im = picture(640, 480, true);
	struct cw_view v[CW_VIEWS_MAX];
	int n = cw_views_plan(CW_VIEWS_CENTER, &im, CW_SQUARES_MAX, v);

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
				    &im, CW_SQUARES_MAX, v);

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
		    test_alpha_has_the_same_squares_on_every_ground),
		cmocka_unit_test(test_frames_share_the_room),
		cmocka_unit_test(
		    test_auto_repeats_the_middle_where_squares_only_touch),
		cmocka_unit_test(
		    test_transparent_pictures_are_seen_on_three_grounds),
		cmocka_unit_test(test_views_are_squares_in_their_bounds),
	};

	return cmocka_run_group_tests_name("views", tests, NULL, NULL);
}
