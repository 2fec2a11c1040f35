/*
 * worker_loop.h - the state behind worker_client.h.
 *
 * Private to worker_client.c (lives) and worker_loop.c (work).
 */
#ifndef CW_WORKER_LOOP_H
#define CW_WORKER_LOOP_H

#include "base/sha256.h"
#include "cli/worker_peer.h"

#define CW_HELD_MAX	256u	/* jobs of a batch */

/* A job given to a worker and not yet answered. */
struct cw_held {
	size_t		 index;
	uint32_t	 attempt;	/* 1 is the first */
	char		 sha256[CW_SHA256_HEX];
	uint64_t	 bytes;
	int64_t		 received_us;
};

enum cw_seat_state {
	CW_SEAT_EMPTY,		/* no process */
	CW_SEAT_STARTING,	/* INIT sent */
	CW_SEAT_IDLE,		/* model and policies there */
	CW_SEAT_BUSY,		/* a batch in hand */
};

struct cw_seat {
	struct cw_peer		 peer;
	enum cw_seat_state	 state;
	struct cw_held		 held[CW_HELD_MAX];
	size_t			 nheld;
	uint64_t		 until_ms;	/* deadline of the batch */
};

struct cw_clients {
	struct cw_arena		*arena;		/* holds this too */
	struct cw_clients_opts	 opts;
	struct cw_seat		*seats;		/* [opts.count] */
	struct cw_model_facts	 facts;
	struct cw_bank_row	*rows;		/* [nrows] vectors of prompts */
	uint32_t		 nrows, embed;
	struct cw_policy_done	 first;		/* its rows are above */
};

/* Make a seat idle, starting its worker if there is none. */
CW_MUST_USE enum cw_status cw_seat_ready(struct cw_clients *c,
    struct cw_seat *s, struct cw_err *err);

#endif /* CW_WORKER_LOOP_H */
