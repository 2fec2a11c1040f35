/*
 * moving.c - animated PNG: see moving.h.
 *
 *	IHDR  acTL  [fcTL]  IDAT..  fcTL fdAT..  fcTL fdAT..  IEND
 *
 * Each frame is written as a PNG file of its own, in memory: the header with
 * the frame's size, palette and transparency, its data as IDAT.  libpng reads
 * that, and the frame is drawn on the canvas as it asks to be.  A picture
 * without an fcTL of its own is no frame, but somebody may see it: it counts
 * as the first.
 */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "plugins/png/moving.h"

enum dispose { DISPOSE_NONE, DISPOSE_BACKGROUND, DISPOSE_PREVIOUS };

struct chunk {
	const uint8_t	*type;		/* [4], the body follows */
	uint32_t	 len;		/* of the body */
	size_t		 next;		/* where the one behind it begins */
};

/*
 *	4 length | 4 type | body | 4 CRC
 */
static bool
chunk_at(const struct cw_decode_in *in, size_t at, struct chunk *c)
{
	if (in->n - at < 12 || png_be32(in->bytes + at) > in->n - at - 12)
		return false;
	c->len = png_be32(in->bytes + at);
	c->type = in->bytes + at + 4;
	c->next = at + 12 + c->len;
	return true;
}

static bool
is(const struct chunk *c, const char *type)
{
	return memcmp(c->type, type, 4) == 0;
}

/* Would libpng take this eXIf of a still picture? */
static bool
is_good_exif(const struct chunk *c)
{
	const uint8_t *p = c->type + 4;

	return is(c, "eXIf") && c->len >= 2 && p[0] == p[1] &&
	    (p[0] == 'I' || p[0] == 'M') &&
	    crc32(0, c->type, 4 + c->len) == png_be32(p + c->len);
}

/* What walking the chunks tells. */
struct survey {
	bool		 animated;	/* acTL in front of the picture */
	bool		 apart;		/* the first picture is no frame */
	uint32_t	 frames;	/* fcTL chunks, and that picture */
	bool		 whole;		/* up to IEND */
	struct chunk	 exif;		/* a good one; type NULL: none */
};

static struct survey
survey(const struct cw_decode_in *in)
{
	struct survey s = { .frames = 0 };
	struct chunk c;
	bool picture = false;

	for (size_t at = sizeof(png_signature); chunk_at(in, at, &c);
	    at = c.next) {
		if (is(&c, "acTL"))
			s.animated = s.animated || !picture;
		else if (is(&c, "fcTL"))
			s.frames++;
		else if (is(&c, "IDAT") && !picture) {
			picture = true;
			s.apart = s.frames == 0;
		} else if (s.exif.type == NULL && is_good_exif(&c)) {
			s.exif = c;
		} else if (is(&c, "IEND")) {
			s.whole = true;
			break;
		}
	}
	s.frames += s.apart;
	return s;
}

struct frame_rect {
	uint32_t	w, h, x, y;
	uint8_t		dispose, blend;
};

struct animation {
	const struct cw_decode_in *in;
	struct cw_decode_out	*out;
	struct survey		 s;
	uint32_t		 want, index;	/* frames kept, frames read */
	struct chunk		 palette, clear;	/* type NULL: none */
	struct frame_rect	 rect;		/* of the frame being read */
	bool			 still;		/* it is the picture apart */
	bool			 awaited;	/* rect is known, data to come */
	uint8_t			*file;		/* the frame as a file */
	size_t			 nfile;		/* 0: no frame begun */
	uint8_t			*rgba;		/* the frame [h][w][4] */
	uint8_t			*canvas, *before;	/* [H][W][4] */
};

static int
fail(struct cw_decode_out *out, int code, const char *why)
{
	snprintf(out->message, sizeof(out->message), "%s", why);
	return code;
}

static void
put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The CRC stays nought: libpng is told not to look. */
static void
put_chunk(struct animation *m, const char *type, const uint8_t *body,
    uint32_t len)
{
	uint8_t *p = m->file + m->nfile;

	put32(p, len);
	memcpy(p + 4, type, 4);
	if (len > 0)
		memcpy(p + 8, body, len);
	put32(p + 8 + len, 0);
	m->nfile += 12 + (size_t)len;
}

