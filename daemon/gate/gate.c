/*
 * gate.c - see gate.h.
 */
#include "gate/gate.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "gate/endpoint.h"
#include "gate/message.h"
#include "gate/peers.h"
#include "gate/pub.h"
#include "gate/pushed.h"
#include "gate/socket.h"
#include "gate/subscribers.h"
#include "gate/zap.h"

#define GATE_MAGIC	0x9a7e0001u

#define TURN_MESSAGES	64	/* of one socket before the others' turn */
#define TICK_MS		250
#define HELD_MS		5	/* between looks whether slow clients have read */
#define QUIET_MS	10000	/* between two lines about bad peers */
/* Above this, free memory is given back every so often: a storm leaves the
 * library's heap large and full of holes. */
#define TRIM_BYTES	((size_t)32 << 20)
#define TRIM_MS		2000
/* A frame may be this much larger than limits.bytes and still be answered
 * with a reason; beyond, the library drops the connection. */
#define POLITE_BYTES	((uint64_t)1 << 20)
/* Fields of a packed request beside its image. */
#define FIELDS_BYTES	((size_t)64 << 10)
#define SCRATCH_KEEP	((size_t)1 << 20)
/* Jobs of PULL that are not stored yet: a disk takes that in a second. */
#define PUSHED_BYTES	((uint64_t)32 << 20)
/* A client list of CW_CURVE_CLIENTS_MAX keys with names. */
#define KEYS_BYTES	((size_t)4 << 20)
/*
 * Resident memory, most of it what the library holds for its peers.  It bounds
 * messages, not bytes, and a message of endless frames not at all; it can't
 * drop one peer either.  So beyond this and what is waiting for the supervisor
 * the gate goes, its peers reconnect and the hoard is free.
 */
#define HOARD_BYTES	((size_t)1 << 30)

struct cw_gate {
	uint32_t		 magic;
	const struct cw_gate_init *init;
	struct cw_uplink	*uplink;
	struct cw_net		*net;
	struct cw_socket	*submit, *pull, *zap;	/* or NULL */
	struct cw_pub		 pub;
	struct cw_peers		*peers;		/* of submit */
	struct cw_pushed	*pushed;	/* by way of pull */
	struct cw_subscribers	*subs;		/* of pub; NULL: no keys */
	struct cw_arena		*scratch;	/* one message */
	bool			 paused;	/* by the supervisor */
	/* CURVE clients: the first list is init's, later ones live here */
	const struct cw_curve_client *clients;
	uint32_t		 nclients;
	struct cw_arena		*keys[2];	/* [0] in use, [1] spare */
	struct cw_gate_stats	 stats;
	struct cw_gate_stats	 said;		/* at the last log line */
	uint64_t		 tick_at, say_at, trim_at;	/* ms */
	int			 statm;		/* /proc/self/statm, kept open */
};

/* ===== opening ========================================================= */

/* One bound socket, or none for an empty endpoint. */
static enum cw_status
open_bound(struct cw_gate *g, enum cw_socket_kind kind, const char *domain,
    const char *endpoint, struct cw_arena *a, struct cw_socket **out,
    const char **bound, struct cw_err *err)
{
	const struct cw_socket_options opt = {
		.max_bytes = g->init->max_bytes + POLITE_BYTES,
		.secret_key = g->init->secret_key,
		.domain = domain,
	};
	enum cw_status st;

	*bound = "";
	if (endpoint[0] == '\0' &&
	    (kind != CW_SOCK_PULL || g->init->nconnect == 0))
		return CW_OK;
	if (endpoint[0] != '\0' && (st = cw_endpoint_bindable(endpoint,
	    opt.secret_key[0] != '\0', a, &endpoint, err)) != CW_OK)
		return st;
	if ((st = cw_socket_open(g->net, kind, &opt, out, err)) != CW_OK)
		return st;
	if (kind == CW_SOCK_ROUTER)
		st = cw_peers_attach(g->peers, g->net, *out, err);
	else if (kind == CW_SOCK_PUB && g->init->secret_key[0] != '\0')
		st = cw_subscribers_open(g->net, *out, &g->subs, err);
	if (st != CW_OK || endpoint[0] == '\0')
		return st;
	return cw_socket_bind(*out, endpoint, a, bound, err);
}

static enum cw_status
open_zap(struct cw_gate *g, struct cw_arena *a, struct cw_err *err)
{
	const struct cw_socket_options opt = { 0 };
	const char *bound;
	enum cw_status st;

	if (g->init->secret_key[0] == '\0')
		return CW_OK;
	st = cw_socket_open(g->net, CW_SOCK_ZAP, &opt, &g->zap, err);
	if (st != CW_OK)
		return st;
	return cw_socket_bind(g->zap, CW_ZAP_ENDPOINT, a, &bound, err);
}

