/*
 * reload.h - which policies are in force, and how they change.
 *
 * Runs in: supervisor.
 *
 * A new set is read, given to one worker (which encodes the prompts whose
 * vectors are not stored yet, see trial.h), and only when that has taken it does
 * it become the current one.  Every other worker gets it before its next
 * batch; batches under way end under the set they began with.  Whatever goes
 * wrong leaves the current set as it is, and says why.
 *
 *	idle --start--> waiting for a worker --trial--> on trial --done--> idle
 */
#ifndef CW_RELOAD_H
#define CW_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "format/worker_msg.h"
#include "supervisor/daemon.h"
#include "supervisor/generation.h"

/* Who hears how a reload ended. */
struct cw_asker {
	uint64_t	 route;		/* of a client, or 0 */
	uint64_t	 control;	/* control.h: a connection's number, or 0 */
};
#define CW_ASKERS_MAX	16u		/* one more is told so at once */

CW_MUST_USE enum cw_status cw_reload_open(struct cw_daemon *d,
    struct cw_err *err);		/* reads the first set */
void cw_reload_close(struct cw_daemon *d);

/* The set in force.  Before the first trial it has no vectors yet. */
struct cw_generation *cw_reload_current(const struct cw_daemon *d);

/* The first set was refused by a worker: why, or NULL. */
const char *cw_reload_failed(const struct cw_daemon *d, int *exit_code);

/* Begin, or when one is under way begin another after it. */
void cw_reload_start(struct cw_daemon *d, struct cw_asker asker);
bool cw_reload_busy(const struct cw_daemon *d);

/* For the pool: the set that wants a worker for its trial, or NULL. */
struct cw_generation *cw_reload_wants_trial(const struct cw_daemon *d);
void cw_reload_on_trial(struct cw_daemon *d);
/* Its vectors.  CW_E_FORMAT when they are not what was wanted. */
CW_MUST_USE enum cw_status cw_reload_learn(struct cw_daemon *d,
    const struct cw_policy_done *done, struct cw_err *err);
/* What a worker says of its prompts' lengths: a warning, once for each set. */
void cw_reload_measured(struct cw_generation *g,
    const struct cw_policy_done *done);
/* Is that set one whose tests must hold?  (The first is taken as it is.) */
bool cw_reload_wants_tests(const struct cw_daemon *d);
/* The trial's end. */
enum cw_trial { CW_TRIAL_TAKEN, CW_TRIAL_REFUSED, CW_TRIAL_DIED };
void cw_reload_tried(struct cw_daemon *d, enum cw_trial how, const char *why);

#endif /* CW_RELOAD_H */
