/*
 * preprocess.c - see image.h: one view to the numbers a tower takes.
 */
#include "worker/image.h"

#include <math.h>
#include <string.h>

#include "worker/resample.h"

/* Around a picture that does not fill its square: CLIP's mean colour. */
static const uint8_t mean_colour[3] = { 122, 116, 104 };
static const uint8_t black[3] = { 0, 0, 0 };

/*
 * The source rectangle, resized to rw x rh, lands with its top left corner at
 * (px, py) of the canvas; what sticks out is not computed, what is left of
 * the canvas is filled.
 *
 *	     px            crop
 *	      |  +-canvas--+
 *	      +--|---------|-----+
 *	      |  |  seen   |     | rh
 *	      +--|---------|-----+
 *	         +---------+
 */
struct placing {
	int		 sx, sy, sw, sh;	/* in decoded pixels */
	int64_t		 rw, rh, px, py;
	const uint8_t	*fill;
};

static int64_t
half_down(int64_t v)		/* floor(v / 2), also below zero */
{
	return v >= 0 ? v / 2 : -((1 - v) / 2);
}

/* The short side becomes short_side, the long one is truncated; the middle. */
static struct placing
place_center(const struct cw_image *im, int short_side, int crop)
{
	struct placing p = { 0, 0, im->w, im->h, short_side, short_side, 0, 0,
	    black };

	if (im->width <= im->height)
		p.rh = (int64_t)short_side * im->height / im->width;
	else
		p.rw = (int64_t)short_side * im->width / im->height;
	p.px = -half_down(p.rw - crop);
	p.py = -half_down(p.rh - crop);
	return p;
}

/* One axis of a view: the part of the picture in it, and where that lands. */
static void
place_axis(int at, int len, int full, int decoded, int crop, int *s, int *sn,
    int64_t *r, int64_t *p)
{
	const int from = at > 0 ? at : 0;
	const int to = at + len < full ? at + len : full;
	const double shrink = (double)decoded / full;
	int end;

	CW_CHECK(len > 0 && from < to);
	*s = (int)lround(from * shrink);
	end = (int)lround(to * shrink);
	if (*s >= decoded)
		*s = decoded - 1;
	*sn = end > *s ? end - *s : 1;
	*r = llround((double)(to - from) * crop / len);
	if (*r < 1)
		*r = 1;
	*p = llround((double)(from - at) * crop / len);
	if (*p + *r > crop)
		*p = crop - *r;
}

static struct placing
place(const struct cw_image *im, const struct cw_view *v, int short_side,
    int crop)
{
	struct placing p = { .fill = mean_colour };

	if (v->kind == CW_VIEW_CENTER)
		return place_center(im, short_side, crop);
	place_axis(v->x, v->w, im->width, im->w, crop, &p.sx, &p.sw, &p.rw,
	    &p.px);
	place_axis(v->y, v->h, im->height, im->h, crop, &p.sy, &p.sh, &p.rh,
	    &p.py);
	return p;
}

/* The outputs of one axis that fall on the canvas. */
static void
window(int64_t r, int64_t p, int crop, int64_t *first, int *count)
{
	const int64_t end = r < crop - p ? r : crop - p;

	*first = p < 0 ? -p : 0;
	CW_CHECK(end > *first);
	*count = (int)(end - *first);
}

/* Rows of the source as the view wants them, each readable past its end. */
struct rows {
	const struct cw_image	*im;
	const struct placing	*p;
	enum cw_background	 background;
	uint8_t			*spare[CW_RESAMPLE_ROWS];
};

static const uint8_t *
row_get(const struct rows *r, int y, int slot)
{
	const struct placing *p = r->p;
	const struct cw_image *im = r->im;
	const size_t at = (size_t)(p->sy + y) * im->w + p->sx;
	const size_t left = (size_t)im->w * im->h - at - p->sw;
	const uint8_t *rgb = im->rgb + at * 3;
	const unsigned bg = r->background == CW_BG_WHITE ? 255 : 0;
	const bool blend = im->alpha != NULL &&
	    r->background != CW_BG_STORED;
	uint8_t *out = r->spare[slot];

	if (!blend && left * 3 >= CW_RESAMPLE_PAD)
		return rgb;
	memcpy(out, rgb, (size_t)p->sw * 3);
	if (!blend)
		return out;
	for (int x = 0; x < p->sw; x++) {
		const unsigned a = im->alpha[at + x];

		for (int c = 0; c < 3; c++)
			out[3 * x + c] = (uint8_t)((out[3 * x + c] * a +
			    bg * (255 - a) + 127) / 255);
	}
	return out;
}

