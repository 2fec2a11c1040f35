/*
 * test_decode_plugins.c - GIF, WebP and moving PNG: frames, transparency, orientation,
 * and each byte of them flipped or missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/image.h"
#include "worker/png_write.h"

/* 16 x 12, lossless: left half opaque red, right half green, alpha 128. */
static const uint8_t webp_alpha[] = {
	0x52, 0x49, 0x46, 0x46, 0x26, 0x00, 0x00, 0x00, 0x57, 0x45, 0x42, 0x50,
	0x56, 0x50, 0x38, 0x4c, 0x1a, 0x00, 0x00, 0x00, 0x2f, 0x0f, 0xc0, 0x02,
	0x10, 0x0f, 0x30, 0xff, 0xfb, 0x1f, 0x0f, 0xfc, 0x0f, 0x07, 0x62, 0xc1,
	0x64, 0xfe, 0xd2, 0xbd, 0x21, 0x44, 0xf4, 0x3f, 0x74, 0x01,
};

/* 16 x 12, lossy: left reddish, right bluish; EXIF orientation 6. */
static const uint8_t webp_turned[] = {
	0x52, 0x49, 0x46, 0x46, 0x74, 0x00, 0x00, 0x00, 0x57, 0x45, 0x42, 0x50,
	0x56, 0x50, 0x38, 0x58, 0x0a, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
	0x0f, 0x00, 0x00, 0x0b, 0x00, 0x00, 0x56, 0x50, 0x38, 0x20, 0x34, 0x00,
	0x00, 0x00, 0x90, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x10, 0x00, 0x0c, 0x00,
	0x00, 0xc0, 0x12, 0x25, 0xa0, 0x02, 0x74, 0xba, 0x00, 0x03, 0x98, 0x00,
	0xfe, 0xfa, 0xcc, 0x7f, 0xff, 0x25, 0x1c, 0xbf, 0xf4, 0x61, 0xff, 0xf6,
	0xa5, 0x9f, 0xf8, 0x61, 0xff, 0xed, 0x4b, 0x3f, 0xfd, 0xa9, 0x65, 0xc3,
	0xff, 0xda, 0x96, 0x3b, 0xa0, 0x00, 0x45, 0x58, 0x49, 0x46, 0x1a, 0x00,
	0x00, 0x00, 0x4d, 0x4d, 0x00, 0x2a, 0x00, 0x00, 0x00, 0x08, 0x00, 0x01,
	0x01, 0x12, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01, 0x00, 0x06, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00,
};

/* Five lossless frames: red, green, blue, yellow, cyan. */
static const uint8_t webp_moving[] = {
	0x52, 0x49, 0x46, 0x46, 0x14, 0x01, 0x00, 0x00, 0x57, 0x45, 0x42, 0x50,
	0x56, 0x50, 0x38, 0x58, 0x0a, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
	0x0f, 0x00, 0x00, 0x0b, 0x00, 0x00, 0x41, 0x4e, 0x49, 0x4d, 0x06, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x41, 0x4e, 0x4d, 0x46,
	0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x00,
	0x00, 0x0b, 0x00, 0x00, 0x64, 0x00, 0x00, 0x02, 0x56, 0x50, 0x38, 0x4c,
	0x0f, 0x00, 0x00, 0x00, 0x2f, 0x0f, 0xc0, 0x02, 0x00, 0x07, 0x10, 0xd5,
	0x8f, 0xfe, 0x07, 0x22, 0xa2, 0xff, 0x01, 0x00, 0x41, 0x4e, 0x4d, 0x46,
	0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x00,
	0x00, 0x0b, 0x00, 0x00, 0x64, 0x00, 0x00, 0x00, 0x56, 0x50, 0x38, 0x4c,
	0x0f, 0x00, 0x00, 0x00, 0x2f, 0x0f, 0xc0, 0x02, 0x00, 0x07, 0x50, 0xfd,
	0x88, 0xfe, 0x07, 0x22, 0xa2, 0xff, 0x01, 0x00, 0x41, 0x4e, 0x4d, 0x46,
	0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x00,
	0x00, 0x0b, 0x00, 0x00, 0x64, 0x00, 0x00, 0x00, 0x56, 0x50, 0x38, 0x4c,
	0x0f, 0x00, 0x00, 0x00, 0x2f, 0x0f, 0xc0, 0x02, 0x00, 0x07, 0x10, 0x51,
	0xfd, 0xfe, 0x07, 0x22, 0xa2, 0xff, 0x01, 0x00, 0x41, 0x4e, 0x4d, 0x46,
	0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x00,
	0x00, 0x0b, 0x00, 0x00, 0x64, 0x00, 0x00, 0x00, 0x56, 0x50, 0x38, 0x4c,
	0x10, 0x00, 0x00, 0x00, 0x2f, 0x0f, 0xc0, 0x02, 0x00, 0x07, 0x50, 0xfd,
	0xea, 0x47, 0xff, 0x03, 0x11, 0xd1, 0xff, 0x00, 0x41, 0x4e, 0x4d, 0x46,
	0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x00,
	0x00, 0x0b, 0x00, 0x00, 0x64, 0x00, 0x00, 0x00, 0x56, 0x50, 0x38, 0x4c,
	0x10, 0x00, 0x00, 0x00, 0x2f, 0x0f, 0xc0, 0x02, 0x00, 0x07, 0x50, 0xfd,
	0xa8, 0x7e, 0xff, 0x03, 0x11, 0xd1, 0xff, 0x00,
};

