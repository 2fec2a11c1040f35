/*
 * jpeg.c - JPEG by libjpeg-turbo, with its defaults (accurate integer DCT,
 * smooth upsampling), so pixels equal those of everybody else's decoder.
 *
 * libjpeg's own API rather than TurboJPEG's, for four things: a progress call
 * in which CPU time and scans are bounded, a bound on its memory, rows as they
 * come (so turning needs no second picture), and a data source that knows when
 * the file has ended.  Its errors leave by longjmp; the only setjmp is in
 * decode_guarded, and nothing between the two owns anything but the decoder.
 *
 * Before it starts, walk() reads the markers alone: size, scans, orientation,
 * and whether there is an end.  Bombs and stumps stop there, in no memory.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "worker/decode.h"
#include "worker/exif.h"

#define STRIP_ROWS	16	/* rows decoded at once when turning */
#define CHECK_EVERY	4u	/* progress calls between looks at the clock */
#define COMPONENTS_MAX	4

/* What the markers say. */
struct head {
	bool	 frame;			/* SOFn seen; the rest is valid */
	int	 sof;			/* n of SOFn */
	int	 precision, width, height, components;
	int	 hs[COMPONENTS_MAX], vs[COMPONENTS_MAX];  /* sampling */
	uint32_t scans;
	int	 orientation;
};

/* One decoding; libjpeg's callbacks get back here from the first member. */
struct jpeg {
	struct jpeg_decompress_struct	 c;
	struct jpeg_error_mgr		 errors;
	struct jpeg_source_mgr		 source;
	struct jpeg_progress_mgr	 progress;
	jmp_buf				 out;
	const struct cw_decoding	*d;
	const struct head		*head;
	struct cw_image			*im;
	unsigned			 ticks;
	enum cw_status			 st;	/* why out was taken */
};

/* ---- markers ---- */

static unsigned
be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static bool
is_sof(int m)
{
	return m >= 0xc0 && m <= 0xcf && m != 0xc4 && m != 0xc8 && m != 0xcc;
}

/* Segment body [n] of SOFn. */
static enum cw_status
read_sof(const struct cw_decoding *d, int n, const uint8_t *p, size_t len,
    struct head *h)
{
	if (h->frame)
		return cw_decode_fail(d, "corrupt", "two frame headers");
	if (len < 6 || len < 6 + (size_t)p[5] * 3)
		return cw_decode_fail(d, "corrupt", "short frame header");
	h->frame = true;
	h->sof = n;
	h->precision = p[0];
	h->height = (int)be16(p + 1);
	h->width = (int)be16(p + 3);
	h->components = p[5];
	if (n != 0 && n != 1 && n != 2 && n != 9 && n != 10)
		return cw_decode_fail(d, "unsupported",
		    "JPEG process %d (lossless or hierarchical)", n);
	if (h->precision != 8)
		return cw_decode_fail(d, "unsupported",
		    "%d bits per sample; 8 is what is read", h->precision);
	if (h->components != 1 && h->components != 3 && h->components != 4)
		return cw_decode_fail(d, "unsupported",
		    "%d colour components", h->components);
	for (int i = 0; i < h->components; i++) {
		h->hs[i] = p[7 + 3 * i] >> 4;
		h->vs[i] = p[7 + 3 * i] & 15;
		if (h->hs[i] < 1 || h->hs[i] > 4 || h->vs[i] < 1 ||
		    h->vs[i] > 4)
			return cw_decode_fail(d, "corrupt",
			    "sampling factors %d x %d", h->hs[i], h->vs[i]);
	}
	return CW_OK;
}

/* Index of the next marker's code behind any other bytes, or d->n. */
static size_t
next_marker(const struct cw_decoding *d, size_t at, bool in_scan)
{
	while (at + 1 < d->n) {
		const uint8_t *ff = memchr(d->bytes + at, 0xff, d->n - at - 1);

		if (ff == NULL)
			break;
		at = (size_t)(ff - d->bytes) + 1;
		if (d->bytes[at] == 0xff || d->bytes[at] == 0 ||
		    (in_scan && (d->bytes[at] & 0xf8) == 0xd0))
			continue;
		return at;
	}
	return d->n;
}

