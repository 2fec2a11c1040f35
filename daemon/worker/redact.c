/*
 * redact.c - see image.h: regions of a picture made unreadable.
 *
 * What is hidden is replaced by at most CW_REDACT_CELLS averages a side, each
 * of five bits, and softened between them.  All the detail that a solver could
 * work from is gone: pixelated text is read back by trying letters against
 * small cells, of which there are many; here there are few and they are large.
 */
#include "worker/image.h"

#include <math.h>
#include <string.h>

#include <turbojpeg.h>

#include "worker/png_write.h"

#define CELL_MIN	16	/* pixels; small regions get fewer cells */
#define SHORT_CELLS	24	/* and no cell is finer than the picture's
				   short side divided by this */
#define QUALITY		90

struct rect {
	int	x0, y0, x1, y1;		/* in pixels of the decoded picture */
};

static int
scale_edge(int64_t v, int full, int decoded, bool up)
{
	const double at = (double)v * decoded / full;
	const double whole = up ? ceil(at) : floor(at);

	return whole < 0 ? 0 : whole > decoded ? decoded : (int)whole;
}

static struct rect
rect_of(const struct cw_image *im, const struct cw_region *r)
{
	return (struct rect){
		scale_edge(r->x, im->width, im->w, false),
		scale_edge(r->y, im->height, im->h, false),
		scale_edge((int64_t)r->x + r->w, im->width, im->w, true),
		scale_edge((int64_t)r->y + r->h, im->height, im->h, true),
	};
}

static void
average(const uint8_t *rgb, size_t pitch, struct rect r, uint8_t out[3])
{
	const uint64_t n = (uint64_t)(r.x1 - r.x0) * (uint64_t)(r.y1 - r.y0);
	uint64_t sum[3] = { 0, 0, 0 };

	for (int y = r.y0; y < r.y1; y++)
		for (int x = r.x0; x < r.x1; x++)
			for (int c = 0; c < 3; c++)
				sum[c] += rgb[(size_t)y * pitch +
				    (size_t)x * 3 + (size_t)c];
	for (int c = 0; c < 3; c++)
		out[c] = (uint8_t)((sum[c] / n & 0xf8) | 4);
}

static int
cells_along(int length, const struct cw_image *im)
{
	const int shorter = im->w < im->h ? im->w : im->h;
	int n = length / CELL_MIN;

	if (n > length * SHORT_CELLS / shorter)
		n = length * SHORT_CELLS / shorter;
	return n < 1 ? 1 : n > CW_REDACT_CELLS ? CW_REDACT_CELLS : n;
}

/* Between which two averages a pixel lies, and how far, in 256ths. */
struct mixing {
	uint8_t		lo, hi;
	uint16_t	part;
};

static struct mixing
between(int at, int length, int cells)
{
	const float pos = ((float)at + 0.5f) * (float)cells / (float)length -
	    0.5f;
	const float base = floorf(pos);
	/* Three quarters flat, the rest a ramp: cells stay visible. */
	const float t = (pos - base - 0.375f) * 4;

	return (struct mixing){
		.lo = (uint8_t)(base < 0 ? 0 : base),
		.hi = (uint8_t)(base + 1 > (float)(cells - 1) ? cells - 1 :
		    (int)base + 1),
		.part = (uint16_t)(t < 0 ? 0 : t > 1 ? 256 : t * 256),
	};
}

/* One row of averages, mixed from the two it lies between: [nx][3]. */
static void
mix_cells(uint8_t out[CW_REDACT_CELLS][3],
    uint8_t cell[CW_REDACT_CELLS][CW_REDACT_CELLS][3], int nx,
    struct mixing m)
{
	for (int i = 0; i < nx; i++)
		for (int c = 0; c < 3; c++)
			out[i][c] = (uint8_t)((cell[m.lo][i][c] *
			    (256 - m.part) + cell[m.hi][i][c] * m.part) >> 8);
}

/*
 * The rectangle of rgb, which is as large as im, becomes its mosaic; along
 * has room for the width of im.
 */
static void
mosaic(const struct cw_image *im, struct rect r, uint8_t *rgb,
    struct mixing *along)
{
	const int w = r.x1 - r.x0, h = r.y1 - r.y0;
	const size_t pitch = (size_t)im->w * 3;
	uint8_t cell[CW_REDACT_CELLS][CW_REDACT_CELLS][3];
	uint8_t line[CW_REDACT_CELLS][3];
	int nx, ny;

	if (w <= 0 || h <= 0)
		return;
	nx = cells_along(w, im);
	ny = cells_along(h, im);
	for (int j = 0; j < ny; j++)
		for (int i = 0; i < nx; i++)
			average(rgb, pitch, (struct rect){
			    r.x0 + (int)((int64_t)w * i / nx),
			    r.y0 + (int)((int64_t)h * j / ny),
			    r.x0 + (int)((int64_t)w * (i + 1) / nx),
			    r.y0 + (int)((int64_t)h * (j + 1) / ny),
			    }, cell[j][i]);
	for (int x = 0; x < w; x++)
		along[x] = between(x, w, nx);
	for (int y = 0; y < h; y++) {
		uint8_t *p = rgb + (size_t)(r.y0 + y) * pitch +
		    (size_t)r.x0 * 3;

		mix_cells(line, cell, nx, between(y, h, ny));
		for (int x = 0; x < w; x++, p += 3)
			for (int c = 0; c < 3; c++)
				p[c] = (uint8_t)((line[along[x].lo][c] *
				    (256 - along[x].part) +
				    line[along[x].hi][c] * along[x].part) >>
				    8);
	}
}

