/*
 * png_write.h - a PNG file in memory, through libpng.
 *
 * Runs in: worker.  Never: logs.  No metadata: IHDR, IDAT and IEND only.
 */
#ifndef CW_PNG_WRITE_H
#define CW_PNG_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

/*
 *	rgb	[h][w][3]
 *	alpha	[h][w] or NULL
 *	png	[*n] in the arena
 *
 * CW_E_LIMIT when the arena is too small, or CW_ARTIFACT_BYTES are too few.
 */
CW_MUST_USE enum cw_status cw_png_write(const uint8_t *rgb,
    const uint8_t *alpha, int w, int h, struct cw_arena *a, uint8_t **png,
    size_t *n, struct cw_err *err);

#endif /* CW_PNG_WRITE_H */