static enum cw_status
connect_pull(struct cw_gate *g, struct cw_arena *a, struct cw_err *err)
{
	for (uint32_t i = 0; i < g->init->nconnect; i++) {
		const char *numeric;
		enum cw_status st;

		st = cw_endpoint_numeric(g->init->connect[i], a, &numeric,
		    err);
		if (st == CW_OK)
			st = cw_socket_connect(g->pull, numeric, err);
		if (st != CW_OK)
			return st;
	}
	return CW_OK;
}

static enum cw_status
open_arenas(struct cw_gate *g, struct cw_err *err)
{
	enum cw_status st;

	/* A packed request, and a reply's strings. */
	st = cw_arena_open(2 * (size_t)(g->init->max_bytes + POLITE_BYTES) +
	    ((size_t)64 << 20), &g->scratch, err);
	for (int i = 0; i < 2 && st == CW_OK; i++)
		st = cw_arena_open(KEYS_BYTES, &g->keys[i], err);
	return st;
}

enum cw_status
cw_gate_open(const struct cw_gate_init *init, struct cw_arena *a,
    struct cw_uplink *uplink, struct cw_gate **out,
    struct cw_gate_ready *ready, struct cw_err *err)
{
	struct cw_gate *g = cw_zalloc(1, sizeof(*g));
	enum cw_status st;

	if (g == NULL)
		return cw_err_sys(err, "gate");
	g->magic = GATE_MAGIC;
	g->init = init;
	g->uplink = uplink;
	g->clients = init->clients;
	g->nclients = init->nclients;
	g->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (g->statm == -1)
		return cw_err_sys(err, "/proc/self/statm");
	if ((st = cw_peers_open(init->secret_key[0] != '\0',
	    init->reply_bytes, &g->stats, &g->peers, err)) != CW_OK ||
	    (st = cw_pushed_open(PUSHED_BYTES, init->retry_ms, &g->pushed,
	    err)) != CW_OK ||
	    (st = open_arenas(g, err)) != CW_OK ||
	    (st = cw_net_open(&g->net, err)) != CW_OK ||
	    (st = open_zap(g, a, err)) != CW_OK ||
	    (st = open_bound(g, CW_SOCK_ROUTER, CW_DOMAIN_SUBMIT,
	    init->submit, a, &g->submit, &ready->submit, err)) != CW_OK ||
	    (st = open_bound(g, CW_SOCK_PULL, CW_DOMAIN_PULL,
	    init->pull, a, &g->pull, &ready->pull, err)) != CW_OK ||
	    (st = open_bound(g, CW_SOCK_PUB, CW_DOMAIN_PUB,
	    init->pub, a, &g->pub.sock, &ready->pub, err)) != CW_OK ||
	    (st = connect_pull(g, a, err)) != CW_OK) {
		cw_gate_close(&g);
		return st;
	}
	*out = g;
	return CW_OK;
}

void
cw_gate_close(struct cw_gate **g)
{
	if (*g == NULL)
		return;
	CW_CHECK_OBJ(*g, GATE_MAGIC);
	cw_socket_close(&(*g)->submit);
	cw_socket_close(&(*g)->pull);
	cw_socket_close(&(*g)->pub.sock);
	cw_socket_close(&(*g)->zap);
	cw_net_close(&(*g)->net);
	cw_arena_close(&(*g)->scratch);
	cw_arena_close(&(*g)->keys[0]);
	cw_arena_close(&(*g)->keys[1]);
	cw_close(&(*g)->statm);
	(*g)->magic = 0;
	*g = NULL;	/* the struct itself lives as long as the process */
}

/* ===== to peers ======================================================== */

static void
reject(struct cw_gate *g, struct cw_route *r, const char *id,
    const char *code, const char *why)
{
	g->stats.rejected++;
	if (r != NULL)
		cw_peers_answer(g->peers, r, CW_A_REJECTED,
		    cw_message_rejected(g->scratch, id, code, why), NULL, 0);
}

static void
busy(struct cw_gate *g, struct cw_route *r, const char *id)
{
	g->stats.busy++;
	if (r != NULL)
		cw_peers_answer(g->peers, r, CW_A_BUSY,
		    cw_message_busy(g->scratch, id, g->init->retry_ms), NULL,
		    0);
}

/* ===== from peers ====================================================== */

