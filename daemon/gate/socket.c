/*
 * socket.c - see socket.h.
 */
#include "gate/socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define SOCKET_MAGIC	0x50c4e75au
#define NET_MAGIC	0x4e37c0deu

/* A reply on its way when the gate is told to go has this long. */
#define LINGER_MS	500
/* A peer that has not finished its handshake by then is dropped. */
#define HANDSHAKE_MS	2000
/* A peer that is gone without a word is noticed after 40 s. */
#define HEARTBEAT_MS	10000
#define HEARTBEAT_DEAD_MS 30000
/*
 * Messages waiting for one peer.  Input is drained at once, so little is
 * enough; output covers a sender that hands in a thousand images before it
 * reads its first answer.
 */
#define INPUT_HWM	64
#define PULL_BYTES	((uint64_t)66 << 20)	/* two of 32 MB and a bit */
#define BACKLOG		1024
#define WAIT_MAX	8u

struct cw_net {
	uint32_t	 magic;
	void		*ctx;
};

struct cw_socket {
	uint32_t	 magic;
	void		*zmq;
	void		*monitor;	/* or NULL */
	zmq_msg_t	 part[CW_OUTPUT_PARTS];	/* of a message being made */
	size_t		 nparts;
	bool		 unmade;	/* one of them could not be */
};

_Static_assert(sizeof(zmq_msg_t) <= 64 && _Alignof(zmq_msg_t) <= 8,
    "struct cw_multipart has room for the library's message");

enum cw_status
cw_net_open(struct cw_net **out, struct cw_err *err)
{
	struct cw_net *net = cw_zalloc(1, sizeof(*net));

	if (net == NULL)
		return cw_err_sys(err, "zmq context");
	net->ctx = zmq_ctx_new();
	if (net->ctx == NULL)
		return cw_err_sys(err, "zmq context");
	net->magic = NET_MAGIC;
	*out = net;
	return CW_OK;
}

void
cw_net_close(struct cw_net **net)
{
	if (*net == NULL)
		return;
	CW_CHECK_OBJ(*net, NET_MAGIC);
	while (zmq_ctx_term((*net)->ctx) == -1 && errno == EINTR)
		;
	(*net)->magic = 0;
	*net = NULL;
}

static bool
set_int(void *z, int option, int value)
{
	return zmq_setsockopt(z, option, &value, sizeof(value)) == 0;
}

static bool
set_str(void *z, int option, const char *s)
{
	return zmq_setsockopt(z, option, s, strlen(s)) == 0;
}

/* PULL is not read while there is no room: then large ones make it few. */
static int
input_hwm(enum cw_socket_kind kind, const struct cw_socket_options *opt)
{
	const uint64_t n = PULL_BYTES / opt->max_bytes;

	return kind != CW_SOCK_PULL || n > INPUT_HWM ? INPUT_HWM :
	    n > 0 ? (int)n : 1;
}