/*
 * From marker to marker to the end of the image; linear in d->n.  libjpeg
 * reads the same, so what differs shows as an error there.
 */
static enum cw_status
walk(const struct cw_decoding *d, struct head *h)
{
	size_t at = 2, len;
	bool in_scan = false;
	enum cw_status st;

	*h = (struct head){ .orientation = 0 };
	for (;;) {
		int m;
		const uint8_t *body;

		at = next_marker(d, at, in_scan);
		if (at >= d->n)
			return cw_decode_fail(d, "truncated",
			    "ends before its end marker");
		m = d->bytes[at++];
		if (m == 0xd9)
			break;
		if ((m & 0xf8) == 0xd0 || m == 0x01)
			continue;
		if (d->n - at < 2 || (len = be16(d->bytes + at)) > d->n - at)
			return cw_decode_fail(d, "truncated",
			    "ends within segment %02x", (unsigned)m);
		if (len < 2)
			return cw_decode_fail(d, "corrupt",
			    "segment %02x of length %zu", (unsigned)m, len);
		body = d->bytes + at + 2;
		at += len;
		if (is_sof(m)) {
			st = read_sof(d, m & 15, body, len - 2, h);
			if (st != CW_OK)
				return st;
		}
		/* as viewers do: the first that says one, before the picture */
		if (m == 0xe1 && len >= 8 && memcmp(body, "Exif\0", 6) == 0 &&
		    h->orientation == 0 && h->scans == 0)
			h->orientation = cw_exif_orientation(body + 6,
			    len - 8);
		in_scan = m == 0xda;
		if (in_scan && !h->frame)
			return cw_decode_fail(d, "corrupt",
			    "a scan before the frame header");
		if (in_scan && ++h->scans > d->limits->scans)
			return cw_decode_fail(d, "too_many_scans",
			    "more scans than limits.scans, %u",
			    (unsigned)d->limits->scans);
	}
	if (!h->frame || h->scans == 0)
		return cw_decode_fail(d, "corrupt", "no image in it");
	if (h->orientation == 0)
		h->orientation = 1;
	return CW_OK;
}

/* ---- size and memory ---- */

static int
scaled(int side, int eighths)
{
	return (side * eighths + 7) / 8;
}

/*
 * Eighths of full size: 8, 4, 2 or 1, for which there are fast transforms.
 * The short side stays at least twice what is wanted.
 */
static int
choose_scale(const struct head *h, int want)
{
	const int side = h->width < h->height ? h->width : h->height;
	int eighths = 8;

	while (want > 0 && eighths > 1 && scaled(side, eighths / 2) >= 2 * want)
		eighths /= 2;
	return eighths;
}

/* Memory to be taken: the picture, and all coefficients when scans build up. */
static uint64_t
estimate(const struct head *h, int eighths)
{
	const uint64_t w = (uint64_t)scaled(h->width, eighths);
	uint64_t bytes = w * (uint64_t)scaled(h->height, eighths) * 3;
	int hmax = 1, vmax = 1;
	uint64_t mw, mh;

	if (h->orientation != 1 || h->components == 4)
		bytes += w * STRIP_ROWS * 4;
	if (h->scans == 1 && h->sof != 2 && h->sof != 10)
		return bytes;
	for (int i = 0; i < h->components; i++) {
		hmax = h->hs[i] > hmax ? h->hs[i] : hmax;
		vmax = h->vs[i] > vmax ? h->vs[i] : vmax;
	}
	mw = (uint64_t)(h->width + 8 * hmax - 1) / (uint64_t)(8 * hmax);
	mh = (uint64_t)(h->height + 8 * vmax - 1) / (uint64_t)(8 * vmax);
	for (int i = 0; i < h->components; i++)
		bytes += mw * mh * (uint64_t)(h->hs[i] * h->vs[i]) *
		    sizeof(JBLOCK);
	return bytes;
}

/* ---- what libjpeg calls ---- */

