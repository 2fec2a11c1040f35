/*
 * test_preprocess.c - resizing equals the slow way and the reference.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "worker/image.h"
#include "worker/resample.h"

static struct cw_arena *arena;

static int
set_up(void **state)
{
	struct cw_err err;

	(void)state;
	return cw_arena_open((size_t)1 << 30, &arena, &err) == CW_OK ? 0 : -1;
}

static int
empty(void **state)
{
	(void)state;
	cw_arena_reset(arena, 0);
	return 0;
}

static uint32_t seed = 1;

static unsigned
noise(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 24;
}

static struct cw_image
random_picture(int w, int h, bool alpha)
{
	const size_t n = (size_t)w * (size_t)h;
	struct cw_image im = { .format = "test", .frames = 1, .width = w,
	    .height = h, .w = w, .h = h };

	im.rgb = cw_arena_alloc(arena, n * 3);
	im.alpha = alpha ? cw_arena_alloc(arena, n) : NULL;
	assert_non_null(im.rgb);
	/* Extremes are where rounding and clipping show. */
	for (size_t i = 0; i < n * 3; i++)
		im.rgb[i] = (uint8_t)(noise() % 3 == 0 ? noise() :
		    noise() % 2 * 255);
	for (size_t i = 0; alpha && i < n; i++)
		im.alpha[i] = (uint8_t)noise();
	return im;
}

/* ---- the slow way: written from the definition, in 64 bits ---- */

