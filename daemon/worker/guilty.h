/*
 * guilty.h - what of a picture has to go before nothing in it is flagged.
 *
 * Runs in: worker, inside its sandbox.
 */
#ifndef CW_GUILTY_H
#define CW_GUILTY_H

#include "base/status.h"
#include "worker/image.h"
#include "worker/worker.h"

#define CW_GUILTY_MAX	(CW_MAPS_MAX * CW_REGIONS_MAX + CW_VIEWS_MAX)

/*
 * Regions of every map of that frame whose category fired; of all maps when
 * the job asked for maps of whatever scored highest.  A map that points
 * nowhere stands for all that its view saw.  A shadow policy fires nothing.
 *
 *	out	[CW_GUILTY_MAX] in pixels of the original; how many is returned
 */
int cw_guilty_mapped(const struct cw_worker *w, const struct cw_task *t,
    uint32_t frame, struct cw_region *out);

/*
 * The same, and the whole of every view of the frame that is still flagged
 * with those hidden: what has no map, and what else there is of a kind that
 * has.  A view whose mosaic is flagged becomes grey.  Encodes the views anew,
 * until none is flagged that is not grey already.
 *
 *	im	the frame at full size
 *	cpu_end_us	when the worker's CPU time for it is up: then all views
 *		count as flagged
 *	list	[CW_GUILTY_MAX], which hide points to from then on
 *
 * CW_E_LIMIT when an arena is too small, CW_E_NUMERIC.
 */
CW_MUST_USE enum cw_status cw_guilty_regions(struct cw_worker *w,
    const struct cw_task *t, uint32_t frame, const struct cw_image *im,
    uint64_t cpu_end_us, struct cw_region *list, struct cw_hide *hide,
    struct cw_err *err);

#endif /* CW_GUILTY_H */