static _Noreturn void
leave(struct jpeg *j, enum cw_status st)
{
	j->st = st;
	longjmp(j->out, 1);
}

static const char *
code_of(int message)
{
	switch (message) {
	case JERR_BAD_PRECISION:
	case JERR_SOF_UNSUPPORTED:
	case JERR_ARITH_NOTIMPL:
	case JERR_CONVERSION_NOTIMPL:
	case JERR_CCIR601_NOTIMPL:
	case JERR_FRACT_SAMPLE_NOTIMPL:
	case JERR_NOT_COMPILED:
		return "unsupported";
	case JERR_OUT_OF_MEMORY:
	case JERR_NO_BACKING_STORE:
	case JERR_WIDTH_OVERFLOW:
	case JERR_IMAGE_TOO_BIG:
		return "too_large";
	case JERR_INPUT_EMPTY:
	case JERR_INPUT_EOF:
		return "truncated";
	default:
		return "corrupt";
	}
}

static void
on_error(j_common_ptr c)
{
	struct jpeg *j = (struct jpeg *)c;
	char text[JMSG_LENGTH_MAX];

	c->err->format_message(c, text);
	leave(j, cw_decode_fail(j->d, code_of(c->err->msg_code), "%s", text));
}

/* Level -1 is damage; these kinds of it leave no mark on the picture. */
static void
on_message(j_common_ptr c, int level)
{
	if (level >= 0)
		return;
	switch (c->err->msg_code) {
	case JWRN_EXTRANEOUS_DATA:
	case JWRN_JFIF_MAJOR:
	case JWRN_ADOBE_XFORM:
	case JWRN_NOT_SEQUENTIAL:
		return;
	}
	on_error(c);
}

static void
on_output(j_common_ptr c)
{
	(void)c;
}

static void
on_progress(j_common_ptr c)
{
	struct jpeg *j = (struct jpeg *)c;

	if (j->c.input_scan_number > (int)j->d->limits->scans)
		leave(j, cw_decode_fail(j->d, "too_many_scans",
		    "more scans than limits.scans, %u",
		    (unsigned)j->d->limits->scans));
	if (j->ticks++ % CHECK_EVERY == 0 && cw_decode_expired(j->d))
		leave(j, cw_decode_fail(j->d, "too_slow",
		    "more than %u ms of CPU time", (unsigned)j->d->limits->cpu_ms));
}

static void
source_nothing(j_decompress_ptr c)
{
	(void)c;
}

/* All bytes were there from the start: to want more is to be truncated. */
static boolean
source_fill(j_decompress_ptr c)
{
	struct jpeg *j = (struct jpeg *)c;

	leave(j, cw_decode_fail(j->d, "truncated",
	    "ends before the picture does"));
}

static void
source_skip(j_decompress_ptr c, long n)
{
	if (n <= 0)
		return;
	if ((size_t)n > c->src->bytes_in_buffer)
		source_fill(c);
	c->src->next_input_byte += n;
	c->src->bytes_in_buffer -= (size_t)n;
}

static void
set_callbacks(struct jpeg *j)
{
	j->c.err = jpeg_std_error(&j->errors);
	j->errors.error_exit = on_error;
	j->errors.emit_message = on_message;
	j->errors.output_message = on_output;
	j->progress.progress_monitor = on_progress;
	j->source = (struct jpeg_source_mgr){
		.next_input_byte = j->d->bytes,
		.bytes_in_buffer = j->d->n,
		.init_source = source_nothing,
		.fill_input_buffer = source_fill,
		.skip_input_data = source_skip,
		.resync_to_restart = jpeg_resync_to_restart,
		.term_source = source_nothing,
	};
}

/* ---- pixels ---- */

/*
 * Adobe's CMYK is stored inverted, and nobody writes another: with the stored
 * values, R = k - round((255 - c) k / 255).
 */
static void
cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, size_t n)
{
	for (size_t i = 0; i < n; i++, cmyk += 4, rgb += 3)
		for (int s = 0; s < 3; s++) {
			unsigned k = cmyk[3];
			unsigned t = (255u - cmyk[s]) * k + 128;

			rgb[s] = (uint8_t)(k - ((t >> 8) + t) / 256);
		}
}

