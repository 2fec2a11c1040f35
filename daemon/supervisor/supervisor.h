/*
 * supervisor.h - the daemon's life: start, loop, stop.
 *
 * Runs in: supervisor.
 *
 * Start, in this order: policies, spool (with the jobs of a former life),
 * sinks, control socket, first worker; then, the model being proved, the
 * other workers, the gate, HTTP, READY.
 *
 * Stop, on SIGTERM: take no more jobs, finish the batches in hand, store,
 * answer, end; the queue stays on the disk.  Drain: the same with the whole
 * queue.  SIGHUP reloads the policies.
 */
#ifndef CW_SUPERVISOR_H
#define CW_SUPERVISOR_H

#include "conf/config.h"
#include "supervisor/daemon.h"

/* Called once, when the daemon serves. */
typedef void cw_serving_fn(void *payload);

/*
 * Run until told to stop; cfg and arena live longer.  Returns the exit code:
 * 0 stopped on request, 78 configuration, policy, plugin or model refused,
 * others as in sysexits(3); then err, which is otherwise left alone, says
 * why, as the log does.
 */
int cw_supervisor_run(const struct cw_config *cfg, struct cw_arena *a,
    cw_serving_fn *serving, void *payload, struct cw_err *err);

/* Take no more jobs, work the queue off, end. */
void cw_supervisor_drain(struct cw_daemon *d);

#endif /* CW_SUPERVISOR_H */