/* Across, for the rows that the pass down will read: tmp [rows][pitch]. */
static void
pass_across(const struct cw_resampler *k, const struct rows *src,
    const struct cw_taps *tx, const struct cw_taps *ty, uint8_t *tmp,
    size_t pitch)
{
	const int n = ty->in_hi - ty->in_lo;

	for (int y = 0; y < n; y += CW_RESAMPLE_ROWS) {
		const uint8_t *in[CW_RESAMPLE_ROWS];
		uint8_t *out[CW_RESAMPLE_ROWS];

		for (int i = 0; i < CW_RESAMPLE_ROWS; i++) {
			const int row = y + i < n ? y + i : n - 1;

			in[i] = row_get(src, ty->in_lo + row, i);
			out[i] = tmp + (size_t)row * pitch;
		}
		k->across(tx, in, out);
	}
}

static void
fill_canvas(uint8_t *rgb, size_t pixels, const uint8_t colour[3])
{
	for (size_t i = 0; i < pixels; i++)
		memcpy(rgb + 3 * i, colour, 3);
}

static enum cw_status
draw(const struct cw_image *im, enum cw_background background,
    const struct placing *p, int crop, struct cw_arena *a, uint8_t *rgb,
    struct cw_err *err)
{
	const struct cw_resampler *k = cw_resampler_best();
	struct rows src = { .im = im, .p = p, .background = background };
	struct cw_taps tx, ty;
	int64_t fx, fy;
	int nx, ny;
	size_t pitch;
	uint8_t *tmp, *line;
	enum cw_status st;

	window(p->rw, p->px, crop, &fx, &nx);
	window(p->rh, p->py, crop, &fy, &ny);
	if ((st = cw_taps_make(p->sw, p->rw, fx, nx, a, &tx, err)) != CW_OK ||
	    (st = cw_taps_make(p->sh, p->rh, fy, ny, a, &ty, err)) != CW_OK)
		return st;
	pitch = (size_t)nx * 3 + CW_RESAMPLE_PAD;
	tmp = cw_arena_zalloc(a, (size_t)(ty.in_hi - ty.in_lo), pitch);
	line = cw_arena_alloc(a, pitch);
	for (int i = 0; i < CW_RESAMPLE_ROWS; i++)
		src.spare[i] = cw_arena_zalloc(a, 1, (size_t)p->sw * 3 +
		    CW_RESAMPLE_PAD);
	if (cw_arena_overflowed(a))
		return cw_err_set(err, CW_E_LIMIT,
		    "no memory to resize %d x %d pixels", p->sw, p->sh);

	pass_across(k, &src, &tx, &ty, tmp, pitch);
	if (nx < crop || ny < crop)
		fill_canvas(rgb, (size_t)crop * crop, p->fill);
	for (int o = 0; o < ny; o++) {
		const int64_t y = fy + o + p->py, x = fx + p->px;

		k->down(&ty, o, tmp, pitch, nx * 3, line);
		memcpy(rgb + (y * crop + x) * 3, line, (size_t)nx * 3);
	}
	return CW_OK;
}

enum cw_status
cw_preprocess_u8(const struct cw_image *im, const struct cw_view *view,
    int short_side, int crop, struct cw_arena *scratch, uint8_t *rgb,
    struct cw_err *err)
{
	const struct placing p = place(im, view, short_side, crop);
	const size_t mark = cw_arena_mark(scratch);
	enum cw_status st;

	st = draw(im, view->background, &p, crop, scratch, rgb, err);
	cw_arena_release(scratch, mark);
	return st;
}

enum cw_status
cw_preprocess(const struct cw_image *im, const struct cw_view *view,
    const struct cw_pixel_rule *rule, int S, struct cw_arena *scratch,
    float *pixels, struct cw_err *err)
{
	const size_t plane = (size_t)S * S, mark = cw_arena_mark(scratch);
	float value[3][256];
	uint8_t *rgb;
	enum cw_status st;

	CW_CHECK(S == rule->crop);
	rgb = cw_arena_alloc(scratch, plane * 3);
	if (rgb == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no memory for a crop");
	st = cw_preprocess_u8(im, view, rule->short_side, S, scratch, rgb,
	    err);
	if (st == CW_OK) {
		for (int c = 0; c < 3; c++)
			for (int v = 0; v < 256; v++)
				value[c][v] = ((float)v / 255.0f -
				    rule->mean[c]) / rule->std[c];
		for (size_t i = 0; i < plane; i++)
			for (size_t c = 0; c < 3; c++)
				pixels[c * plane + i] = value[c][rgb[3 * i + c]];
	}
	cw_arena_release(scratch, mark);
	return st;
}
