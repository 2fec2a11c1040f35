/*
 * uplink.h - the gate's end of the stream to the supervisor.
 *
 * Runs in: gate.  Never: logs, blocks (but in cw_uplink_drain).
 *
 * Frames out are copied to a bounded buffer and written as the socket takes
 * them; frames in are read whole before they are looked at.  The supervisor is
 * trusted: bytes from it that are no frame end the gate.
 */
#ifndef CW_UPLINK_H
#define CW_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "format/frame.h"
#include "gate/fifo.h"

struct cw_uplink {
	int		 fd;
	struct cw_fifo	 in, out;
	size_t		 in_done;	/* bytes of the frame last given out */
};

/*
 * Make fd non-blocking and reserve the buffers: out_bytes for what waits to
 * be written, the largest frame and a bit for what is read.
 */
CW_MUST_USE enum cw_status cw_uplink_open(struct cw_uplink *c, int fd,
    size_t out_bytes, struct cw_err *err);

/* Queue a frame.  false: no room, nothing was queued. */
bool cw_uplink_put(struct cw_uplink *c, const struct cw_frame *f);
/* Bytes waiting to be written. */
size_t cw_uplink_pending(const struct cw_uplink *c);
/* Write what goes without blocking.  CW_E_CLOSED: the supervisor is gone. */
CW_MUST_USE enum cw_status cw_uplink_flush(struct cw_uplink *c,
    struct cw_err *err);
/* The same until nothing waits; CW_E_BUSY: for ms nothing has gone. */
CW_MUST_USE enum cw_status cw_uplink_drain(struct cw_uplink *c, uint32_t ms,
    struct cw_err *err);

/* Read what is there.  CW_E_CLOSED at the end of the stream. */
CW_MUST_USE enum cw_status cw_uplink_fill(struct cw_uplink *c,
    struct cw_err *err);
/*
 * The next whole frame; its body is borrowed until the next call.
 * CW_E_BUSY: none yet.  CW_E_FORMAT, CW_E_LIMIT: not a frame.
 */
CW_MUST_USE enum cw_status cw_uplink_next(struct cw_uplink *c,
    struct cw_frame *f, struct cw_err *err);

#endif /* CW_UPLINK_H */
