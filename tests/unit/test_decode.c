/*
 * test_decode.c - pictures as they should be: pixels, sizes, orientation.
 * Those meant to hurt are in test_decode_hostile.c.
 */
#include "pictures.h"

#include <jansson.h>
#include <png.h>

#include "base/sha256.h"
#include "worker/exif.h"

static const char *code;

static struct cw_image
decoded(const void *bytes, size_t n, int want)
{
	struct cw_image im;

	if (cw_decode(bytes, n, &limits, want, arena, &im, &code, &err) !=
	    CW_OK)
		fail_msg("%s: %s", code, err.text);
	return im;
}

/* A picture with an up and a left: red grows to the right, green downwards,
 * blue is a square in the top left corner. */
static uint8_t *
scene(int w, int h)
{
	uint8_t *rgb = cw_arena_alloc(arena, (size_t)w * h * 3);

	for (int y = 0; y < h; y++)
		for (int x = 0; x < w; x++) {
			uint8_t *p = rgb + ((size_t)y * w + x) * 3;

			p[0] = (uint8_t)(255 * x / w);
			p[1] = (uint8_t)(255 * y / h);
			p[2] = x < w / 3 && y < h / 3 ? 255 : 0;
		}
	return rgb;
}

/* The same file with an EXIF block of the given orientation behind SOI. */
static struct file
with_exif(struct file jpeg, int orientation)
{
	const uint8_t app1[] = {
		0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0,
		'M', 'M', 0, 42, 0, 0, 0, 8,
		0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, (uint8_t)orientation,
		0, 0, 0, 0, 0, 0,
	};
	const struct file f = {
		cw_arena_alloc(arena, jpeg.n + sizeof(app1)),
		jpeg.n + sizeof(app1)
	};

	memcpy(f.b, jpeg.b, 2);
	memcpy(f.b + 2, app1, sizeof(app1));
	memcpy(f.b + 2 + sizeof(app1), jpeg.b + 2, jpeg.n - 2);
	return f;
}

static void
test_a_jpeg_equals_the_library_s_own_decoding(void **state)
{
	static const struct {
		int	format, subsampling, flags;
	} cases[] = {
		{ TJPF_RGB, TJSAMP_420, 0 },
		{ TJPF_RGB, TJSAMP_422, TJFLAG_PROGRESSIVE },
		{ TJPF_RGB, TJSAMP_444, 0 },
		{ TJPF_RGB, TJSAMP_440, TJFLAG_PROGRESSIVE },
		{ TJPF_RGB, TJSAMP_411, 0 },
		{ TJPF_RGB, TJSAMP_GRAY, 0 },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		uint8_t *rgb = scene(123, 77);
		const struct file jpeg = to_jpeg(rgb, 123, 77, cases[i].format,
		    cases[i].subsampling, 92, cases[i].flags);
		struct cw_image im = decoded(jpeg.b, jpeg.n, 0);
		tjhandle tj = tjInitDecompress();

		assert_int_equal(tjDecompress2(tj, jpeg.b, jpeg.n, rgb, 123, 0, 77,
		    TJPF_RGB, TJFLAG_ACCURATEDCT), 0);
		assert_string_equal(im.format, "jpeg");
		assert_int_equal(im.w, 123);
		assert_int_equal(im.h, 77);
		assert_null(im.alpha);
		assert_memory_equal(im.rgb, rgb, 123 * 77 * 3);
		tjDestroy(tj);
	}
}

/* Where the stored pixel (x, y) of a w x h picture is shown. */
static size_t
shown_at(int o, int x, int y, int w, int h)
{
	const int sx[] = { 0, x, w - 1 - x, w - 1 - x, x, y, h - 1 - y,
	    h - 1 - y, y };
	const int sy[] = { 0, y, y, h - 1 - y, h - 1 - y, x, x, w - 1 - x,
	    w - 1 - x };

	return (size_t)sy[o] * (size_t)(o >= 5 ? h : w) + (size_t)sx[o];
}

