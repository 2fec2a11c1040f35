/*
 * peers.h - the clients of the submit socket: who they are, what they are told.
 *
 * Runs in: gate.  Never: logs, blocks.
 *
 * An answer goes to the ZeroMQ routing id of who asked.  Under CURVE it goes
 * only over the connection that the asking key was last heard on: a routing
 * id is the client's own choice, and the next one to choose it is told
 * nothing that was meant for another.
 *
 * The library's queue of a client holds FLIGHT_BYTES of answers or a single
 * larger one; what it has not taken waits here, for all clients together
 * reply_bytes, for one half of it.  A verdict for which there is no room goes
 * without its pictures, or not at all; when all are short of room, the client
 * that has most waiting loses it.
 */
#ifndef CW_PEERS_H
#define CW_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "format/gate_msg.h"
#include "gate/routes.h"
#include "gate/socket.h"

struct cw_peers;		/* opaque */

/*
 * For the life of the process.  curve: clients have keys.  stats: replies
 * and dropped ones are counted there.
 */
CW_MUST_USE enum cw_status cw_peers_open(bool curve, uint64_t reply_bytes,
    struct cw_gate_stats *stats, struct cw_peers **out, struct cw_err *err);

/* Their ROUTER, if there is one; before it is bound. */
CW_MUST_USE enum cw_status cw_peers_attach(struct cw_peers *p,
    struct cw_net *net, struct cw_socket *submit, struct cw_err *err);

/* Take note of connections that have ended; before a handshake is granted. */
void cw_peers_note(struct cw_peers *p);
/* The number of a connection whose handshake is granted now. */
uint64_t cw_peers_grant(struct cw_peers *p);

/* Who sent m: the identity that begins it.  Good until the next is learnt. */
struct cw_route *cw_peers_learn(struct cw_peers *p,
    const struct cw_bytes *identity, const struct cw_multipart *m);
/* Who a number of the supervisor's stands for, or NULL: it is gone. */
struct cw_route *cw_peers_find(struct cw_peers *p, uint64_t number);

/* An answer to a client, now or when it has read what is before it, if it is
 * still there; parts at most CW_PARTS_MAX. */
void cw_peers_answer(struct cw_peers *p, struct cw_route *r,
    enum cw_answer what, const char *json, const struct cw_bytes *parts,
    uint32_t nparts);

/* Send what waits and can go. */
void cw_peers_pump(struct cw_peers *p);
/* Bytes that wait. */
uint64_t cw_peers_held(const struct cw_peers *p);
/* Does it ask without reading?  Then a question that can be asked again is
 * dropped, and counted as an answer. */
bool cw_peers_deaf(struct cw_peers *p, const struct cw_route *r);

uint32_t cw_peers_count(const struct cw_peers *p);

#endif /* CW_PEERS_H */
