/*
 * overlay.c - see image.h: a map on its picture, for people.
 *
 *	+--------------------+
 *	|      picture       |	patches tinted, the unseen hatched
 *	+--------------------+
 *	| caption            |
 *	| sums               |
 *	| legend   [#######] |
 *	+--------------------+
 *
 * Orange and blue stay apart for every kind of colour blindness, and amounts
 * are also told by outlines and numbers, so it prints in grey.
 */
#include "worker/image.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "worker/font.h"
#include "worker/png_write.h"
#include "worker/resample.h"

#define LONG_MIN	512	/* pixels of the picture's long side */
#define LONG_MAX	768
#define WIDTH_MIN	640	/* of the whole, for the text */
#define MARGIN		14
#define SCALE		2	/* of letters */
#define LINE		(CW_FONT_LINE * SCALE)
#define CAPTION_LINES	6
#define BAR_H		22
#define HATCH		11	/* pixels from stripe to stripe */
#define OUTLINE		3
#define TINT_MAX	0.78f	/* the picture shows through the rest */
#define SATURATION	0.30f	/* left of the picture's own colours */
#define LIGHTER		0.15f

static const uint8_t orange[3] = { 230, 85, 0 };
static const uint8_t blue[3] = { 0, 90, 200 };
static const uint8_t white[3] = { 255, 255, 255 };
static const uint8_t ink[3] = { 30, 30, 34 };
static const uint8_t pale[3] = { 110, 110, 116 };
static const uint8_t ground[3] = { 236, 236, 238 };

/* The value of full colour, and what it counts. */
struct unit {
	float		 full;
	const char	*name;
	bool		 signed_;	/* below zero is possible */
};

struct drawing {
	const struct cw_image	*im;
	const struct cw_view	*view;
	const struct cw_map	*map;
	struct cw_canvas	 c;
	struct unit		 unit;
	double			 zoom;		/* canvas over original */
	double			 ox, oy;	/* original at canvas 0, 0 */
	int			 pw, ph;	/* the picture's part */
	int			 left;		/* where it begins */
	bool			 unseen;	/* something was hatched */
};

static uint8_t
mix(float a, uint8_t from, uint8_t to)
{
	return (uint8_t)((float)from + a * ((float)to - (float)from) + 0.5f);
}

static void
tint(uint8_t *p, const uint8_t rgb[3], float a)
{
	for (int c = 0; c < 3; c++)
		p[c] = mix(a, p[c], rgb[c]);
}

static void
fill(struct cw_canvas *c, int x0, int y0, int w, int h, const uint8_t rgb[3])
{
	for (int y = y0; y < y0 + h; y++)
		for (int x = x0; x < x0 + w; x++)
			cw_canvas_dot(c, x, y, rgb);
}

/*
 * One scale for all pictures of a model: 16 logits over the whole square are
 * full colour.  Policies scored in cosines have numbers about a hundred times
 * smaller, and get a scale as much finer.
 */
static struct unit
unit_of(const struct cw_map *m)
{
	const uint32_t n = m->gw * m->gh;
	struct unit u = { 16.0f / (float)n, "logits", true };
	float most = 0;

	for (uint32_t i = 0; i < n; i++)
		most = fmaxf(most, fabsf(m->values[i]));
	switch (m->method) {
	case CW_M_RAW:
	case CW_M_ROLLOUT:
		return (struct unit){ 4.0f / (float)n, "attention", false };
	case CW_M_SIMILARITY:
		return (struct unit){ 0.3f, "cosine", true };
	default:
		if (most > 0 && most < u.full / 40)
			u = (struct unit){ u.full / 100, "cosine", true };
		return u;
	}
}

/* ---- the picture ---- */

