/*
 * faithfulness.h - does the picture bear out its map?
 *
 * Runs in: worker, inside its sandbox.
 *
 * Patches are masked with the mean colour (zero after normalisation), the
 * view is encoded again, and the margin of the map's prompt looked at.
 */
#ifndef CW_FAITHFULNESS_H
#define CW_FAITHFULNESS_H

#include "base/status.h"
#include "worker/worker.h"

/*
 * For each map of a policy (or job) that asks for it: mask the first tenth of
 * the patches in the map's order, and as many at random a few times with a
 * fixed seed; fill masked, drop and random_drop.  What fails is left out, and
 * what is left after init.extras_ms of CPU time.
 */
void cw_faithfulness_measure(struct cw_worker *w, struct cw_task *t);

/* Margins while patches go (deletion) or come (insertion), in an order. */
#define CW_CURVE_STEPS	11u		/* 0 %, 10 % ... 100 % of the patches */
struct cw_curves {
	float	deletion[CW_CURVE_STEPS], insertion[CW_CURVE_STEPS];
	float	random_deletion[CW_CURVE_STEPS],
		random_insertion[CW_CURVE_STEPS];	/* mean of a few */
};

/*
 * The curves of one of a task's maps; errors of decoding and encoding, and
 * CW_E_LIMIT when cw_cpu_us() comes to cpu_end_us before they are done.
 */
CW_MUST_USE enum cw_status cw_faithfulness_curves(struct cw_worker *w,
    const struct cw_task *t, const struct cw_map *m, uint64_t cpu_end_us,
    struct cw_curves *out, struct cw_err *err);

#endif /* CW_FAITHFULNESS_H */