static void
test_each_orientation_turns_the_picture(void **state)
{
	const int w = 83, h = 45;
	uint8_t *rgb = scene(w, h);
	const struct file jpeg = to_jpeg(rgb, w, h, TJPF_RGB, TJSAMP_444, 92, 0);
	struct cw_image plain = decoded(jpeg.b, jpeg.n, 0);

	(void)state;
	for (int o = 0; o <= 9; o++) {
		const int turn = o >= 1 && o <= 8 ? o : 1;
		const struct file f = with_exif(jpeg, o);
		struct cw_image im = decoded(f.b, f.n, 0);

		assert_int_equal(im.w, turn >= 5 ? h : w);
		assert_int_equal(im.h, turn >= 5 ? w : h);
		assert_int_equal(im.width, im.w);
		assert_int_equal(im.height, im.h);
		for (int y = 0; y < h; y++)
			for (int x = 0; x < w; x++)
				if (memcmp(im.rgb + 3 * shown_at(turn, x, y, w,
				    h), plain.rgb + 3 * (y * w + x), 3) != 0)
					fail_msg("orientation %d: (%d, %d)", o,
					    x, y);
	}
}

static void
test_a_scaled_decode_is_no_smaller_than_twice_what_is_wanted(void **state)
{
	static const struct {
		int	w, h, want, short_side;
	} cases[] = {
		{ 1000, 800, 0, 800 }, { 1000, 800, 224, 800 },
		{ 1000, 896, 224, 448 }, { 1000, 895, 224, 448 },
		{ 1000, 894, 224, 894 }, { 1001, 900, 100, 225 },
		{ 1001, 900, 56, 113 }, { 1001, 900, 20, 113 },
		{ 300, 900, 30, 75 },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		const struct file jpeg = to_jpeg(scene(cases[i].w, cases[i].h),
		    cases[i].w, cases[i].h, TJPF_RGB, TJSAMP_420, 92, 0);
		struct cw_image im = decoded(jpeg.b, jpeg.n, cases[i].want);

		assert_int_equal(im.width, cases[i].w);
		assert_int_equal(im.height, cases[i].h);
		assert_int_equal(im.w < im.h ? im.w : im.h,
		    cases[i].short_side);
	}
}

static void
test_a_scaled_decode_looks_the_same_to_the_model(void **state)
{
	const struct file jpeg = to_jpeg(scene(1200, 900), 1200, 900, TJPF_RGB,
	    TJSAMP_420, 92, 0);
	struct cw_image full = decoded(jpeg.b, jpeg.n, 0), half;
	struct cw_view v[CW_VIEWS_MAX];
	uint8_t a[64 * 64 * 3], b[64 * 64 * 3];
	double sum = 0;

	(void)state;
	half = decoded(jpeg.b, jpeg.n, 64);
	assert_int_equal(half.h, 225);
	cw_views_plan(CW_VIEWS_CENTER, &full, CW_SQUARES_MAX, v);
	assert_int_equal(cw_preprocess_u8(&full, v, 64, 64, arena, a, &err),
	    CW_OK);
	assert_int_equal(cw_preprocess_u8(&half, v, 64, 64, arena, b, &err),
	    CW_OK);
	for (size_t i = 0; i < sizeof(a); i++)
		sum += abs(a[i] - b[i]);
	print_message("mean difference %.3f of 255\n", sum / sizeof(a));
	assert_true(sum / sizeof(a) < 1.0);
}

static void
test_arithmetic_coding_is_read_or_named(void **state)
{
	struct file jpeg;
	struct cw_image im;

	(void)state;
	setenv("TJ_ARITHMETIC", "1", 1);
	jpeg = to_jpeg(scene(64, 48), 64, 48, TJPF_RGB, TJSAMP_420, 92, 0);
	unsetenv("TJ_ARITHMETIC");
	if (cw_decode(jpeg.b, jpeg.n, &limits, 0, arena, &im, &code, &err) != CW_OK)
		assert_string_equal(code, "unsupported");
	else
		assert_int_equal(im.w, 64);
}

static void
test_a_png_s_alpha_is_beside_it_unless_opaque(void **state)
{
	static uint8_t file[1 << 16];
	uint8_t rgba[20 * 10 * 4];

	(void)state;
	for (int clear = 0; clear < 2; clear++) {
		png_image head = { .version = PNG_IMAGE_VERSION, .width = 20,
		    .height = 10, .format = PNG_FORMAT_RGBA };
		png_alloc_size_t n = sizeof(file);
		struct cw_image im;

		for (size_t i = 0; i < sizeof(rgba); i++)
			rgba[i] = (uint8_t)(i % 4 == 3 ? 255 : i);
		if (clear)
			rgba[7] = 254;
		assert_true(png_image_write_to_memory(&head, file, &n, 0, rgba,
		    0, NULL));
		im = decoded(file, n, 0);
		assert_string_equal(im.format, "png");
		for (size_t i = 0; i < 200; i++)
			assert_memory_equal(im.rgb + 3 * i, rgba + 4 * i, 3);
		if (clear) {
			assert_non_null(im.alpha);
			assert_int_equal(im.alpha[0], 255);
			assert_int_equal(im.alpha[1], 254);
		} else
			assert_null(im.alpha);
	}
}

