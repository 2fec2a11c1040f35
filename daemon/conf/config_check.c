/*
 * config_check.c - settings that are right alone and wrong together.
 * See config_keys.h.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "conf/config_keys.h"

/* Where a setting stands; the top of the file when it has its default. */
static struct cw_yaml_place
where(const struct cw_config *cfg, const struct cw_yaml *root,
    const char *section, const char *key)
{
	const struct cw_yaml *n = cw_yaml_get(root, section);

	if (n != NULL)
		n = cw_yaml_get(n, key);
	return n != NULL ? n->at : (struct cw_yaml_place){ cfg->file, 1, 1 };
}

/* Can only this machine reach host (of n bytes)?  Of names, localhost is
 * bound as 127.0.0.1. */
static bool
is_loopback(const char *host, size_t n)
{
	char s[INET6_ADDRSTRLEN + 1];
	struct in6_addr a6;
	struct in_addr a4;

	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	}
	if (n >= sizeof(s))
		return false;
	memcpy(s, host, n);
	s[n] = '\0';
	if (inet_pton(AF_INET, s, &a4) == 1)
		return ntohl(a4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, s, &a6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&a6);
	return strcmp(s, "localhost") == 0;
}

/* host:port: the length of host, or 0 when it is not of that form. */
static size_t
host_length(const char *s)
{
	const char *colon = strrchr(s, ':');

	if (colon == NULL || colon == s || colon[1] == '\0' ||
	    (strspn(colon + 1, "0123456789") != strlen(colon + 1) &&
	    strcmp(colon + 1, "*") != 0))
		return 0;
	return (size_t)(colon - s);
}

static enum cw_status
check_bind(const struct cw_config *cfg, const struct cw_yaml *root,
    const char *section, const char *key, const char *endpoint,
    struct cw_err *err)
{
	const struct cw_yaml_place at = where(cfg, root, section, key);
	size_t n;

	if (endpoint[0] == '\0' ||
	    (strncmp(endpoint, "ipc://", 6) == 0 && endpoint[6] != '\0'))
		return CW_OK;
	n = strncmp(endpoint, "tcp://", 6) == 0 ?
	    host_length(endpoint + 6) : 0;
	/* Without brackets the last group of an IPv6 address is no port. */
	if (n == 0 || (endpoint[6] != '[' &&
	    memchr(endpoint + 6, ':', n) != NULL))
		return cw_yaml_err(err, &at,
		    "%s.%s is \"%s\"; want tcp://HOST:PORT or ipc://PATH",
		    section, key, endpoint);
	if (!is_loopback(endpoint + 6, n) &&
	    cfg->curve.secret_key_file[0] == '\0')
		return cw_yaml_err(err, &at,
		    "%s.%s binds beyond loopback without encryption; want "
		    "curve.secret_key_file and curve.clients_file, or "
		    "127.0.0.1", section, key);
	return CW_OK;
}

static enum cw_status
check_connect(const struct cw_config *cfg, const struct cw_yaml *root,
    struct cw_err *err)
{
	const struct cw_yaml_place at = where(cfg, root, "queue",
	    "pull_connect");

	for (size_t i = 0; i < cfg->queue.pull_connect.n; i++) {
		const char *e = cfg->queue.pull_connect.item[i];

		if ((strncmp(e, "tcp://", 6) != 0 || host_length(e + 6) == 0) &&
		    strncmp(e, "ipc://", 6) != 0)
			return cw_yaml_err(err, &at,
			    "queue.pull_connect has \"%.128s\"; want "
			    "tcp://HOST:PORT or ipc://PATH", e);
	}
	return CW_OK;
}

static enum cw_status
check_curve(const struct cw_config *cfg, const struct cw_yaml *root,
    struct cw_err *err)
{
	const bool secret = cfg->curve.secret_key_file[0] != '\0';
	const bool clients = cfg->curve.clients_file[0] != '\0';
	const struct cw_yaml_place at = where(cfg, root, "curve",
	    secret ? "secret_key_file" : "clients_file");

	if (secret != clients)
		return cw_yaml_err(err, &at,
		    "curve.%s is set alone; want secret_key_file and "
		    "clients_file, or neither",
		    secret ? "secret_key_file" : "clients_file");
	return CW_OK;
}

static enum cw_status
check_http(const struct cw_config *cfg, const struct cw_yaml *root,
    struct cw_err *err)
{
	const struct cw_yaml_place at = where(cfg, root, "http", "listen");
	const char *s = cfg->http.listen;
	const size_t n = host_length(s);

	if (s[0] == '\0')
		return CW_OK;
	if (n == 0)
		return cw_yaml_err(err, &at,
		    "http.listen is \"%s\"; want HOST:PORT", s);
	if (!is_loopback(s, n) && cfg->http.token_file[0] == '\0')
		return cw_yaml_err(err, &at,
		    "http.listen is beyond loopback without a token; want "
		    "http.token_file, or 127.0.0.1");
	return CW_OK;
}

static enum cw_status
check_sizes(const struct cw_config *cfg, const struct cw_yaml *root,
    struct cw_err *err)
{
	struct cw_yaml_place at;

	if (cfg->limits.bytes > cfg->limits.pending_bytes) {
		at = where(cfg, root, "limits", "pending_bytes");
		return cw_yaml_err(err, &at,
		    "limits.pending_bytes holds not one image of "
		    "limits.bytes; want at least as much");
	}
	return CW_OK;
}

enum cw_status
cw_config_check(const struct cw_config *cfg, const struct cw_yaml *root,
    struct cw_err *err)
{
	enum cw_status st;

	st = check_bind(cfg, root, "queue", "submit", cfg->queue.submit, err);
	if (st == CW_OK)
		st = check_bind(cfg, root, "queue", "pull", cfg->queue.pull,
		    err);
	if (st == CW_OK)
		st = check_bind(cfg, root, "verdicts", "pub",
		    cfg->verdicts.pub, err);
	if (st == CW_OK)
		st = check_connect(cfg, root, err);
	if (st == CW_OK)
		st = check_curve(cfg, root, err);
	if (st == CW_OK)
		st = check_http(cfg, root, err);
	if (st == CW_OK)
		st = check_sizes(cfg, root, err);
	return st;
}