/* Four frames of 8 x 8: left, put back, cleared, left; half-clear green. */
static const uint8_t png_moving[] = {
	0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d,
	0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x08,
	0x08, 0x06, 0x00, 0x00, 0x00, 0xc4, 0x0f, 0xbe, 0x8b, 0x00, 0x00, 0x00,
	0x08, 0x61, 0x63, 0x54, 0x4c, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00,
	0x00, 0x7c, 0xcd, 0x66, 0xd0, 0x00, 0x00, 0x00, 0x1a, 0x66, 0x63, 0x54,
	0x4c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
	0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x03,
	0xe8, 0x00, 0x00, 0x1b, 0x4f, 0xe9, 0x7f, 0x00, 0x00, 0x00, 0x16, 0x49,
	0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0xfc, 0xcf, 0xc0, 0xf0, 0x9f, 0x01,
	0x0f, 0x60, 0xc2, 0x27, 0x39, 0x7c, 0x14, 0x00, 0x00, 0x12, 0x5b, 0x02,
	0x0e, 0x1f, 0x4a, 0x49, 0x5d, 0x00, 0x00, 0x00, 0x1a, 0x66, 0x63, 0x54,
	0x4c, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
	0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x03,
	0xe8, 0x02, 0x01, 0xc5, 0x0d, 0x51, 0xbf, 0x00, 0x00, 0x00, 0x1e, 0x66,
	0x64, 0x41, 0x54, 0x00, 0x00, 0x00, 0x02, 0x78, 0x9c, 0x63, 0x60, 0x18,
	0x78, 0xc0, 0x88, 0x21, 0xf2, 0x9f, 0xa1, 0x01, 0x99, 0xcb, 0x44, 0xc8,
	0x04, 0xca, 0x15, 0x00, 0x00, 0xac, 0xa6, 0x01, 0x87, 0x85, 0xc1, 0xfe,
	0x2a, 0x00, 0x00, 0x00, 0x1a, 0x66, 0x63, 0x54, 0x4c, 0x00, 0x00, 0x00,
	0x03, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x03, 0xe8, 0x01, 0x01, 0x03,
	0xb6, 0xd1, 0x95, 0x00, 0x00, 0x00, 0x1a, 0x66, 0x64, 0x41, 0x54, 0x00,
	0x00, 0x00, 0x04, 0x78, 0x9c, 0x63, 0x60, 0x60, 0xf8, 0xff, 0x1f, 0x82,
	0xb1, 0x03, 0x26, 0x5c, 0x12, 0xc3, 0x0b, 0x00, 0x00, 0x09, 0x08, 0x03,
	0xff, 0xe0, 0x2b, 0x42, 0xc7, 0x00, 0x00, 0x00, 0x1a, 0x66, 0x63, 0x54,
	0x4c, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
	0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x03, 0x00, 0x64, 0x03,
	0xe8, 0x00, 0x01, 0x45, 0x77, 0x88, 0x50, 0x00, 0x00, 0x00, 0x19, 0x66,
	0x64, 0x41, 0x54, 0x00, 0x00, 0x00, 0x06, 0x78, 0x9c, 0x63, 0xfc, 0xff,
	0x9f, 0xe1, 0x3f, 0x03, 0x03, 0x03, 0x03, 0x13, 0x03, 0x14, 0x00, 0x00,
	0x2f, 0x07, 0x03, 0x01, 0x8e, 0xc3, 0xa1, 0x03, 0x00, 0x00, 0x00, 0x00,
	0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
};

