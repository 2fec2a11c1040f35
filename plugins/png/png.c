/*
 * png.c - decoder plugin: PNG by libpng's row interface.
 *
 * Every colour type and depth becomes 8-bit RGB and, where there is
 * transparency, alpha beside it: 16-bit samples keep their high byte, nothing
 * is gamma-corrected or blended.  Of the ancillary chunks only tRNS and eXIf
 * are read, so compressed text and profiles can't blow up.
 *
 * libpng knows nothing of animations (APNG), and would show the one picture
 * that others need not see; moving.c takes those apart.
 */
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "plugins/png/moving.h"

#define SIDE_MAX	(1u << 20)
#define CHUNK_MAX	(1u << 20)	/* bytes of an ancillary chunk */
#define IDAT		0x49444154u	/* as png_get_io_chunk_type says it */
/*
 * libpng unpacks what follows the last row just to throw it away: a thousand
 * bytes for each one read.  The row itself and a checksum are all that may.
 */
#define EXCESS_MAX	16384u
#define CHECK_EVERY	16u		/* rows or reads between looks
					   at the clock */
#define HEADER_BYTES	33u		/* signature and IHDR */

struct reader {
	const struct cw_decode_in *in;
	struct cw_decode_out	*out;
	const uint8_t		*src;	/* [n] in->bytes, or one frame's file */
	size_t			 n, at;	/* next byte of src */
	uint8_t			*rgb, *alpha;
	unsigned		 rows, reads;	/* so far */
	bool			 last;	/* the last one is being read, or was */
	size_t			 excess;	/* image data read since */
	int			 code;	/* why jump was taken */
	jmp_buf			 jump;
};

static _Noreturn void
leave(struct reader *r, int code, const char *why)
{
	r->code = code;
	snprintf(r->out->message, sizeof(r->out->message), "%s", why);
	longjmp(r->jump, 1);
}

static void
on_error(png_structp png, png_const_charp why)
{
	leave(png_get_error_ptr(png), CW_DECODE_CORRUPT, why);
}

static void
on_warning(png_structp png, png_const_charp why)
{
	(void)png;
	(void)why;
}

static void
check_time(struct reader *r)
{
	if (r->in->expired(r->in->host))
		leave(r, CW_DECODE_TOO_SLOW, "its CPU time is used up");
}

static void
on_read(png_structp png, png_bytep to, png_size_t n)
{
	struct reader *r = png_get_io_ptr(png);

	if (png_get_io_chunk_type(png) == IDAT) {
		if (r->reads++ % CHECK_EVERY == 0)
			check_time(r);
		r->excess += r->last ? n : 0;
		if (r->excess > EXCESS_MAX + (size_t)8 * r->out->width)
			leave(r, CW_DECODE_CORRUPT,
			    "image data goes on behind the picture");
	}
	if (n > r->n - r->at)
		leave(r, CW_DECODE_TRUNCATED, "ends before the picture does");
	memcpy(to, r->src + r->at, n);
	r->at += n;
}

static void *
take(struct reader *r, size_t bytes)
{
	void *p = r->in->alloc(r->in->host, bytes);

	if (p == NULL)
		leave(r, CW_DECODE_NO_MEMORY, "no memory left");
	return p;
}

static void
read_row(struct reader *r, png_structp png, uint8_t *row, bool last)
{
	if (r->rows++ % CHECK_EVERY == 0)
		check_time(r);
	r->last = last;
	png_read_row(png, row, NULL);
}

