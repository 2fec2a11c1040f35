/*
 * pushed.h - jobs from PULL that are not known to be stored yet.
 *
 * Runs in: gate.  Never: logs, blocks.
 *
 * Who pushes hears nothing and sends nothing again.  So the gate keeps what it
 * has read for it until the supervisor has answered, and hands it over again
 * after a BUSY: at most CW_PUSHED_MAX of them, which the supervisor has room
 * for beyond limits.pending, and no more once they have most_bytes.
 */
#ifndef CW_PUSHED_H
#define CW_PUSHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "format/frame.h"
#include "format/gate_msg.h"

struct cw_pushed;		/* opaque */

/* For the life of the process; retry_ms: until a BUSY one goes again. */
CW_MUST_USE enum cw_status cw_pushed_open(uint64_t most_bytes,
    uint32_t retry_ms, struct cw_pushed **out, struct cw_err *err);

/* Is there room for another, and how many bytes are kept. */
bool cw_pushed_takes(const struct cw_pushed *p);
size_t cw_pushed_bytes(const struct cw_pushed *p);

/*
 * Keep a copy of a request, which is due at once.  CW_E_LIMIT: cw_pushed_takes
 * was not asked; CW_E_SYSTEM: no memory.
 */
CW_MUST_USE enum cw_status cw_pushed_keep(struct cw_pushed *p,
    const struct cw_pack *request, struct cw_err *err);

/*
 * One that is due at `now` (at 0: those only that were never sent), the longest
 * kept first, as a frame whose body is borrowed until the next answer; false:
 * none.  cw_pushed_sent: it is on its way, and due again only after a BUSY.
 */
bool cw_pushed_due(const struct cw_pushed *p, uint64_t now,
    struct cw_frame *f);
void cw_pushed_sent(struct cw_pushed *p, uint64_t id);
/* ms until one is due, at most `most`. */
uint64_t cw_pushed_wait(const struct cw_pushed *p, uint64_t now,
    uint64_t most);
/* All that were BUSY are due now: there will be no later. */
void cw_pushed_hurry(struct cw_pushed *p);

/* What the supervisor says of id, CW_ROUTE_PUSHED among its bits. */
void cw_pushed_answer(struct cw_pushed *p, uint64_t id, enum cw_answer what,
    uint64_t now);

#endif /* CW_PUSHED_H */
