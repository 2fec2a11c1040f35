/*
 * intake.h - what a client asked for, answered or put in the queue.
 *
 * Runs in: supervisor.
 */
#ifndef CW_INTAKE_H
#define CW_INTAKE_H

#include "format/gate_msg.h"
#include "supervisor/daemon.h"

/* The request is borrowed for the call; route 0: nobody to answer. */
void cw_intake(struct cw_daemon *d, uint64_t route,
    const struct cw_request *req);

#endif /* CW_INTAKE_H */