static void
lay_out(struct drawing *d)
{
	const struct cw_view *v = d->view;
	const int x0 = v->x < 0 ? v->x : 0, y0 = v->y < 0 ? v->y : 0;
	const int x1 = v->x + v->w > d->im->width ? v->x + v->w : d->im->width;
	const int y1 = v->y + v->h > d->im->height ? v->y + v->h :
	    d->im->height;
	const int longer = x1 - x0 > y1 - y0 ? x1 - x0 : y1 - y0;
	int side = longer < LONG_MIN ? LONG_MIN : longer;

	side = side > LONG_MAX ? LONG_MAX : side;
	d->zoom = (double)side / longer;
	d->ox = x0;
	d->oy = y0;
	d->pw = (int)fmax(1, round((x1 - x0) * d->zoom));
	d->ph = (int)fmax(1, round((y1 - y0) * d->zoom));
	d->c.w = d->pw > WIDTH_MIN ? d->pw : WIDTH_MIN;
	d->left = (d->c.w - d->pw) / 2;
}

/* im as the view saw it: on white or black where that was asked. */
static const uint8_t *
on_background(const struct drawing *d, struct cw_arena *a)
{
	const struct cw_image *im = d->im;
	const size_t n = (size_t)im->w * im->h;
	const unsigned bg = d->view->background == CW_BG_WHITE ? 255 : 0;
	uint8_t *out;

	if (im->alpha == NULL || d->view->background == CW_BG_STORED)
		return im->rgb;
	if ((out = cw_arena_alloc(a, n * 3)) == NULL)
		return NULL;
	for (size_t i = 0; i < n * 3; i++)
		out[i] = (uint8_t)((im->rgb[i] * im->alpha[i / 3] +
		    bg * (255u - im->alpha[i / 3]) + 127) / 255);
	return out;
}

static enum cw_status
draw_picture(struct drawing *d, struct cw_arena *a, struct cw_err *err)
{
	const struct cw_image *im = d->im;
	const size_t mark = cw_arena_mark(a);
	const int w = (int)fmax(1, floor(im->width * d->zoom));
	const int h = (int)fmax(1, floor(im->height * d->zoom));
	const int x0 = d->left + (int)(-d->ox * d->zoom);
	const int y0 = (int)(-d->oy * d->zoom);
	const uint8_t *rgb = on_background(d, a);
	uint8_t *small = cw_arena_alloc(a, (size_t)w * h * 3);
	enum cw_status st = CW_E_LIMIT;

	if (rgb == NULL || small == NULL)
		cw_err_set(err, st, "no memory for an overlay");
	else
		st = cw_resample(rgb, im->w, im->h, small, w, h, a, err);
	for (int y = 0; st == CW_OK && y < h; y++)
		for (int x = 0; x < w; x++)
			cw_canvas_dot(&d->c, x0 + x, y0 + y,
			    small + ((size_t)y * w + x) * 3);
	cw_arena_release(a, mark);
	return st;
}

/* Patch of each canvas pixel along one side of the picture, -1 outside. */
static void
find_patches(int16_t *patch, int pixels, double zoom, double from, int size,
    int patches)
{
	for (int i = 0; i < pixels; i++) {
		const double at = (i + 0.5) / zoom + from;
		const int n = (int)floor(at * patches / size);

		patch[i] = (int16_t)(n < 0 || n >= patches ? -1 : n);
	}
}

/* Nearly grey and a little lighter: dark pictures take colour too. */
static void
fade(uint8_t *p)
{
	const uint8_t grey = (uint8_t)((p[0] * 77 + p[1] * 151 + p[2] * 28) >>
	    8);
	const uint8_t rgb[3] = { grey, grey, grey };

	tint(p, rgb, 1 - SATURATION);
	tint(p, white, LIGHTER);
}

/* Stripes, light on a washed-out picture. */
static void
hatch(uint8_t *p, int x, int y)
{
	const int at = (x + y) % HATCH;

	fade(p);
	tint(p, white, 0.35f);
	if (at < 2)
		tint(p, ink, 0.55f);
	else if (at < 4)
		tint(p, white, 0.75f);
}

