/*
 * endpoint.c - see endpoint.h.
 */
#include "gate/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "base/unix_path.h"

#define IPC	"ipc://"

/* Split "tcp://host:port"; brackets of an IPv6 host are taken off. */
static bool
split(const char *endpoint, char host[256], const char **port)
{
	const char *from = endpoint + strlen("tcp://"), *colon;
	size_t n;

	if (strncmp(endpoint, "tcp://", strlen("tcp://")) != 0)
		return false;
	colon = strrchr(from, ':');
	if (colon == NULL)
		return false;
	*port = colon + 1;
	n = (size_t)(colon - from);
	if (n >= 2 && from[0] == '[' && from[n - 1] == ']') {
		from++;
		n -= 2;
	}
	if (n == 0 || n >= 256)
		return false;
	memcpy(host, from, n);
	host[n] = '\0';
	return true;
}

bool
cw_endpoint_local(const char *endpoint)
{
	struct in6_addr a6;
	struct in_addr a4;
	const char *port;
	char host[256];

	if (strncmp(endpoint, IPC, strlen(IPC)) == 0)
		return true;
	if (!split(endpoint, host, &port))
		return false;
	if (inet_pton(AF_INET, host, &a4) == 1)
		return ntohl(a4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &a6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&a6);
	return strcmp(host, "lo") == 0;
}

/* An IPv4 address where there is one. */
static const struct addrinfo *
preferred(const struct addrinfo *found)
{
	for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
		if (a->ai_family == AF_INET)
			return a;
	return found;
}

/* Will a later start fare better, or has the operator to see to it? */
static enum cw_status
lookup_failed(const char *endpoint, int e, struct cw_err *err)
{
	const char *why = e == EAI_SYSTEM ? strerror(errno) : gai_strerror(e);
	const enum cw_status st = e == EAI_AGAIN ? CW_E_BUSY :
	    e == EAI_SYSTEM || e == EAI_MEMORY ? CW_E_SYSTEM : CW_E_CONFIG;

	return cw_err_set(err, st, "%s: %s", endpoint, why);
}

enum cw_status
cw_endpoint_numeric(const char *endpoint, struct cw_arena *a,
    const char **out, struct cw_err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	char host[256], addr[NI_MAXHOST];
	const struct addrinfo *one;
	struct addrinfo *found;
	const char *port;
	int e;

	*out = endpoint;
	if (!split(endpoint, host, &port))
		return CW_OK;
	e = getaddrinfo(host, NULL, &hints, &found);
	if (e == 0) {
		one = preferred(found);
		e = getnameinfo(one->ai_addr, one->ai_addrlen, addr,
		    sizeof(addr), NULL, 0, NI_NUMERICHOST);
		*out = cw_arena_printf(a, one->ai_family == AF_INET6 ?
		    "tcp://[%s]:%s" : "tcp://%s:%s", addr, port);
		freeaddrinfo(found);
	}
	if (e != 0)
		return lookup_failed(endpoint, e, err);
	if (*out == NULL)
		return cw_err_set(err, CW_E_LIMIT, "%s: no room", endpoint);
	return CW_OK;
}

/* The library that binds ipc:// removes whatever is at its path. */
static enum cw_status
take_path(const char *endpoint, struct cw_err *err)
{
	struct sockaddr_un sa;
	struct cw_err why;
	enum cw_status st;

	/* @ is the kernel's own name space: nothing lies there. */
	if (strncmp(endpoint, IPC, strlen(IPC)) != 0 ||
	    endpoint[strlen(IPC)] == '@')
		return CW_OK;
	st = cw_unix_path_take(endpoint + strlen(IPC), &sa, &why);
	return st == CW_OK ? CW_OK :
	    cw_err_set(err, st, "bind " IPC "%s", why.text);
}

enum cw_status
cw_endpoint_bindable(const char *endpoint, bool curve, struct cw_arena *a,
    const char **out, struct cw_err *err)
{
	const char *port;
	char host[256];

	*out = endpoint;
	/* It looks up no names to bind. */
	if (split(endpoint, host, &port) && strcmp(host, "localhost") == 0)
		*out = cw_arena_printf(a, "tcp://127.0.0.1:%s", port);
	if (*out == NULL)
		return cw_err_set(err, CW_E_LIMIT, "%s: no room", endpoint);
	if (!curve && !cw_endpoint_local(*out))
		return cw_err_set(err, CW_E_CONFIG, "%s is open to other "
		    "machines; want curve.secret_key_file set, or a loopback "
		    "address", endpoint);
	return take_path(*out, err);
}
