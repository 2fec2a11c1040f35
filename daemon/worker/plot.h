/*
 * plot.h - insertion and deletion curves as a picture.
 *
 * Runs in: worker.  Never: logs.
 */
#ifndef CW_PLOT_H
#define CW_PLOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "worker/faithfulness.h"

/*
 * Two panels side by side, deletion and insertion: margin against the share
 * of patches masked or shown, the map's order against the mean of random
 * ones, the area between them in numbers.  PNG bytes in the arena.
 */
CW_MUST_USE enum cw_status cw_plot_curves(const struct cw_curves *c,
    const char *caption, struct cw_arena *a, uint8_t **png, size_t *n,
    struct cw_err *err);

#endif /* CW_PLOT_H */