static uint8_t *
take(struct jpeg *j, size_t bytes)
{
	uint8_t *p = cw_arena_alloc(j->d->a, bytes);

	if (p == NULL)
		leave(j, cw_decode_fail(j->d, "too_large", "no memory left"));
	return p;
}

/* Rows as they are: straight to their place. */
static void
read_rows(struct jpeg *j)
{
	const size_t pitch = (size_t)j->c.output_width * 3;

	while (j->c.output_scanline < j->c.output_height) {
		JSAMPROW row = j->im->rgb + j->c.output_scanline * pitch;

		jpeg_read_scanlines(&j->c, &row, 1);
	}
}

/* Through a strip of rows, which is converted and turned. */
static void
read_strips(struct jpeg *j)
{
	const int w = (int)j->c.output_width, h = (int)j->c.output_height;
	const int n = j->c.output_components;
	uint8_t *strip = take(j, (size_t)w * STRIP_ROWS * (size_t)n);

	while (j->c.output_scanline < j->c.output_height) {
		const int y = (int)j->c.output_scanline;
		int rows = 0;

		while (rows < STRIP_ROWS && y + rows < h) {
			JSAMPROW row = strip + (size_t)rows * w * n;

			rows += (int)jpeg_read_scanlines(&j->c, &row, 1);
		}
		if (n == 4)
			cmyk_to_rgb(strip, strip, (size_t)rows * w);
		cw_exif_turn(j->im->rgb, j->head->orientation, w, h, y, rows,
		    strip, 3);
	}
}

static void
decode(struct jpeg *j)
{
	const struct head *h = j->head;

	j->c.src = &j->source;
	j->c.progress = &j->progress;
	j->c.mem->max_memory_to_use = (long)j->d->limits->decoded_bytes;
	jpeg_read_header(&j->c, TRUE);
	if ((int)j->c.image_width != h->width ||
	    (int)j->c.image_height != h->height ||
	    j->c.num_components != h->components)
		leave(j, cw_decode_fail(j->d, "corrupt",
		    "contradicts itself about its size"));
	j->c.out_color_space = h->components == 4 ? JCS_CMYK : JCS_RGB;
	j->c.scale_num = (unsigned)choose_scale(h, j->d->want);
	j->c.scale_denom = 8;
	jpeg_start_decompress(&j->c);

	j->im->rgb = take(j, (size_t)j->c.output_width * j->c.output_height * 3);
	if (h->orientation == 1 && h->components != 4)
		read_rows(j);
	else
		read_strips(j);
	j->im->w = (int)j->c.output_width;
	j->im->h = (int)j->c.output_height;
	jpeg_finish_decompress(&j->c);
}

static enum cw_status
decode_guarded(struct jpeg *j)
{
	j->st = CW_OK;
	set_callbacks(j);
	if (setjmp(j->out) == 0) {
		jpeg_create_decompress(&j->c);
		decode(j);
	}
	jpeg_destroy_decompress(&j->c);
	return j->st;
}

enum cw_status
cw_jpeg_decode(const struct cw_decoding *d, struct cw_image *out)
{
	struct cw_image im = { .format = "jpeg", .frames = 1 };
	struct head h;
	struct jpeg j = { .d = d, .head = &h, .im = &im };
	enum cw_status st;

	if ((st = walk(d, &h)) != CW_OK)
		return st;
	st = cw_decode_check(d, (uint64_t)h.width, (uint64_t)h.height,
	    estimate(&h, choose_scale(&h, d->want)));
	if (st != CW_OK || (st = decode_guarded(&j)) != CW_OK)
		return st;
	im.width = h.width;
	im.height = h.height;
	if (cw_exif_swaps(h.orientation)) {
		im.width = h.height;
		im.height = h.width;
		int w = im.w;

		im.w = im.h;
		im.h = w;
	}
	*out = im;
	return CW_OK;
}
