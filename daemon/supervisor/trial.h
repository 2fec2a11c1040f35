/*
 * trial.h - the pictures that a policy set must still decide as it says.
 *
 * Runs in: supervisor.  Private to the pool.
 *
 * A policy's `tests` name pictures beside its file and the decision each
 * must get.  On a reload the worker on trial scores them under the new set
 * before it comes into force; one wrong decision refuses it.
 */
#ifndef CW_TRIAL_H
#define CW_TRIAL_H

#include "base/status.h"
#include "supervisor/worker.h"

/*
 * POLICY_DONE for w->trial: takes the vectors, then begins with the tests,
 * or ends the trial.  A status other than CW_OK is the worker's fault.
 */
CW_MUST_USE enum cw_status cw_trial_done(struct cw_worker *w,
    struct cw_unpack *r, struct cw_err *err);

/* RESULT of one of the tests; the last ends the trial.  The same. */
CW_MUST_USE enum cw_status cw_trial_result(struct cw_worker *w,
    uint64_t ticket, struct cw_unpack *r, struct cw_err *err);

#endif /* CW_TRIAL_H */