/* A red picture for those who see no animation, which has two frames. */
static const uint8_t png_apart[] = {
	0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d,
	0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x08,
	0x08, 0x06, 0x00, 0x00, 0x00, 0xc4, 0x0f, 0xbe, 0x8b, 0x00, 0x00, 0x00,
	0x08, 0x61, 0x63, 0x54, 0x4c, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
	0x00, 0xf3, 0x8d, 0x93, 0x70, 0x00, 0x00, 0x00, 0x16, 0x49, 0x44, 0x41,
	0x54, 0x78, 0x9c, 0x63, 0xfc, 0xcf, 0xc0, 0xf0, 0x9f, 0x01, 0x0f, 0x60,
	0xc2, 0x27, 0x39, 0x7c, 0x14, 0x00, 0x00, 0x12, 0x5b, 0x02, 0x0e, 0x1f,
	0x4a, 0x49, 0x5d, 0x00, 0x00, 0x00, 0x1a, 0x66, 0x63, 0x54, 0x4c, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x08, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x03, 0xe8, 0x00,
	0x00, 0x1b, 0x4f, 0xe9, 0x7f, 0x00, 0x00, 0x00, 0x1e, 0x66, 0x64, 0x41,
	0x54, 0x00, 0x00, 0x00, 0x01, 0x78, 0x9c, 0x63, 0x60, 0x18, 0x78, 0xc0,
	0x88, 0x21, 0xf2, 0x9f, 0xa1, 0x01, 0x99, 0xcb, 0x44, 0xc8, 0x04, 0xca,
	0x15, 0x00, 0x00, 0xac, 0xa6, 0x01, 0x87, 0x36, 0x55, 0xd3, 0xe9, 0x00,
	0x00, 0x00, 0x1a, 0x66, 0x63, 0x54, 0x4c, 0x00, 0x00, 0x00, 0x02, 0x00,
	0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x64, 0x03, 0xe8, 0x00, 0x00, 0xf6, 0xd9, 0x3a,
	0x96, 0x00, 0x00, 0x00, 0x1a, 0x66, 0x64, 0x41, 0x54, 0x00, 0x00, 0x00,
	0x03, 0x78, 0x9c, 0x63, 0x60, 0x60, 0xf8, 0xff, 0x1f, 0x82, 0xb1, 0x03,
	0x26, 0x5c, 0x12, 0xc3, 0x0b, 0x00, 0x00, 0x09, 0x08, 0x03, 0xff, 0x96,
	0x92, 0xda, 0x69, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae,
	0x42, 0x60, 0x82,
};

static struct cw_arena *arena;
static struct cw_err err;
static const char *code;

static const struct cw_limits limits = {
	.bytes = 32 << 20, .decoded_bytes = 192 << 20, .pixels = 100000000,
	.scans = 500, .frames = 8, .cpu_ms = 10000,
};

static int
set_up(void **state)
{
	static const char *const names[] = { "gif", "webp", "png" };
	const char *build = getenv("CW_BUILD");
	char path[1024];

	(void)state;
	if (cw_arena_open((size_t)1 << 30, &arena, &err) != CW_OK)
		return -1;
	for (size_t i = 0; i < CW_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/plugins/%s.so",
		    build != NULL ? build : "build", names[i]);
		if (cw_plugin_load(path, &err) != CW_OK) {
			print_error("%s\n", err.text);
			return -1;
		}
	}
	return 0;
}

static int
empty(void **state)
{
	(void)state;
	cw_arena_reset(arena, 0);
	return 0;
}

/* ---- a GIF by hand ---- */

struct gif {
	uint8_t	b[8192];
	size_t	n;
	unsigned bits, held;	/* not yet written */
};

