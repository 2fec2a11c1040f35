/*
 * views.c - see image.h: which squares of a picture the model looks at.
 */
#include "worker/image.h"

#define SQUARES_MAX	8	/* an elongated picture costs no more views */

/* Room for squares at a time when each is looked at on `backgrounds`. */
struct plan {
	struct cw_view	*out;
	int		 n, backgrounds;
};

static void
add(struct plan *p, struct cw_view v)
{
	CW_CHECK(p->n + p->backgrounds <= (int)CW_VIEWS_MAX);
	for (int b = 0; b < p->backgrounds; b++) {
		v.background = (enum cw_background)(CW_BG_STORED + b);
		p->out[p->n++] = v;
	}
}

static struct cw_view
square(enum cw_view_kind kind, int x, int y, int side)
{
	return (struct cw_view){ .kind = kind, .x = x, .y = y, .w = side,
	    .h = side };
}

static int
half_down(int v)		/* floor(v / 2), also below zero */
{
	return v >= 0 ? v / 2 : -((1 - v) / 2);
}

/*
 * Squares of the short side along the long one, first and last at its ends,
 * evenly between.  Were that more than `most`, the squares grow instead and
 * are padded beside the picture.
 *
 *	+-----+--+--+-----+
 *	|  1  |  2  |  3  |	the overlap is shared out
 *	+-----+--+--+-----+
 */
static void
add_cover(struct plan *p, const struct cw_image *im, int most,
    bool center_is_there)
{
	const bool wide = im->width > im->height;
	const int length = wide ? im->width : im->height;
	const int breadth = wide ? im->height : im->width;
	int n = (length + breadth - 1) / breadth, side = breadth;

	if (n > most) {
		n = most;
		side = (length + n - 1) / n;
	}
	for (int i = 0; i < n; i++) {
		const int rest = length - side;
		const int along = n == 1 ? half_down(rest) :
		    (int)((int64_t)rest * i / (n - 1));
		const int across = half_down(breadth - side);

		/* The middle one again?  Not where it just meets others: the
		 * centre crop is rounded to pixels of the model's input. */
		if (center_is_there && side == breadth &&
		    along == rest / 2 &&
		    (n == 1 || side - rest / (n - 1) > side / 32))
			continue;
		add(p, square(CW_VIEW_COVER, wide ? along : across,
		    wide ? across : along, side));
	}
}

int
cw_views_plan(enum cw_views mode, const struct cw_image *im,
    struct cw_view out[CW_VIEWS_MAX])
{
	const int longer = im->width > im->height ? im->width : im->height;
	const int shorter = im->width > im->height ? im->height : im->width;
	struct plan p = { out, 0, im->alpha != NULL ? CW_BGS : 1 };
	int most = (int)CW_VIEWS_MAX / p.backgrounds;

	CW_CHECK(shorter > 0);
	if (mode == CW_VIEWS_CENTER || mode == CW_VIEWS_AUTO) {
		add(&p, square(CW_VIEW_CENTER, (im->width - shorter) / 2,
		    (im->height - shorter) / 2, shorter));
		most--;
	}
	most = most < SQUARES_MAX ? most : SQUARES_MAX;
	if (mode == CW_VIEWS_WHOLE)
		add(&p, square(CW_VIEW_WHOLE, half_down(im->width - longer),
		    half_down(im->height - longer), longer));
	if (mode == CW_VIEWS_COVER ||
	    (mode == CW_VIEWS_AUTO &&
	    (int64_t)longer * 10 > (int64_t)shorter * 13))
		add_cover(&p, im, most, mode == CW_VIEWS_AUTO);
	return p.n;
}
