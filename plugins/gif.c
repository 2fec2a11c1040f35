/*
 * gif.c - decoder plugin: GIF by giflib, line by line.
 *
 * Frames are put together as a viewer does (offsets, transparency, disposal)
 * on one canvas, of which the wanted ones are kept.  giflib's DGifSlurp, which
 * keeps every frame and every comment, is not used; how many frames there are
 * is counted beforehand by walking the blocks.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <gif_lib.h>

#include "plugins/clipward_plugin.h"

#define CHECK_EVERY	16u	/* lines between looks at the clock */
#define NOWHERE		(-1)	/* no transparent colour */

struct canvas {
	uint8_t	*rgb, *alpha;	/* [h][w][3], [h][w] */
	size_t	 pixels;
};

/* What walking the blocks tells. */
struct survey {
	uint32_t	frames;		/* 0: there is no end mark */
	uint32_t	right, bottom;	/* of the first of them */
};

struct reader {
	const struct cw_decode_in *in;
	struct cw_decode_out	*out;
	size_t			 at;
	bool			 ran_out;	/* more was asked than there is */
	GifFileType		*gif;
	struct canvas		 now, before;	/* before: for disposal 3 */
	uint8_t			*line;		/* [65535] */
	int			 w, h;		/* of the canvas */
	int			 clear, disposal;	/* of the next frame */
	unsigned		 lines;
};

static int
fail(struct reader *r, int code, const char *why)
{
	snprintf(r->out->message, sizeof(r->out->message), "%s", why);
	return code;
}

/* giflib only says that it is stuck; whether bytes are missing we know. */
static int
stuck(struct reader *r, const char *why)
{
	return r->ran_out ?
	    fail(r, CW_DECODE_TRUNCATED, "ends before its end mark") :
	    fail(r, CW_DECODE_CORRUPT, why);
}

static int
on_read(GifFileType *gif, GifByteType *to, int n)
{
	struct reader *r = gif->UserData;
	const size_t left = r->in->n - r->at;

	if ((size_t)n > left) {
		r->ran_out = true;
		n = (int)left;
	}
	memcpy(to, r->in->bytes + r->at, (size_t)n);
	r->at += (size_t)n;
	return n;
}

/* ---- counting ---- */

/* Behind a chain of sub-blocks; 0 when it has no end. */
static size_t
skip_blocks(const uint8_t *p, size_t at, size_t n)
{
	while (at < n && p[at] != 0)
		at += 1 + (size_t)p[at];
	return at < n ? at + 1 : 0;
}

