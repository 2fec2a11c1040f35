/*
 * png_write.c - see png_write.h.
 */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "format/job.h"
#include "worker/png_write.h"

#define LEVEL	2	/* of zlib: an overlay is looked at, not archived */

struct writer {
	uint8_t	*out;
	size_t	 n, room;
	bool	 whole;		/* written to the end */
	jmp_buf	 jump;
};

static void
on_error(png_structp png, png_const_charp why)
{
	struct writer *w = png_get_error_ptr(png);

	(void)why;
	longjmp(w->jump, 1);
}

static void
on_warning(png_structp png, png_const_charp why)
{
	(void)png;
	(void)why;
}

static void
on_write(png_structp png, png_bytep from, png_size_t n)
{
	struct writer *w = png_get_io_ptr(png);

	if (n > w->room - w->n)
		png_error(png, "no room");
	memcpy(w->out + w->n, from, n);
	w->n += n;
}

static void
on_flush(png_structp png)
{
	(void)png;
}

static void
write_all(png_structp png, png_infop info, const uint8_t *rgb,
    const uint8_t *alpha, int w, int h, uint8_t *row)
{
	png_set_compression_level(png, LEVEL);
	png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, 8,
	    alpha != NULL ? PNG_COLOR_TYPE_RGBA : PNG_COLOR_TYPE_RGB,
	    PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
	    PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	for (size_t y = 0; y < (size_t)h; y++) {
		const uint8_t *from = rgb + y * (size_t)w * 3;

		if (alpha == NULL) {
			png_write_row(png, from);
			continue;
		}
		for (size_t x = 0; x < (size_t)w; x++) {
			memcpy(row + 4 * x, from + 3 * x, 3);
			row[4 * x + 3] = alpha[y * (size_t)w + x];
		}
		png_write_row(png, row);
	}
	png_write_end(png, info);
}

static bool
write_guarded(struct writer *to, const uint8_t *rgb, const uint8_t *alpha,
    int w, int h, uint8_t *row)
{
	png_structp png;
	png_infop info;

	png = png_create_write_struct(PNG_LIBPNG_VER_STRING, to, on_error,
	    on_warning);
	if (png == NULL)
		return false;
	info = png_create_info_struct(png);
	if (info != NULL && setjmp(to->jump) == 0) {
		png_set_write_fn(png, to, on_write, on_flush);
		write_all(png, info, rgb, alpha, w, h, row);
		to->whole = true;
	}
	png_destroy_write_struct(&png, &info);
	return to->whole;
}

/*
 * The file's length is known at the end: room for the worst case is taken, or
 * for the longest that may be, and what is not used given back, which leaves
 * the file where it is.
 */
enum cw_status
cw_png_write(const uint8_t *rgb, const uint8_t *alpha, int w, int h,
    struct cw_arena *a, uint8_t **png, size_t *n, struct cw_err *err)
{
	const size_t raw = ((size_t)w * (alpha != NULL ? 4 : 3) + 1) *
	    (size_t)h;
	const size_t mark = cw_arena_mark(a);
	const size_t worst = raw + raw / 100 + 65536;
	struct writer to = { .room = worst < CW_ARTIFACT_BYTES ? worst :
		CW_ARTIFACT_BYTES };
	uint8_t *row;

	to.out = cw_arena_alloc(a, to.room);
	row = cw_arena_alloc(a, (size_t)w * 4);
	if (row == NULL || !write_guarded(&to, rgb, alpha, w, h, row)) {
		cw_arena_release(a, mark);
		return cw_err_set(err, CW_E_LIMIT, "a PNG of %d x %d has no "
		    "room in memory, or in %u bytes", w, h,
		    CW_ARTIFACT_BYTES);
	}
	cw_arena_release(a, mark);
	*png = cw_arena_alloc(a, to.n);
	*n = to.n;
	CW_CHECK(*png == to.out);
	return CW_OK;
}