/* Does the supervisor keep up?  One image is always let through. */
static bool
full_for(const struct cw_gate *g, size_t nimage)
{
	const size_t waiting = cw_uplink_pending(g->uplink);

	return waiting > 0 &&
	    waiting + nimage + FIELDS_BYTES > g->init->pending_bytes;
}

/* Whoever pushes can't be told BUSY: it has to wait, or it would lose. */
static bool
takes_pull(const struct cw_gate *g)
{
	return !g->paused && cw_pushed_takes(g->pushed) &&
	    !full_for(g, g->init->max_bytes);
}

/* Until the supervisor has it; turn() sends it. */
static void
keep(struct cw_gate *g, const struct cw_pack *w)
{
	struct cw_err err;

	if (cw_pushed_keep(g->pushed, w, &err) == CW_OK)
		return;
	g->stats.busy++;
	cw_log(CW_LOG_ERR, "pull state=lost error=%s",
	    cw_quote(err.text).text);
}

/* r NULL: of who hears nothing. */
static void
pass_on(struct cw_gate *g, struct cw_route *r, const struct cw_request *q)
{
	struct cw_frame f = { .type = CW_F_GATE_REQUEST };
	const char *id = q->has_job ? q->job.id : "";
	struct cw_pack w;

	if (r != NULL && ((q->verb == CW_V_SUBMIT && g->paused) ||
	    full_for(g, q->job.nimage))) {
		busy(g, r, id);
		return;
	}
	cw_pack_init(&w, g->scratch, q->job.nimage + FIELDS_BYTES);
	cw_request_pack(q, &w);
	if (!cw_pack_ok(&w)) {
		reject(g, r, id, "limit", "message too large to pass on");
		return;
	}
	if (r == NULL) {
		keep(g, &w);
		return;
	}
	f.id = r->number;
	f.body = w.p;
	f.len = (uint32_t)w.len;
	if (!cw_uplink_put(g->uplink, &f))
		busy(g, r, id);
}

/* What is due, while there is room; paused, what it was never told of. */
static void
send_pushed(struct cw_gate *g, uint64_t now)
{
	struct cw_frame f;

	while (cw_pushed_due(g->pushed, g->paused ? 0 : now, &f) &&
	    !full_for(g, f.len) && cw_uplink_put(g->uplink, &f))
		cw_pushed_sent(g->pushed, f.id);
}

static void
take_message(struct cw_gate *g, const struct cw_multipart *m, bool routed)
{
	struct cw_route *r = NULL;
	struct cw_message msg;
	enum cw_status st;
	struct cw_err err;

	g->stats.messages++;
	st = cw_message_read(m, routed, g->init->max_bytes, g->scratch, &msg,
	    &err);
	if (msg.identity.n > 0) {
		r = cw_peers_learn(g->peers, &msg.identity, m);
		r->delimiter = msg.delimiter;
	}
	if (st == CW_OK && r == NULL && msg.request.verb != CW_V_SUBMIT)
		st = cw_err_set(&err, CW_E_FORMAT, "nobody to answer");
	if (st != CW_OK) {
		g->stats.malformed++;
		reject(g, r, msg.id, msg.code, err.text);
		return;
	}
	if (g->zap != NULL)
		cw_zap_name(g->clients, g->nclients, m->user, &msg.request);
	if (r != NULL && msg.request.verb != CW_V_SUBMIT &&
	    cw_peers_deaf(g->peers, r))
		return;
	if (!cw_zap_allows(g->zap != NULL, &msg.request))
		reject(g, r, msg.id, "unsupported", "this takes a CURVE "
		    "key that has the right to it");
	else if (msg.request.verb == CW_V_PING)
		cw_peers_answer(g->peers, r, CW_A_PONG, "{}", NULL, 0);
	else
		pass_on(g, r, &msg.request);
}

static enum cw_status
read_peers(struct cw_gate *g, struct cw_socket *s, bool routed,
    struct cw_err *err)
{
	struct cw_multipart m;

	for (int i = 0; i < TURN_MESSAGES; i++) {
		const enum cw_status st = cw_socket_recv(s, &m, err);

		if (st != CW_OK)
			return st == CW_E_BUSY ? CW_OK : st;
		take_message(g, &m, routed);
		cw_multipart_done(&m);
		cw_arena_reset(g->scratch, SCRATCH_KEEP);
		if (!routed && !takes_pull(g))
			return CW_OK;
	}
	return CW_OK;
}