/* Size and what it will take, from IHDR alone. */
static int
check_header(const struct cw_decode_in *in, struct cw_decode_out *out)
{
	uint64_t w, h, pixels, bytes;

	if (in->n < HEADER_BYTES) {
		snprintf(out->message, sizeof(out->message),
		    "ends within its header");
		return CW_DECODE_TRUNCATED;
	}
	w = png_be32(in->bytes + 16);
	h = png_be32(in->bytes + 20);
	out->width = (uint32_t)w;
	out->height = (uint32_t)h;
	if (memcmp(in->bytes + 12, "IHDR", 4) != 0 || w == 0 || h == 0) {
		snprintf(out->message, sizeof(out->message),
		    "no size in its header");
		return CW_DECODE_CORRUPT;
	}
	if (w > SIDE_MAX || h > SIDE_MAX || w * h > in->max_pixels) {
		snprintf(out->message, sizeof(out->message),
		    "%u x %u pixels, limits.pixels is %llu", out->width,
		    out->height, (unsigned long long)in->max_pixels);
		return CW_DECODE_TOO_MANY_PIXELS;
	}
	/* RGB, two rows inside libpng, RGBA while passes add up. */
	pixels = w * h;
	bytes = pixels * 3 + w * 16;
	if (in->bytes[25] & PNG_COLOR_MASK_ALPHA)
		bytes += pixels * (in->bytes[28] != 0 ? 5 : 1);
	if (bytes > in->max_bytes) {
		snprintf(out->message, sizeof(out->message),
		    "%u x %u pixels would take %llu bytes, "
		    "limits.decoded_bytes is %llu", out->width, out->height,
		    (unsigned long long)bytes,
		    (unsigned long long)in->max_bytes);
		return CW_DECODE_TOO_LARGE;
	}
	return CW_DECODE_OK;
}

static png_structp
set_up(struct reader *r, png_infop *info)
{
	static const png_byte exif[] = "eXIf";
	png_structp png;

	png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error,
	    on_warning);
	if (png == NULL)
		return NULL;
	if ((*info = png_create_info_struct(png)) == NULL) {
		png_destroy_read_struct(&png, NULL, NULL);
		return NULL;
	}
	png_set_read_fn(png, r, on_read);
	png_set_user_limits(png, SIDE_MAX, SIDE_MAX);
	png_set_chunk_malloc_max(png, CHUNK_MAX);
	png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
	png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, exif, 1);
	return png;
}

/* Whatever it is, 8-bit RGB or RGBA comes out; returns channels. */
static unsigned
set_transforms(struct reader *r, png_structp png, png_infop info,
    bool always_alpha, int *passes)
{
	const int type = png_get_color_type(png, info);
	const int depth = png_get_bit_depth(png, info);
	unsigned channels;

	if (type == PNG_COLOR_TYPE_PALETTE)
		png_set_palette_to_rgb(png);
	if (type == PNG_COLOR_TYPE_GRAY && depth < 8)
		png_set_expand_gray_1_2_4_to_8(png);
	if (png_get_valid(png, info, PNG_INFO_tRNS))
		png_set_tRNS_to_alpha(png);
	if (depth == 16)
		png_set_strip_16(png);
	if (!(type & PNG_COLOR_MASK_COLOR))
		png_set_gray_to_rgb(png);
	if (always_alpha)
		png_set_add_alpha(png, 0xff, PNG_FILLER_AFTER);
	*passes = png_set_interlace_handling(png);
	png_read_update_info(png, info);
	channels = png_get_channels(png, info);
	if ((channels != 3 && channels != 4) ||
	    png_get_rowbytes(png, info) !=
	    (size_t)png_get_image_width(png, info) * channels)
		leave(r, CW_DECODE_CORRUPT, "contradicts itself about its rows");
	return channels;
}

static void
read_rgb(struct reader *r, png_structp png, int passes)
{
	const size_t pitch = (size_t)r->out->width * 3;

	for (int p = 0; p < passes; p++)
		for (size_t y = 0; y < r->out->height; y++)
			read_row(r, png, r->rgb + y * pitch,
			    p == passes - 1 && y == r->out->height - 1);
}

/* One row at a time; all of them at once where passes add up. */
static void
read_rgba(struct reader *r, png_structp png, int passes)
{
	const size_t w = r->out->width, h = r->out->height;
	const size_t step = passes > 1 ? w * 4 : 0;
	uint8_t *rgba = take(r, passes > 1 ? w * h * 4 : w * 4);

	r->alpha = take(r, w * h);
	for (int p = 0; p < passes; p++)
		for (size_t y = 0; y < h; y++) {
			read_row(r, png, rgba + y * step,
			    p == passes - 1 && y == h - 1);
			if (p == passes - 1)
				png_split(rgba + y * step, r->rgb + y * w * 3,
				    r->alpha + y * w, w);
		}
}