static void
put(struct gif *g, const void *p, size_t n)
{
	assert_true(g->n + n <= sizeof(g->b));
	memcpy(g->b + g->n, p, n);
	g->n += n;
}

static void
put_bytes(struct gif *g, int n, ...)
{
	va_list ap;

	va_start(ap, n);
	for (int i = 0; i < n; i++) {
		uint8_t b = (uint8_t)va_arg(ap, int);

		put(g, &b, 1);
	}
	va_end(ap);
}

/* Colours: 0 black, 1 red, 2 green, 3 blue. */
static void
gif_open(struct gif *g, int w, int h)
{
	g->n = 0;
	put(g, "GIF89a", 6);
	put_bytes(g, 7, w & 255, w >> 8, h & 255, h >> 8, 0x81, 0, 0);
	put_bytes(g, 12, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255);
}

static void
gif_code(struct gif *g, unsigned v)
{
	g->held |= v << g->bits;
	g->bits += 4;
	if (g->bits == 8) {
		put_bytes(g, 2, 1, (int)g->held);
		g->held = g->bits = 0;
	}
}

/* A frame of one colour; a clear code every few pixels keeps codes 4 bits
 * wide.  clear: transparent colour or -1. */
static void
gif_frame(struct gif *g, int x, int y, int w, int h, int colour, int clear,
    int disposal)
{
	put_bytes(g, 8, 0x21, 0xf9, 4, disposal << 2 | (clear >= 0), 10, 0,
	    clear >= 0 ? clear : 0, 0);
	put_bytes(g, 11, 0x2c, x & 255, x >> 8, y & 255, y >> 8, w & 255,
	    w >> 8, h & 255, h >> 8, 0, 3);
	for (int i = 0; i < w * h; i++) {
		if (i % 4 == 0)
			gif_code(g, 8);
		gif_code(g, (unsigned)colour);
	}
	gif_code(g, 9);
	if (g->bits > 0)
		gif_code(g, 0);
	put_bytes(g, 1, 0);
}

static void
gif_close(struct gif *g)
{
	put_bytes(g, 1, 0x3b);
}

static int
frames_of(const void *bytes, size_t n, uint32_t most, struct cw_image **im)
{
	int count;

	if (cw_decode_frames(bytes, n, &limits, 0, most, arena, im, &count,
	    &code, &err) != CW_OK)
		fail_msg("%s: %s", code, err.text);
	return count;
}

static uint32_t
pixel(const struct cw_image *im, int x, int y)
{
	const size_t at = (size_t)y * im->w + x;
	const uint8_t *p = im->rgb + at * 3;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | (im->alpha != NULL ? im->alpha[at] : 255);
}

#define RED	0xff0000ffu
#define GREEN	0x00ff00ffu
#define BLUE	0x0000ffffu
#define NOTHING	0u

static void
test_gif_frames_are_put_together_as_a_viewer_does(void **state)
{
	static const struct {
		const char	*what;
		int		 disposal;
		uint32_t	 second, third;	/* at (1, 1), then at (6, 6) */
	} cases[] = {
		{ "left in place", 1, GREEN, GREEN },
		{ "cleared", 2, GREEN, NOTHING },
		{ "put back", 3, GREEN, RED },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		struct gif g = { .n = 0 };
		struct cw_image *im;

		gif_open(&g, 8, 8);
		gif_frame(&g, 0, 0, 8, 8, 1, -1, 1);
		gif_frame(&g, 4, 4, 4, 4, 2, -1, cases[i].disposal);
		gif_frame(&g, 0, 0, 2, 2, 3, -1, 1);
		gif_close(&g);
		assert_int_equal(frames_of(g.b, g.n, 8, &im), 3);
		assert_string_equal(im[0].format, "gif");
		assert_int_equal(im[0].frames, 3);
		assert_int_equal(pixel(&im[0], 6, 6), RED);
		assert_int_equal(pixel(&im[1], 6, 6), cases[i].second);
		assert_int_equal(pixel(&im[1], 1, 1), RED);
		assert_int_equal(pixel(&im[2], 1, 1), BLUE);
		if (pixel(&im[2], 6, 6) != cases[i].third)
			fail_msg("%s: %08x", cases[i].what,
			    pixel(&im[2], 6, 6));
	}
}

