/*
 * zap.h - who may come in: ZAP 1.0 requests of CURVE handshakes.
 *
 * Runs in: gate.  Never: logs.
 *
 * The library asks once per handshake.  Only the CURVE mechanism is granted;
 * the domain of the socket says which right the key must have.  The key is
 * passed on as the user id of every message of that peer, so a right that was
 * taken away counts from the next message on; the number of its connection is
 * passed on beside it (conns.h).
 */
#ifndef CW_ZAP_H
#define CW_ZAP_H

#include <stdbool.h>
#include <stdint.h>

#include "format/gate_msg.h"
#include "gate/socket.h"

#define CW_ZAP_ENDPOINT	"inproc://zeromq.zap.01"
#define CW_DOMAIN_SUBMIT "submit"	/* any right: verbs are checked later */
#define CW_DOMAIN_PULL	"pull"		/* submit */
#define CW_DOMAIN_PUB	"pub"		/* watch */

/* Index of a Z85 key among the clients, or ~0u. */
uint32_t cw_zap_client(const struct cw_curve_client *clients, uint32_t n,
    const char *key);

/*
 * Answer one request on the ZAP socket.  *granted says how; number is that of
 * the connection, if it is.  false: the message was no ZAP request, or its
 * peer is gone; a handshake without an answer times out.
 */
bool cw_zap_answer(struct cw_socket *zap, const struct cw_multipart *m,
    const struct cw_curve_client *clients, uint32_t n, uint64_t number,
    bool *granted);

/*
 * Say in a request whose key it is and what rights that has; none if it is not
 * among the clients (any more).
 */
void cw_zap_name(const struct cw_curve_client *clients, uint32_t n,
    const char *key, struct cw_request *q);
/* May its sender say this?  Without CURVE everybody local may, but reload. */
bool cw_zap_allows(bool curve, const struct cw_request *q);

#endif /* CW_ZAP_H */
