/*
 * gate.h - the sockets to the network, and the loop over them.
 *
 * Runs in: gate.
 *
 *	 peers                                   supervisor
 *	SUBMIT ... --> ROUTER --+
 *	                        +--> checked --> GATE_REQUEST -->
 *	SUBMIT     --> PULL ----+
 *	answers    <-- ROUTER <----------------- GATE_REPLY <---
 *	verdicts   <-- PUB <-------------------- GATE_PUBLISH <-
 *
 * The gate parses what strangers send and answers what is malformed or too
 * much by itself.  It holds no job: what it passed on is the supervisor's,
 * what it had not is sent again by its owner.
 */
#ifndef CW_GATE_H
#define CW_GATE_H

#include "base/arena.h"
#include "base/status.h"
#include "format/gate_msg.h"
#include "gate/uplink.h"

struct cw_gate;			/* opaque; one per process */

/*
 * Open and bind everything init names.  init's strings and arena are borrowed
 * for the life of the process.  *ready: the endpoints as bound.
 *
 * CW_E_CONFIG: an endpoint can't be had, or would let strangers in without
 * CURVE.  CW_E_BUSY: not now.  CW_E_SYSTEM, CW_E_LIMIT.
 */
CW_MUST_USE enum cw_status cw_gate_open(const struct cw_gate_init *init,
    struct cw_arena *a, struct cw_uplink *uplink, struct cw_gate **out,
    struct cw_gate_ready *ready, struct cw_err *err);

/*
 * Serve until the channel closes (CW_E_CLOSED, the ordinary end) or nothing
 * can be served any more.
 */
CW_MUST_USE enum cw_status cw_gate_run(struct cw_gate *g, struct cw_err *err);

/* Close the sockets; replies on their way get half a second. */
void cw_gate_close(struct cw_gate **g);

#endif /* CW_GATE_H */
