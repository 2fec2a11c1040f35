/*
 * zmq_client.c - see zmq_client.h.
 */
#include "cli/zmq_client.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <zmq.h>

#define LINGER_MS	1000	/* what was sent may leave before we end */

struct cw_zmq {
	void	*context, *socket;
};

static enum cw_status
zmq_err(struct cw_err *err, const char *what)
{
	return cw_err_set(err, CW_E_SYSTEM, "%s: %s", what,
	    zmq_strerror(zmq_errno()));
}

static enum cw_status
set_curve(struct cw_zmq *z, const struct cw_zmq_opts *o, struct cw_err *err)
{
	char public[CW_CURVE_KEY];

	if (o->secret_key == NULL && o->server_key == NULL)
		return CW_OK;
	if (o->secret_key == NULL || o->server_key == NULL)
		return cw_err_set(err, CW_E_CONFIG,
		    "one CURVE key alone; want --server-key and --key-file");
	if (strlen(o->server_key) != CW_CURVE_KEY - 1 ||
	    zmq_curve_public(public, o->secret_key) != 0)
		return cw_err_set(err, CW_E_CONFIG,
		    "not a Z85 key of 40 characters");
	if (zmq_setsockopt(z->socket, ZMQ_CURVE_SERVERKEY, o->server_key,
	    CW_CURVE_KEY) != 0 ||
	    zmq_setsockopt(z->socket, ZMQ_CURVE_PUBLICKEY, public,
	    CW_CURVE_KEY) != 0 ||
	    zmq_setsockopt(z->socket, ZMQ_CURVE_SECRETKEY, o->secret_key,
	    CW_CURVE_KEY) != 0)
		return zmq_err(err, "CURVE");
	return CW_OK;
}

enum cw_status
cw_zmq_open(const struct cw_zmq_opts *opts, struct cw_arena *a,
    struct cw_zmq **out, struct cw_err *err)
{
	struct cw_zmq *z = cw_arena_zalloc(a, 1, sizeof(*z));
	const int linger = LINGER_MS;
	enum cw_status st;

	if (z == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for a socket");
	z->context = zmq_ctx_new();
	z->socket = z->context == NULL ? NULL :
	    zmq_socket(z->context, ZMQ_DEALER);
	if (z->socket == NULL) {
		st = zmq_err(err, "ZeroMQ");
		goto undo;
	}
	(void)zmq_setsockopt(z->socket, ZMQ_LINGER, &linger, sizeof(linger));
	if ((st = set_curve(z, opts, err)) != CW_OK)
		goto undo;
	if (zmq_connect(z->socket, opts->endpoint) != 0) {
		st = cw_err_set(err, CW_E_CONFIG, "\"%s\": %s; want an "
		    "endpoint, tcp://host:port or ipc://path", opts->endpoint,
		    zmq_strerror(zmq_errno()));
		goto undo;
	}
	*out = z;
	return CW_OK;

undo:
	cw_zmq_close(&z);
	return st;
}

void
cw_zmq_close(struct cw_zmq **z)
{
	if (*z == NULL)
		return;
	if ((*z)->socket != NULL)
		zmq_close((*z)->socket);
	if ((*z)->context != NULL)
		zmq_ctx_term((*z)->context);
	*z = NULL;
}

static enum cw_status
await(struct cw_zmq *z, short events, uint64_t timeout_ms,
    struct cw_err *err)
{
	zmq_pollitem_t item = { .socket = z->socket, .events = events };
	int n;

	n = zmq_poll(&item, 1, timeout_ms > INT_MAX ? INT_MAX :
	    (long)timeout_ms);
	if (n == -1 && zmq_errno() != EINTR)
		return zmq_err(err, "ZeroMQ");
	return n > 0 ? CW_OK : cw_err_set(err, CW_E_BUSY,
	    "no answer within %llu ms", (unsigned long long)timeout_ms);
}

enum cw_status
cw_zmq_send(struct cw_zmq *z, const char *verb, const char *header,
    struct cw_bytes body, uint64_t timeout_ms, struct cw_err *err)
{
	const int last = body.p != NULL ? ZMQ_SNDMORE : 0;
	enum cw_status st;

	if ((st = await(z, ZMQ_POLLOUT, timeout_ms, err)) != CW_OK)
		return st;
	if (zmq_send(z->socket, "CW1", 3, ZMQ_SNDMORE) == -1 ||
	    zmq_send(z->socket, verb, strlen(verb), ZMQ_SNDMORE) == -1 ||
	    zmq_send(z->socket, header, strlen(header), last) == -1 ||
	    (body.p != NULL &&
	    zmq_send(z->socket, body.p, body.n, 0) == -1))
		return zmq_err(err, "send");
	return CW_OK;
}

/* One frame into the arena; *more says whether others follow. */
static enum cw_status
receive_frame(struct cw_zmq *z, struct cw_arena *a, struct cw_bytes *out,
    int *more, struct cw_err *err)
{
	zmq_msg_t msg;
	enum cw_status st = CW_OK;

	zmq_msg_init(&msg);
	if (zmq_msg_recv(&msg, z->socket, 0) == -1)
		st = zmq_err(err, "receive");
	else {
		*more = zmq_msg_more(&msg);
		out->n = zmq_msg_size(&msg);
		out->p = cw_arena_strndup(a, zmq_msg_data(&msg), out->n);
		if (out->p == NULL)
			st = cw_err_set(err, CW_E_LIMIT,
			    "no room for an answer of %zu bytes", out->n);
	}
	zmq_msg_close(&msg);
	return st;
}

enum cw_status
cw_zmq_receive(struct cw_zmq *z, uint64_t timeout_ms, struct cw_arena *a,
    struct cw_zmq_answer *out, struct cw_err *err)
{
	struct cw_bytes frame[CW_ZMQ_PARTS + 3], extra;
	enum cw_status st;
	size_t n = 0;
	int more = 1;

	if ((st = await(z, ZMQ_POLLIN, timeout_ms, err)) != CW_OK)
		return st;
	while (more) {
		st = receive_frame(z, a, n < CW_COUNT(frame) ? &frame[n] :
		    &extra, &more, err);
		if (st != CW_OK)
			return st;
		if (n < CW_COUNT(frame))
			n++;
	}
	if (n < 3 || strcmp(frame[0].p, "CW1") != 0)
		return cw_err_set(err, CW_E_FORMAT,
		    "an answer that is not of this protocol");
	out->verb = frame[1].p;
	out->header = frame[2].p;
	out->nparts = n - 3;
	for (size_t i = 3; i < n; i++)
		out->parts[i - 3] = frame[i];
	return CW_OK;
}

enum cw_status
cw_zmq_keypair(char public[CW_CURVE_KEY], char secret[CW_CURVE_KEY],
    struct cw_err *err)
{
	return zmq_curve_keypair(public, secret) == 0 ? CW_OK :
	    zmq_err(err, "CURVE keys");
}