static void
grey(uint8_t *rgb, size_t pitch, struct rect r)
{
	for (int y = r.y0; y < r.y1 && r.x1 > r.x0; y++)
		memset(rgb + (size_t)y * pitch + (size_t)r.x0 * 3, 0x80,
		    (size_t)(r.x1 - r.x0) * 3);
}

/* What is hidden must not shine through the transparency either. */
static void
opaque(uint8_t *alpha, size_t pitch, struct rect r)
{
	for (int y = r.y0; alpha != NULL && y < r.y1; y++)
		if (r.x1 > r.x0)
			memset(alpha + (size_t)y * pitch + r.x0, 255,
			    (size_t)(r.x1 - r.x0));
}

static void
copy_back(const struct cw_image *im, struct rect r, uint8_t *rgb,
    uint8_t *alpha)
{
	for (int y = r.y0; y < r.y1 && r.x1 > r.x0; y++) {
		const size_t at = (size_t)y * im->w + (size_t)r.x0;
		const size_t n = (size_t)(r.x1 - r.x0);

		memcpy(rgb + at * 3, im->rgb + at * 3, n * 3);
		if (alpha != NULL)
			memcpy(alpha + at, im->alpha + at, n);
	}
}

static enum cw_status
to_jpeg(const struct cw_image *im, const uint8_t *rgb, struct cw_arena *a,
    uint8_t **out, size_t *n, struct cw_err *err)
{
	const size_t mark = cw_arena_mark(a);
	unsigned long size = tjBufSize(im->w, im->h, TJSAMP_420);
	unsigned char *file = cw_arena_alloc(a, size);
	tjhandle tj;
	int bad;

	if (file == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no memory for a JPEG");
	if ((tj = tjInitCompress()) == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no memory for an encoder");
	bad = tjCompress2(tj, rgb, im->w, 0, im->h, TJPF_RGB, &file, &size,
	    TJSAMP_420, QUALITY, TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT);
	if (bad)
		cw_err_set(err, CW_E_LIMIT, "%s", tjGetErrorStr2(tj));
	tjDestroy(tj);
	if (bad)
		return CW_E_LIMIT;
	cw_arena_release(a, mark);
	*out = cw_arena_alloc(a, size);
	CW_CHECK(*out == file);
	*n = size;
	return CW_OK;
}

enum cw_status
cw_redact_picture(const struct cw_image *im, const struct cw_hide *hide,
    struct cw_arena *a, struct cw_image *out, struct cw_err *err)
{
	const size_t pixels = (size_t)im->w * im->h;
	uint8_t *rgb = cw_arena_alloc(a, pixels * 3);
	uint8_t *alpha = im->alpha != NULL ? cw_arena_alloc(a, pixels) : NULL;
	struct mixing *along = cw_arena_zalloc(a, (size_t)im->w,
	    sizeof(*along));

	if (rgb == NULL || along == NULL ||
	    (im->alpha != NULL && alpha == NULL))
		return cw_err_set(err, CW_E_LIMIT,
		    "no memory for a redacted picture");
	memcpy(rgb, im->rgb, pixels * 3);
	if (alpha != NULL)
		memcpy(alpha, im->alpha, pixels);
	if (hide->others) {
		const struct rect all = { 0, 0, im->w, im->h };

		mosaic(im, all, rgb, along);
		opaque(alpha, (size_t)im->w, all);
	}
	for (int i = 0; i < hide->n; i++) {
		const struct rect r = rect_of(im, &hide->region[i]);

		if (hide->others) {
			copy_back(im, r, rgb, alpha);
			continue;
		}
		if (i < hide->n - hide->flat)
			mosaic(im, r, rgb, along);
		else
			grey(rgb, (size_t)im->w * 3, r);
		opaque(alpha, (size_t)im->w, r);
	}
	*out = *im;
	out->rgb = rgb;
	out->alpha = alpha;
	return CW_OK;
}

enum cw_status
cw_redact(const struct cw_image *im, const struct cw_hide *hide,
    struct cw_arena *a, uint8_t **out, size_t *n, struct cw_err *err)
{
	const size_t mark = cw_arena_mark(a);
	struct cw_image y;
	uint8_t *file;
	enum cw_status st;

	st = cw_redact_picture(im, hide, a, &y, err);
	if (st == CW_OK && strcmp(im->format, "jpeg") == 0)
		st = to_jpeg(&y, y.rgb, a, &file, n, err);
	else if (st == CW_OK)
		st = cw_png_write(y.rgb, y.alpha, y.w, y.h, a, &file, n, err);
	if (st != CW_OK) {
		cw_arena_release(a, mark);
		return st;
	}
	*out = cw_arena_keep(a, mark, file, *n);
	return CW_OK;
}
