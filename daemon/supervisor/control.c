/*
 * control.c - see control.h.
 */
#include "supervisor/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/unix_path.h"
#include "conf/config.h"
#include "supervisor/json_out.h"
#include "supervisor/queue.h"
#include "supervisor/reload.h"
#include "supervisor/report.h"
#include "supervisor/spool.h"
#include "supervisor/supervisor.h"

#define PEERS_MAX	64u
#define LINE_BYTES	4096u		/* of a command */
#define OUT_BYTES	(16u << 20)	/* unread by a peer: then it is cut off */
#define SCRATCH_BYTES	(256u << 20)	/* address space for one answer */
#define KEEP_BYTES	(256u << 10)
#define BACKLOG		64

struct peer {
	struct cw_daemon	*d;
	uint64_t		 number;	/* 0: free */
	struct bufferevent	*bev;
	bool			 watching, flagged;
	bool			 waiting;	/* for a reload: reads no more */
};

struct cw_control {
	struct peer		 peers[PEERS_MAX];
	uint64_t		 last;		/* number given */
	struct evconnlistener	*listener;
	struct cw_arena		*scratch;
};

static void on_accept(struct evconnlistener *l, evutil_socket_t fd,
    struct sockaddr *sa, int len, void *arg);
static void on_accept_error(struct evconnlistener *l, void *arg);

/* ---- opening ---- */

static enum cw_status
bind_socket(const char *path, int *out, struct cw_err *err)
{
	struct sockaddr_un sa;
	struct cw_err why;
	enum cw_status st;
	mode_t mask;
	int fd, rc;

	if ((st = cw_unix_path_take(path, &sa, &why)) != CW_OK)
		return cw_err_set(err, st, "control.socket: %s", why.text);
	(void)unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return cw_err_sys(err, "%s", path);
	mask = umask(0117);		/* 0660 from its first moment */
	rc = bind(fd, (const void *)&sa, sizeof(sa));
	(void)umask(mask);
	if (rc == -1) {
		st = cw_err_sys(err, "%s", path);
		cw_close(&fd);
		return st;
	}
	*out = fd;
	return CW_OK;
}

enum cw_status
cw_control_open(struct cw_daemon *d, struct cw_err *err)
{
	struct cw_control *c = cw_arena_zalloc(d->arena, 1, sizeof(*c));
	enum cw_status st;
	int fd;

	CW_CHECK(c != NULL);
	if ((st = cw_arena_open(SCRATCH_BYTES, &c->scratch, err)) != CW_OK)
		return st;
	d->control = c;
	if (d->cfg->control.socket[0] == '\0')
		return CW_OK;
	if ((st = bind_socket(d->cfg->control.socket, &fd, err)) != CW_OK)
		return st;
	c->listener = evconnlistener_new(d->base, on_accept, d,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (c->listener == NULL) {
		cw_close(&fd);
		return cw_err_set(err, CW_E_SYSTEM, "control: no memory");
	}
	evconnlistener_set_error_cb(c->listener, on_accept_error);
	return CW_OK;
}

void
cw_control_tick(struct cw_daemon *d)
{
	if (d->control != NULL && d->control->listener != NULL)
		(void)evconnlistener_enable(d->control->listener);
}

static void
cut(struct peer *p)
{
	if (p->number == 0)
		return;
	bufferevent_free(p->bev);
	*p = (struct peer){ .d = p->d };
}

void
cw_control_close(struct cw_daemon *d)
{
	struct cw_control *c = d->control;

	if (c == NULL)
		return;
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		cut(&c->peers[i]);
	if (c->listener != NULL) {
		evconnlistener_free(c->listener);
		(void)unlink(d->cfg->control.socket);
	}
	cw_arena_close(&c->scratch);
	d->control = NULL;
}

/* ---- answering ---- */

/* A line and its newline, unless the peer has stopped reading. */
static void
say(struct peer *p, const char *line)
{
	struct evbuffer *out;

	if (p->number == 0)
		return;
	out = bufferevent_get_output(p->bev);
	if (line == NULL || evbuffer_get_length(out) > OUT_BYTES ||
	    evbuffer_add(out, line, strlen(line)) == -1 ||
	    evbuffer_add(out, "\n", 1) == -1)
		cut(p);
}

static void
say_error(struct peer *p, const char *why)
{
	struct cw_arena *a = p->d->control->scratch;
	const char *text = cw_json_string(a, why);

	say(p, cw_arena_printf(a, "{\"ok\":false,\"error\":%s}",
	    text == NULL ? "\"\"" : text));
}

static void
answer_get(struct peer *p, const char *id)
{
	struct cw_daemon *d = p->d;
	struct cw_arena *a = d->control->scratch;
	struct cw_stored v;
	struct cw_err err;
	enum cw_status st;

	if (cw_queue_find(d->queue, id) != NULL) {
		say(p, "{\"ok\":true,\"state\":\"pending\"}");
		return;
	}
	st = cw_spool_get_verdict(d->spool, id, a, &v, &err);
	if (st == CW_E_NOT_FOUND)
		say(p, "{\"ok\":true,\"state\":\"unknown\"}");
	else if (st != CW_OK)
		say_error(p, err.text);
	else
		say(p, cw_arena_printf(a, "{\"ok\":true,\"state\":\"done\","
		    "\"verdict\":%s}", v.json));
}

static void
obey(struct peer *p, const char *line, size_t len)
{
	struct cw_daemon *d = p->d;
	struct cw_arena *a = d->control->scratch;
	struct cw_command_line c;
	struct cw_err err;

	cw_arena_reset(a, KEEP_BYTES);
	if (cw_command_parse(line, len, a, &c, &err) != CW_OK) {
		say_error(p, err.text);
		return;
	}
	switch (c.cmd) {
	case CW_C_STATUS:
		say(p, cw_report_status(d, a));
		break;
	case CW_C_RELOAD:
		p->waiting = true;
		(void)bufferevent_disable(p->bev, EV_READ);
		cw_reload_start(d, (struct cw_asker){ .control = p->number });
		break;
	case CW_C_DRAIN:
		cw_supervisor_drain(d);
		say(p, cw_arena_printf(a, "{\"ok\":true,\"pending\":%zu}",
		    cw_queue_count(d->queue)));
		break;
	case CW_C_GET:
		answer_get(p, c.id);
		break;
	case CW_C_WATCH:
		p->watching = true;
		p->flagged = c.flagged;
		say(p, "{\"ok\":true,\"watching\":true}");
		break;
	case CW_COMMANDS:
		break;
	}
}

static void
read_lines(struct peer *p)
{
	struct evbuffer *in = bufferevent_get_input(p->bev);

	while (p->number != 0 && !p->waiting) {
		size_t len;
		char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);

		if (line == NULL && evbuffer_get_length(in) >= LINE_BYTES) {
			cut(p);
			return;
		}
		if (line == NULL)
			return;
		obey(p, line, len);
		free(line);
	}
}