static void
tint_patches(struct drawing *d)
{
	int16_t col[LONG_MAX], row[LONG_MAX];

	find_patches(col, d->pw, d->zoom, d->ox - d->view->x, d->view->w,
	    (int)d->map->gw);
	find_patches(row, d->ph, d->zoom, d->oy - d->view->y, d->view->h,
	    (int)d->map->gh);
	for (int y = 0; y < d->ph; y++)
		for (int x = 0; x < d->pw; x++) {
			uint8_t *p = d->c.rgb +
			    ((size_t)y * d->c.w + d->left + x) * 3;
			float t;

			if (col[x] < 0 || row[y] < 0) {
				hatch(p, d->left + x, y);
				d->unseen = true;
				continue;
			}
			t = d->map->values[row[y] * (int)d->map->gw + col[x]] /
			    d->unit.full;
			t = t > 1 ? 1 : t < -1 ? -1 : t;
			fade(p);
			tint(p, t > 0 ? orange : blue, TINT_MAX * fabsf(t));
			/* The edge of a patch, to count by. */
			if (x == 0 || col[x - 1] != col[x] || y == 0 ||
			    row[y - 1] != row[y])
				tint(p, white, 0.22f);
		}
}

/* A frame around canvas x0 y0 x1 y1, dark outside so it shows anywhere. */
static void
frame(struct drawing *d, int x0, int y0, int x1, int y1)
{
	for (int y = y0; y < y1; y++)
		for (int x = x0; x < x1; x++) {
			int in = x - x0 < x1 - 1 - x ? x - x0 : x1 - 1 - x;

			in = y - y0 < in ? y - y0 : in;
			in = y1 - 1 - y < in ? y1 - 1 - y : in;
			if (in < OUTLINE)
				cw_canvas_dot(&d->c, x, y, in == 0 ? ink :
				    in < OUTLINE - 1 ? white : ink);
		}
}

/* An edge of a region on the canvas, kept within the picture. */
static int
edge(double at, double origin, double zoom, int most)
{
	const double v = (at - origin) * zoom;

	return v < 0 ? 0 : v > most ? most : (int)v;
}

/* A rectangle of the canvas. */
struct area {
	int	 x0, y0, x1, y1;
};

static struct area
area_of(const struct drawing *d, const struct cw_region *r)
{
	return (struct area){
		d->left + edge(r->x, d->ox, d->zoom, d->pw),
		edge(r->y, d->oy, d->zoom, d->ph),
		d->left + edge((double)r->x + r->w, d->ox, d->zoom, d->pw),
		edge((double)r->y + r->h, d->oy, d->zoom, d->ph),
	};
}

/* Does a plate fit the picture, and cover none of those there are? */
static bool
is_free(const struct drawing *d, const struct area *a,
    const struct area *plates, int n)
{
	if (a->x0 < d->left || a->y0 < 0 || a->x1 > d->left + d->pw ||
	    a->y1 > d->ph)
		return false;
	for (int i = 0; i < n; i++)
		if (a->x0 < plates[i].x1 && plates[i].x0 < a->x1 &&
		    a->y0 < plates[i].y1 && plates[i].y0 < a->y1)
			return false;
	return true;
}

/*
 * "62%" on a plate in the first corner of its box that is free: its share of
 * what speaks for.  false: there is none.
 */
static bool
label(struct drawing *d, const struct area *box, float share,
    struct area *plates, int n)
{
	char text[16];
	const int len = snprintf(text, sizeof(text), "%.0f%%",
	    (double)share * 100);
	const int w = cw_font_cells(text, (size_t)len) * CW_FONT_STEP * SCALE +
	    6, h = LINE + 2;
	const int x[] = { box->x0 + OUTLINE, box->x1 - OUTLINE - w };
	const int y[] = { box->y0 + OUTLINE, box->y1 - OUTLINE - h };