/* A screen smaller than what is on it hides nothing from viewers. */
static void
test_gif_screen_grows_to_its_first_frame(void **state)
{
	struct gif g = { .n = 0 };
	struct cw_image *im;

	(void)state;
	gif_open(&g, 2, 2);
	gif_frame(&g, 1, 2, 9, 7, 1, -1, 1);
	gif_frame(&g, 0, 0, 20, 20, 2, -1, 1);
	gif_close(&g);
	assert_int_equal(frames_of(g.b, g.n, 2, &im), 2);
	assert_int_equal(im[0].width, 10);
	assert_int_equal(im[0].height, 9);
	assert_int_equal(pixel(&im[0], 9, 8), RED);
	assert_int_equal(pixel(&im[0], 0, 8), NOTHING);
	assert_int_equal(pixel(&im[1], 9, 8), GREEN);
}

static void
test_gif_transparency_becomes_alpha(void **state)
{
	struct gif g = { .n = 0 };
	struct cw_image *im;

	(void)state;
	gif_open(&g, 8, 8);
	gif_frame(&g, 0, 0, 8, 8, 2, 2, 1);
	gif_frame(&g, 2, 2, 20, 20, 1, -1, 1);	/* reaches outside */
	gif_close(&g);
	assert_int_equal(frames_of(g.b, g.n, 2, &im), 2);
	assert_int_equal(pixel(&im[0], 3, 3), NOTHING);
	assert_int_equal(pixel(&im[1], 3, 3), RED);
	assert_int_equal(pixel(&im[1], 1, 1), NOTHING);
}

static void
test_frames_are_spread_evenly_with_both_ends(void **state)
{
	static const struct {
		uint32_t	want;
		int		count;
		int		red[4];	/* colour index of each */
	} cases[] = {
		{ 1, 1, { 1 } }, { 2, 2, { 1, 3 } }, { 3, 3, { 1, 2, 3 } },
	};
	struct gif g = { .n = 0 };

	(void)state;
	gif_open(&g, 4, 4);
	for (int i = 0; i < 9; i++)
		gif_frame(&g, 0, 0, 4, 4, i == 0 ? 1 : i == 8 ? 3 : i == 4 ? 2 :
		    0, -1, 1);
	gif_close(&g);
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		struct cw_image *im;
		int n = frames_of(g.b, g.n, cases[i].want, &im);

		assert_int_equal(n, cases[i].count);
		for (int k = 0; k < n; k++)
			assert_int_equal(im[k].rgb[cases[i].red[k] - 1], 255);
		assert_int_equal(im[0].frames, 9);
	}
}

static void
test_more_frames_than_the_limit_are_not_taken(void **state)
{
	struct cw_image *im;

	(void)state;
	assert_int_equal(frames_of(webp_moving, sizeof(webp_moving), 1000,
	    &im), 5);
	struct gif g = { .n = 0 };

	gif_open(&g, 1, 1);
	for (int i = 0; i < 40; i++)
		gif_frame(&g, 0, 0, 1, 1, 1, -1, 1);
	gif_close(&g);
	assert_int_equal(frames_of(g.b, g.n, 1000, &im), 8);
}

static void
test_webp_alpha_and_colours_are_exact_when_lossless(void **state)
{
	struct cw_image *im;

	(void)state;
	assert_int_equal(frames_of(webp_alpha, sizeof(webp_alpha), 1, &im), 1);
	assert_string_equal(im->format, "webp");
	assert_int_equal(im->w, 16);
	assert_int_equal(im->h, 12);
	assert_int_equal(pixel(im, 0, 0), RED);
	assert_int_equal(pixel(im, 15, 11), 0x00ff0080u);
}

static void
test_webp_is_turned_by_its_exif(void **state)
{
	struct cw_image *im;

	(void)state;
	assert_int_equal(frames_of(webp_turned, sizeof(webp_turned), 1, &im),
	    1);
	assert_int_equal(im->w, 12);
	assert_int_equal(im->h, 16);
	assert_int_equal(im->width, 12);
	assert_null(im->alpha);
	/* What was left is up. */
	assert_true(pixel(im, 6, 2) >> 24 > 150);
	assert_true(pixel(im, 6, 13) >> 24 < 90);
}

