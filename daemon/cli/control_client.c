/*
 * control_client.c - see control_client.h.
 */
#include "cli/control_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static enum cw_status
connect_to(const char *path, FILE **out, struct cw_err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path))
		return cw_err_set(err, CW_E_CONFIG,
		    "%s: a socket's path has at most %zu bytes", path,
		    sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return cw_err_sys(err, "socket");
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1) {
		(void)cw_err_sys(err, "%s", path);
		if (errno == ENOENT || errno == ECONNREFUSED)
			(void)cw_err_set(err, CW_E_SYSTEM,
			    "%s: no daemon listens there; want --socket or "
			    "-f", path);
		close(fd);
		return CW_E_SYSTEM;
	}
	*out = fdopen(fd, "r+");
	if (*out == NULL) {
		close(fd);
		return cw_err_sys(err, "%s", path);
	}
	return CW_OK;
}

enum cw_status
cw_ctl_open(struct cw_cli *cli, json_t *request,
    struct cw_ctl *out, struct cw_err *err)
{
	const char *path = cli->socket;
	struct cw_config cfg;
	enum cw_status st = CW_OK;

	*out = (struct cw_ctl){ .stream = NULL };
	if (path == NULL) {
		st = cw_cli_config(cli, &cfg, err);
		if (st == CW_OK)
			path = cfg.control.socket;
	}
	if (st == CW_OK)
		st = connect_to(path, &out->stream, err);
	if (st == CW_OK && (json_dumpf(request, out->stream,
	    JSON_COMPACT) != 0 || fputc('\n', out->stream) == EOF ||
	    fflush(out->stream) != 0))
		st = cw_err_sys(err, "%s", path);
	json_decref(request);
	if (st != CW_OK)
		cw_ctl_close(out);
	return st;
}

enum cw_status
cw_ctl_read(struct cw_ctl *l, json_t **out, struct cw_err *err)
{
	json_t *o;
	ssize_t n;

	n = getline(&l->line, &l->room, l->stream);
	if (n == -1)
		return ferror(l->stream) ? cw_err_sys(err, "control socket") :
		    cw_err_set(err, CW_E_CLOSED,
		    "the daemon closed the connection");
	o = json_loadb(l->line, (size_t)n, 0, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return cw_err_set(err, CW_E_FORMAT,
		    "the daemon's answer is not JSON");
	}
	if (json_is_false(json_object_get(o, "ok"))) {
		const char *why =
		    json_string_value(json_object_get(o, "error"));

		(void)cw_err_set(err, CW_E_NOT_FOUND, "%s",
		    why != NULL ? why : "the daemon says no");
		json_decref(o);
		return CW_E_NOT_FOUND;
	}
	*out = o;
	return CW_OK;
}

void
cw_ctl_close(struct cw_ctl *l)
{
	if (l->stream != NULL)
		fclose(l->stream);
	free(l->line);
	*l = (struct cw_ctl){ .stream = NULL };
}

int
cw_ctl_ask(struct cw_cli *cli, json_t *request, json_t **out)
{
	struct cw_ctl l;
	enum cw_status st;
	struct cw_err err;

	st = cw_ctl_open(cli, request, &l, &err);
	if (st == CW_OK)
		st = cw_ctl_read(&l, out, &err);
	cw_ctl_close(&l);
	return st == CW_OK ? CW_GO_ON : cw_complain("%s", err.text);
}