void
cw_control_watch(struct cw_daemon *d, const struct cw_told *v)
{
	for (uint32_t i = 0; d->control != NULL && i < PEERS_MAX; i++) {
		struct peer *p = &d->control->peers[i];

		if (p->watching && (!p->flagged || v->action != CW_ALLOW))
			say(p, v->json);
	}
}

void
cw_control_reloaded(struct cw_daemon *d, uint64_t number, bool ok,
    const char *why)
{
	const struct cw_generation *g = cw_reload_current(d);

	for (uint32_t i = 0; d->control != NULL && i < PEERS_MAX; i++) {
		struct peer *p = &d->control->peers[i];

		if (p->number != number)
			continue;
		p->waiting = false;
		if (ok)
			say(p, cw_arena_printf(d->control->scratch,
			    "{\"ok\":true,\"generation\":%ju,\"hash\":\"%s\","
			    "\"policies\":%zu,\"prompts\":%zu}",
			    (uintmax_t)g->set.generation, g->set.hash,
			    g->set.npolicies, g->set.nprompts));
		else
			say_error(p, why);
		/* What it sent meanwhile is read with the next event. */
		if (p->number != 0) {
			(void)bufferevent_enable(p->bev, EV_READ);
			bufferevent_trigger(p->bev, EV_READ,
			    BEV_TRIG_DEFER_CALLBACKS);
		}
	}
}

/* ---- libevent ---- */

static void
on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	read_lines(arg);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0)
		cut(arg);
}

static void
welcome(struct cw_daemon *d, evutil_socket_t fd)
{
	struct cw_control *c = d->control;
	struct peer *p = NULL;

	for (uint32_t i = 0; i < PEERS_MAX && p == NULL; i++)
		if (c->peers[i].number == 0)
			p = &c->peers[i];
	if (p == NULL) {
		(void)close(fd);
		return;
	}
	p->bev = bufferevent_socket_new(d->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (p->bev == NULL) {
		(void)close(fd);
		return;
	}
	p->d = d;
	p->number = ++c->last;
	bufferevent_setcb(p->bev, on_read, NULL, on_event, p);
	/* A high-water mark would do, but libevent sets it without looking
	 * whether it got the memory for that. */
	(void)bufferevent_set_max_single_read(p->bev, LINE_BYTES);
	(void)bufferevent_enable(p->bev, EV_READ | EV_WRITE);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa,
    int len, void *arg)
{
	(void)l;
	(void)sa;
	(void)len;
	welcome(arg, fd);
}

/* No descriptor left: without this the loop would spin on the peer. */
static void
on_accept_error(struct evconnlistener *l, void *arg)
{
	(void)arg;
	(void)evconnlistener_disable(l);
}