static void
test_webp_exif_may_begin_as_in_a_jpeg(void **state)
{
	const size_t tiff = 26, at = sizeof(webp_turned) - tiff;
	uint8_t file[sizeof(webp_turned) + 6];
	struct cw_image *im;

	(void)state;
	memcpy(file, webp_turned, at);
	memcpy(file + at, "Exif\0", 6);
	memcpy(file + at + 6, webp_turned + at, tiff);
	file[4] += 6;		/* the file's size, and the chunk's */
	file[at - 4] += 6;
	assert_int_equal(frames_of(file, sizeof(file), 1, &im), 1);
	assert_int_equal(im->w, 12);
	assert_int_equal(im->h, 16);
}

/* A chunk as PNG has it; the bits of `wrong` in its CRC are turned round. */
static size_t
png_chunk(uint8_t *to, const char *type, const void *body, uint8_t n,
    uint32_t wrong)
{
	const uint8_t head[8] = { 0, 0, 0, n, (uint8_t)type[0],
	    (uint8_t)type[1], (uint8_t)type[2], (uint8_t)type[3] };
	uint32_t crc = 0xffffffffu;

	memcpy(to, head, sizeof(head));
	memcpy(to + sizeof(head), body, n);
	for (size_t i = 4; i < sizeof(head) + n; i++) {
		crc ^= to[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	crc = ~crc ^ wrong;
	to += sizeof(head) + n;
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(crc >> (24 - 8 * i));
	return sizeof(head) + n + 4;
}

static const char turned_right[] = "MM\0\x2a\0\0\0\x08\0\1"
    "\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0";

/* The file with an eXIf for each `how`: good, Crc wrong, empty, no TIFF. */
static size_t
with_exif(const uint8_t *file, size_t n, const char *how, uint8_t *to)
{
	const uint8_t len = sizeof(turned_right) - 1;
	const size_t head = 33;		/* signature and IHDR */
	size_t at = head;

	memcpy(to, file, head);
	for (; *how != '\0'; how++)
		at += png_chunk(to + at, "eXIf", *how == 'n' ? "XX\0\x2a" :
		    turned_right, *how == 'n' ? 4 : *how == 'e' ? 0 : len,
		    *how == 'C' ? 1 : 0);
	memcpy(to + at, file + head, n - head);
	return at + n - head;
}

/* What is up goes to the right. */
static void
check_turned(const struct cw_image *im, const struct cw_image *plain)
{
	for (int y = 0; y < plain->h; y++)
		for (int x = 0; x < plain->w; x++)
			assert_int_equal(pixel(im, plain->h - 1 - y, x),
			    pixel(plain, x, y));
}

static void
test_a_moving_png_is_turned_as_a_still_one(void **state)
{
	static const uint8_t rgb[3 * 5 * 2];
	static const struct {
		const char	*how;
		bool		 turned;
	} cases[] = {
		{ "g", true }, { "C", false }, { "eg", true }, { "ng", true },
		{ "Cg", true }, { "e", false }, { "n", false }, { "", false },
	};
	uint8_t file[sizeof(png_moving) + 256], *small;
	struct cw_image *plain, *im;
	size_t n, nsmall;

	(void)state;
	assert_int_equal(cw_png_write(rgb, NULL, 5, 2, arena, &small, &nsmall,
	    &err), CW_OK);
	assert_int_equal(frames_of(png_moving, sizeof(png_moving), 4, &plain),
	    4);
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		print_message("eXIf \"%s\"\n", cases[i].how);
		n = with_exif(small, nsmall, cases[i].how, file);
		assert_int_equal(frames_of(file, n, 4, &im), 1);
		assert_int_equal(im->w, cases[i].turned ? 2 : 5);
		n = with_exif(png_moving, sizeof(png_moving), cases[i].how,
		    file);
		assert_int_equal(frames_of(file, n, 4, &im), 4);
		for (int f = 0; f < 4 && cases[i].turned; f++)
			check_turned(&im[f], &plain[f]);
		for (int f = 0; f < 4 && !cases[i].turned; f++)
			assert_int_equal(pixel(&im[f], 1, 0), pixel(&plain[f],
			    1, 0));
	}
}

/* Decoded with so much memory, an error has its word. */
static enum cw_status
decode_within(const void *bytes, size_t n, size_t room)
{
	struct cw_arena *small;
	struct cw_image *im;
	enum cw_status st;
	int count;

	assert_int_equal(cw_arena_open(room, &small, &err), CW_OK);
	st = cw_decode_frames(bytes, n, &limits, 0, 8, small, &im, &count,
	    &code, &err);
	cw_arena_close(&small);
	return st;
}

static void
test_memory_that_ends_anywhere_is_an_error(void **state)
{
	static const struct { const uint8_t *b; size_t n; } files[] = {
		{ webp_alpha, sizeof(webp_alpha) },
		{ webp_turned, sizeof(webp_turned) },
		{ webp_moving, sizeof(webp_moving) },
		{ png_moving, sizeof(png_moving) },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(files); i++) {
		size_t room = 64;

		while (decode_within(files[i].b, files[i].n, room) != CW_OK) {
			assert_string_equal(code, "too_large");
			room += 64;
			assert_true(room < 1 << 20);
		}
		assert_true(room > 64);
	}
}

static void
test_webp_stops_when_its_time_is_over(void **state)
{
	struct cw_limits none = limits;
	struct cw_image *im;
	int n;

	(void)state;
	none.cpu_ms = 0;
	assert_int_not_equal(cw_decode_frames(webp_turned,
	    sizeof(webp_turned), &none, 0, 8, arena, &im, &n, &code, &err),
	    CW_OK);
	assert_string_equal(code, "too_slow");
	assert_int_not_equal(cw_decode_frames(webp_moving,
	    sizeof(webp_moving), &none, 0, 8, arena, &im, &n, &code, &err),
	    CW_OK);
	assert_string_equal(code, "too_slow");
}

static void
test_webp_frames_come_in_order(void **state)
{
	static const uint32_t want[] = { 0xfa0000ff, 0x0000faff, 0x00fafaff };
	struct cw_image *im;

	(void)state;
	assert_int_equal(frames_of(webp_moving, sizeof(webp_moving), 3, &im),
	    3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pixel(&im[i], 8, 6), want[i]);
	assert_int_equal(im->frames, 5);
}

static void
test_png_frames_are_put_together_as_a_viewer_does(void **state)
{
	static const struct {
		int		x, y;
		uint32_t	want[4];
	} cases[] = {
		{ 1, 1, { RED, RED, BLUE, NOTHING } },
		{ 6, 6, { RED, 0x7f8000ffu, RED, NOTHING } },
		{ 4, 4, { RED, 0x7f8000ffu, RED, 0xffff00ffu } },
	};
	struct cw_image *im;

	(void)state;
	assert_int_equal(frames_of(png_moving, sizeof(png_moving), 8, &im), 4);
	assert_string_equal(im->format, "png");
	for (size_t i = 0; i < CW_COUNT(cases); i++)
		for (int k = 0; k < 4; k++)
			assert_int_equal(pixel(&im[k], cases[i].x, cases[i].y),
			    cases[i].want[k]);
	assert_int_equal(frames_of(png_moving, sizeof(png_moving), 2, &im), 2);
	assert_int_equal(pixel(&im[1], 4, 4), 0xffff00ffu);
}

static void
test_a_picture_apart_from_the_frames_is_seen_too(void **state)
{
	struct cw_image *im;

	(void)state;
	assert_int_equal(frames_of(png_apart, sizeof(png_apart), 8, &im), 3);
	assert_int_equal(pixel(&im[0], 6, 6), RED);
	assert_int_equal(pixel(&im[1], 6, 6), 0x00ff0080u);
	assert_int_equal(pixel(&im[2], 1, 1), BLUE);
	assert_int_equal(pixel(&im[2], 6, 6), NOTHING);
}

/* ---- meant to hurt ---- */

static struct gif sample_gif;

static void
for_each_sample(void (*f)(const char *name, const uint8_t *b, size_t n))
{
	struct gif *g = &sample_gif;

	*g = (struct gif){ .n = 0 };
	gif_open(g, 9, 7);
	gif_frame(g, 0, 0, 9, 7, 1, 2, 3);
	gif_frame(g, 3, 3, 6, 4, 2, -1, 2);
	gif_close(g);
	f("gif", g->b, g->n);
	f("webp alpha", webp_alpha, sizeof(webp_alpha));
	f("webp turned", webp_turned, sizeof(webp_turned));
	f("webp moving", webp_moving, sizeof(webp_moving));
	f("png moving", png_moving, sizeof(png_moving));
	f("png apart", png_apart, sizeof(png_apart));
}

static void
cut_everywhere(const char *name, const uint8_t *b, size_t n)
{
	for (size_t len = 0; len < n; len++) {
		/* At its very end, so that reading on is seen. */
		uint8_t *copy = test_malloc(len + 1);
		struct cw_image *im;
		int count;

		memcpy(copy, b, len);
		if (cw_decode_frames(copy, len, &limits, 0, 8, arena, &im,
		    &count, &code, &err) == CW_OK)
			fail_msg("%s cut at %zu was decoded", name, len);
		test_free(copy);
		cw_arena_reset(arena, 0);
	}
}

static void
flip_everywhere(const char *name, const uint8_t *b, size_t n)
{
	size_t fine = 0;

	for (size_t i = 0; i < n * 4; i++) {
		static const uint8_t flips[] = { 0x01, 0x80, 0xff, 0x55 };
		uint8_t *copy = test_malloc(n);
		struct cw_image *im;
		int count;

		memcpy(copy, b, n);
		copy[i / 4] ^= flips[i % 4];
		if (cw_decode_frames(copy, n, &limits, 0, 8, arena, &im,
		    &count, &code, &err) == CW_OK) {
			fine++;
			for (int k = 0; k < count; k++)
				(void)pixel(&im[k], im[k].w - 1, im[k].h - 1);
		}
		test_free(copy);
		cw_arena_reset(arena, 0);
	}
	print_message("%s: %zu of %zu flips still a picture\n", name, fine,
	    n * 4);
}

static void
test_a_missing_end_is_always_an_error(void **state)
{
	(void)state;
	for_each_sample(cut_everywhere);
}

static void
test_a_flipped_byte_is_an_error_or_a_picture(void **state)
{
	(void)state;
	for_each_sample(flip_everywhere);
}

static void
test_giant_canvases_are_refused_from_the_header(void **state)
{
	struct gif g = { .n = 0 };
	struct cw_image im;

	(void)state;
	gif_open(&g, 65535, 65535);
	gif_frame(&g, 0, 0, 1, 1, 1, -1, 1);
	gif_close(&g);
	assert_int_equal(cw_decode(g.b, g.n, &limits, 0, arena, &im, &code,
	    &err), CW_E_LIMIT);
	assert_string_equal(code, "too_many_pixels");
	gif_open(&g, 9000, 9000);
	gif_frame(&g, 0, 0, 1, 1, 1, -1, 1);
	gif_close(&g);
	assert_int_equal(cw_decode(g.b, g.n, &limits, 0, arena, &im, &code,
	    &err), CW_E_LIMIT);
	assert_string_equal(code, "too_large");
	assert_true(cw_arena_peak(arena) < 1 << 20);
}

#define CASE(f)	cmocka_unit_test_teardown(f, empty)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_gif_frames_are_put_together_as_a_viewer_does),
		CASE(test_gif_screen_grows_to_its_first_frame),
		CASE(test_gif_transparency_becomes_alpha),
		CASE(test_frames_are_spread_evenly_with_both_ends),
		CASE(test_more_frames_than_the_limit_are_not_taken),
		CASE(test_webp_alpha_and_colours_are_exact_when_lossless),
		CASE(test_webp_is_turned_by_its_exif),
		CASE(test_webp_exif_may_begin_as_in_a_jpeg),
		CASE(test_a_moving_png_is_turned_as_a_still_one),
		CASE(test_memory_that_ends_anywhere_is_an_error),
		CASE(test_webp_stops_when_its_time_is_over),
		CASE(test_webp_frames_come_in_order),
		CASE(test_png_frames_are_put_together_as_a_viewer_does),
		CASE(test_a_picture_apart_from_the_frames_is_seen_too),
		CASE(test_a_missing_end_is_always_an_error),
		CASE(test_a_flipped_byte_is_an_error_or_a_picture),
		CASE(test_giant_canvases_are_refused_from_the_header),
	};

	return cmocka_run_group_tests_name("decode_plugins", tests, set_up,
	    NULL);
}
