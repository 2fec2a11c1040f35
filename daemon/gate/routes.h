/*
 * routes.h - which client a number stands for.
 *
 * Runs in: gate.  Never: logs, allocates after opening.
 *
 * The supervisor knows a client as a u64 route that is never used again in
 * a gate's life; ZeroMQ knows it by an identity of up to 255 bytes, which the
 * client chooses, and CURVE by its key, which it can't.  Under another key an
 * identity is another client.  The table holds the clients last heard of; the
 * one silent for longest makes room, and what is later sent to it is dropped
 * (the sender asks again).
 */
#ifndef CW_ROUTES_H
#define CW_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate/conns.h"

#define CW_IDENTITY_BYTES	255u

struct cw_route {
	uint64_t	 number;	/* 0: free */
	uint8_t		 identity[CW_IDENTITY_BYTES];
	uint8_t		 nidentity;
	char		 key[41];	/* Z85 of its CURVE key, "" without */
	struct cw_conn	 conn;		/* its latest word came over */
	bool		 delimiter;	/* REQ: an empty frame before ours */
	uint32_t	 newer, older;	/* by when it was last heard of */
	uint32_t	 chain;		/* next in its hash bucket */
};

struct cw_routes;		/* opaque */

/* Room for n clients, for the life of the process; NULL: no memory. */
struct cw_routes *cw_routes_open(uint32_t n);

/*
 * The client of this identity and key, new or known; now the latest heard of.
 * One of the same identity and another key is forgotten.  n is 1 to
 * CW_IDENTITY_BYTES, key at most 40 characters.
 */
struct cw_route *cw_routes_learn(struct cw_routes *t, const void *identity,
    size_t n, const char *key);

/* The client of a number, or NULL when it is forgotten. */
struct cw_route *cw_routes_find(struct cw_routes *t, uint64_t number);

/* Its place in the table, below the n of cw_routes_open. */
uint32_t cw_routes_slot(const struct cw_routes *t, const struct cw_route *r);

/* It is gone. */
void cw_routes_forget(struct cw_routes *t, struct cw_route *r);

uint32_t cw_routes_count(const struct cw_routes *t);

#endif /* CW_ROUTES_H */
