/*
 * decode.c - see image.h: who decodes these bytes, and within what bounds.
 */
#include "worker/decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"

/* Sides that keep every later product far inside 64 bits. */
#define SIDE_MAX	(1u << 20)

static const struct {
	const char	*code;
	enum cw_status	 st;
} codes[] = {
	{ "truncated",		CW_E_FORMAT },
	{ "corrupt",		CW_E_FORMAT },
	{ "too_large",		CW_E_LIMIT },
	{ "too_many_pixels",	CW_E_LIMIT },
	{ "too_many_scans",	CW_E_LIMIT },
	{ "too_slow",		CW_E_LIMIT },
	{ "unknown_format",	CW_E_UNSUPPORTED },
	{ "unsupported",	CW_E_UNSUPPORTED },
};

/* For the text only: what bytes without a decoder look like. */
static const struct {
	const char	*name;
	unsigned	 at, n;
	const char	*magic;
} formats[] = {
	{ "PNG",	0, 8, "\x89PNG\r\n\x1a\n" },
	{ "GIF",	0, 4, "GIF8" },
	{ "WebP",	8, 4, "WEBP" },
	{ "TIFF",	0, 4, "II*\0" },
	{ "TIFF",	0, 4, "MM\0*" },
	{ "AVIF",	4, 8, "ftypavif" },
	{ "HEIF",	4, 8, "ftypheic" },
	{ "HEIF",	4, 8, "ftypmif1" },
	{ "JPEG XL",	0, 2, "\xff\x0a" },
	{ "JPEG XL",	0, 8, "\0\0\0\x0cJXL " },
	{ "JPEG 2000",	0, 8, "\0\0\0\x0cjP  " },
	{ "PDF",	0, 5, "%PDF-" },
	{ "BMP",	0, 2, "BM" },
};

bool
cw_decode_expired(const struct cw_decoding *d)
{
	return cw_cpu_us() > d->cpu_end_us;
}

enum cw_status
cw_decode_fail(const struct cw_decoding *d, const char *code, const char *fmt,
    ...)
{
	char text[CW_ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < CW_COUNT(codes); i++)
		if (strcmp(code, codes[i].code) == 0) {
			*d->code = codes[i].code;
			return cw_err_set(d->err, codes[i].st, "%s", text);
		}
	CW_CHECK(!"a code that is in the table");
	return CW_E_FORMAT;
}

enum cw_status
cw_decode_check(const struct cw_decoding *d, uint64_t width, uint64_t height,
    uint64_t bytes)
{
	const struct cw_limits *l = d->limits;

	if (width == 0 || height == 0)
		return cw_decode_fail(d, "corrupt",
		    "the header says %" PRIu64 " x %" PRIu64 " pixels", width,
		    height);
	if (width > SIDE_MAX || height > SIDE_MAX ||
	    width * height > l->pixels)
		return cw_decode_fail(d, "too_many_pixels",
		    "%" PRIu64 " x %" PRIu64 " pixels, limits.pixels is %"
		    PRIu64, width, height, l->pixels);
	if (bytes > l->decoded_bytes)
		return cw_decode_fail(d, "too_large",
		    "%" PRIu64 " x %" PRIu64 " pixels would take %" PRIu64
		    " bytes, limits.decoded_bytes is %" PRIu64, width, height,
		    bytes, l->decoded_bytes);
	return CW_OK;
}

static enum cw_status
refuse_unknown(const struct cw_decoding *d)
{
	for (size_t i = 0; i < CW_COUNT(formats); i++)
		if (d->n >= formats[i].at + formats[i].n &&
		    memcmp(d->bytes + formats[i].at, formats[i].magic,
		    formats[i].n) == 0)
			return cw_decode_fail(d, "unsupported",
			    "looks like %s, for which no decoder plugin is "
			    "loaded", formats[i].name);
	return cw_decode_fail(d, "unknown_format",
	    "the first bytes are of no image format known here");
}

static uint32_t
frames_wanted(uint32_t asked, uint32_t limit)
{
	const uint32_t n = asked < limit ? asked : limit;

	return n > 0 ? n : 1;
}

enum cw_status
cw_decode_frames(const uint8_t *bytes, size_t n,
    const struct cw_limits *limits, int want, uint32_t max_frames,
    struct cw_arena *a, struct cw_image **frames, int *nframes,
    const char **code, struct cw_err *err)
{
	const struct cw_decoding d = {
		.bytes = bytes, .n = n, .limits = limits, .want = want,
		.want_frames = frames_wanted(max_frames, limits->frames),
		.cpu_end_us = cw_cpu_us() + limits->cpu_ms * UINT64_C(1000),
		.a = a, .code = code, .err = err,
	};
	enum cw_status st;

	if (n > limits->bytes)
		return cw_decode_fail(&d, "too_large",
		    "%zu bytes, limits.bytes is %" PRIu64, n, limits->bytes);
	if (n == 0)
		return cw_decode_fail(&d, "truncated", "no bytes at all");
	if (n >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0) {
		struct cw_image *im = cw_arena_zalloc(a, 1, sizeof(*im));

		if (im == NULL)
			return cw_decode_fail(&d, "too_large", "no memory left");
		st = cw_jpeg_decode(&d, im);
		if (st == CW_OK) {
			*frames = im;
			*nframes = 1;
		}
		return st;
	}
	st = cw_plugin_decode(&d, frames, nframes);
	return st == CW_E_NOT_FOUND ? refuse_unknown(&d) : st;
}

enum cw_status
cw_decode(const uint8_t *bytes, size_t n, const struct cw_limits *limits,
    int want, struct cw_arena *a, struct cw_image *out, const char **code,
    struct cw_err *err)
{
	struct cw_image *im;
	enum cw_status st;
	int count;

	st = cw_decode_frames(bytes, n, limits, want, 1, a, &im, &count, code,
	    err);
	if (st == CW_OK)
		*out = *im;
	return st;
}