static void
begin_frame(struct animation *m)
{
	uint8_t ihdr[13];

	memcpy(ihdr, m->in->bytes + 16, sizeof(ihdr));
	put32(ihdr, m->rect.w);
	put32(ihdr + 4, m->rect.h);
	m->awaited = false;
	memcpy(m->file, png_signature, sizeof(png_signature));
	m->nfile = sizeof(png_signature);
	put_chunk(m, "IHDR", ihdr, sizeof(ihdr));
	if (m->palette.type != NULL)
		put_chunk(m, "PLTE", m->palette.type + 4, m->palette.len);
	if (m->clear.type != NULL)
		put_chunk(m, "tRNS", m->clear.type + 4, m->clear.len);
}

/* One pixel over another, neither premultiplied. */
static void
blend(uint8_t *under, const uint8_t *over)
{
	const unsigned a = over[3], b = under[3] * (255 - a);
	const unsigned sum = a * 255 + b;

	if (a == 255 || under[3] == 0)
		memcpy(under, over, 4);
	else if (a > 0) {
		for (int c = 0; c < 3; c++)
			under[c] = (uint8_t)((over[c] * a * 255 +
			    under[c] * b + sum / 2) / sum);
		under[3] = (uint8_t)((sum + 127) / 255);
	}
}

static void
draw(struct animation *m)
{
	const struct frame_rect *f = &m->rect;

	for (uint32_t y = 0; y < f->h; y++) {
		uint8_t *to = m->canvas +
		    ((size_t)(f->y + y) * m->out->width + f->x) * 4;
		const uint8_t *from = m->rgba + (size_t)y * f->w * 4;

		if (f->blend == 0)
			memcpy(to, from, (size_t)f->w * 4);
		for (uint32_t x = 0; f->blend != 0 && x < f->w; x++)
			blend(to + 4 * x, from + 4 * x);
	}
}

static void
dispose(struct animation *m)
{
	const struct frame_rect *f = &m->rect;

	if (f->dispose == DISPOSE_PREVIOUS)
		memcpy(m->canvas, m->before,
		    (size_t)m->out->width * m->out->height * 4);
	else if (f->dispose == DISPOSE_BACKGROUND)
		for (uint32_t y = 0; y < f->h; y++)
			memset(m->canvas + ((size_t)(f->y + y) *
			    m->out->width + f->x) * 4, 0, (size_t)f->w * 4);
}

static int
keep(struct animation *m, const uint8_t *rgba)
{
	const size_t pixels = (size_t)m->out->width * m->out->height;
	struct cw_frame f;

	if (m->out->nframes == m->want || m->index !=
	    cw_frame_pick(m->out->nframes, m->want, m->s.frames))
		return CW_DECODE_OK;
	f.rgb = m->in->alloc(m->in->host, pixels * 3);
	f.alpha = m->in->alloc(m->in->host, pixels);
	if (f.rgb == NULL || f.alpha == NULL)
		return fail(m->out, CW_DECODE_NO_MEMORY, "no memory left");
	png_split(rgba, f.rgb, f.alpha, pixels);
	m->out->frame[m->out->nframes++] = f;
	return CW_DECODE_OK;
}

static int
end_frame(struct animation *m)
{
	int code;

	if (m->nfile == 0)
		return CW_DECODE_OK;
	put_chunk(m, "IEND", NULL, 0);
	code = png_frame(m->in, m->out, m->file, m->nfile, m->rgba);
	m->nfile = 0;
	if (code != CW_DECODE_OK)
		return code;
	if (m->still)
		code = keep(m, m->rgba);
	else {
		if (m->rect.dispose == DISPOSE_PREVIOUS)
			memcpy(m->before, m->canvas,
			    (size_t)m->out->width * m->out->height * 4);
		draw(m);
		code = keep(m, m->canvas);
		dispose(m);
	}
	m->still = false;
	m->index++;
	return code;
}

