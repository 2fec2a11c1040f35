/*
 * trial.h - the pictures that a policy set must still decide as it says.
 *
 * Runs in: supervisor.  Private to the pool.
 *
 * A policy's `tests` name pictures beside its file and the decision each
 * must get.  On a reload the worker on trial scores them under the new set
 * before it comes into force; one wrong decision refuses it.
 *
 * The worker on trial makes the text vectors that all others score with from
 * then on: where there are any to make, or tests, it is one that has had no
 * stranger's bytes.
 */
#ifndef CW_TRIAL_H
#define CW_TRIAL_H

#include "base/status.h"
#include "supervisor/worker.h"

/*
 * Give the set that waits for a trial to an idle worker; when it must be one
 * that has had no job, and none such is there or to come, one makes room.
 */
void cw_trial_place(struct cw_daemon *d);

/*
 * A worker has not come up.  A set that waits is refused when it is one that
 * another has made room for, or none is left: it might wait for ever, and no
 * other need make room for nothing.
 */
void cw_trial_start_failed(struct cw_worker *w);

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
