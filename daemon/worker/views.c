/*
 * views.c - see image.h: which squares of a picture the model looks at.
 */
#include "worker/image.h"

#define COVER_MAX	(CW_SQUARES_MAX - 1)	/* longer ones: larger squares */

_Static_assert((int)CW_SQUARES_MAX * (int)CW_BGS <= (int)CW_VIEWS_MAX,
    "room for all squares of a picture with alpha");

struct plan {
	struct cw_view	*out;
	int		 n, grounds;
};

static void
add(struct plan *p, struct cw_view v)
{
	CW_CHECK(p->n + p->grounds <= (int)CW_VIEWS_MAX);
	for (int b = 0; b < p->grounds; b++) {
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

static void
add_center(struct plan *p, const struct cw_image *im)
{
	const int side = im->width < im->height ? im->width : im->height;

	add(p, square(CW_VIEW_CENTER, (im->width - side) / 2,
	    (im->height - side) / 2, side));
}

static void
add_whole(struct plan *p, const struct cw_image *im)
{
	const int side = im->width > im->height ? im->width : im->height;

	add(p, square(CW_VIEW_WHOLE, half_down(im->width - side),
	    half_down(im->height - side), side));
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

	most = most < COVER_MAX ? most : COVER_MAX;
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

/*
 * The middle, and what shows the rest of it: nothing where no more than a
 * 32nd is hidden at either end, all of it at once where that is hardly smaller
 * then, else squares.  With room for one square alone that sees all.
 */
static void
add_auto(struct plan *p, const struct cw_image *im, int squares)
{
	const bool wide = im->width > im->height;
	const int64_t longer = wide ? im->width : im->height;
	const int64_t shorter = wide ? im->height : im->width;
	const bool hidden = (longer - shorter) * 16 > shorter;

	if (!hidden || squares > 1)
		add_center(p, im);
	if (hidden && longer * 10 <= shorter * 13)
		add_whole(p, im);
	else if (hidden)
		add_cover(p, im, squares > 1 ? squares - 1 : 1, squares > 1);
}

int
cw_views_grounds(const struct cw_image *im)
{
	return im->alpha != NULL ? CW_BGS : 1;
}

int
cw_views_plan(enum cw_views mode, const struct cw_image *im, int squares,
    struct cw_view out[CW_VIEWS_MAX])
{
	struct plan p = { out, 0, cw_views_grounds(im) };

	CW_CHECK(im->width > 0 && im->height > 0);
	CW_CHECK(squares > 0 && squares <= CW_SQUARES_MAX);
	switch (mode) {
	case CW_VIEWS_CENTER:
		add_center(&p, im);
		break;
	case CW_VIEWS_WHOLE:
		add_whole(&p, im);
		break;
	case CW_VIEWS_COVER:
		add_cover(&p, im, squares, false);
		break;
	default:
		add_auto(&p, im, squares);
	}
	return p.n;
}

int
cw_views_frame(int i, int looks, int n)
{
	return looks > 1 ? i * (n - 1) / (looks - 1) : 0;
}

int
cw_views_share(const struct cw_image *frames, int n, int *squares)
{
	int looks = n + 1, room;

	CW_CHECK(n > 0);
	do {
		looks--;
		room = 0;
		for (int i = 0; i < looks; i++)
			room += cw_views_grounds(&frames[cw_views_frame(i,
			    looks, n)]);
	} while (room > (int)CW_VIEWS_MAX);
	CW_CHECK(room > 0);
	*squares = (int)CW_VIEWS_MAX / room;
	if (*squares > CW_SQUARES_MAX)
		*squares = CW_SQUARES_MAX;
	return looks;
}
