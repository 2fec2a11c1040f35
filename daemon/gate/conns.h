/*
 * conns.h - which connection a message came over, and is it still there?
 *
 * Runs in: gate.  Never: logs, allocates after opening.
 *
 * ZeroMQ finds a peer by the routing id that the peer itself has chosen, so
 * the next one to choose the same would get what was meant for the first.
 * With CURVE each handshake that is granted gets a number here, which comes
 * with every message of that connection beside the descriptor it came over;
 * and the library says when a descriptor's connection has ended:
 *
 *	grant 7 (fd 20)   message (7, 20)   fd 20 ended   grant 8 (fd 20)
 *	----------------- 7 is alive -----| 7 is not, 8 is ------------->
 *
 * That order holds as long as ends are noted before a grant is given.
 */
#ifndef CW_CONNS_H
#define CW_CONNS_H

#include <stdbool.h>
#include <stdint.h>

struct cw_conns;		/* opaque */

struct cw_conn {
	uint64_t	 number;	/* of the grant; 0: none */
	int		 fd;
};

/* For descriptors below n, for the life of the process; NULL: no memory. */
struct cw_conns *cw_conns_open(uint32_t n);

/* The number of a handshake that is granted now; never 0. */
uint64_t cw_conns_grant(struct cw_conns *c);

/* The connection over this descriptor has ended. */
void cw_conns_ended(struct cw_conns *c, int fd);

bool cw_conns_alive(const struct cw_conns *c, const struct cw_conn *of);

#endif /* CW_CONNS_H */