static void
keep_exif(struct reader *r, png_structp png, png_infop info)
{
	png_bytep exif;
	png_uint_32 n;
	uint8_t *copy;

	if (!png_get_eXIf_1(png, info, &n, &exif) || n == 0)
		return;
	copy = take(r, n);
	memcpy(copy, exif, n);
	r->out->exif = copy;
	r->out->nexif = n;
}

static void
read_all(struct reader *r, png_structp png, png_infop info)
{
	int passes;
	unsigned channels;

	png_read_info(png, info);
	channels = set_transforms(r, png, info, false, &passes);
	r->rgb = take(r, (size_t)r->out->width * r->out->height * 3);
	if (channels == 3)
		read_rgb(r, png, passes);
	else
		read_rgba(r, png, passes);
	png_read_end(png, info);
	keep_exif(r, png, info);
	r->out->frame = take(r, sizeof(*r->out->frame));
	r->out->frame[0] = (struct cw_frame){ r->rgb, r->alpha };
	r->out->nframes = 1;
}

static int
decode_still(const struct cw_decode_in *in, struct cw_decode_out *out)
{
	struct reader r = { .in = in, .out = out, .src = in->bytes,
	    .n = in->n, .code = CW_DECODE_OK };
	png_infop info = NULL;
	png_structp png;

	if ((png = set_up(&r, &info)) == NULL)
		return CW_DECODE_NO_MEMORY;
	if (setjmp(r.jump) == 0)
		read_all(&r, png, info);
	png_destroy_read_struct(&png, &info, NULL);
	out->frames = 1;
	return r.code;
}

/* ---- one frame of an animation ---- */

static void
read_frame(struct reader *r, png_structp png, png_infop info)
{
	size_t w, h;
	int passes;

	png_read_info(png, info);
	w = png_get_image_width(png, info);
	h = png_get_image_height(png, info);
	if (set_transforms(r, png, info, true, &passes) != 4)
		leave(r, CW_DECODE_CORRUPT, "a frame of another kind");
	for (int p = 0; p < passes; p++)
		for (size_t y = 0; y < h; y++)
			read_row(r, png, r->rgb + y * w * 4,
			    p == passes - 1 && y == h - 1);
	png_read_end(png, NULL);
}

int
png_frame(const struct cw_decode_in *in, struct cw_decode_out *out,
    const uint8_t *file, size_t n, uint8_t *rgba)
{
	struct reader r = { .in = in, .out = out, .src = file, .n = n,
	    .rgb = rgba, .code = CW_DECODE_OK };
	png_infop info = NULL;
	png_structp png;

	if ((png = set_up(&r, &info)) == NULL)
		return CW_DECODE_NO_MEMORY;
	png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
	if (setjmp(r.jump) == 0)
		read_frame(&r, png, info);
	png_destroy_read_struct(&png, &info, NULL);
	return r.code;
}

/* ---- the plugin ---- */

static int
decode(void *self, const struct cw_decode_in *in, struct cw_decode_out *out)
{
	int code;

	(void)self;
	if ((code = check_header(in, out)) != CW_DECODE_OK)
		return code;
	return png_is_moving(in) ? png_decode_moving(in, out) :
	    decode_still(in, out);
}

static int
probe(const uint8_t *bytes, size_t n)
{
	return n >= sizeof(png_signature) &&
	    memcmp(bytes, png_signature, sizeof(png_signature)) == 0;
}

static int
plugin_open(const struct cw_host *host, const char *options, void **self)
{
	(void)options;
	*self = NULL;
	if (png_access_version_number() / 100 != PNG_LIBPNG_VER / 100) {
		host->log(3, "libpng is not the one this was built with");
		return -1;
	}
	return 0;
}

static void
plugin_close(void *self)
{
	(void)self;
}

CW_PLUGIN_EXPORT extern const struct cw_plugin_decoder clipward_plugin;
const struct cw_plugin_decoder clipward_plugin = {
	.head = {
		CW_PLUGIN_HEAD(struct cw_plugin_decoder, CW_PLUGIN_DECODER),
		.name = "png",
		.version = "1.0 (libpng " PNG_LIBPNG_VER_STRING ")",
		.open = plugin_open,
		.close = plugin_close,
	},
	.probe = probe,
	.decode = decode,
};
