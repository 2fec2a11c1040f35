/*
 * subscribers.h - who is connected to the PUB socket, to be shown out.
 *
 * Runs in: gate.  Never: logs, allocates after opening.
 *
 * A subscription is asked about once, at its handshake, and the library can't
 * end one.  When a key loses the right to watch, every connection of the
 * socket is shut down: subscribers come again by themselves, and those that
 * have the right are let in.
 */
#ifndef CW_SUBSCRIBERS_H
#define CW_SUBSCRIBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "format/gate_msg.h"
#include "gate/socket.h"

struct cw_subscribers;		/* opaque */

/* Of the PUB socket, not yet bound, for the life of the process. */
CW_MUST_USE enum cw_status cw_subscribers_open(struct cw_net *net,
    struct cw_socket *pub, struct cw_subscribers **out, struct cw_err *err);

/* Take note of who has come and gone; NULL is fine. */
void cw_subscribers_note(struct cw_subscribers *s);

/* Show everybody out; how many. */
uint32_t cw_subscribers_dismiss(struct cw_subscribers *s);

/* Does a key of the old list [nold] have no right to watch in the new one? */
bool cw_watch_lost(const struct cw_curve_client *old, uint32_t nold,
    const struct cw_curve_client *new, uint32_t nnew);

#endif /* CW_SUBSCRIBERS_H */
