/*
 * zap.c - see zap.h.
 *
 * Request, as a ROUTER receives it:
 *	peer, "", version, request id, domain, address, routing id,
 *	mechanism, credentials (CURVE: the 32 bytes of the client's key)
 * Reply:
 *	peer, "", version, request id, status, text, user id, metadata
 */
#include "gate/zap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PEER, EMPTY, VERSION, REQUEST, DOMAIN, ADDRESS, ROUTING, MECHANISM,
    CREDENTIALS, REQUEST_PARTS };

static bool
is(const struct cw_bytes *b, const char *s)
{
	return b->n == strlen(s) && memcmp(b->p, s, b->n) == 0;
}

uint32_t
cw_zap_client(const struct cw_curve_client *clients, uint32_t n,
    const char *key)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(clients[i].key, key) == 0)
			return i;
	return ~0u;
}

static uint32_t
rights_wanted(const struct cw_bytes *domain)
{
	if (is(domain, CW_DOMAIN_SUBMIT))
		return CW_R_SUBMIT | CW_R_WATCH | CW_R_RELOAD;
	if (is(domain, CW_DOMAIN_PULL))
		return CW_R_SUBMIT;
	if (is(domain, CW_DOMAIN_PUB))
		return CW_R_WATCH;
	return 0;
}

/* One property, name and value behind their lengths (u8, u32 big-endian). */
static size_t
metadata(uint64_t number, char buf[64])
{
	const size_t nname = strlen(CW_PROPERTY_CONN);
	char value[24];
	size_t n;

	n = (size_t)snprintf(value, sizeof(value), "%" PRIu64, number);
	buf[0] = (char)nname;
	memcpy(buf + 1, CW_PROPERTY_CONN, nname);
	memset(buf + 1 + nname, 0, 3);
	buf[4 + nname] = (char)n;
	memcpy(buf + 5 + nname, value, n);
	return 5 + nname + n;
}

bool
cw_zap_answer(struct cw_socket *zap, const struct cw_multipart *m,
    const struct cw_curve_client *clients, uint32_t n, uint64_t number,
    bool *granted)
{
	const struct cw_bytes *q = m->part;
	char conn[64];
	const char *status, *text;
	char key[CW_Z85_KEY] = "";
	uint32_t who = ~0u;

	if (m->total < REQUEST_PARTS - 1 || q[EMPTY].n != 0 ||
	    !is(&q[VERSION], "1.0"))
		return false;
	if (m->total == REQUEST_PARTS && is(&q[MECHANISM], "CURVE") &&
	    q[CREDENTIALS].n == CW_CURVE_KEY) {
		cw_z85_key(q[CREDENTIALS].p, key);
		who = cw_zap_client(clients, n, key);
	}
	*granted = who != ~0u &&
	    (clients[who].rights & rights_wanted(&q[DOMAIN])) != 0;
	status = *granted ? "200" : "400";
	text = *granted ? "OK" : who == ~0u ? "unknown key" : "no such right";
	if (!*granted)
		key[0] = '\0';

	const struct cw_bytes reply[] = {
		q[PEER], { "", 0 }, q[VERSION], q[REQUEST],
		{ status, strlen(status) }, { text, strlen(text) },
		{ key, strlen(key) },
		{ conn, *granted ? metadata(number, conn) : 0 },
	};
	return cw_socket_send(zap, reply, CW_COUNT(reply)) == CW_OK;
}

void
cw_zap_name(const struct cw_curve_client *clients, uint32_t n,
    const char *key, struct cw_request *q)
{
	const uint32_t i = cw_zap_client(clients, n, key);

	if (i >= n)
		return;
	memcpy(q->key, clients[i].key, sizeof(q->key));
	q->rights = clients[i].rights;
}

bool
cw_zap_allows(bool curve, const struct cw_request *q)
{
	static const uint32_t any_of[CW_VERBS] = {
		[CW_V_SUBMIT] = CW_R_SUBMIT,
		[CW_V_GET] = CW_R_SUBMIT | CW_R_WATCH,
		[CW_V_CANCEL] = CW_R_SUBMIT,
		[CW_V_PING] = CW_R_SUBMIT | CW_R_WATCH | CW_R_RELOAD,
		[CW_V_RELOAD] = CW_R_RELOAD,
	};

	return curve ? (q->rights & any_of[q->verb]) != 0 :
	    q->verb != CW_V_RELOAD;
}