	for (int k = 0; k < 4; k++) {
		const int left = x[k % 2], top = y[k / 2];
		const struct area a = { left, top, left + w, top + h };

		if (!is_free(d, &a, plates, n))
			continue;
		fill(&d->c, left, top, w, h, ink);
		cw_font_draw(&d->c, left + 4, top + 4, SCALE, white, text,
		    (size_t)len);
		plates[n] = a;
		return true;
	}
	return false;
}

/* Labels last, so that no frame runs through one. */
static void
outline_regions(struct drawing *d)
{
	struct area plates[CW_REGIONS_MAX];
	int n = 0;

	for (uint32_t i = 0; i < d->map->nregions; i++) {
		const struct area a = area_of(d, &d->map->regions[i]);

		frame(d, a.x0, a.y0, a.x1, a.y1);
	}
	for (uint32_t i = 0; i < d->map->nregions; i++) {
		const struct area a = area_of(d, &d->map->regions[i]);

		n += label(d, &a, d->map->regions[i].share, plates, n);
	}
}

/* ---- the panel ---- */

static void
write_text(struct drawing *d, int *y, const uint8_t colour[3],
    const char *text, int lines)
{
	const int cells = (d->c.w - 2 * MARGIN) / (CW_FONT_STEP * SCALE);

	while (*text != '\0' && lines-- > 0) {
		size_t skip, n = cw_font_fit(text, cells, &skip);

		cw_font_draw(&d->c, MARGIN, *y, SCALE, colour, text, n);
		if (colour == ink)	/* bold */
			cw_font_draw(&d->c, MARGIN + 1, *y, SCALE, colour,
			    text, n);
		text += skip > 0 ? skip : 1;
		*y += LINE;
	}
}

static int
count_lines(const struct drawing *d, const char *text, int most)
{
	const int cells = (d->c.w - 2 * MARGIN) / (CW_FONT_STEP * SCALE);
	int lines = 0;

	while (*text != '\0' && lines < most) {
		size_t skip;

		(void)cw_font_fit(text, cells, &skip);
		text += skip > 0 ? skip : 1;
		lines++;
	}
	return lines;
}

static void
sums(const struct drawing *d, char *text, size_t room)
{
	const struct cw_map *m = d->map;
	double patches = 0;

	for (uint32_t i = 0; i < m->gw * m->gh; i++)
		patches += (double)m->values[i];
	if (m->method != CW_M_ADDITIVE)
		snprintf(text, room, "method %s: shows where, proves nothing",
		    cw_method_name(m->method));
	else
		snprintf(text, room, "patches %+.3g  rest %+.3g  = %+.3g %s",
		    patches, (double)m->remainder, (double)m->total,
		    d->unit.name);
}

static void
draw_right(struct drawing *d, int x, int y, const char *s)
{
	const int w = cw_font_cells(s, strlen(s)) * CW_FONT_STEP * SCALE;

	cw_font_draw(&d->c, x - w + SCALE, y, SCALE, pale, s, strlen(s));
}

static void
draw_bar(struct drawing *d, int x0, int y0, int w)
{
	for (int x = 0; x < w; x++) {
		const float at = (float)x / (float)(w - 1);
		const float t = d->unit.signed_ ? 2 * at - 1 : at;

		for (int y = 0; y < BAR_H; y++) {
			uint8_t rgb[3] = { 240, 240, 240 };

			tint(rgb, t > 0 ? orange : blue, fabsf(t));
			if (x == 0 || y == 0 || x == w - 1 || y == BAR_H - 1 ||
			    (d->unit.signed_ && x == w / 2))
				memcpy(rgb, pale, 3);
			cw_canvas_dot(&d->c, x0 + x, y0 + y, rgb);
		}
	}
}

