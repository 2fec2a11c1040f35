/*
 * zmq_client.h - the daemon's queue, from the sender's side.
 *
 * Runs in: cli.  The only place here that knows ZeroMQ.
 *
 * One DEALER on queue.submit.  Messages are those of clipward-protocol(7).
 */
#ifndef CW_ZMQ_CLIENT_H
#define CW_ZMQ_CLIENT_H

#include <stddef.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "base/status.h"

#define CW_CURVE_KEY	41u	/* Z85 and the NUL */
#define CW_ZMQ_PARTS	12u

struct cw_zmq;			/* opaque */

struct cw_zmq_opts {
	const char	*endpoint;
	/* CURVE: the server's public key, our secret one; NULL: none */
	const char	*server_key, *secret_key;
};

/* owned: cw_zmq_close. */
CW_MUST_USE enum cw_status cw_zmq_open(const struct cw_zmq_opts *opts,
    struct cw_arena *a, struct cw_zmq **out, struct cw_err *err);
void cw_zmq_close(struct cw_zmq **z);

/* CW1, verb, header, and the body if there is one (p not NULL). */
CW_MUST_USE enum cw_status cw_zmq_send(struct cw_zmq *z, const char *verb,
    const char *header, struct cw_bytes body, uint64_t timeout_ms,
    struct cw_err *err);

struct cw_zmq_answer {
	const char	*verb, *header;	/* NUL-terminated, arena */
	struct cw_bytes	 parts[CW_ZMQ_PARTS];	/* payload, arena */
	size_t		 nparts;
};

/* The next answer; CW_E_BUSY when none came in time. */
CW_MUST_USE enum cw_status cw_zmq_receive(struct cw_zmq *z,
    uint64_t timeout_ms, struct cw_arena *a, struct cw_zmq_answer *out,
    struct cw_err *err);

CW_MUST_USE enum cw_status cw_zmq_keypair(char public[CW_CURVE_KEY],
    char secret[CW_CURVE_KEY], struct cw_err *err);

#endif /* CW_ZMQ_CLIENT_H */
