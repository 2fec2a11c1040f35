/*
 * test_decode_hostile.c - JPEG and PNG meant to hurt: cut, flipped, bombs.
 */
#include "pictures.h"

#include <time.h>

#include <png.h>

#include "worker/exif.h"

static const char *code;

static struct file
a_jpeg(int w, int h, int subsampling, int flags)
{
	uint8_t *rgb = cw_arena_alloc(arena, (size_t)w * h * 3);

	for (int i = 0; i < w * h * 3; i++)
		rgb[i] = (uint8_t)(i % 3 == 0 ? i / 3 % w * 255 / w :
		    i % 3 == 1 ? i / 3 / w * 255 / h : i % 7);
	return to_jpeg(rgb, w, h, TJPF_RGB, subsampling, 85, flags);
}

static struct file
a_png(int w, int h, uint32_t format)
{
	png_image head = { .version = PNG_IMAGE_VERSION, .width = (unsigned)w,
	    .height = (unsigned)h, .format = format };
	uint8_t *rgba = cw_arena_alloc(arena, (size_t)w * h * 4);
	struct file f = { cw_arena_alloc(arena, 1 << 16), 1 << 16 };

	for (int i = 0; i < w * h * 4; i++)
		rgba[i] = (uint8_t)(i * 2654435761u >> 26);
	assert_true(png_image_write_to_memory(&head, f.b, &f.n, 0, rgba, 0,
	    NULL));
	return f;
}

/* Decoded from a copy that ends where the bytes end. */
static enum cw_status
try(const uint8_t *b, size_t n, const struct cw_limits *l, int want)
{
	const size_t mark = cw_arena_mark(arena);
	uint8_t *copy = test_malloc(n + 1);
	struct cw_image im;
	enum cw_status st;

	memcpy(copy, b, n);
	code = NULL;
	err.text[0] = '\0';
	st = cw_decode(copy, n, l, want, arena, &im, &code, &err);
	if (st == CW_OK) {
		assert_true(im.w > 0 && im.h > 0);
		assert_true(im.rgb[(size_t)im.w * im.h * 3 - 1] <= 255);
	} else {
		assert_non_null(code);
		assert_true(err.text[0] != '\0');
	}
	test_free(copy);
	cw_arena_release(arena, mark);
	return st;
}

static void
expect(const struct file *f, const struct cw_limits *l, int want,
    const char *wanted)
{
	if (try(f->b, f->n, l, want) == CW_OK)
		fail_msg("decoded; want \"%s\"", wanted);
	if (strcmp(code, wanted) != 0)
		fail_msg("\"%s\" (%s); want \"%s\"", code, err.text, wanted);
}

static void
test_a_jpeg_cut_anywhere_is_truncated(void **state)
{
	static const struct {
		int	subsampling, flags;
	} cases[] = {
		{ TJSAMP_420, 0 }, { TJSAMP_444, TJFLAG_PROGRESSIVE },
		{ TJSAMP_GRAY, 0 },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		struct file f = a_jpeg(61, 43, cases[i].subsampling,
		    cases[i].flags);

		for (size_t n = 3; n < f.n; n++) {
			if (try(f.b, n, &limits, 0) == CW_OK)
				fail_msg("cut at %zu of %zu was decoded", n,
				    f.n);
			assert_string_equal(code, "truncated");
		}
	}
}

/* The end mark is there, but what should be before it is not. */
static void
test_a_jpeg_with_a_hole_is_refused_or_whole(void **state)
{
	struct file f = a_jpeg(160, 120, TJSAMP_420, 0);
	uint8_t *copy = cw_arena_alloc(arena, f.n);
	int refused = 0;

	(void)state;
	for (size_t n = f.n / 2; n < f.n - 2; n += 7) {
		memcpy(copy, f.b, n);
		memcpy(copy + n, "\xff\xd9", 2);
		refused += try(copy, n + 2, &limits, 0) != CW_OK;
		assert_string_equal(code, "corrupt");
	}
	assert_true(refused > 10);
}

static void
test_a_png_cut_anywhere_is_an_error(void **state)
{
	static const uint32_t formats[] = { PNG_FORMAT_RGB, PNG_FORMAT_RGBA,
	    PNG_FORMAT_GRAY };

	(void)state;
	for (size_t i = 0; i < CW_COUNT(formats); i++) {
		struct file f = a_png(23, 17, formats[i]);

		for (size_t n = 8; n < f.n; n++) {
			if (try(f.b, n, &limits, 0) == CW_OK)
				fail_msg("cut at %zu of %zu was decoded", n,
				    f.n);
			assert_string_equal(code, "truncated");
		}
	}
}

