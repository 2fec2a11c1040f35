/*
 * peers.c - see peers.h.
 */
#include "gate/peers.h"

#include <string.h>

#include "base/arena.h"
#include "gate/message.h"

#define PEERS_MAGIC	0x9ee25001u

#define ROUTES		16384u	/* clients remembered, 5 MB */
#define DESCRIPTORS	65536u	/* of connections */

struct cw_peers {
	uint32_t		 magic;
	struct cw_socket	*sock;
	struct cw_routes	*routes;
	struct cw_conns		*conns;	/* NULL: no keys, nothing to compare */
	struct cw_gate_stats	*stats;
};

struct cw_peers *
cw_peers_open(bool curve, struct cw_gate_stats *stats)
{
	struct cw_peers *p = cw_xalloc(1, sizeof(*p));

	p->magic = PEERS_MAGIC;
	p->stats = stats;
	p->routes = cw_routes_open(ROUTES);
	if (curve)
		p->conns = cw_conns_open(DESCRIPTORS);
	return p;
}

enum cw_status
cw_peers_attach(struct cw_peers *p, struct cw_net *net,
    struct cw_socket *submit, struct cw_err *err)
{
	CW_CHECK_OBJ(p, PEERS_MAGIC);
	p->sock = submit;
	return p->conns == NULL ? CW_OK :
	    cw_socket_watch(net, submit, "submit", err);
}

void
cw_peers_note(struct cw_peers *p)
{
	bool ended;
	int fd;

	CW_CHECK_OBJ(p, PEERS_MAGIC);
	while (p->conns != NULL && p->sock != NULL &&
	    cw_socket_event(p->sock, &fd, &ended))
		if (ended)
			cw_conns_ended(p->conns, fd);
}

uint64_t
cw_peers_grant(struct cw_peers *p)
{
	cw_peers_note(p);
	return cw_conns_grant(p->conns);
}

struct cw_route *
cw_peers_learn(struct cw_peers *p, const struct cw_bytes *identity,
    const struct cw_multipart *m)
{
	struct cw_route *r;

	CW_CHECK_OBJ(p, PEERS_MAGIC);
	r = cw_routes_learn(p->routes, identity->p, identity->n, m->user);
	r->conn = m->conn;
	return r;
}

struct cw_route *
cw_peers_find(struct cw_peers *p, uint64_t number)
{
	CW_CHECK_OBJ(p, PEERS_MAGIC);
	return p->sock == NULL ? NULL : cw_routes_find(p->routes, number);
}

/* Is the peer that would get what we send the one we mean? */
static bool
is_there(struct cw_peers *p, const struct cw_route *r)
{
	if (p->conns == NULL)
		return true;
	/* First whom the socket knows, then who of them has gone: with the
	 * other order somebody could come in between. */
	cw_socket_settle(p->sock);
	cw_peers_note(p);
	return cw_conns_alive(p->conns, &r->conn);
}

void
cw_peers_answer(struct cw_peers *p, struct cw_route *r, enum cw_answer what,
    const char *json, const struct cw_bytes *parts, uint32_t nparts)
{
	const char *name = cw_answer_name(what);
	struct cw_bytes f[5 + CW_PARTS_MAX];
	enum cw_status st = CW_E_NOT_FOUND;
	size_t n = 0;

	CW_CHECK(nparts <= CW_PARTS_MAX);
	f[n++] = (struct cw_bytes){ r->identity, r->nidentity };
	if (r->delimiter)
		f[n++] = (struct cw_bytes){ "", 0 };
	f[n++] = (struct cw_bytes){ CW_WIRE_VERSION, strlen(CW_WIRE_VERSION) };
	f[n++] = (struct cw_bytes){ name, strlen(name) };
	f[n++] = (struct cw_bytes){ json, strlen(json) };
	for (uint32_t i = 0; i < nparts; i++)
		f[n++] = parts[i];
	if (is_there(p, r))
		st = cw_socket_send(p->sock, f, n);
	if (st == CW_OK) {
		p->stats->replies++;
		return;
	}
	p->stats->dropped_replies++;
	if (st == CW_E_NOT_FOUND)
		cw_routes_forget(p->routes, r);
}

uint32_t
cw_peers_count(const struct cw_peers *p)
{
	return cw_routes_count(p->routes);
}
