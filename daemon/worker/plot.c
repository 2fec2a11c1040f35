/*
 * plot.c - see plot.h.
 */
#include "worker/plot.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/font.h"
#include "worker/png_write.h"

#define WIDTH		760	/* pixels */
#define HEIGHT		340
#define PANEL_W		300
#define PANEL_H		200
#define TOP		74
#define LEFT_1		58
#define LEFT_2		432
#define LEGEND_Y	(TOP + PANEL_H + 40)

static const uint8_t white[3] = { 255, 255, 255 };
static const uint8_t black[3] = { 30, 30, 30 };
static const uint8_t grey[3] = { 205, 205, 205 };
static const uint8_t orange[3] = { 213, 94, 0 };	/* the map's order */
static const uint8_t blue[3] = { 0, 114, 178 };		/* random orders */

struct panel {
	struct cw_canvas *canvas;
	int		 left;
	double		 low, high;	/* margins at the bottom and the top */
};

static void
text(struct cw_canvas *c, int x, int y, const char *s)
{
	cw_font_draw(c, x, y, 1, black, s, strlen(s));
}

static int
x_of(const struct panel *p, double share)
{
	return p->left + (int)lround(share * PANEL_W);
}

static int
y_of(const struct panel *p, double margin)
{
	return TOP + PANEL_H - (int)lround((margin - p->low) /
	    (p->high - p->low) * PANEL_H);
}

/* dashed: told apart without colour. */
static void
line(struct cw_canvas *c, int x0, int y0, int x1, int y1,
    const uint8_t rgb[3], bool dashed)
{
	const int dx = x1 - x0, dy = y1 - y0;
	const int n = abs(dx) > abs(dy) ? abs(dx) : abs(dy);

	for (int i = 0; i <= n; i++) {
		const int x = x0 + (n ? dx * i / n : 0);
		const int y = y0 + (n ? dy * i / n : 0);

		if (dashed && (x / 4) % 2 != 0)
			continue;
		cw_canvas_dot(c, x, y, rgb);
		cw_canvas_dot(c, x, y + 1, rgb);
	}
}

static void
draw_curve(const struct panel *p, const float *v, const uint8_t rgb[3],
    bool dashed)
{
	for (uint32_t i = 1; i < CW_CURVE_STEPS; i++)
		line(p->canvas, x_of(p, (i - 1) / (CW_CURVE_STEPS - 1.0)),
		    y_of(p, v[i - 1]), x_of(p, i / (CW_CURVE_STEPS - 1.0)),
		    y_of(p, v[i]), rgb, dashed);
}

/* Mean height: the area under a curve whose x runs from 0 to 1. */
static double
area(const float *v)
{
	double sum = 0;

	for (uint32_t i = 1; i < CW_CURVE_STEPS; i++)
		sum += (v[i - 1] + v[i]) / 2.0;
	return sum / (CW_CURVE_STEPS - 1);
}

static void
widen(const float *v, struct panel *p)
{
	for (uint32_t i = 0; i < CW_CURVE_STEPS; i++) {
		p->low = fmin(p->low, v[i]);
		p->high = fmax(p->high, v[i]);
	}
}

/* Frame, three labelled heights, a line where the margin is zero. */
static void
draw_axes(const struct panel *p, const char *title, const char *below)
{
	struct cw_canvas *c = p->canvas;
	const int right = p->left + PANEL_W, bottom = TOP + PANEL_H;
	char label[32];

	for (int i = 0; i <= 2; i++) {
		const double at = p->low + (p->high - p->low) * i / 2;

		line(c, p->left, y_of(p, at), right, y_of(p, at), grey, false);
		snprintf(label, sizeof(label), "%+.1f", at);
		text(c, p->left - 6 - CW_FONT_STEP * (int)strlen(label),
		    y_of(p, at) - 3, label);
	}
	if (p->low < 0 && p->high > 0)
		line(c, p->left, y_of(p, 0), right, y_of(p, 0), black, true);
	line(c, p->left, TOP, p->left, bottom, black, false);
	line(c, p->left, bottom, right, bottom, black, false);
	text(c, p->left, TOP - 16, title);
	text(c, p->left, bottom + 6, "0 %");
	text(c, right - 5 * CW_FONT_STEP, bottom + 6, "100 %");
	text(c, p->left + 50, bottom + 6, below);
}

static void
draw_legend(struct cw_canvas *c, const struct cw_curves *k)
{
	char words[160];

	snprintf(words, sizeof(words), "patches in the map's order; "
	    "insertion - deletion = %.2f",
	    area(k->insertion) - area(k->deletion));
	line(c, LEFT_1, LEGEND_Y + 3, LEFT_1 + 28, LEGEND_Y + 3, orange,
	    false);
	text(c, LEFT_1 + 36, LEGEND_Y, words);
	snprintf(words, sizeof(words), "at random, mean of several; "
	    "insertion - deletion = %.2f",
	    area(k->random_insertion) - area(k->random_deletion));
	line(c, LEFT_1, LEGEND_Y + 15, LEFT_1 + 28, LEGEND_Y + 15, blue,
	    true);
	text(c, LEFT_1 + 36, LEGEND_Y + 12, words);
}

enum cw_status
cw_plot_curves(const struct cw_curves *k, const char *caption,
    struct cw_arena *a, uint8_t **png, size_t *n, struct cw_err *err)
{
	struct cw_canvas c = { .w = WIDTH, .h = HEIGHT };
	struct panel p = { .canvas = &c, .left = LEFT_1, .low = INFINITY,
		.high = -INFINITY };
	size_t skip;

	c.rgb = cw_arena_alloc(a, WIDTH * HEIGHT * 3);
	if (c.rgb == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for a plot");
	memset(c.rgb, white[0], WIDTH * HEIGHT * 3);
	widen(k->deletion, &p);
	widen(k->insertion, &p);
	widen(k->random_deletion, &p);
	widen(k->random_insertion, &p);
	if (!(p.high - p.low > 1e-3))	/* flat: still a picture */
		p.high = p.low + 1e-3;
	cw_font_draw(&c, 12, 12, 1, black, caption,
	    cw_font_fit(caption, (WIDTH - 24) / CW_FONT_STEP, &skip));
	text(&c, 12, 28, "margin of the prompt while patches of the picture "
	    "are masked with the mean colour");
	draw_axes(&p, "deletion: should fall early", "of the patches masked");
	draw_curve(&p, k->random_deletion, blue, true);
	draw_curve(&p, k->deletion, orange, false);
	p.left = LEFT_2;
	draw_axes(&p, "insertion: should rise early", "of the patches shown");
	draw_curve(&p, k->random_insertion, blue, true);
	draw_curve(&p, k->insertion, orange, false);
	draw_legend(&c, k);
	return cw_png_write(c.rgb, NULL, WIDTH, HEIGHT, a, png, n, err);
}