/* fcTL: sequence, width, height, x, y, delay (2 x 16 bits), dispose, blend */
static int
next_frame(struct animation *m, const struct chunk *c)
{
	const uint8_t *p = c->type + 4;
	const uint64_t w = m->out->width, h = m->out->height;
	struct frame_rect f;
	int code;

	if (c->len != 26)
		return fail(m->out, CW_DECODE_CORRUPT, "a short fcTL");
	f = (struct frame_rect){ png_be32(p + 4), png_be32(p + 8), png_be32(p + 12),
	    png_be32(p + 16), p[24], p[25] };
	if (f.w == 0 || f.h == 0 || (uint64_t)f.x + f.w > w ||
	    (uint64_t)f.y + f.h > h)
		return fail(m->out, CW_DECODE_CORRUPT,
		    "a frame reaches outside");
	code = end_frame(m);
	m->rect = f;
	m->awaited = true;
	return code;
}

/* Data of the picture (skip 0) or of a frame (its number is skipped). */
static int
take_data(struct animation *m, const struct chunk *c, uint32_t skip)
{
	if (m->nfile == 0 && !m->awaited) {
		if (skip > 0 || m->index > 0)
			return fail(m->out, CW_DECODE_CORRUPT,
			    "data without a frame");
		m->rect = (struct frame_rect){ .w = m->out->width,
		    .h = m->out->height };
		m->still = true;
	}
	if (c->len < skip || (m->still && skip > 0))
		return fail(m->out, CW_DECODE_CORRUPT, "data out of place");
	if (m->nfile == 0)
		begin_frame(m);
	put_chunk(m, "IDAT", c->type + 4 + skip, c->len - skip);
	return CW_DECODE_OK;
}

static int
take_chunk(struct animation *m, const struct chunk *c)
{
	if (is(c, "PLTE") && m->palette.type == NULL)
		m->palette = *c;
	else if (is(c, "tRNS") && m->clear.type == NULL)
		m->clear = *c;
	else if (is(c, "fcTL"))
		return next_frame(m, c);
	else if (is(c, "IDAT"))
		return take_data(m, c, 0);
	else if (is(c, "fdAT"))
		return take_data(m, c, 4);
	return CW_DECODE_OK;
}

/* Room for the frame's file: no chunk in it is longer than it was. */
static int
prepare(struct animation *m)
{
	const struct cw_decode_in *in = m->in;
	const uint64_t pixels = (uint64_t)m->out->width * m->out->height;
	const uint64_t room = 2 * (uint64_t)in->n + 128;

	if (room + pixels * 4 * (3 + m->want) > in->max_bytes)
		return fail(m->out, CW_DECODE_TOO_LARGE,
		    "its frames would take more than limits.decoded_bytes");
	m->file = in->alloc(in->host, (size_t)room);
	m->rgba = in->alloc(in->host, (size_t)pixels * 4);
	m->canvas = in->alloc(in->host, (size_t)pixels * 4);
	m->before = in->alloc(in->host, (size_t)pixels * 4);
	m->out->frame = in->alloc(in->host,
	    m->want * sizeof(*m->out->frame));
	if (m->file == NULL || m->rgba == NULL || m->canvas == NULL ||
	    m->before == NULL || m->out->frame == NULL)
		return fail(m->out, CW_DECODE_NO_MEMORY, "no memory left");
	memset(m->canvas, 0, (size_t)pixels * 4);
	return CW_DECODE_OK;
}

bool
png_is_moving(const struct cw_decode_in *in)
{
	const struct survey s = survey(in);

	return s.animated && s.frames > 1;
}

int
png_decode_moving(const struct cw_decode_in *in, struct cw_decode_out *out)
{
	const struct survey s = survey(in);
	struct animation m = { .in = in, .out = out, .s = s };
	struct chunk c;
	int code;

	if (!s.whole)
		return fail(out, CW_DECODE_TRUNCATED,
		    "ends before the picture does");
	out->frames = s.frames;
	if (s.exif.type != NULL) {
		out->exif = s.exif.type + 4;
		out->nexif = s.exif.len;
	}
	m.want = in->want_frames < s.frames ? in->want_frames : s.frames;
	code = prepare(&m);
	for (size_t at = sizeof(png_signature); code == CW_DECODE_OK &&
	    out->nframes < m.want && chunk_at(in, at, &c) && !is(&c, "IEND");
	    at = c.next)
		code = take_chunk(&m, &c);
	if (code == CW_DECODE_OK)
		code = end_frame(&m);
	if (code == CW_DECODE_OK && out->nframes < m.want)
		return fail(out, CW_DECODE_CORRUPT,
		    "fewer frames than it announces");
	return code;
}
