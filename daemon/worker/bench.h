/*
 * bench.h - how fast is this model on this machine.
 *
 * Runs in: worker, inside its sandbox.
 */
#ifndef CW_BENCH_H
#define CW_BENCH_H

#include "base/status.h"
#include "format/frame.h"
#include "worker/worker.h"

/*
 * Answer a BENCH frame: encode noise for about three seconds (or the rounds
 * asked for) and send one JSON line,
 *
 *	{"images_per_s":31.2,"ms":{"encode":256.4},"precision":"fp32",
 *	 "kernel":"openblas","batch":8,"threads":1}
 *
 * ms of one batch, medians; images_per_s from the same median.  With explain,
 * also "explain": per-image ms of keeping the traces (CPU time of the fastest
 * pass with, less the fastest without) and of one margin map against 20
 * neutral prompts, and their share of encoding one image.
 */
CW_MUST_USE enum cw_status cw_bench_answer(struct cw_worker *w,
    const struct cw_frame *f, struct cw_err *err);

#endif /* CW_BENCH_H */