static void
test_a_still_is_one_frame(void **state)
{
	const struct file jpeg = to_jpeg(scene(64, 48), 64, 48, TJPF_RGB,
	    TJSAMP_420, 92, 0);
	struct cw_image *frames;
	int count;

	(void)state;
	assert_int_equal(cw_decode_frames(jpeg.b, jpeg.n, &limits, 0, 8, arena,
	    &frames, &count, &code, &err), CW_OK);
	assert_int_equal(count, 1);
	assert_int_equal(frames[0].frames, 1);
}

/* ---- beside the reference, where it is ---- */

static void *
slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	void *p;

	if (f == NULL)
		fail_msg("%s: can't be read", path);
	fseek(f, 0, SEEK_END);
	*n = (size_t)ftell(f);
	rewind(f);
	p = cw_arena_zalloc(arena, *n + 1, 1);
	assert_int_equal(fread(p, 1, *n, f), *n);
	fclose(f);
	return p;
}

static json_t *
fixtures(char folder[1024])
{
	const char *shared = getenv("CW_SHARED");
	char path[1100];
	json_error_t e;
	json_t *root;

	if (shared == NULL || *shared == '\0')
		skip();
	snprintf(folder, 1024, "%s/reference/fixtures/images", shared);
	snprintf(path, sizeof(path), "%s/images.json", folder);
	root = json_load_file(path, 0, &e);
	assert_non_null(root);
	return root;
}

static void
test_every_reference_image_has_the_expected_pixels(void **state)
{
	char folder[1024], path[1300], hex[CW_SHA256_HEX];
	json_t *root = fixtures(folder), *it;
	size_t i, n;

	(void)state;
	json_array_foreach(json_object_get(root, "images"), i, it) {
		const char *file = json_string_value(json_object_get(it,
		    "file"));
		struct cw_image im;

		snprintf(path, sizeof(path), "%s/%s", folder, file);
		const void *bytes = slurp(path, &n);

		im = decoded(bytes, n, 0);
		assert_int_equal(im.width, json_integer_value(
		    json_object_get(it, "width")));
		assert_int_equal(im.height, json_integer_value(
		    json_object_get(it, "height")));
		cw_sha256(&(struct cw_bytes){ im.rgb, (size_t)im.w * im.h * 3 },
		    1, hex);
		if (strcmp(hex, json_string_value(json_object_get(it,
		    "sha256"))) != 0)
			fail_msg("%s: other pixels", file);
	}
	print_message("%zu images equal\n", i);
	json_decref(root);
}

static void
test_every_bad_reference_image_is_refused(void **state)
{
	static const struct {
		const char	*file, *code;
	} bad[] = {
		{ "crc.png", "corrupt" }, { "empty.jpg", "truncated" },
		{ "header_only.jpg", "truncated" },
		{ "huge.png", "too_many_pixels" },
		{ "text.png", "unknown_format" },
		{ "truncated.jpg", "truncated" },
		{ "truncated.png", "truncated" },
	};
	char folder[1024], path[1300];
	json_t *root = fixtures(folder);
	size_t n;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(bad); i++) {
		struct cw_image im;

		snprintf(path, sizeof(path), "%s/bad/%s", folder, bad[i].file);
		const void *bytes = slurp(path, &n);

		if (cw_decode(bytes, n, &limits, 0, arena, &im, &code, &err) ==
		    CW_OK)
			fail_msg("%s: was decoded", bad[i].file);
		print_message("%s: %s: %s\n", bad[i].file, code, err.text);
		assert_string_equal(code, bad[i].code);
	}
	json_decref(root);
}

#define CASE(f)	cmocka_unit_test_teardown(f, empty)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_jpeg_equals_the_library_s_own_decoding),
		CASE(test_each_orientation_turns_the_picture),
		CASE(test_a_scaled_decode_is_no_smaller_than_twice_what_is_wanted),
		CASE(test_a_scaled_decode_looks_the_same_to_the_model),
		CASE(test_arithmetic_coding_is_read_or_named),
		CASE(test_a_png_s_alpha_is_beside_it_unless_opaque),
		CASE(test_a_still_is_one_frame),
		CASE(test_every_reference_image_has_the_expected_pixels),
		CASE(test_every_bad_reference_image_is_refused),
	};

	return cmocka_run_group_tests_name("decode", tests, set_up, NULL);
}
