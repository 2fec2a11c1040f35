/*
 * socket.h - libzmq behind the few calls the gate needs.
 *
 * Runs in: gate.  Never: logs, blocks (but in cw_sockets_wait and at closing).
 *
 * The only file that knows libzmq.  Every socket gets the same bounds here:
 * linger, high-water marks, message size, handshake time, heartbeats and TCP
 * keep-alive, so that no peer can hold memory or a descriptor for nothing.
 */
#ifndef CW_SOCKET_H
#define CW_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "base/status.h"
#include "gate/conns.h"

#define CW_INPUT_PARTS	16u	/* frames of a message kept; more are counted */
#define CW_OUTPUT_HWM	1024u	/* messages that may wait for one peer */
#define CW_Z85_KEY	41u	/* 40 characters and the NUL */
#define CW_CURVE_KEY	32u	/* bytes */
/* A ZAP reply's metadata, then of every message: decimal number of the grant. */
#define CW_PROPERTY_CONN "X-Connection"

struct cw_net;			/* opaque: the library with its threads */
struct cw_socket;		/* opaque */

enum cw_socket_kind {
	CW_SOCK_ROUTER,		/* submit: replies name their peer */
	CW_SOCK_PULL,
	CW_SOCK_PUB,
	CW_SOCK_ZAP,		/* in-process authentication requests */
};

struct cw_socket_options {
	uint64_t	 max_bytes;	/* of one frame; a peer sending more is
					   disconnected */
	const char	*secret_key;	/* Z85; "" or NULL: no CURVE */
	const char	*domain;	/* what a ZAP request calls this socket */
};

/* One message received: a frame each, borrowed until cw_multipart_done. */
struct cw_multipart {
	struct cw_bytes	 part[CW_INPUT_PARTS];
	size_t		 n;		/* frames kept */
	size_t		 total;		/* frames sent, may be more */
	const char	*user;		/* ZAP user id, "" when none */
	struct cw_conn	 conn;		/* number as CW_PROPERTY_CONN says */
	/* room for the library's own message structs; the last one is for
	 * frames that are only counted */
	_Alignas(8) unsigned char room[CW_INPUT_PARTS + 1][64];
};

/* One thing to wait for: a socket, or a descriptor where sock is NULL. */
struct cw_wait {
	struct cw_socket *sock;
	int		 fd;
	bool		 want_read, want_write;
	bool		 readable, writable;	/* answers */
};

CW_MUST_USE enum cw_status cw_net_open(struct cw_net **out,
    struct cw_err *err);
/* Waits for what lingers, half a second at most; NULL is fine. */
void cw_net_close(struct cw_net **net);

/* owned: cw_socket_close it before its net. */
CW_MUST_USE enum cw_status cw_socket_open(struct cw_net *net,
    enum cw_socket_kind kind, const struct cw_socket_options *opt,
    struct cw_socket **out, struct cw_err *err);
void cw_socket_close(struct cw_socket **s);

/*
 * *bound: the endpoint with wildcards resolved, in the arena.  CW_E_BUSY when
 * somebody has the address, CW_E_CONFIG when it can't be had otherwise.
 */
CW_MUST_USE enum cw_status cw_socket_bind(struct cw_socket *s,
    const char *endpoint, struct cw_arena *a, const char **bound,
    struct cw_err *err);
CW_MUST_USE enum cw_status cw_socket_connect(struct cw_socket *s,
    const char *endpoint, struct cw_err *err);

/*
 * Have the library say when a connection of s begins and ends; before bind.
 * cw_socket_event gives the next of what it said, in order: the descriptor,
 * and whether it ended; false when there is no more.
 */
CW_MUST_USE enum cw_status cw_socket_watch(struct cw_net *net,
    struct cw_socket *s, const char *name, struct cw_err *err);
bool cw_socket_event(struct cw_socket *s, int *fd, bool *ended);

/*
 * At most n messages wait to be sent to any peer that s has by now; for one
 * that comes later it is CW_OUTPUT_HWM, until this is called again.
 */
void cw_socket_output(struct cw_socket *s, uint32_t n);

/*
 * Let s take note of who has come and gone.  What is sent within the next
 * millisecond goes to whom s knows now.
 */
void cw_socket_settle(struct cw_socket *s);

/*
 * The next message, if there is one.  CW_E_BUSY: none now.  CW_E_SYSTEM: the
 * socket is of no use any more.  On CW_OK the caller ends with
 * cw_multipart_done.
 */
CW_MUST_USE enum cw_status cw_socket_recv(struct cw_socket *s,
    struct cw_multipart *m, struct cw_err *err);
void cw_multipart_done(struct cw_multipart *m);

/*
 * Send n parts as one message, or nothing.  CW_E_BUSY: the peer's queue is
 * full; CW_E_NOT_FOUND: a ROUTER's peer (part 0) is gone.
 */
CW_MUST_USE enum cw_status cw_socket_send(struct cw_socket *s,
    const struct cw_bytes *parts, size_t n);

/*
 * A ROUTER's message made part by part, CW_OUTPUT_PARTS at most: cw_socket_part
 * gives room for n bytes, to be filled, or NULL when there is no memory;
 * cw_socket_mark adds a part of constant text.  cw_socket_post sends them to a
 * peer, or none: CW_E_LIMIT when one could not be made, else as cw_socket_send.
 * done is called once the marked part has left the peer's queue, was not sent
 * or can't be any more; in a thread of the library.
 */
#define CW_OUTPUT_PARTS	16u
void *cw_socket_part(struct cw_socket *s, size_t n);
typedef void cw_socket_done(void *text, void *hint);
void cw_socket_mark(struct cw_socket *s, const char *text,
    cw_socket_done *done, void *hint);
CW_MUST_USE enum cw_status cw_socket_post(struct cw_socket *s,
    const void *identity, size_t n);

/* Wait for any item, timeout_ms at most.  Interruption counts as time-out. */
CW_MUST_USE enum cw_status cw_sockets_wait(struct cw_wait *items, size_t n,
    int timeout_ms, struct cw_err *err);

/* Bytes of a CURVE key as people write them. */
void cw_z85_key(const uint8_t key[CW_CURVE_KEY], char out[CW_Z85_KEY]);

#endif /* CW_SOCKET_H */
