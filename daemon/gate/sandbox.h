/*
 * sandbox.h - the gate gives up what it will not need.
 *
 * Runs in: gate, once, after its sockets are bound.  Never: logs.
 */
#ifndef CW_GATE_SANDBOX_H
#define CW_GATE_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/*
 * From now on, for every thread: no file, no program, no process, no new
 * thread, no debugger, no core; sockets only as listed in sandbox.c.
 * connects: new outgoing connections are needed (queue.pull_connect).
 * Address space is not limited: a peer's mere claim of a large message maps
 * it, and gate.c looks at what is resident.
 * What can't be had is an error: the gate does not run half open.
 */
CW_MUST_USE enum cw_status cw_gate_sandbox(bool connects, struct cw_err *err);

#endif /* CW_GATE_SANDBOX_H */
