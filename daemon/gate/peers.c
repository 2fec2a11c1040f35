/*
 * peers.c - see peers.h.
 */
#include "gate/peers.h"

#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"
#include "gate/held.h"
#include "gate/message.h"

#define PEERS_MAGIC	0x9ee25001u

#define ROUTES		16384u	/* clients remembered, 5 MB */
#define DESCRIPTORS	65536u	/* of connections */
#define FLIGHT_BYTES	((int64_t)256 << 10)	/* in the library, of a client */
#define LETTER_BYTES	512	/* an answer takes there beside its parts */

struct seat {			/* beside a route, by its slot */
	uint64_t	 number;	/* of the route whose letters are held */
	uint64_t	 sent;		/* bytes given to the library, ever */
};

struct cw_peers {
	uint32_t		 magic;
	struct cw_socket	*sock;
	struct cw_routes	*routes;
	struct cw_conns		*conns;	/* NULL: no keys, nothing to compare */
	struct cw_held		*held;
	uint64_t		 most;	/* held */
	struct seat		*seats;	/* [ROUTES] */
	struct cw_gate_stats	*stats;
};

/* Bytes of a slot that the library has done with, ever.  Its I/O thread
 * counts, so this is the one thing here that two threads know. */
static _Atomic uint64_t flown[ROUTES];

enum cw_status
cw_peers_open(bool curve, uint64_t reply_bytes, struct cw_gate_stats *stats,
    struct cw_peers **out, struct cw_err *err)
{
	struct cw_peers *p = cw_zalloc(1, sizeof(*p));

