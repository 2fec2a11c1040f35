/*
 * held.h - answers that wait for clients who read slowly.
 *
 * Runs in: gate.  Never: logs, sends, allocates after opening.
 *
 * For each client a list of letters, the oldest first, in blocks of one
 * region.  The region is all there is: a letter that does not fit is not
 * taken.  Pages go back when nobody has a letter any more.
 *
 *	client --> letter --> letter		block: 512 B, chained by number
 *	           block --> block --> block	(head, bytes of the parts ...)
 */
#ifndef CW_HELD_H
#define CW_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"
#include "format/gate_msg.h"

#define CW_LETTER_PARTS	(1u + CW_PARTS_MAX)	/* header frame, payload */
#define CW_NOBODY	UINT32_MAX

struct cw_letter {
	enum cw_answer	 answer;
	bool		 delimiter;	/* a REQ's empty frame goes before it */
	uint32_t	 nparts;
	uint64_t	 len[CW_LETTER_PARTS];	/* bytes of each part */
};

struct cw_held;			/* opaque */

/* Letters of up to `bytes` together, for clients 0 to n - 1. */
CW_MUST_USE enum cw_status cw_held_open(uint32_t n, uint64_t bytes,
    struct cw_held **out, struct cw_err *err);

/* Behind what the client has; parts [l->nparts].  false: no room. */
bool cw_held_put(struct cw_held *h, uint32_t client,
    const struct cw_letter *l, const struct cw_bytes *parts);

/*
 * The client's oldest letter, or false.  Then its parts in order, bytes
 * copied out by cw_held_read, and at last cw_held_pop.
 */
bool cw_held_first(struct cw_held *h, uint32_t client, struct cw_letter *l);
void cw_held_read(struct cw_held *h, void *to, size_t n);
void cw_held_pop(struct cw_held *h, uint32_t client);
/* All of the client's letters are gone; how many. */
uint32_t cw_held_drop(struct cw_held *h, uint32_t client);

/* Clients with letters, in no order: the first, the one after c; CW_NOBODY. */
uint32_t cw_held_client(const struct cw_held *h);
uint32_t cw_held_next(const struct cw_held *h, uint32_t c);
/* Who has most, or CW_NOBODY. */
uint32_t cw_held_greediest(const struct cw_held *h);

/* Room taken, in bytes: by all; by one client; by a letter. */
uint64_t cw_held_all(const struct cw_held *h);
uint64_t cw_held_of(const struct cw_held *h, uint32_t client);
uint64_t cw_held_cost(const struct cw_letter *l);

#endif /* CW_HELD_H */