static enum cw_status
read_zap(struct cw_gate *g, struct cw_err *err)
{
	struct cw_multipart m;

	for (int i = 0; i < TURN_MESSAGES; i++) {
		const enum cw_status st = cw_socket_recv(g->zap, &m, err);
		bool granted = true;

		if (st != CW_OK)
			return st == CW_E_BUSY ? CW_OK : st;
		(void)cw_zap_answer(g->zap, &m, g->clients, g->nclients,
		    cw_peers_grant(g->peers), &granted);
		if (!granted)
			g->stats.auth_refused++;
		cw_multipart_done(&m);
	}
	return CW_OK;
}

/* ===== from the supervisor ============================================= */

static enum cw_status
on_reply(struct cw_gate *g, const struct cw_frame *f, struct cw_unpack *u,
    struct cw_err *err)
{
	struct cw_route *r = cw_peers_find(g->peers, f->id);
	struct cw_reply m;
	enum cw_status st;

	if ((st = cw_reply_unpack(u, g->scratch, &m, err)) != CW_OK)
		return st;
	if (cw_route_pushed(f->id))
		cw_pushed_answer(g->pushed, f->id, m.answer, cw_now_ms());
	else if (r == NULL)
		g->stats.dropped_replies++;
	else
		cw_peers_answer(g->peers, r, m.answer, m.json, m.parts,
		    m.nparts);
	return CW_OK;
}

static enum cw_status
on_publish(struct cw_gate *g, struct cw_unpack *u, struct cw_err *err)
{
	struct cw_publish m;
	enum cw_status st;

	if ((st = cw_publish_unpack(u, g->scratch, &m, err)) != CW_OK)
		return st;
	if (cw_pub_send(&g->pub, &m) == CW_OK)
		g->stats.published++;
	return CW_OK;
}

/* A second GATE_INIT brings a new list of clients and nothing else. */
static enum cw_status
on_clients(struct cw_gate *g, struct cw_unpack *u, struct cw_err *err)
{
	struct cw_arena *fresh = g->keys[1];
	struct cw_gate_init m;
	enum cw_status st;
	bool lost;

	cw_arena_reset(fresh, 0);
	if ((st = cw_gate_init_unpack(u, fresh, &m, err)) != CW_OK)
		return st;
	lost = cw_watch_lost(g->clients, g->nclients, m.clients, m.nclients);
	g->clients = m.clients;
	g->nclients = m.nclients;
	g->keys[1] = g->keys[0];
	g->keys[0] = fresh;
	cw_log(CW_LOG_NOTICE, "clients n=%u dismissed=%u", m.nclients,
	    lost && g->subs != NULL ? cw_subscribers_dismiss(g->subs) : 0);
	return CW_OK;
}

static enum cw_status
dispatch(struct cw_gate *g, const struct cw_frame *f, struct cw_err *err)
{
	struct cw_unpack u;

	cw_unpack_init(&u, f->body, f->len);
	switch (f->type) {
	case CW_F_GATE_REPLY:
		return on_reply(g, f, &u, err);
	case CW_F_GATE_PUBLISH:
		return on_publish(g, &u, err);
	case CW_F_GATE_PAUSE:
		g->paused = cw_get_u8(&u) != 0;
		return CW_OK;
	case CW_F_GATE_INIT:
		return on_clients(g, &u, err);
	default:
		return cw_err_set(err, CW_E_FORMAT, "%s frame from the "
		    "supervisor", cw_frame_name(f->type));
	}
}

static enum cw_status
read_supervisor(struct cw_gate *g, struct cw_err *err)
{
	struct cw_frame f;
	enum cw_status st;

	if ((st = cw_uplink_fill(g->uplink, err)) != CW_OK)
		return st;
	while ((st = cw_uplink_next(g->uplink, &f, err)) == CW_OK) {
		st = dispatch(g, &f, err);
		cw_arena_reset(g->scratch, SCRATCH_KEEP);
		if (st != CW_OK)
			return st;
	}
	return st == CW_E_BUSY ? CW_OK : st;
}

/* ===== at times ======================================================== */

static size_t
resident_bytes(const struct cw_gate *g)
{
	unsigned long all, resident = 0;
	char line[128];
	const ssize_t n = pread(g->statm, line, sizeof(line) - 1, 0);

	line[n > 0 ? n : 0] = '\0';
	return sscanf(line, "%lu %lu", &all, &resident) == 2 ?
	    resident * 4096 : 0;
}

static void
say_bad_peers(struct cw_gate *g, uint64_t now)
{
	const struct cw_gate_stats *s = &g->stats, *was = &g->said;
	const uint64_t malformed = s->malformed - was->malformed;
	const uint64_t refused = s->auth_refused - was->auth_refused;
	const uint64_t dropped = s->dropped_replies - was->dropped_replies;
	const uint64_t slow = s->slow_replies - was->slow_replies;

	if (now < g->say_at || malformed + refused + dropped + slow == 0)
		return;
	cw_log(CW_LOG_NOTICE, "peers malformed=%" PRIu64 " refused=%" PRIu64
	    " dropped_replies=%" PRIu64 " slow_replies=%" PRIu64 " held_bytes=%"
	    PRIu64, malformed, refused, dropped, slow, s->held_bytes);
	g->said = *s;
	g->say_at = now + QUIET_MS;
}

