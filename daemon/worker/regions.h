/*
 * regions.h - from a map to boxes on the picture.
 *
 * Runs in: worker.  Never: logs, allocates.
 */
#ifndef CW_REGIONS_H
#define CW_REGIONS_H

#include "format/result.h"

/*
 * The strongest patches that together hold CW_REGION_MASS of the map's
 * positive values, joined where they touch by a side; groups that hold less
 * than CW_REGION_LEAST are left out.  Boxes are in pixels of the turned image
 * (width x height), largest share first.
 *
 *	values	[gh][gw]
 *	out	room for CW_REGIONS_MAX
 *
 * Returns how many; 0 when no value is positive.
 */
#define CW_REGION_MASS	0.8f
#define CW_REGION_LEAST	0.05f
uint32_t cw_regions_find(const float *values, uint32_t gw, uint32_t gh,
    const struct cw_view *view, uint32_t width, uint32_t height,
    struct cw_region *out);

#endif /* CW_REGIONS_H */