static double
cubic(double x)
{
	x = fabs(x);
	if (x < 1)
		return (1.5 * x - 2.5) * x * x + 1;
	return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

static int
slow_sample(const uint8_t *p, size_t step, int in, int64_t out, int64_t o)
{
	const double scale = (double)in / (double)out;
	const double wide = scale > 1 ? scale : 1, c = ((double)o + 0.5) * scale;
	const int lo = (int)fmax(c - 2 * wide + 0.5, 0);
	const int hi = (int)fmin(c + 2 * wide + 0.5, in);
	double total = 0;
	int64_t sum = 1 << 21;

	for (int i = lo; i < hi; i++)
		total += cubic((i - c + 0.5) * (1.0 / wide));
	for (int i = lo; i < hi; i++) {
		double w = cubic((i - c + 0.5) * (1.0 / wide)) / total;

		sum += (int64_t)(w * 4194304 + (w < 0 ? -0.5 : 0.5)) *
		    p[(size_t)i * step];
	}
	sum >>= 22;
	return sum < 0 ? 0 : sum > 255 ? 255 : (int)sum;
}

/* Whole resize, then the middle; as the reference says it. */
static void
slow_center(const struct cw_image *im, int side, int crop, uint8_t *out)
{
	const int w = im->w, h = im->h;
	const int rw = w <= h ? side : (int)((int64_t)side * w / h);
	const int rh = w <= h ? (int)((int64_t)side * h / w) : side;
	const int left = (int)floor((rw - crop) / 2.0);
	const int top = (int)floor((rh - crop) / 2.0);
	uint8_t *tmp = test_malloc((size_t)rw * (size_t)h * 3);

	for (int y = 0; y < h; y++)
		for (int x = 0; x < rw; x++)
			for (int c = 0; c < 3; c++)
				tmp[((size_t)y * rw + x) * 3 + c] = (uint8_t)
				    slow_sample(im->rgb + (size_t)y * w * 3 +
				    c, 3, w, rw, x);
	for (int y = 0; y < crop; y++)
		for (int x = 0; x < crop; x++)
			for (int c = 0; c < 3; c++) {
				const int sx = x + left, sy = y + top;

				out[(y * crop + x) * 3 + c] = (uint8_t)(
				    sx < 0 || sy < 0 || sx >= rw || sy >= rh ?
				    0 : slow_sample(tmp + (size_t)sx * 3 + c,
				    (size_t)rw * 3, h, rh, sy));
			}
	test_free(tmp);
}

static void
test_the_centre_view_equals_the_slow_way(void **state)
{
	static const struct {
		int	w, h, side, crop;
	} cases[] = {
		{ 97, 61, 32, 32 }, { 61, 97, 32, 32 }, { 32, 32, 32, 32 },
		{ 1, 1, 32, 32 }, { 1, 50, 32, 32 }, { 50, 1, 16, 16 },
		{ 5, 3, 32, 32 }, { 300, 200, 224, 224 }, { 35, 32, 32, 32 },
		{ 99, 32, 32, 32 }, { 64, 80, 40, 32 }, { 64, 80, 30, 36 },
		{ 31, 31, 16, 48 }, { 640, 9, 24, 24 }, { 513, 257, 48, 48 },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		const int crop = cases[i].crop;
		struct cw_image im = random_picture(cases[i].w, cases[i].h,
		    false);
		struct cw_view v[CW_VIEWS_MAX];
		uint8_t got[224 * 224 * 3], want[224 * 224 * 3];
		struct cw_err err;

		assert_int_equal(cw_views_plan(CW_VIEWS_CENTER, &im, CW_SQUARES_MAX, v), 1);
		assert_int_equal(cw_preprocess_u8(&im, v, cases[i].side, crop,
		    arena, got, &err), CW_OK);
		slow_center(&im, cases[i].side, crop, want);
		if (memcmp(got, want, (size_t)crop * crop * 3) != 0)
			fail_msg("%d x %d to %d/%d differs", im.w, im.h,
			    cases[i].side, crop);
	}
}

static void
test_every_kernel_gives_the_bytes_of_plain_c(void **state)
{
	static const struct {
		int	in, out;
	} cases[] = {
		{ 1, 7 }, { 2, 5 }, { 3, 3 }, { 4, 9 }, { 5, 2 }, { 16, 16 },
		{ 17, 16 }, { 100, 33 }, { 33, 100 }, { 1000, 7 },
		{ 999, 224 }, { 3000, 1 },
	};
	const struct cw_resampler *k = cw_resampler_best();

	(void)state;
	print_message("comparing \"%s\" with \"c\"\n", k->name);
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		const int n = cases[i].out;
		struct cw_image im = random_picture(cases[i].in, 5, false);
		uint8_t *row[2][4], *down[2];
		const uint8_t *in[4];
		struct cw_taps t;
		struct cw_err err;

		assert_int_equal(cw_taps_make(cases[i].in, n, 0, n, arena, &t,
		    &err), CW_OK);
		for (int r = 0; r < 4; r++) {
			in[r] = im.rgb + (size_t)r * im.w * 3;
			for (int j = 0; j < 2; j++)
				row[j][r] = cw_arena_zalloc(arena, 1,
				    (size_t)n * 3 + 1);
		}
		/* The fifth row is room to read past the fourth; short rows
		 * need more. */
		im.rgb = memcpy(cw_arena_alloc(arena, (size_t)im.w * 5 * 3 +
		    CW_RESAMPLE_PAD), im.rgb, (size_t)im.w * 5 * 3);
		for (int r = 0; r < 4; r++)
			in[r] = im.rgb + (size_t)r * im.w * 3;
		if (im.w * 3 < CW_RESAMPLE_PAD)
			in[3] = in[2] = in[1] = in[0];
		k->across(&t, in, row[0]);
		cw_resampler_c.across(&t, in, row[1]);
		for (int r = 0; r < 4; r++)
			assert_memory_equal(row[0][r], row[1][r],
			    (size_t)n * 3);

		/* The same picture as one column per 15 bytes, downwards. */
		im = random_picture(16, t.in_hi, false);
		down[0] = cw_arena_zalloc(arena, 1, 48);
		down[1] = cw_arena_zalloc(arena, 1, 48);
		for (int o = 0; o < n; o++) {
			k->down(&t, o, im.rgb + (size_t)t.in_lo * 48, 48, 45,
			    down[0]);
			cw_resampler_c.down(&t, o, im.rgb +
			    (size_t)t.in_lo * 48, 48, 45, down[1]);
			assert_memory_equal(down[0], down[1], 45);
		}
	}
}