	if (p == NULL)
		return cw_err_sys(err, "clients");
	p->magic = PEERS_MAGIC;
	p->stats = stats;
	p->routes = cw_routes_open(ROUTES);
	p->seats = cw_zalloc(ROUTES, sizeof(*p->seats));
	p->most = reply_bytes;
	if (curve)
		p->conns = cw_conns_open(DESCRIPTORS);
	if (p->routes == NULL || p->seats == NULL ||
	    (curve && p->conns == NULL))
		return cw_err_sys(err, "clients");
	*out = p;
	return cw_held_open(ROUTES, reply_bytes, &p->held, err);
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

/* ---- what is on its way ---- */

static uint64_t
letter_bytes(const struct cw_letter *l)
{
	uint64_t n = LETTER_BYTES;

	for (uint32_t i = 0; i < l->nparts; i++)
		n += l->len[i];
	return n;
}

/* hint: bytes above a slot's 16 bits, see send_letter. */
static void
has_flown(void *text, void *hint)
{
	const uintptr_t v = (uintptr_t)hint;

	(void)text;
	atomic_fetch_add_explicit(&flown[v & 0xffff], v >> 16,
	    memory_order_release);
}

_Static_assert(ROUTES <= 0x10000 && sizeof(uintptr_t) == 8,
    "a slot and a size fit a pointer");

/* Does the library's queue of this slot take that much more? */
static bool
may_fly(const struct cw_peers *p, uint32_t slot, uint64_t bytes)
{
	const int64_t flying = (int64_t)(p->seats[slot].sent -
	    atomic_load_explicit(&flown[slot], memory_order_acquire));

	return flying <= 0 || flying + (int64_t)bytes <= FLIGHT_BYTES;
}

/* One part, copied: from p, or where that is NULL from what is held. */
static void
add_part(struct cw_peers *p, const void *from, size_t n)
{
	void *to = cw_socket_part(p->sock, n);

	if (to == NULL)
		return;		/* which cw_socket_post will say */
	if (from == NULL)
		cw_held_read(p->held, to, n);
	else if (n > 0)
		memcpy(to, from, n);
}

/* parts NULL: they are read from what is held. */
static enum cw_status
send_letter(struct cw_peers *p, const struct cw_route *r,
    const struct cw_letter *l, const struct cw_bytes *parts)
{
	const uint32_t slot = cw_routes_slot(p->routes, r);
	const char *name = cw_answer_name(l->answer);
	const uint64_t bytes = letter_bytes(l);
	enum cw_status st;

	if (!is_there(p, r))
		return CW_E_NOT_FOUND;
	if (l->delimiter)
		add_part(p, "", 0);
	p->seats[slot].sent += bytes;
	cw_socket_mark(p->sock, CW_WIRE_VERSION, has_flown,
	    (void *)(uintptr_t)(bytes << 16 | slot));
	add_part(p, name, strlen(name));
	for (uint32_t i = 0; i < l->nparts; i++)
		add_part(p, parts == NULL ? NULL :
		    parts[i].p != NULL ? parts[i].p : "", l->len[i]);
	st = cw_socket_post(p->sock, r->identity, r->nidentity);
	if (st == CW_OK)
		p->stats->replies++;
	return st;
}

/* ---- what waits ---- */

static void
drop_held(struct cw_peers *p, uint32_t slot, uint64_t *counter)
{
	*counter += cw_held_drop(p->held, slot);
}

/* Room for this much more of this slot, if need be at the greediest's cost. */
static bool
make_room(struct cw_peers *p, uint32_t slot, uint64_t cost)
{
	if (cw_held_of(p->held, slot) + cost > p->most / 2)
		return false;
	while (cw_held_all(p->held) + cost > p->most) {
		const uint32_t c = cw_held_greediest(p->held);

		if (c == CW_NOBODY || c == slot)
			return false;
		drop_held(p, c, &p->stats->slow_replies);
	}
	return true;
}

static void
hold(struct cw_peers *p, uint32_t slot, struct cw_letter *l,
    const struct cw_bytes *parts)
{
	if (make_room(p, slot, cw_held_cost(l)) &&
	    cw_held_put(p->held, slot, l, parts))
		return;
	/* The verdict at least; its pictures can be asked for. */
	if (l->nparts > 1) {
		l->nparts = 1;
		if (make_room(p, slot, cw_held_cost(l)) &&
		    cw_held_put(p->held, slot, l, parts))
			return;
	}
	p->stats->slow_replies++;
}

/* The seat is this route's; what its slot's former one left is no more. */
static void
take_seat(struct cw_peers *p, const struct cw_route *r)
{
	const uint32_t slot = cw_routes_slot(p->routes, r);
	struct seat *s = &p->seats[slot];

	if (s->number == r->number)
		return;
	drop_held(p, slot, &p->stats->dropped_replies);
	s->number = r->number;
	s->sent = atomic_load_explicit(&flown[slot], memory_order_acquire);
}

void
cw_peers_answer(struct cw_peers *p, struct cw_route *r, enum cw_answer what,
    const char *json, const struct cw_bytes *parts, uint32_t nparts)
{
	const uint32_t slot = cw_routes_slot(p->routes, r);
	struct cw_bytes all[CW_LETTER_PARTS] = { { json, strlen(json) } };
	struct cw_letter l = { .answer = what, .delimiter = r->delimiter,
		.nparts = nparts + 1, .len = { all[0].n } };
	enum cw_status st = CW_E_BUSY;

	CW_CHECK(nparts <= CW_PARTS_MAX);
	for (uint32_t i = 0; i < nparts; i++) {
		all[i + 1] = parts[i];
		l.len[i + 1] = parts[i].n;
	}
	take_seat(p, r);
	if (cw_held_of(p->held, slot) == 0 &&
	    may_fly(p, slot, letter_bytes(&l)))
		st = send_letter(p, r, &l, all);
	if (st == CW_E_BUSY)
		hold(p, slot, &l, all);
	else if (st != CW_OK)
		p->stats->dropped_replies++;
	if (st == CW_E_NOT_FOUND)
		cw_routes_forget(p->routes, r);
}

static void
pump_one(struct cw_peers *p, uint32_t slot)
{
	struct cw_route *r = cw_routes_find(p->routes, p->seats[slot].number);
	enum cw_status st = r == NULL ? CW_E_NOT_FOUND : CW_OK;
	struct cw_letter l;

	while (st == CW_OK && cw_held_first(p->held, slot, &l) &&
	    may_fly(p, slot, letter_bytes(&l))) {
		st = send_letter(p, r, &l, NULL);
		if (st == CW_OK)
			cw_held_pop(p->held, slot);
	}
	if (st != CW_E_NOT_FOUND)
		return;
	drop_held(p, slot, &p->stats->dropped_replies);
	if (r != NULL)
		cw_routes_forget(p->routes, r);
}

void
cw_peers_pump(struct cw_peers *p)
{
	uint32_t next;

	CW_CHECK_OBJ(p, PEERS_MAGIC);
	for (uint32_t c = cw_held_client(p->held); c != CW_NOBODY; c = next) {
		next = cw_held_next(p->held, c);
		pump_one(p, c);
	}
}

uint64_t
cw_peers_held(const struct cw_peers *p)
{
	return cw_held_all(p->held);
}

bool
cw_peers_deaf(struct cw_peers *p, const struct cw_route *r)
{
	const uint32_t slot = cw_routes_slot(p->routes, r);

	take_seat(p, r);
	if (cw_held_of(p->held, slot) <= p->most / 4)
		return false;
	p->stats->slow_replies++;
	return true;
}

uint32_t
cw_peers_count(const struct cw_peers *p)
{
	return cw_routes_count(p->routes);
}
