/*
 * regions.c - see regions.h.
 */
#include "worker/regions.h"

#include <math.h>
#include <string.h>

#define CELLS_MAX	(CW_GRID_MAX * CW_GRID_MAX)

struct box {
	uint32_t	 x0, y0, x1, y1;	/* patches, inclusive */
	double		 mass;
};

/*
 * The value at which the patches at or above it hold the wanted share.  By
 * bisection: a grid has few cells and no room for a sorted copy is needed.
 */
static float
cut(const float *v, uint32_t n, double mass)
{
	float lo = 0, hi = 0;

	for (uint32_t i = 0; i < n; i++)
		hi = fmaxf(hi, v[i]);
	for (int step = 0; step < 40; step++) {
		const float mid = lo + (hi - lo) / 2;
		double sum = 0;

		for (uint32_t i = 0; i < n; i++)
			if (v[i] >= mid)
				sum += v[i];
		if (sum >= mass)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Flood from one cell over its sides; hot cells are cleared as they go. */
static struct box
flood(const float *v, uint8_t *hot, uint32_t gw, uint32_t gh, uint32_t from)
{
	uint16_t stack[CELLS_MAX];
	struct box b = { from % gw, from / gw, from % gw, from / gw, 0 };
	uint32_t n = 0;

	stack[n++] = (uint16_t)from;
	hot[from] = 0;
	while (n > 0) {
		const uint32_t i = stack[--n], x = i % gw, y = i / gw;
		const struct { bool in; uint32_t at; } next[] = {
			{ x > 0, i - 1 }, { x + 1 < gw, i + 1 },
			{ y > 0, i - gw }, { y + 1 < gh, i + gw },
		};

		b.mass += v[i];
		b.x0 = x < b.x0 ? x : b.x0;
		b.x1 = x > b.x1 ? x : b.x1;
		b.y0 = y < b.y0 ? y : b.y0;
		b.y1 = y > b.y1 ? y : b.y1;
		for (size_t k = 0; k < 4; k++)
			if (next[k].in && hot[next[k].at]) {
				hot[next[k].at] = 0;
				stack[n++] = (uint16_t)next[k].at;
			}
	}
	return b;
}

static int32_t
clamp(double v, int32_t hi)
{
	return v < 0 ? 0 : v > hi ? hi : (int32_t)v;
}

/* Outward to whole pixels, and inside the image (`whole` views have padding). */
static struct cw_region
to_pixels(const struct box *b, uint32_t gw, uint32_t gh,
    const struct cw_view *view, uint32_t width, uint32_t height)
{
	const double sx = (double)view->w / gw, sy = (double)view->h / gh;
	struct cw_region r;
	int32_t x1, y1;

	r.x = clamp(floor(view->x + b->x0 * sx), (int32_t)width);
	r.y = clamp(floor(view->y + b->y0 * sy), (int32_t)height);
	x1 = clamp(ceil(view->x + (b->x1 + 1) * sx), (int32_t)width);
	y1 = clamp(ceil(view->y + (b->y1 + 1) * sy), (int32_t)height);
	r.w = x1 - r.x;
	r.h = y1 - r.y;
	r.share = 0;
	return r;
}

/* Keep the list sorted by share, and the largest when it is full. */
static uint32_t
insert(struct cw_region *list, uint32_t n, struct cw_region r)
{
	uint32_t at = n;

	while (at > 0 && list[at - 1].share < r.share)
		at--;
	if (at == CW_REGIONS_MAX)
		return n;
	if (n == CW_REGIONS_MAX)
		n--;
	memmove(list + at + 1, list + at, (n - at) * sizeof(*list));
	list[at] = r;
	return n + 1;
}

uint32_t
cw_regions_find(const float *v, uint32_t gw, uint32_t gh,
    const struct cw_view *view, uint32_t width, uint32_t height,
    struct cw_region *out)
{
	const uint32_t cells = gw * gh;
	uint8_t hot[CELLS_MAX];
	double positive = 0;
	uint32_t n = 0;
	float at;

	CW_CHECK(cells <= CELLS_MAX);
	for (uint32_t i = 0; i < cells; i++)
		positive += v[i] > 0 ? v[i] : 0;
	if (!(positive > 0))
		return 0;
	at = cut(v, cells, CW_REGION_MASS * positive);
	for (uint32_t i = 0; i < cells; i++)
		hot[i] = v[i] > 0 && v[i] >= at;
	for (uint32_t i = 0; i < cells; i++) {
		struct cw_region r;
		struct box b;

		if (!hot[i])
			continue;
		b = flood(v, hot, gw, gh, i);
		r = to_pixels(&b, gw, gh, view, width, height);
		r.share = (float)(b.mass / positive);
		if (r.share >= CW_REGION_LEAST && r.w > 0 && r.h > 0)
			n = insert(out, n, r);
	}
	return n;
}