/* [////] not seen   62% box: its share of what speaks for the flag */
static void
draw_key(struct drawing *d, int y)
{
	static const char shares[] = "boxes: share of what speaks for it";
	int x = MARGIN;

	if (d->unseen) {
		for (int v = y - 2; v < y + LINE - 2; v++)
			for (int u = x; u < x + 32; u++) {
				uint8_t rgb[3] = { 150, 150, 150 };

				hatch(rgb, u, v);
				cw_canvas_dot(&d->c, u, v, rgb);
			}
		cw_font_draw(&d->c, x + 40, y, SCALE, pale, "not seen", 8);
		x += 40 + 10 * CW_FONT_STEP * SCALE;
	}
	if (d->map->nregions > 0)
		cw_font_draw(&d->c, x, y, SCALE, pale, shares,
		    sizeof(shares) - 1);
}

/*
 *	[############### | ###############]
 *	-0.33 against  logits a patch  for +0.33
 */
static void
draw_legend(struct drawing *d, int y)
{
	const int w = d->c.w - 2 * MARGIN, under = y + BAR_H + 5;
	char text[64];

	draw_bar(d, MARGIN, y, w);
	snprintf(text, sizeof(text), d->unit.signed_ ? "%.2g against" : "0",
	    (double)-d->unit.full);
	cw_font_draw(&d->c, MARGIN, under, SCALE, pale, text, strlen(text));
	snprintf(text, sizeof(text), "for %+.2g", (double)d->unit.full);
	draw_right(d, MARGIN + w, under, text);
	snprintf(text, sizeof(text), "%s a patch", d->unit.name);
	cw_font_draw(&d->c, MARGIN + w / 2 -
	    (int)strlen(text) * CW_FONT_STEP * SCALE / 2, under, SCALE, pale,
	    text, strlen(text));
}

/* Height of all below the picture. */
static int
panel_height(const struct drawing *d, const char *caption, const char *sum)
{
	return 2 * MARGIN + LINE * (count_lines(d, caption, CAPTION_LINES) +
	    count_lines(d, sum, 2)) + 6 + BAR_H + 5 + 2 * LINE;
}

static void
draw_panel(struct drawing *d, const char *caption, const char *sum)
{
	int y = d->ph + MARGIN;

	fill(&d->c, 0, d->ph, d->c.w, d->c.h - d->ph, white);
	write_text(d, &y, ink, caption, CAPTION_LINES);
	write_text(d, &y, pale, sum, 2);
	draw_legend(d, y + 6);
	draw_key(d, y + 6 + BAR_H + 5 + LINE + 4);
}

enum cw_status
cw_overlay_png(const struct cw_image *im, const struct cw_view *view,
    const struct cw_map *map, const char *caption, struct cw_arena *a,
    uint8_t **png, size_t *n, struct cw_err *err)
{
	struct drawing d = { .im = im, .view = view, .map = map };
	const size_t mark = cw_arena_mark(a);
	char text[160];
	uint8_t *file;
	enum cw_status st;

	CW_CHECK(view->w > 0 && view->h > 0 && map->gw > 0 && map->gh > 0);
	d.unit = unit_of(map);
	lay_out(&d);
	sums(&d, text, sizeof(text));
	d.c.h = d.ph + panel_height(&d, caption, text);
	d.c.rgb = cw_arena_alloc(a, (size_t)d.c.w * d.c.h * 3);
	if (d.c.rgb == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no memory for an overlay");
	fill(&d.c, 0, 0, d.c.w, d.c.h, ground);
	st = draw_picture(&d, a, err);
	if (st == CW_OK) {
		tint_patches(&d);
		outline_regions(&d);
		draw_panel(&d, caption, text);
		st = cw_png_write(d.c.rgb, NULL, d.c.w, d.c.h, a, &file, n,
		    err);
	}
	if (st != CW_OK) {
		cw_arena_release(a, mark);
		return st;
	}
	/* Only the file is kept: it moves down to where the canvas was. */
	*png = cw_arena_keep(a, mark, file, *n);
	return CW_OK;
}