static void
test_cover_views_equal_resizing_the_cut_out_square(void **state)
{
	struct cw_image im = random_picture(150, 70, false), cut;
	struct cw_view v[CW_VIEWS_MAX];
	uint8_t got[32 * 32 * 3], want[32 * 32 * 3];
	struct cw_err err;
	int n;

	(void)state;
	n = cw_views_plan(CW_VIEWS_COVER, &im, CW_SQUARES_MAX, v);
	assert_int_equal(n, 3);
	for (int i = 0; i < n; i++) {
		cut = random_picture(v[i].w, v[i].h, false);
		for (int y = 0; y < cut.h; y++)
			memcpy(cut.rgb + (size_t)y * cut.w * 3, im.rgb +
			    ((size_t)(y + v[i].y) * im.w + v[i].x) * 3,
			    (size_t)cut.w * 3);
		slow_center(&cut, 32, 32, want);
		assert_int_equal(cw_preprocess_u8(&im, &v[i], 32, 32, arena,
		    got, &err), CW_OK);
		assert_memory_equal(got, want, sizeof(got));
	}
}

static void
test_the_whole_view_pads_with_the_mean_colour(void **state)
{
	static const uint8_t mean[3] = { 122, 116, 104 };
	struct cw_image im = random_picture(80, 40, false);
	struct cw_view v[CW_VIEWS_MAX];
	uint8_t got[32 * 32 * 3];
	struct cw_err err;

	(void)state;
	memset(im.rgb, 200, 80 * 40 * 3);
	assert_int_equal(cw_views_plan(CW_VIEWS_WHOLE, &im, CW_SQUARES_MAX, v), 1);
	assert_int_equal(cw_preprocess_u8(&im, v, 32, 32, arena, got, &err),
	    CW_OK);
	for (int y = 0; y < 32; y++)
		for (int x = 0; x < 32; x++)
			for (int c = 0; c < 3; c++)
				assert_int_equal(got[(y * 32 + x) * 3 + c],
				    y >= 8 && y < 24 ? 200 : mean[c]);
}

static void
test_alpha_blends_onto_white_and_black_only(void **state)
{
	struct cw_image im = random_picture(40, 40, true);
	struct cw_view v[CW_VIEWS_MAX];
	uint8_t got[3][40 * 40 * 3];
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_views_plan(CW_VIEWS_CENTER, &im, CW_SQUARES_MAX, v), 3);
	for (int b = 0; b < 3; b++)
		assert_int_equal(cw_preprocess_u8(&im, &v[b], 40, 40, arena,
		    got[b], &err), CW_OK);
	assert_memory_equal(got[CW_BG_STORED], im.rgb, sizeof(got[0]));
	for (size_t i = 0; i < 40 * 40 * 3; i++) {
		const double a = im.alpha[i / 3] / 255.0;

		assert_int_equal(got[CW_BG_WHITE][i],
		    (int)(im.rgb[i] * a + 255 * (1 - a) + 0.5));
		assert_int_equal(got[CW_BG_BLACK][i],
		    (int)(im.rgb[i] * a + 0.5));
	}
}

static void
test_normalising_is_planar_and_divides_in_float(void **state)
{
	const struct cw_pixel_rule rule = { 16, 16,
	    { 0.48145466f, 0.4578275f, 0.40821073f },
	    { 0.26862954f, 0.26130258f, 0.27577711f } };
	struct cw_image im = random_picture(16, 16, false);
	struct cw_view v[CW_VIEWS_MAX];
	float out[3 * 16 * 16];
	struct cw_err err;

	(void)state;
	cw_views_plan(CW_VIEWS_CENTER, &im, CW_SQUARES_MAX, v);
	assert_int_equal(cw_preprocess(&im, v, &rule, 16, arena, out, &err),
	    CW_OK);
	for (int i = 0; i < 256; i++)
		for (int c = 0; c < 3; c++) {
			float x = (float)im.rgb[3 * i + c] / 255.0f;

			x = (x - rule.mean[c]) / rule.std[c];
			assert_memory_equal(&out[c * 256 + i], &x, sizeof(x));
		}
}

static void
test_needles_take_neither_memory_nor_time(void **state)
{
	(void)state;
	for (int turn = 0; turn < 2; turn++)
		for (int mode = 0; mode < CW_VIEWS; mode++) {
			struct cw_image im = random_picture(turn ? 20000 : 1,
			    turn ? 1 : 20000, false);
			struct cw_view v[CW_VIEWS_MAX];
			struct cw_arena *small;
			uint8_t *out;
			struct cw_err err;
			int n = cw_views_plan((enum cw_views)mode, &im,
			    CW_SQUARES_MAX, v);

			out = cw_arena_alloc(arena, 224 * 224 * 3);
			assert_int_equal(cw_arena_open(6 << 20, &small, &err),
			    CW_OK);
			for (int i = 0; i < n; i++)
				assert_int_equal(cw_preprocess_u8(&im, &v[i],
				    224, 224, small, out, &err), CW_OK);
			cw_arena_close(&small);
		}
}

