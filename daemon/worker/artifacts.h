/*
 * artifacts.h - pictures that a job asked for beside its result.
 *
 * Runs in: worker, inside its sandbox.
 */
#ifndef CW_ARTIFACTS_H
#define CW_ARTIFACTS_H

#include "base/status.h"
#include "worker/worker.h"

/*
 * Send an ARTIFACT frame for each picture: one redacted and one inverted
 * picture, of what guilty.h finds; one overlay (and one plot of curves) per
 * map, named after its category.
 *
 * At most init.pictures, none begun after init.extras_ms of CPU time, and none
 * of more than CW_ARTIFACT_BYTES.  A picture that can't be made is left out
 * with a line in the log; only a broken channel is an error.
 */
CW_MUST_USE enum cw_status cw_artifacts_send(struct cw_worker *w,
    struct cw_task *t, struct cw_err *err);

#endif /* CW_ARTIFACTS_H */