static bool
set_bounds(void *z, enum cw_socket_kind kind,
    const struct cw_socket_options *opt)
{
	const int64_t max = (int64_t)opt->max_bytes;

	return set_int(z, ZMQ_LINGER, LINGER_MS) &&
	    set_int(z, ZMQ_SNDHWM, CW_OUTPUT_HWM) &&
	    set_int(z, ZMQ_RCVHWM, input_hwm(kind, opt)) &&
	    zmq_setsockopt(z, ZMQ_MAXMSGSIZE, &max, sizeof(max)) == 0 &&
	    set_int(z, ZMQ_BACKLOG, BACKLOG) &&
	    set_int(z, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
	    set_int(z, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) &&
	    set_int(z, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_DEAD_MS) &&
	    set_int(z, ZMQ_TCP_KEEPALIVE, 1) &&
	    set_int(z, ZMQ_TCP_KEEPALIVE_IDLE, 60) &&
	    set_int(z, ZMQ_TCP_KEEPALIVE_INTVL, 10) &&
	    set_int(z, ZMQ_TCP_KEEPALIVE_CNT, 6) &&
	    set_int(z, ZMQ_RECONNECT_IVL, 100) &&
	    set_int(z, ZMQ_RECONNECT_IVL_MAX, 5000);
}

static bool
set_options(void *z, enum cw_socket_kind kind,
    const struct cw_socket_options *opt)
{
	if (!set_bounds(z, kind, opt))
		return false;
	if (kind == CW_SOCK_ROUTER && !set_int(z, ZMQ_ROUTER_MANDATORY, 1))
		return false;
	if (opt->secret_key == NULL || opt->secret_key[0] == '\0')
		return true;
	return set_int(z, ZMQ_CURVE_SERVER, 1) &&
	    set_str(z, ZMQ_CURVE_SECRETKEY, opt->secret_key) &&
	    set_str(z, ZMQ_ZAP_DOMAIN, opt->domain);
}

enum cw_status
cw_socket_open(struct cw_net *net, enum cw_socket_kind kind,
    const struct cw_socket_options *opt, struct cw_socket **out,
    struct cw_err *err)
{
	static const int types[] = {
		[CW_SOCK_ROUTER] = ZMQ_ROUTER,
		[CW_SOCK_PULL] = ZMQ_PULL,
		[CW_SOCK_PUB] = ZMQ_PUB,
		[CW_SOCK_ZAP] = ZMQ_ROUTER,
	};
	struct cw_socket *s;
	enum cw_status st;
	void *z;

	CW_CHECK_OBJ(net, NET_MAGIC);
	if ((s = cw_zalloc(1, sizeof(*s))) == NULL)
		return cw_err_sys(err, "zmq socket");
	z = zmq_socket(net->ctx, types[kind]);
	if (z == NULL)
		return cw_err_sys(err, "zmq socket");
	if (kind != CW_SOCK_ZAP && !set_options(z, kind, opt)) {
		st = cw_err_set(err, CW_E_SYSTEM, "zmq option: %s",
		    zmq_strerror(errno));
		zmq_close(z);
		return st;
	}
	s->magic = SOCKET_MAGIC;
	s->zmq = z;
	*out = s;
	return CW_OK;
}

void
cw_socket_close(struct cw_socket **s)
{
	if (*s == NULL)
		return;
	CW_CHECK_OBJ(*s, SOCKET_MAGIC);
	zmq_close((*s)->zmq);
	if ((*s)->monitor != NULL)
		zmq_close((*s)->monitor);
	(*s)->magic = 0;
	*s = NULL;
}

enum cw_status
cw_socket_bind(struct cw_socket *s, const char *endpoint, struct cw_arena *a,
    const char **bound, struct cw_err *err)
{
	char last[1024];
	size_t n = sizeof(last);
	const char *copy;

	CW_CHECK_OBJ(s, SOCKET_MAGIC);
	if (strchr(endpoint, '[') != NULL)
		(void)set_int(s->zmq, ZMQ_IPV6, 1);
	if (zmq_bind(s->zmq, endpoint) == -1 ||
	    zmq_getsockopt(s->zmq, ZMQ_LAST_ENDPOINT, last, &n) == -1)
		return cw_err_set(err, errno == EADDRINUSE ? CW_E_BUSY :
		    CW_E_CONFIG, "bind %s: %s", endpoint, zmq_strerror(errno));
	copy = cw_arena_strdup(a, last);
	if (copy == NULL)
		return cw_err_set(err, CW_E_LIMIT, "bind %s: no room",
		    endpoint);
	*bound = copy;
	return CW_OK;
}

enum cw_status
cw_socket_connect(struct cw_socket *s, const char *endpoint,
    struct cw_err *err)
{
	CW_CHECK_OBJ(s, SOCKET_MAGIC);
	if (strchr(endpoint, '[') != NULL)
		(void)set_int(s->zmq, ZMQ_IPV6, 1);
	if (zmq_connect(s->zmq, endpoint) == -1)
		return cw_err_set(err, CW_E_CONFIG, "connect %s: %s",
		    endpoint, zmq_strerror(errno));
	return CW_OK;
}

enum cw_status
cw_socket_watch(struct cw_net *net, struct cw_socket *s, const char *name,
    struct cw_err *err)
{
	char end[64];

	CW_CHECK_OBJ(s, SOCKET_MAGIC);
	snprintf(end, sizeof(end), "inproc://watch.%.32s", name);
	s->monitor = zmq_socket(net->ctx, ZMQ_PAIR);
	/* Without bound: a thread of the library waits where there is one. */
	if (s->monitor == NULL || !set_int(s->monitor, ZMQ_RCVHWM, 0) ||
	    !set_int(s->monitor, ZMQ_LINGER, 0) ||
	    zmq_socket_monitor(s->zmq, end, ZMQ_EVENT_ACCEPTED |
	    ZMQ_EVENT_DISCONNECTED) == -1 ||
	    zmq_connect(s->monitor, end) == -1)
		return cw_err_set(err, CW_E_SYSTEM, "zmq monitor: %s",
		    zmq_strerror(errno));
	return CW_OK;
}

bool
cw_socket_event(struct cw_socket *s, int *fd, bool *ended)
{
	/* u16 event and i32 descriptor, unaligned; then the endpoint */
	uint8_t e[6];
	char end[256];
	uint16_t what;
	int32_t value;

	CW_CHECK_OBJ(s, SOCKET_MAGIC);
	if (s->monitor == NULL ||
	    zmq_recv(s->monitor, e, sizeof(e), ZMQ_DONTWAIT) != sizeof(e))
		return false;
	(void)zmq_recv(s->monitor, end, sizeof(end), ZMQ_DONTWAIT);
	memcpy(&what, e, sizeof(what));
	memcpy(&value, e + sizeof(what), sizeof(value));
	*fd = value;
	*ended = what == ZMQ_EVENT_DISCONNECTED;
	return true;
}

/* The library hands it on to the connections there are, and no others. */
void
cw_socket_output(struct cw_socket *s, uint32_t n)
{
	CW_CHECK_OBJ(s, SOCKET_MAGIC);
	CW_CHECK(n > 0 && n <= CW_OUTPUT_HWM);
	(void)set_int(s->zmq, ZMQ_SNDHWM, (int)n);
}

void
cw_socket_settle(struct cw_socket *s)
{
	size_t n = sizeof(int);
	int events;

	CW_CHECK_OBJ(s, SOCKET_MAGIC);
	(void)zmq_getsockopt(s->zmq, ZMQ_EVENTS, &events, &n);
}

/* The next frame into msg; false with errno when there is none. */
static bool
recv_frame(void *z, zmq_msg_t *msg)
{
	zmq_msg_init(msg);
	while (zmq_msg_recv(msg, z, ZMQ_DONTWAIT) == -1)
		if (errno != EINTR) {
			zmq_msg_close(msg);
			return false;
		}
	return true;
}

/* What the library knows of the sender; no peer can say these itself. */
static void
note_sender(zmq_msg_t *msg, struct cw_multipart *m)
{
	const char *user = zmq_msg_gets(msg, "User-Id");
	const char *number;

	if (user == NULL || user[0] == '\0')
		return;
	m->user = user;
	number = zmq_msg_gets(msg, CW_PROPERTY_CONN);
	if (number == NULL)
		return;
	m->conn.number = strtoull(number, NULL, 10);
	m->conn.fd = zmq_msg_get(msg, ZMQ_SRCFD);
}

enum cw_status
cw_socket_recv(struct cw_socket *s, struct cw_multipart *m,
    struct cw_err *err)
{
	bool more = true;

	CW_CHECK_OBJ(s, SOCKET_MAGIC);
	m->n = m->total = 0;
	m->user = "";
	m->conn = (struct cw_conn){ 0, -1 };
	while (more) {
		const bool keep = m->n < CW_INPUT_PARTS;
		zmq_msg_t *msg = (void *)m->room[m->n];

		if (!recv_frame(s->zmq, msg)) {
			const int e = errno;

			cw_multipart_done(m);
			if (e == EAGAIN)
				return cw_err_set(err, CW_E_BUSY, "nothing");
			return cw_err_set(err, CW_E_SYSTEM, "zmq receive: %s",
			    zmq_strerror(e));
		}
		m->total++;
		more = zmq_msg_more(msg) != 0;
		if (!keep) {
			zmq_msg_close(msg);
			continue;
		}
		m->part[m->n].p = zmq_msg_data(msg);
		m->part[m->n].n = zmq_msg_size(msg);
		note_sender(msg, m);
		m->n++;
	}
	return CW_OK;
}

void
cw_multipart_done(struct cw_multipart *m)
{
	for (size_t i = 0; i < m->n; i++)
		zmq_msg_close((void *)m->room[i]);
	m->n = m->total = 0;
	m->user = "";
}

enum cw_status
cw_socket_send(struct cw_socket *s, const struct cw_bytes *parts, size_t n)
{
	CW_CHECK_OBJ(s, SOCKET_MAGIC);
	for (size_t i = 0; i < n; i++) {
		const int flags = ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0);

		while (zmq_send(s->zmq, parts[i].p, parts[i].n, flags) == -1) {
			if (errno == EINTR)
				continue;
			/* A later frame goes where the first one went. */
			return errno == EAGAIN ? CW_E_BUSY : CW_E_NOT_FOUND;
		}
	}
	return CW_OK;
}

