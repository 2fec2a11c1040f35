/*
 * pictures.h - an arena, the png decoder, and JPEG files made to measure.
 *
 * For unit tests only; header-only, since each test is one program.
 */
#ifndef CW_TESTS_PICTURES_H
#define CW_TESTS_PICTURES_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "worker/image.h"

static struct cw_arena *arena;		/* emptied between tests */
static struct cw_err err;

static const struct cw_limits limits = {
	.bytes = 32 << 20, .decoded_bytes = 192 << 20, .pixels = 100000000,
	.scans = 500, .frames = 8, .cpu_ms = 10000,
};

struct file {
	uint8_t	*b;			/* arena */
	size_t	 n;
};

static inline int
set_up(void **state)
{
	char path[1024];
	const char *build = getenv("CW_BUILD");

	(void)state;
	if (cw_arena_open((size_t)1 << 30, &arena, &err) != CW_OK)
		return -1;
	snprintf(path, sizeof(path), "%s/plugins/png.so",
	    build != NULL ? build : "build");
	if (cw_plugin_load(path, &err) != CW_OK) {
		print_error("%s\n", err.text);
		return -1;
	}
	return 0;
}

static inline int
empty(void **state)
{
	(void)state;
	cw_arena_reset(arena, 0);
	return 0;
}

/* rgb [h][w] of TJPF_ format -> a JPEG of that TJSAMP_ and TJFLAG_s. */
static inline struct file
to_jpeg(const uint8_t *rgb, int w, int h, int format, int subsampling,
    int quality, int flags)
{
	tjhandle tj = tjInitCompress();
	unsigned char *out = NULL;
	unsigned long n = 0;
	struct file f;

	assert_int_equal(tjCompress2(tj, rgb, w, 0, h, format, &out, &n,
	    subsampling, quality, flags), 0);
	f = (struct file){ cw_arena_alloc(arena, n), n };
	assert_non_null(f.b);
	memcpy(f.b, out, n);
	tjFree(out);
	tjDestroy(tj);
	return f;
}

#endif /* CW_TESTS_PICTURES_H */
