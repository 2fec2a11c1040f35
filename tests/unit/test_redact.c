/*
 * test_redact.c - what is hidden is gone, what is not is still there.
 */
#include "pictures.h"

/* Every pixel its own, so that nothing can come from a neighbour. */
static struct cw_image
busy_picture(const char *format, int w, int h, bool alpha)
{
	struct cw_image im = { .format = format, .frames = 1, .width = w,
	    .height = h, .w = w, .h = h };
	uint32_t seed = 7;

	im.rgb = cw_arena_alloc(arena, (size_t)w * h * 3);
	im.alpha = alpha ? cw_arena_alloc(arena, (size_t)w * h) : NULL;
	for (size_t i = 0; i < (size_t)w * h * 3; i++) {
		seed = seed * 1664525u + 1013904223u;
		im.rgb[i] = (uint8_t)(seed >> 24);
		if (alpha)
			im.alpha[i / 3] = (uint8_t)(seed >> 16);
	}
	return im;
}

static struct cw_image
redacted(const struct cw_image *im, const struct cw_region *r, int n,
    bool invert, uint8_t **file, size_t *len)
{
	const struct cw_hide hide = { .region = r, .n = n, .others = invert };
	struct cw_image out;
	const char *code;

	if (cw_redact(im, &hide, arena, file, len, &err) != CW_OK ||
	    cw_decode(*file, *len, &limits, 0, arena, &out, &code, &err) !=
	    CW_OK)
		fail_msg("%s", err.text);
	assert_int_equal(out.w, im->w);
	assert_int_equal(out.h, im->h);
	return out;
}

static bool
inside(const struct cw_region *r, int x, int y)
{
	return x >= r->x && y >= r->y && x < r->x + r->w && y < r->y + r->h;
}

static void
test_the_region_changes_and_the_rest_does_not(void **state)
{
	const struct cw_region r = { 40, 30, 64, 50, 1 };

	(void)state;
	for (int invert = 0; invert < 2; invert++)
		for (int alpha = 0; alpha < 2; alpha++) {
			struct cw_image im = busy_picture("png", 160, 120,
			    alpha), out;
			uint8_t *file;
			size_t n;
			int same_in = 0, same_out = 0;

			out = redacted(&im, &r, 1, invert, &file, &n);
			for (int i = 0; i < 160 * 120; i++) {
				bool same = memcmp(im.rgb + 3 * i, out.rgb +
				    3 * i, 3) == 0;

				if (inside(&r, i % 160, i / 160))
					same_in += same;
				else
					same_out += same;
				if (alpha && inside(&r, i % 160, i / 160) !=
				    invert)
					assert_int_equal(out.alpha == NULL ?
					    255 : out.alpha[i], 255);
			}
			if (invert) {
				assert_int_equal(same_in, 64 * 50);
				assert_true(same_out < 20);
			} else {
				assert_true(same_in < 5);
				assert_int_equal(same_out, 160 * 120 - 64 * 50);
			}
		}
}

/*
 * Irreversible: two pictures that agree in a few averages come out the same,
 * byte for byte, however much they differ.
 */
static void
test_pictures_with_the_same_averages_become_the_same(void **state)
{
	const struct cw_region all = { 0, 0, 256, 256, 1 };
	struct cw_image a = busy_picture("png", 256, 256, false);
	struct cw_image b = busy_picture("png", 256, 256, false);
	uint8_t *fa, *fb;
	size_t na, nb;

	(void)state;
	for (int y = 0; y < 256; y++)
		for (int x = 0; x < 256; x++)
			for (int c = 0; c < 3; c++) {
				/* Stripes one way and the other: same sums. */
				a.rgb[(y * 256 + x) * 3 + c] = x & 1 ? 255 : 0;
				b.rgb[(y * 256 + x) * 3 + c] = y & 1 ? 255 : 0;
			}
	(void)redacted(&a, &all, 1, false, &fa, &na);
	(void)redacted(&b, &all, 1, false, &fb, &nb);
	assert_int_equal(na, nb);
	assert_memory_equal(fa, fb, na);
}

static void
test_only_few_colours_are_left_in_the_cells(void **state)
{
	const struct cw_region r = { 0, 0, 400, 300, 1 };
	struct cw_image im = busy_picture("png", 400, 300, false), out;
	uint8_t *file;
	size_t n;
	int flat = 0;

	(void)state;
	out = redacted(&im, &r, 1, false, &file, &n);
	for (int i = 1; i < 400 * 300; i++)
		flat += memcmp(out.rgb + 3 * i, out.rgb + 3 * i - 3, 3) == 0;
	assert_true(flat > 400 * 300 / 2);
	assert_true(n < 20000);		/* there is little left to say */
}

static void
test_jpeg_stays_jpeg_without_metadata(void **state)
{
	const struct cw_region r = { 10, 10, 50, 50, 1 };
	struct cw_image im = busy_picture("jpeg", 120, 80, false), out;
	uint8_t *file;
	size_t n;

	(void)state;
	out = redacted(&im, &r, 1, false, &file, &n);
	assert_string_equal(out.format, "jpeg");
	assert_null(memmem(file, n, "Exif", 4));
	assert_null(memmem(file, n, "\xff\xe1", 2));
	im.format = "webp";
	out = redacted(&im, &r, 1, false, &file, &n);
	assert_string_equal(out.format, "png");
	assert_null(memmem(file, n, "tEXt", 4));
	assert_null(memmem(file, n, "eXIf", 4));
}

static void
test_odd_regions_stay_in_the_picture(void **state)
{
	static const struct cw_region odd[] = {
		{ -10, -10, 5, 5, 1 }, { -10, -10, 30, 30, 1 },
		{ 95, 75, 500, 500, 1 }, { 0, 0, 0, 0, 1 }, { 50, 50, 1, 1, 1 },
		{ 100, 80, 10, 10, 1 }, { 0, 0, INT32_MAX, INT32_MAX, 1 },
		{ 3, 3, -4, 7, 1 },
	};
	uint8_t *file;
	size_t n;

	(void)state;
	for (int invert = 0; invert < 2; invert++) {
		struct cw_image im = busy_picture("jpeg", 100, 80, false);
		struct cw_image dot = busy_picture("png", 1, 1, true);

		(void)redacted(&im, odd, CW_COUNT(odd), invert, &file, &n);
		(void)redacted(&im, NULL, 0, invert, &file, &n);
		(void)redacted(&dot, odd, CW_COUNT(odd), invert, &file, &n);
	}
}

#define CASE(f)	cmocka_unit_test_teardown(f, empty)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_the_region_changes_and_the_rest_does_not),
		CASE(test_pictures_with_the_same_averages_become_the_same),
		CASE(test_only_few_colours_are_left_in_the_cells),
		CASE(test_jpeg_stays_jpeg_without_metadata),
		CASE(test_odd_regions_stay_in_the_picture),
	};

	return cmocka_run_group_tests_name("redact", tests, set_up, NULL);
}