void *
cw_socket_part(struct cw_socket *s, size_t n)
{
	zmq_msg_t *m = &s->part[s->nparts];

	CW_CHECK_OBJ(s, SOCKET_MAGIC);
	CW_CHECK(s->nparts < CW_OUTPUT_PARTS);
	if (zmq_msg_init_size(m, n) == -1) {
		s->unmade = true;
		return NULL;
	}
	s->nparts++;
	return zmq_msg_data(m);
}

void
cw_socket_mark(struct cw_socket *s, const char *text, cw_socket_done *done,
    void *hint)
{
	CW_CHECK(s->nparts < CW_OUTPUT_PARTS);
	if (zmq_msg_init_data(&s->part[s->nparts], (void *)(uintptr_t)text,
	    strlen(text), done, hint) == 0)
		s->nparts++;
	else {
		s->unmade = true;
		done((void *)(uintptr_t)text, hint);
	}
}

enum cw_status
cw_socket_post(struct cw_socket *s, const void *identity, size_t n)
{
	enum cw_status st = s->unmade ? CW_E_LIMIT : CW_OK;

	while (st == CW_OK && zmq_send(s->zmq, identity, n,
	    ZMQ_DONTWAIT | ZMQ_SNDMORE) == -1)
		if (errno != EINTR)
			st = errno == EAGAIN ? CW_E_BUSY : CW_E_NOT_FOUND;
	for (size_t i = 0; i < s->nparts; i++) {
		const int flags = ZMQ_DONTWAIT |
		    (i + 1 < s->nparts ? ZMQ_SNDMORE : 0);

		/* A later part goes where the first one went, or nowhere. */
		while (st == CW_OK && zmq_msg_send(&s->part[i], s->zmq,
		    flags) == -1 && errno == EINTR)
			;
		zmq_msg_close(&s->part[i]);
	}
	s->nparts = 0;
	s->unmade = false;
	return st;
}

