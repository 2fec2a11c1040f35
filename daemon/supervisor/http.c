/*
 * http.c - see http.h.
 */
#include "supervisor/http.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "conf/config.h"
#include "supervisor/metrics.h"

#define TOKEN_BYTES	256u
#define BODY_BYTES	1024	/* nothing we serve wants a body */
#define HEADERS_BYTES	8192
#define TIMEOUT_S	5

struct cw_http {
	struct evhttp	*http;
	struct evconnlistener *listener;	/* http's own */
	char		 bound[128];
	char		 token[TOKEN_BYTES];	/* "" : none wanted */
};

static void on_request(struct evhttp_request *req, void *arg);
static void on_accept_error(struct evconnlistener *l, void *arg);

/* "host:port", "[v6]:port"; port 0 or * is the system's choice. */
static enum cw_status
split(const char *listen, char *host, size_t n, uint16_t *port,
    struct cw_err *err)
{
	const char *colon = strrchr(listen, ':');
	size_t len = colon == NULL ? 0 : (size_t)(colon - listen);
	unsigned long p;
	char *end;

	if (len > 2 && listen[0] == '[' && listen[len - 1] == ']') {
		listen++;
		len -= 2;
	}
	if (colon == NULL || len == 0 || len >= n)
		return cw_err_set(err, CW_E_CONFIG,
		    "http.listen is \"%s\"; want HOST:PORT", listen);
	memcpy(host, listen, len);
	host[len] = '\0';
	p = strcmp(colon, ":*") == 0 ? 0 : strtoul(colon + 1, &end, 10);
	if (strcmp(colon, ":*") != 0 && (*end != '\0' || p > 65535 ||
	    colon[1] == '\0'))
		return cw_err_set(err, CW_E_CONFIG,
		    "http.listen is \"%s\"; want HOST:PORT", listen);
	*port = (uint16_t)p;
	return CW_OK;
}

static void
note_bound(struct cw_http *h, const char *host,
    struct evhttp_bound_socket *s)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	uint16_t port = 0;

	if (getsockname(evhttp_bound_socket_get_fd(s), (void *)&ss, &len) ==
	    0)
		port = ss.ss_family == AF_INET6 ?
		    ((struct sockaddr_in6 *)&ss)->sin6_port :
		    ((struct sockaddr_in *)&ss)->sin_port;
	snprintf(h->bound, sizeof(h->bound), strchr(host, ':') != NULL ?
	    "[%s]:%u" : "%s:%u", host, ntohs(port));
}

static enum cw_status
read_token(struct cw_daemon *d, struct cw_err *err)
{
	const char *file = d->cfg->http.token_file;
	enum cw_status st;
	size_t len;
	char *s;

	if (file[0] == '\0')
		return CW_OK;
	st = cw_read_file(AT_FDCWD, file, TOKEN_BYTES - 1, d->arena, &s, &len,
	    err);
	if (st != CW_OK)
		return st;
	s[strcspn(s, " \t\r\n")] = '\0';
	if (s[0] == '\0')
		return cw_err_set(err, CW_E_CONFIG, "%s: no token", file);
	strcpy(d->http->token, s);
	return CW_OK;
}

enum cw_status
cw_http_open(struct cw_daemon *d, struct cw_err *err)
{
	struct evhttp_bound_socket *s;
	enum cw_status st;
	char host[128];
	uint16_t port = 0;

	d->http = cw_arena_zalloc(d->arena, 1, sizeof(*d->http));
	CW_CHECK(d->http != NULL);
	if (d->cfg->http.listen[0] == '\0')
		return CW_OK;
	if ((st = read_token(d, err)) != CW_OK ||
	    (st = split(d->cfg->http.listen, host, sizeof(host), &port,
	    err)) != CW_OK)
		return st;
	if ((d->http->http = evhttp_new(d->base)) == NULL)
		return cw_err_set(err, CW_E_SYSTEM, "http: no memory");
	evhttp_set_allowed_methods(d->http->http, EVHTTP_REQ_GET |
	    EVHTTP_REQ_HEAD);
	evhttp_set_max_body_size(d->http->http, BODY_BYTES);
	evhttp_set_max_headers_size(d->http->http, HEADERS_BYTES);
	evhttp_set_timeout(d->http->http, TIMEOUT_S);
	evhttp_set_gencb(d->http->http, on_request, d);
	s = evhttp_bind_socket_with_handle(d->http->http, host, port);
	if (s == NULL)
		return cw_err_sys(err, "http.listen %s",
		    d->cfg->http.listen);
	note_bound(d->http, host, s);
	d->http->listener = evhttp_bound_socket_get_listener(s);
	evconnlistener_set_error_cb(d->http->listener, on_accept_error);
	return CW_OK;
}