static size_t
colours(uint8_t flags)
{
	return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

static uint32_t
le16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

/*
 *	6 bytes GIF8?a, 7 screen (flags at 10), colours, then blocks:
 *	21 label chain | 2c left top width height flags, colours, 1, chain |
 *	3b end
 */
static struct survey
survey(const uint8_t *p, size_t n)
{
	size_t at = n >= 13 ? 13 + colours(p[10]) : n;
	struct survey s = { 0, 0, 0 };

	while (at < n && at != 0) {
		if (p[at] == 0x3b)
			return s;
		if (p[at] == 0x21)
			at = skip_blocks(p, at + 2, n);
		else if (p[at] == 0x2c && n - at > 11) {
			if (s.frames++ == 0) {
				s.right = le16(p + at + 1) + le16(p + at + 5);
				s.bottom = le16(p + at + 3) + le16(p + at + 7);
			}
			at = skip_blocks(p, at + 11 + colours(p[at + 9]), n);
		} else
			break;
	}
	return (struct survey){ 0, 0, 0 };
}

/* ---- the canvas ---- */

static bool
canvas_take(struct reader *r, struct canvas *c)
{
	c->rgb = r->in->alloc(r->in->host, c->pixels * 3);
	c->alpha = r->in->alloc(r->in->host, c->pixels);
	return c->rgb != NULL && c->alpha != NULL;
}

static void
canvas_copy(struct canvas *to, const struct canvas *from)
{
	memcpy(to->rgb, from->rgb, from->pixels * 3);
	memcpy(to->alpha, from->alpha, from->pixels);
}

/* Transparent again where the frame was. */
static void
canvas_clear(struct canvas *c, const GifImageDesc *d, int w, int h)
{
	for (int y = d->Top; y < d->Top + d->Height && y < h; y++)
		for (int x = d->Left; x < d->Left + d->Width && x < w; x++) {
			const size_t at = (size_t)y * (size_t)w + (size_t)x;

			memset(c->rgb + at * 3, 0, 3);
			c->alpha[at] = 0;
		}
}

static void
put_line(struct reader *r, const ColorMapObject *map, int y)
{
	const GifImageDesc *d = &r->gif->Image;

	if (y >= r->h)
		return;
	for (int x = 0; x < d->Width && d->Left + x < r->w; x++) {
		const size_t at = (size_t)y * (size_t)r->w +
		    (size_t)(d->Left + x);
		const int v = r->line[x];

		if (v == r->clear)
			continue;
		if (v < map->ColorCount) {
			r->now.rgb[at * 3] = map->Colors[v].Red;
			r->now.rgb[at * 3 + 1] = map->Colors[v].Green;
			r->now.rgb[at * 3 + 2] = map->Colors[v].Blue;
		} else
			memset(r->now.rgb + at * 3, 0, 3);
		r->now.alpha[at] = 255;
	}
}

/* ---- frames ---- */

static int
read_lines(struct reader *r)
{
	static const struct {
		int	from, step;
	} passes[] = { { 0, 8 }, { 4, 8 }, { 2, 4 }, { 1, 2 }, { 0, 1 } };
	const GifImageDesc *d = &r->gif->Image;
	const ColorMapObject *map = d->ColorMap != NULL ? d->ColorMap :
	    r->gif->SColorMap;
	const int first = d->Interlace ? 0 : 4, last = d->Interlace ? 3 : 4;

	if (map == NULL)
		return fail(r, CW_DECODE_CORRUPT, "a frame has no colours");
	if (d->Width <= 0 || d->Height <= 0 || d->Width > 65535)
		return fail(r, CW_DECODE_CORRUPT, "a frame has no size");
	for (int p = first; p <= last; p++)
		for (int y = passes[p].from; y < d->Height;
		    y += passes[p].step) {
			if (r->lines++ % CHECK_EVERY == 0 &&
			    r->in->expired(r->in->host))
				return fail(r, CW_DECODE_TOO_SLOW,
				    "its CPU time is used up");
			if (DGifGetLine(r->gif, r->line, d->Width) != GIF_OK)
				return stuck(r, "a frame's pixels are damaged");
			put_line(r, map, d->Top + y);
		}
	return CW_DECODE_OK;
}

/* Graphic control: how to dispose, what is transparent. */
static int
read_extension(struct reader *r)
{
	GifByteType *block;
	GraphicsControlBlock gcb;
	int label;

	if (DGifGetExtension(r->gif, &label, &block) != GIF_OK)
		return stuck(r, "an extension is damaged");
	while (block != NULL) {
		if (label == GRAPHICS_EXT_FUNC_CODE && block[0] == 4 &&
		    DGifExtensionToGCB(4, block + 1, &gcb) == GIF_OK) {
			r->clear = gcb.TransparentColor;
			r->disposal = gcb.DisposalMode;
		}
		if (DGifGetExtensionNext(r->gif, &block) != GIF_OK)
			return stuck(r, "an extension is damaged");
	}
	return CW_DECODE_OK;
}

static int
keep(struct reader *r, uint32_t index)
{
	struct cw_decode_out *out = r->out;
	struct canvas copy = { .pixels = r->now.pixels };

	if (index != cw_frame_pick(out->nframes, r->in->want_frames <
	    out->frames ? r->in->want_frames : out->frames, out->frames))
		return CW_DECODE_OK;
	if (!canvas_take(r, &copy))
		return fail(r, CW_DECODE_NO_MEMORY, "no memory left");
	canvas_copy(&copy, &r->now);
	out->frame[out->nframes++] = (struct cw_frame){ copy.rgb, copy.alpha };
	return CW_DECODE_OK;
}

static int
read_frame(struct reader *r, uint32_t index)
{
	int code;

	if (DGifGetImageHeader(r->gif) != GIF_OK)
		return stuck(r, "a frame's header is damaged");
	if (r->disposal == DISPOSE_PREVIOUS)
		canvas_copy(&r->before, &r->now);
	if ((code = read_lines(r)) != CW_DECODE_OK ||
	    (code = keep(r, index)) != CW_DECODE_OK)
		return code;
	if (r->disposal == DISPOSE_PREVIOUS)
		canvas_copy(&r->now, &r->before);
	else if (r->disposal == DISPOSE_BACKGROUND)
		canvas_clear(&r->now, &r->gif->Image, r->w, r->h);
	r->clear = NOWHERE;
	r->disposal = DISPOSAL_UNSPECIFIED;
	return CW_DECODE_OK;
}

static int
read_all(struct reader *r, uint32_t want)
{
	GifRecordType type;
	uint32_t index = 0;
	int code = CW_DECODE_OK;

	while (code == CW_DECODE_OK && r->out->nframes < want) {
		if (DGifGetRecordType(r->gif, &type) != GIF_OK)
			return stuck(r, "an unknown kind of block");
		switch (type) {
		case IMAGE_DESC_RECORD_TYPE:
			code = read_frame(r, index++);
			break;
		case EXTENSION_RECORD_TYPE:
			code = read_extension(r);
			break;
		default:
			return fail(r, CW_DECODE_CORRUPT,
			    "fewer frames than its blocks say");
		}
	}
	return code;
}

/*
 * Bounds and memory, from the headers.  A screen that the first frame reaches
 * beyond is as large as that needs: viewers show all of it.
 */
static int
prepare(struct reader *r, const struct survey *s, uint32_t want)
{
	const uint64_t w = (uint64_t)r->gif->SWidth < s->right ? s->right :
	    (uint64_t)r->gif->SWidth;
	const uint64_t h = (uint64_t)r->gif->SHeight < s->bottom ? s->bottom :
	    (uint64_t)r->gif->SHeight;
	const uint64_t bytes = w * h * 4 * (2 + want) + 65536;

	r->out->width = (uint32_t)w;
	r->out->height = (uint32_t)h;
	r->w = (int)w;
	r->h = (int)h;
	if (w == 0 || h == 0)
		return fail(r, CW_DECODE_CORRUPT, "no size in its header");
	if (w * h > r->in->max_pixels)
		return fail(r, CW_DECODE_TOO_MANY_PIXELS,
		    "more pixels than limits.pixels");
	if (bytes > r->in->max_bytes)
		return fail(r, CW_DECODE_TOO_LARGE,
		    "its frames would take more than limits.decoded_bytes");
	r->now.pixels = r->before.pixels = (size_t)(w * h);
	r->line = r->in->alloc(r->in->host, 65536);
	r->out->frame = r->in->alloc(r->in->host,
	    want * sizeof(*r->out->frame));
	if (r->line == NULL || r->out->frame == NULL ||
	    !canvas_take(r, &r->now) || !canvas_take(r, &r->before))
		return fail(r, CW_DECODE_NO_MEMORY, "no memory left");
	memset(r->now.rgb, 0, r->now.pixels * 3);
	memset(r->now.alpha, 0, r->now.pixels);
	return CW_DECODE_OK;
}

static int
decode(void *self, const struct cw_decode_in *in, struct cw_decode_out *out)
{
	const struct survey s = survey(in->bytes, in->n);
	struct reader r = { .in = in, .out = out, .clear = NOWHERE };
	uint32_t want;
	int code;

	(void)self;
	out->frames = s.frames;
	if (out->frames == 0)
		return fail(&r, CW_DECODE_TRUNCATED,
		    "no frame, or it ends before its end mark");
	want = in->want_frames < out->frames ? in->want_frames : out->frames;
	r.gif = DGifOpen(&r, on_read, NULL);
	if (r.gif == NULL)
		return stuck(&r, "its header is damaged");
	code = prepare(&r, &s, want);
	if (code == CW_DECODE_OK)
		code = read_all(&r, want);
	DGifCloseFile(r.gif, NULL);
	return code;
}

static int
probe(const uint8_t *bytes, size_t n)
{
	return n >= 6 && (memcmp(bytes, "GIF87a", 6) == 0 ||
	    memcmp(bytes, "GIF89a", 6) == 0);
}

static int
plugin_open(const struct cw_host *host, const char *options, void **self)
{
	(void)host;
	(void)options;
	*self = NULL;
	return 0;
}

static void
plugin_close(void *self)
{
	(void)self;
}

#define TEXT_(x)	#x
#define TEXT(x)		TEXT_(x)

CW_PLUGIN_EXPORT extern const struct cw_plugin_decoder clipward_plugin;
const struct cw_plugin_decoder clipward_plugin = {
	.head = {
		CW_PLUGIN_HEAD(struct cw_plugin_decoder, CW_PLUGIN_DECODER),
		.name = "gif",
		.version = "1.0 (giflib " TEXT(GIFLIB_MAJOR) "."
		    TEXT(GIFLIB_MINOR) "." TEXT(GIFLIB_RELEASE) ")",
		.open = plugin_open,
		.close = plugin_close,
	},
	.probe = probe,
	.decode = decode,
};