enum cw_status
cw_sockets_wait(struct cw_wait *items, size_t n, int timeout_ms,
    struct cw_err *err)
{
	zmq_pollitem_t p[WAIT_MAX];

	CW_CHECK(n <= WAIT_MAX);
	for (size_t i = 0; i < n; i++) {
		struct cw_wait *w = &items[i];

		p[i] = (zmq_pollitem_t){ .fd = w->fd };
		if (w->sock != NULL) {
			CW_CHECK_OBJ(w->sock, SOCKET_MAGIC);
			p[i].socket = w->sock->zmq;
		}
		p[i].events = (short)((w->want_read ? ZMQ_POLLIN : 0) |
		    (w->want_write ? ZMQ_POLLOUT : 0));
		w->readable = w->writable = false;
	}
	if (zmq_poll(p, (int)n, timeout_ms) == -1) {
		if (errno == EINTR)
			return CW_OK;
		return cw_err_set(err, CW_E_SYSTEM, "zmq poll: %s",
		    zmq_strerror(errno));
	}
	for (size_t i = 0; i < n; i++) {
		/* An error on a descriptor shows when it is read. */
		items[i].readable =
		    (p[i].revents & (ZMQ_POLLIN | ZMQ_POLLERR)) != 0;
		items[i].writable = (p[i].revents & ZMQ_POLLOUT) != 0;
	}
	return CW_OK;
}

void
cw_z85_key(const uint8_t key[CW_CURVE_KEY], char out[CW_Z85_KEY])
{
	CW_CHECK(zmq_z85_encode(out, key, CW_CURVE_KEY) != NULL);
}