static void
flip(struct file f, const char *what)
{
	static const uint8_t flips[] = { 0x01, 0x10, 0x80, 0xff };
	size_t fine = 0;

	for (size_t i = 0; i < f.n; i++)
		for (size_t k = 0; k < CW_COUNT(flips); k++) {
			f.b[i] ^= flips[k];
			fine += try(f.b, f.n, &limits, (int)k * 4) == CW_OK;
			f.b[i] ^= flips[k];
		}
	print_message("%s: %zu of %zu flips still a picture\n", what, fine,
	    f.n * CW_COUNT(flips));
}

static void
test_a_flipped_byte_is_an_error_or_a_picture(void **state)
{
	(void)state;
	flip(a_jpeg(40, 28, TJSAMP_420, 0), "jpeg");
	flip(a_jpeg(40, 28, TJSAMP_422, TJFLAG_PROGRESSIVE), "progressive");
	flip(a_png(12, 9, PNG_FORMAT_RGBA), "png");
}

/* ---- bombs ---- */

static double
cpu_ms(void)
{
	return (double)clock() * 1000 / CLOCKS_PER_SEC;
}

static void
test_bombs_are_refused_from_the_header(void **state)
{
	static const uint8_t jpeg[126] = {
		0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0xff, 0xdc, 0xff, 0xdc, 3,
		1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0,
		0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0,
		[124] = 0xff, 0xd9,
	};
	static const uint8_t png[57] = {
		0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n',
		0, 0, 0, 13, 'I', 'H', 'D', 'R', 0, 0, 0xea, 0x60,
		0, 0, 0xea, 0x60, 8, 6, 0, 0, 0,
	};
	struct file bombs[] = { { NULL, sizeof(jpeg) }, { NULL, sizeof(png) } };
	double start;

	(void)state;
	bombs[0].b = memcpy(cw_arena_alloc(arena, 126), jpeg, sizeof(jpeg));
	bombs[1].b = memcpy(cw_arena_alloc(arena, 57), png, sizeof(png));
	for (size_t i = 0; i < CW_COUNT(bombs); i++) {
		start = cpu_ms();
		expect(&bombs[i], &limits, 0, "too_many_pixels");
		print_message("%.2f ms: %s\n", cpu_ms() - start, err.text);
		assert_true(cpu_ms() - start < 10);
	}
	assert_true(cw_arena_peak(arena) < 1 << 20);
}

