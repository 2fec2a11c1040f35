/*
 * gates.h - the gate process: started, restarted, talked to.
 *
 * Runs in: supervisor.
 *
 * The gate holds the network and nothing else.  When it dies another takes
 * its place on the same endpoints; clients reconnect by themselves and ask
 * again under their ids.  A frame that does not parse, or is not allowed
 * now, ends the gate that sent it.
 */
#ifndef CW_GATES_H
#define CW_GATES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/status.h"
#include "format/gate_msg.h"
#include "supervisor/daemon.h"
#include "supervisor/turn.h"

struct cw_gates;			/* opaque */

/* Read the keys and start the gate; it is ready some time later. */
CW_MUST_USE enum cw_status cw_gates_open(struct cw_daemon *d,
    struct cw_err *err);
void cw_gates_close(struct cw_daemon *d);	/* kills what is left */

bool cw_gates_ready(const struct cw_daemon *d);
/* The gate could not be started at all: text, or NULL. */
const char *cw_gates_failed(const struct cw_daemon *d, int *exit_code);

/* A child of that process id has ended; false when it is not ours. */
bool cw_gates_reap(struct cw_daemon *d, pid_t pid, int status);

/* Has it been told to go, and when was it last heard of? */
bool cw_gates_finishing(const struct cw_daemon *d);
uint64_t cw_gates_heard_ms(const struct cw_daemon *d);
void cw_gates_reply(struct cw_daemon *d, uint64_t route,
    const struct cw_reply *r);
void cw_gates_publish(struct cw_daemon *d, const struct cw_told *v);
size_t cw_gates_waiting(const struct cw_daemon *d);	/* bytes unsent */
/* Stop or go on taking jobs, as the queue and the spool allow. */
void cw_gates_pace(struct cw_daemon *d);
/* Read the list of clients again and give it to the gate. */
CW_MUST_USE enum cw_status cw_gates_reload(struct cw_daemon *d,
    struct cw_err *err);

/* Say no more: once everything is sent the gate ends by itself. */
void cw_gates_finish(struct cw_daemon *d);
bool cw_gates_finished(const struct cw_daemon *d);

struct cw_gate_view {			/* for the status report */
	pid_t			 pid;
	bool			 ready;
	uint32_t		 restarts;
	size_t			 waiting;	/* bytes unsent */
	const char		*submit, *pull, *pub;	/* as bound */
	struct cw_gate_stats	 stats;
};
void cw_gates_view(const struct cw_daemon *d, struct cw_gate_view *out);

#endif /* CW_GATES_H */