static enum cw_status
tick(struct cw_gate *g, uint64_t now, struct cw_err *err)
{
	const size_t resident = resident_bytes(g);
	struct cw_frame f = { .type = CW_F_GATE_STATS };
	struct cw_pack w;

	g->tick_at = now + TICK_MS;
	g->stats.held_bytes = cw_peers_held(g->peers);
	if (resident > HOARD_BYTES + cw_uplink_pending(g->uplink) +
	    cw_pushed_bytes(g->pushed) + g->stats.held_bytes)
		return cw_err_set(err, CW_E_LIMIT, "peers' messages fill %zu "
		    "MB; want at most %zu", resident >> 20,
		    HOARD_BYTES >> 20);
	if (resident > TRIM_BYTES && now >= g->trim_at) {
		(void)malloc_trim(0);
		g->trim_at = now + TRIM_MS;
	}
	cw_peers_note(g->peers);
	cw_subscribers_note(g->subs);
	cw_pub_note(&g->pub);
	g->stats.clients = cw_peers_count(g->peers);
	say_bad_peers(g, now);
	/* At every tick: it is also how our parent knows that we turn. */
	cw_pack_init(&w, g->scratch, sizeof(g->stats));
	cw_gate_stats_pack(&g->stats, &w);
	f.body = w.p;
	f.len = (uint32_t)w.len;
	if (cw_pack_ok(&w))
		(void)cw_uplink_put(g->uplink, &f);	/* full: the next one */
	cw_arena_reset(g->scratch, SCRATCH_KEEP);
	return CW_OK;
}

/* ===== the loop ======================================================== */

static enum cw_status
turn(struct cw_gate *g, struct cw_err *err)
{
	enum { CHANNEL, SUBMIT, PULL, ZAP, ITEMS };
	struct cw_socket *const socks[ITEMS] = { NULL, g->submit, g->pull,
	    g->zap };
	struct cw_wait item[ITEMS] = { 0 }, *at[ITEMS] = { 0 };
	enum cw_status st = CW_OK;
	uint64_t now = cw_now_ms(), wait;
	size_t n = 1;

	item[0] = (struct cw_wait){ .fd = g->uplink->fd, .want_read = true,
	    .want_write = cw_uplink_pending(g->uplink) > 0 };
	at[CHANNEL] = &item[0];
	for (int i = SUBMIT; i < ITEMS; i++) {
		if (socks[i] == NULL || (i == PULL && !takes_pull(g)))
			continue;
		at[i] = &item[n++];
		at[i]->sock = socks[i];
		at[i]->want_read = true;
	}
	wait = now < g->tick_at ? g->tick_at - now : 0;
	wait = cw_peers_held(g->peers) > 0 && wait > HELD_MS ? HELD_MS : wait;
	if (!item[0].want_write)	/* else there may be no room for it */
		wait = cw_pushed_wait(g->pushed, g->paused ? 0 : now, wait);
	st = cw_sockets_wait(item, n, (int)wait, err);
	cw_peers_pump(g->peers);
	if (st == CW_OK && at[CHANNEL]->readable)
		st = read_supervisor(g, err);
	if (st == CW_OK && at[ZAP] != NULL && at[ZAP]->readable)
		st = read_zap(g, err);
	if (st == CW_OK && at[SUBMIT] != NULL && at[SUBMIT]->readable)
		st = read_peers(g, g->submit, true, err);
	/* Since we looked we may have been paused, or SUBMIT took the room. */
	if (st == CW_OK && at[PULL] != NULL && at[PULL]->readable &&
	    takes_pull(g))
		st = read_peers(g, g->pull, false, err);
	send_pushed(g, now = cw_now_ms());
	if (st == CW_OK && now >= g->tick_at)
		st = tick(g, now, err);
	return st == CW_OK ? cw_uplink_flush(g->uplink, err) : st;
}

enum cw_status
cw_gate_run(struct cw_gate *g, struct cw_err *err)
{
	enum cw_status st;

	CW_CHECK_OBJ(g, GATE_MAGIC);
	while ((st = turn(g, err)) == CW_OK)
		;
	cw_pushed_hurry(g->pushed);
	send_pushed(g, cw_now_ms());
	return st;
}