static uint32_t
crc32_of(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffffu;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* A picture of many rows whose header says it has 16. */
static void
test_image_data_behind_the_picture_is_not_unpacked(void **state)
{
	const int w = 100, h = 400000;
	png_image head = { .version = PNG_IMAGE_VERSION, .width = w,
	    .height = h, .format = PNG_FORMAT_GRAY };
	uint8_t *grey = cw_arena_zalloc(arena, (size_t)w, h);
	struct file f = { cw_arena_alloc(arena, 1 << 20), 1 << 20 };
	double start;
	uint32_t crc;

	(void)state;
	assert_true(png_image_write_to_memory(&head, f.b, &f.n, 0, grey, 0,
	    NULL));
	memcpy(f.b + 20, "\0\0\0\x10", 4);
	crc = crc32_of(f.b + 12, 17);
	for (int i = 0; i < 4; i++)
		f.b[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
	start = cpu_ms();
	expect(&f, &limits, 0, "corrupt");
	print_message("%zu bytes, %.1f ms\n", f.n, cpu_ms() - start);
	assert_true(cpu_ms() - start < 500);
}

/* The last scan of a progressive picture, over and over. */
static struct file
scan_bomb(int w, int h, int times)
{
	struct file f = a_jpeg(w, h, TJSAMP_420, TJFLAG_PROGRESSIVE), bomb;
	size_t last = 0, len;

	for (size_t i = 0; i + 1 < f.n; i++)
		if (f.b[i] == 0xff && f.b[i + 1] == 0xda)
			last = i;
	len = f.n - 2 - last;
	bomb.b = cw_arena_alloc(arena, f.n + len * (size_t)times);
	memcpy(bomb.b, f.b, last);
	bomb.n = last;
	for (int i = 0; i < times; i++, bomb.n += len)
		memcpy(bomb.b + bomb.n, f.b + last, len);
	memcpy(bomb.b + bomb.n, "\xff\xd9", 2);
	bomb.n += 2;
	return bomb;
}

static void
test_scan_bombs_are_counted_before_they_are_decoded(void **state)
{
	struct file bomb = scan_bomb(64, 64, 20000);
	double start = cpu_ms();

	(void)state;
	expect(&bomb, &limits, 0, "too_many_scans");
	print_message("%zu bytes, %.2f ms: %s\n", bomb.n, cpu_ms() - start,
	    err.text);
	assert_true(cpu_ms() - start < 50);
}

static void
test_cpu_time_ends_a_decode_half_way(void **state)
{
	struct cw_limits tight = limits;
	struct file large = a_jpeg(2000, 1500, TJSAMP_444,
	    TJFLAG_PROGRESSIVE);
	double start = cpu_ms();

	(void)state;
	tight.cpu_ms = 10;
	expect(&large, &tight, 0, "too_slow");
	print_message("%.0f ms for a bound of 10\n", cpu_ms() - start);
	assert_true(cpu_ms() - start < 100);
}

static void
test_each_limit_has_its_code(void **state)
{
	struct file jpeg = a_jpeg(400, 300, TJSAMP_420, 0);
	struct file turning = a_jpeg(400, 300, TJSAMP_420, TJFLAG_PROGRESSIVE);
	struct file png = a_png(80, 60, PNG_FORMAT_RGBA);
	struct cw_limits l = limits;

	(void)state;
	l.bytes = jpeg.n - 1;
	expect(&jpeg, &l, 0, "too_large");
	l = limits;
	l.pixels = 400 * 300 - 1;
	expect(&jpeg, &l, 0, "too_many_pixels");
	l.pixels = 80 * 60 - 1;
	expect(&png, &l, 0, "too_many_pixels");
	l = limits;
	l.decoded_bytes = 400 * 300 * 3 - 1;
	expect(&jpeg, &l, 0, "too_large");
	/* Scaled down it fits. */
	assert_int_equal(try(jpeg.b, jpeg.n, &l, 50), CW_OK);
	/* All coefficients of a progressive one do not. */
	l.decoded_bytes = 400 * 300 * 3;
	expect(&turning, &l, 0, "too_large");
	l.decoded_bytes = 80 * 60 * 4;
	expect(&png, &l, 0, "too_large");
	l = limits;
	l.scans = 3;
	expect(&turning, &l, 0, "too_many_scans");
	l = limits;
	l.cpu_ms = 0;
	expect(&turning, &l, 0, "too_slow");
}

static void
test_what_is_not_read_is_named(void **state)
{
	struct file f = a_jpeg(40, 30, TJSAMP_420, 0);
	size_t sof = 2;

	(void)state;
	while (f.b[sof + 1] != 0xc0)
		sof += 2 + (size_t)(f.b[sof + 2] << 8 | f.b[sof + 3]);
	f.b[sof + 4] = 12;
	expect(&f, &limits, 0, "unsupported");
	assert_non_null(strstr(err.text, "12 bits"));
	f.b[sof + 4] = 8;
	f.b[sof + 1] = 0xc3;
	expect(&f, &limits, 0, "unsupported");
	assert_non_null(strstr(err.text, "lossless"));
	f.b[sof + 1] = 0xc0;
	memset(f.b + sof + 5, 0, 4);
	expect(&f, &limits, 0, "corrupt");
	expect(&(struct file){ (uint8_t *)(uintptr_t)"GIF89a....", 10 },
	    &limits, 0, "unsupported");
	expect(&(struct file){ (uint8_t *)(uintptr_t)"hello", 5 }, &limits, 0,
	    "unknown_format");
}

static void
test_exif_blocks_that_lie_mean_as_is(void **state)
{
	static const struct {
		const char	*what;
		int		 want;
		size_t		 n;
		const char	*b;
	} cases[] = {
		{ "short, big-endian", 6, 26, "MM\0\x2a\0\0\0\x08\0\1"
		    "\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0" },
		{ "short, little-endian", 8, 26, "II\x2a\0\x08\0\0\0\1\0"
		    "\x12\1\3\0\1\0\0\0\x08\0\0\0\0\0\0\0" },
		{ "long", 0, 26, "II\x2a\0\x08\0\0\0\1\0"
		    "\x12\1\4\0\1\0\0\0\x08\0\0\0\0\0\0\0" },
		{ "byte", 0, 26, "II\x2a\0\x08\0\0\0\1\0"
		    "\x12\1\1\0\1\0\0\0\x08\0\0\0\0\0\0\0" },
		{ "directory in itself", 0, 26, "MM\0\x2a\0\0\0\0\0\1"
		    "\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0" },
		{ "directory outside", 0, 26, "MM\0\x2a\xff\xff\xff\xff\0\1"
		    "\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0" },
		{ "directory at the end", 0, 14, "MM\0\x2a\0\0\0\x0c\0\1"
		    "\0\0\xff\xff" },
		{ "65535 entries", 0, 26, "MM\0\x2a\0\0\0\x08\xff\xff"
		    "\1\x13\0\3\0\0\0\1\0\6\0\0\0\0\0\0" },
		{ "orientation 9", 0, 26, "MM\0\x2a\0\0\0\x08\0\1"
		    "\1\x12\0\3\0\0\0\1\0\x09\0\0\0\0\0\0" },
		{ "two values", 0, 26, "MM\0\x2a\0\0\0\x08\0\1"
		    "\1\x12\0\3\0\0\0\2\0\6\0\0\0\0\0\0" },
		{ "no TIFF", 0, 14, "XX\0\x2a\0\0\0\x08\0\1\0\0\0\0" },
		{ "nothing", 0, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		uint8_t *copy = test_malloc(cases[i].n + 1);
		int got;

		memcpy(copy, cases[i].b, cases[i].n);
		got = cw_exif_orientation(copy, cases[i].n);
		if (got != cases[i].want)
			fail_msg("%s: %d", cases[i].what, got);
		test_free(copy);
	}
}

/* An Exif segment that says so, of 36 bytes. */
static void
put_exif(uint8_t *to, uint8_t orientation)
{
	static const uint8_t segment[] = "\xff\xe1\0\x22" "Exif\0\0"
	    "MM\0\x2a\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\0\0\0\0\0\0\0";

	memcpy(to, segment, 36);
	to[29] = orientation;
}

/* As viewers do; else a second one turns the picture for us alone. */
static void
test_the_first_exif_that_says_one_counts(void **state)
{
	static const struct {
		uint8_t	before[2], after;	/* the picture; 0: none */
		bool	swapped;
	} cases[] = {
		{ { 6, 0 }, 0, true }, { { 1, 6 }, 0, false },
		{ { 6, 1 }, 0, true }, { { 9, 6 }, 0, true },
		{ { 0, 0 }, 6, false }, { { 1, 0 }, 6, false },
	};
	struct file f = a_jpeg(40, 30, TJSAMP_444, 0);

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		uint8_t *b = cw_arena_alloc(arena, f.n + 108);
		struct cw_image im;
		size_t n = 2;

		memcpy(b, f.b, 2);
		for (int k = 0; k < 2; k++)
			if (cases[i].before[k] != 0) {
				put_exif(b + n, cases[i].before[k]);
				n += 36;
			}
		memcpy(b + n, f.b + 2, f.n - 4);
		n += f.n - 4;
		if (cases[i].after != 0) {
			put_exif(b + n, cases[i].after);
			n += 36;
		}
		memcpy(b + n, "\xff\xd9", 2);
		n += 2;
		if (cw_decode(b, n, &limits, 0, arena, &im, &code, &err) !=
		    CW_OK)
			fail_msg("case %zu: %s", i, err.text);
		assert_int_equal(im.width, cases[i].swapped ? 30 : 40);
	}
}

#define CASE(f)	cmocka_unit_test_teardown(f, empty)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_jpeg_cut_anywhere_is_truncated),
		CASE(test_a_jpeg_with_a_hole_is_refused_or_whole),
		CASE(test_a_png_cut_anywhere_is_an_error),
		CASE(test_a_flipped_byte_is_an_error_or_a_picture),
		CASE(test_bombs_are_refused_from_the_header),
		CASE(test_image_data_behind_the_picture_is_not_unpacked),
		CASE(test_scan_bombs_are_counted_before_they_are_decoded),
		CASE(test_cpu_time_ends_a_decode_half_way),
		CASE(test_each_limit_has_its_code),
		CASE(test_what_is_not_read_is_named),
		CASE(test_exif_blocks_that_lie_mean_as_is),
		CASE(test_the_first_exif_that_says_one_counts),
	};

	return cmocka_run_group_tests_name("decode_hostile", tests, set_up,
	    NULL);
}
