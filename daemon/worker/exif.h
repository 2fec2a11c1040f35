/*
 * exif.h - which way up a picture is, and turning it.
 *
 * Runs in: worker.  Never: logs, allocates, follows a chain of directories.
 */
#ifndef CW_EXIF_H
#define CW_EXIF_H

#include <stddef.h>
#include <stdint.h>

/*
 * Orientation 1..8 from a TIFF block (what follows "Exif\0\0").  Only the
 * first directory is read, so there is no loop to get caught in.  0 when it
 * says none, or is wrong in any way: as-is.
 */
int cw_exif_orientation(const uint8_t *tiff, size_t n);

/* Do width and height change places? */
static inline int
cw_exif_swaps(int orientation)
{
	return orientation >= 5;
}

/*
 * Put nrows stored rows, beginning with row y of a w x h picture, where they
 * belong in the turned one.
 *
 *	rows	[nrows][w][channels]
 *	out	[h][w][channels], or [w][h][channels] when the sides swap
 */
void cw_exif_turn(uint8_t *out, int orientation, int w, int h, int y,
    int nrows, const uint8_t *rows, int channels);

#endif /* CW_EXIF_H */
