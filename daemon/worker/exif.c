/*
 * exif.c - see exif.h.
 */
#include "worker/exif.h"

#include <stdbool.h>
#include <string.h>

#include "base/status.h"

#define TAG_ORIENTATION	0x0112u

#define TYPE_SHORT	3u

static uint32_t
get(const uint8_t *p, int bytes, bool little)
{
	uint32_t v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | p[little ? bytes - 1 - i : i];
	return v;
}

/*
 *	0  "II" or "MM"   2  42   4  offset of the first directory
 *	directory: count, then count entries of 12 bytes:
 *	0  tag   2  type   4  how many   8  value, left-justified
 */
int
cw_exif_orientation(const uint8_t *tiff, size_t n)
{
	size_t at, count;
	bool little;

	if (n < 14 || (memcmp(tiff, "II", 2) != 0 && memcmp(tiff, "MM", 2) != 0))
		return 0;
	little = tiff[0] == 'I';
	at = get(tiff + 4, 4, little);
	if (get(tiff + 2, 2, little) != 42 || at > n - 2)
		return 0;
	count = get(tiff + at, 2, little);
	for (at += 2; count > 0 && n - at >= 12; count--, at += 12) {
		const uint8_t *e = tiff + at;
		uint32_t v;

		if (get(e, 2, little) != TAG_ORIENTATION)
			continue;
		/* Browsers obey no other type. */
		if (get(e + 2, 2, little) != TYPE_SHORT ||
		    get(e + 4, 4, little) != 1)
			return 0;
		v = get(e + 8, 2, little);
		return v >= 1 && v <= 8 ? (int)v : 0;
	}
	return 0;
}

/* Stored pixel (x, y) goes to base + x * dx + y * dy. */
struct turn {
	ptrdiff_t	base, dx, dy;
};

static struct turn
turn_of(int orientation, ptrdiff_t w, ptrdiff_t h)
{
	switch (orientation) {
	case 2:
		return (struct turn){ w - 1, -1, w };
	case 3:
		return (struct turn){ w * h - 1, -1, -w };
	case 4:
		return (struct turn){ w * (h - 1), 1, -w };
	case 5:
		return (struct turn){ 0, h, 1 };
	case 6:
		return (struct turn){ h - 1, h, -1 };
	case 7:
		return (struct turn){ w * h - 1, -h, -1 };
	case 8:
		return (struct turn){ (w - 1) * h, -h, 1 };
	default:
		return (struct turn){ 0, 1, w };
	}
}

/* Columns outside, rows inside: turned rows are written in runs of nrows. */
void
cw_exif_turn(uint8_t *out, int orientation, int w, int h, int y, int nrows,
    const uint8_t *rows, int channels)
{
	const struct turn t = turn_of(orientation, w, h);
	const ptrdiff_t c = channels, pitch = c * w;

	CW_CHECK(y >= 0 && nrows >= 0 && nrows <= h - y);
	CW_CHECK(c == 1 || c == 3);
	if (t.dx == 1) {
		for (int r = 0; r < nrows; r++)
			memcpy(out + c * (t.base + t.dy * (y + r)),
			    rows + r * pitch, (size_t)pitch);
		return;
	}
	for (int x = 0; x < w; x++) {
		uint8_t *to = out + c * (t.base + t.dx * x + t.dy * y);
		const uint8_t *from = rows + c * x;

		for (int r = 0; r < nrows; r++) {
			for (int i = 0; i < c; i++)
				to[i] = from[i];
			to += c * t.dy;
			from += pitch;
		}
	}
}