void
cw_http_tick(struct cw_daemon *d)
{
	if (d->http != NULL && d->http->listener != NULL)
		(void)evconnlistener_enable(d->http->listener);
}

void
cw_http_close(struct cw_daemon *d)
{
	if (d->http != NULL && d->http->http != NULL)
		evhttp_free(d->http->http);
	d->http = NULL;
}

const char *
cw_http_bound(const struct cw_daemon *d)
{
	return d->http == NULL ? "" : d->http->bound;
}

/* ---- answering ---- */

static void
answer(struct evhttp_request *req, int code, const char *reason,
    const char *type, struct evbuffer *body)
{
	struct evkeyvalq *h = evhttp_request_get_output_headers(req);

	(void)evhttp_add_header(h, "Content-Type", type);
	(void)evhttp_add_header(h, "Cache-Control", "no-store");
	(void)evhttp_add_header(h, "X-Content-Type-Options", "nosniff");
	/* evhttp would send the body to a HEAD, too. */
	evhttp_send_reply(req, code, reason,
	    evhttp_request_get_command(req) == EVHTTP_REQ_HEAD ? NULL : body);
}

/* In a time that does not depend on where they differ. */
static bool
same_secret(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	unsigned char diff = na != nb;

	for (size_t i = 0; i < na; i++)
		diff |= (unsigned char)(a[i] ^ b[i < nb ? i : nb]);
	return diff == 0;
}

static bool
authorised(const struct cw_http *h, struct evhttp_request *req)
{
	const char *s = evhttp_find_header(
	    evhttp_request_get_input_headers(req), "Authorization");

	if (h->token[0] == '\0')
		return true;
	return s != NULL && strncmp(s, "Bearer ", 7) == 0 &&
	    same_secret(h->token, s + 7);
}

static void
respond(struct cw_daemon *d, struct evhttp_request *req,
    struct evbuffer *body)
{
	const char *path = evhttp_uri_get_path(
	    evhttp_request_get_evhttp_uri(req));
	const char *why;

	if (path != NULL && strcmp(path, "/healthz") == 0) {
		evbuffer_add_printf(body, "alive\n");
		answer(req, 200, "OK", "text/plain", body);
	} else if (path != NULL && strcmp(path, "/readyz") == 0) {
		why = cw_metrics_unready(d);
		evbuffer_add_printf(body, "%s\n", why == NULL ? "ready" :
		    why);
		answer(req, why == NULL ? 200 : 503, why == NULL ? "OK" :
		    "Service Unavailable", "text/plain", body);
	} else if (path != NULL && strcmp(path, "/metrics") == 0) {
		if (!authorised(d->http, req)) {
			answer(req, 401, "Unauthorized", "text/plain", NULL);
			return;
		}
		cw_metrics_text(d, body);
		answer(req, 200, "OK", "text/plain; version=0.0.4", body);
	} else
		answer(req, 404, "Not Found", "text/plain", NULL);
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	if (body == NULL) {
		evhttp_send_error(req, 503, NULL);
		return;
	}
	respond(arg, req, body);
	evbuffer_free(body);
}

/* No descriptor left: without this the loop would spin on the peer. */
static void
on_accept_error(struct evconnlistener *l, void *arg)
{
	(void)arg;
	(void)evconnlistener_disable(l);
}
