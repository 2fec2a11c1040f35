/*
 * moving.h - between png.c, which has libpng, and moving.c, which has not.
 */
#ifndef CLIPWARD_PNG_MOVING_H
#define CLIPWARD_PNG_MOVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "plugins/clipward_plugin.h"

static const uint8_t png_signature[8] = "\x89PNG\r\n\x1a\n";

/* An animation of two or more frames?  The header has been checked. */
bool png_is_moving(const struct cw_decode_in *in);

/* As cw_plugin_decoder.decode, width and height are in out already. */
int png_decode_moving(const struct cw_decode_in *in,
    struct cw_decode_out *out);

/*
 * file [n], a PNG whose CRCs are not looked at, to rgba [h][w][4], whatever
 * its size and kind.  Returns an enum cw_decode_code.
 */
int png_frame(const struct cw_decode_in *in, struct cw_decode_out *out,
    const uint8_t *file, size_t n, uint8_t *rgba);

static inline uint32_t
png_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static inline void
png_split(const uint8_t *rgba, uint8_t *rgb, uint8_t *alpha, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		memcpy(rgb + 3 * i, rgba + 4 * i, 3);
		alpha[i] = rgba[4 * i + 3];
	}
}

#endif /* CLIPWARD_PNG_MOVING_H */