/* ---- beside the reference, where it is ---- */

static void *
slurp(const char *folder, const char *name, size_t *n)
{
	char path[1024];
	FILE *f;
	void *p;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if ((f = fopen(path, "rb")) == NULL)
		fail_msg("%s: can't be read", path);
	fseek(f, 0, SEEK_END);
	*n = (size_t)ftell(f);
	rewind(f);
	p = cw_arena_zalloc(arena, *n + 1, 1);
	assert_non_null(p);
	assert_int_equal(fread(p, 1, *n, f), *n);
	fclose(f);
	return p;
}

static void
check_model(const char *fixtures, const char *model, int side)
{
	const size_t bytes = (size_t)side * side * 3;
	char folder[1024];
	json_t *list, *images;
	size_t n, i;
	const uint8_t *crops;
	json_error_t e;

	snprintf(folder, sizeof(folder), "%s/images/images.json", fixtures);
	images = json_load_file(folder, 0, &e);
	assert_non_null(images);
	list = json_object_get(images, "images");
	snprintf(folder, sizeof(folder), "%s/%s/expected", fixtures, model);
	crops = slurp(folder, "crops.u8", &n);
	assert_int_equal(n, json_array_size(list) * bytes);
	for (i = 0; i < json_array_size(list); i++) {
		const char *file = json_string_value(json_object_get(
		    json_array_get(list, i), "decoded"));
		char where[1024];
		const char *ppm;
		struct cw_image im = { .frames = 1 };
		struct cw_view v[CW_VIEWS_MAX];
		uint8_t got[64 * 64 * 3];
		struct cw_err err;
		int at;

		snprintf(where, sizeof(where), "%s/images", fixtures);
		ppm = slurp(where, file, &n);
		if (sscanf(ppm, "P6 %d %d 255%n", &im.w, &im.h, &at) != 2)
			fail_msg("%s: not a PPM", file);
		im.width = im.w;
		im.height = im.h;
		im.rgb = (uint8_t *)(uintptr_t)ppm + at + 1;
		assert_int_equal(cw_views_plan(CW_VIEWS_CENTER, &im, CW_SQUARES_MAX, v), 1);
		assert_int_equal(cw_preprocess_u8(&im, v, side, side, arena,
		    got, &err), CW_OK);
		if (memcmp(got, crops + i * bytes, bytes) != 0)
			fail_msg("%s: crop of %s differs", model, file);
	}
	json_decref(images);
}

static void
test_crops_of_the_reference_fixtures_are_equal(void **state)
{
	static const struct {
		const char	*model;
		int		 side;
	} models[] = {
		{ "tiny-vit", 32 }, { "tiny-vit-f16", 48 }, { "tiny-rn", 64 },
	};
	const char *shared = getenv("CW_SHARED");
	char fixtures[900];

	(void)state;
	if (shared == NULL || *shared == '\0')
		skip();
	snprintf(fixtures, sizeof(fixtures), "%s/reference/fixtures", shared);
	for (size_t i = 0; i < CW_COUNT(models); i++)
		check_model(fixtures, models[i].model, models[i].side);
}

#define CASE(f)	cmocka_unit_test_teardown(f, empty)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_the_centre_view_equals_the_slow_way),
		CASE(test_every_kernel_gives_the_bytes_of_plain_c),
		CASE(test_cover_views_equal_resizing_the_cut_out_square),
		CASE(test_the_whole_view_pads_with_the_mean_colour),
		CASE(test_alpha_blends_onto_white_and_black_only),
		CASE(test_normalising_is_planar_and_divides_in_float),
		CASE(test_needles_take_neither_memory_nor_time),
		CASE(test_crops_of_the_reference_fixtures_are_equal),
	};

	return cmocka_run_group_tests_name("preprocess", tests, set_up, NULL);
}
