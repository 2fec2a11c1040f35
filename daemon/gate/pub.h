/*
 * pub.h - verdicts to whoever has subscribed.
 *
 * Runs in: gate.  Never: logs, blocks.
 *
 * The library bounds what waits for a subscriber in messages, and verdicts of
 * many prompts are a megabyte each.  So the longer they are lately, the fewer
 * may wait.
 */
#ifndef CW_PUB_H
#define CW_PUB_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "format/gate_msg.h"
#include "gate/socket.h"

struct cw_pub {
	struct cw_socket *sock;		/* NULL: nothing is published */
	size_t		 long_bytes;	/* of a long verdict, lately */
	uint32_t	 waiting;	/* most for one, as sock has been told */
};

/* For everybody whose topics it fits; CW_E_NOT_FOUND without a socket. */
CW_MUST_USE enum cw_status cw_pub_send(struct cw_pub *p,
    const struct cw_publish *m);
/* Every so often: the bound is for those, too, who have come since. */
void cw_pub_note(struct cw_pub *p);

#endif /* CW_PUB_H */
