/*
 * font.h - a canvas, and letters on it: printable ASCII, 5 x 8 pixels.
 *
 * Runs in: worker.  Never: logs, allocates.
 */
#ifndef CW_FONT_H
#define CW_FONT_H

#include <stddef.h>
#include <stdint.h>

#define CW_FONT_STEP	6	/* from letter to letter, at scale 1 */
#define CW_FONT_LINE	10	/* from line to line */

struct cw_canvas {
	int	 w, h;
	uint8_t	*rgb;		/* [h][w][3] */
};

/* Set one pixel, or none when it lies outside. */
void cw_canvas_dot(struct cw_canvas *c, int x, int y, const uint8_t rgb[3]);

/*
 * Draw n bytes of UTF-8 with the top left corner at (x, y).  What is not
 * printable ASCII is a hollow box.  Clipped at the edges.
 */
void cw_font_draw(struct cw_canvas *c, int x, int y, int scale,
    const uint8_t rgb[3], const char *s, size_t n);

/*
 * How many bytes of s fit in so many cells: up to a newline or the end, or
 * else up to a space, or as many as fit.  *skip is how many bytes to go on
 * behind (the space or newline itself is skipped).
 */
size_t cw_font_fit(const char *s, int cells, size_t *skip);

/* Width in cells: code points, not bytes. */
int cw_font_cells(const char *s, size_t n);

#endif /* CW_FONT_H */
