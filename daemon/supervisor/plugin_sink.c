/*
 * plugin_sink.c - see plugin_sink.h.
 */
#include "supervisor/plugin_sink.h"

#include <dlfcn.h>
#include <event2/event.h>
#include <string.h>

#include "base/log.h"
#include "plugins/clipward_plugin.h"
#include "supervisor/spool.h"
#include "supervisor/timer.h"

#define SINKS_MAX	16u
#define DELIVER_MAX	64u	/* verdicts to one sink in one turn */
#define DELIVER_BYTES	(256u << 20)	/* address space for them */
#define KEEP_BYTES	(1u << 20)
#define RETRY_FIRST_MS	100
#define RETRY_MOST_MS	5000

struct sink {
	const struct cw_plugin_sink *p;
	void		*self, *so;
	int64_t		 delivered;	/* outbox rows up to this are safe */
	int64_t		 confirmed;	/* ... and this was written */
	bool		 due;		/* there may be more */
	bool		 failing;
	uint32_t	 retry_ms;
};

struct cw_sinks {
	struct sink	 s[SINKS_MAX];
	size_t		 n;
	struct cw_arena	*scratch;
	struct event	*retry;
};

static void
host_log(int level, const char *line)
{
	cw_log(level < CW_LOG_ERR || level > CW_LOG_DEBUG ? CW_LOG_NOTICE :
	    (enum cw_level)level, "sink %s", line);
}

static const struct cw_host host = {
	.size = sizeof(struct cw_host),
	.program = "clipwardd",
	.log = host_log,
};

/* ---- opening ---- */

static enum cw_status
load(const char *path, void **so, const struct cw_plugin **out,
    struct cw_err *err)
{
	const struct cw_plugin *p;
	enum cw_status st;

	if ((*so = dlopen(path, RTLD_LAZY | RTLD_LOCAL)) == NULL)
		return cw_err_set(err, CW_E_CONFIG, "%s", dlerror());
	p = dlsym(*so, CW_PLUGIN_SYMBOL);
	if (p == NULL)
		st = cw_err_set(err, CW_E_ABI,
		    "%s: no symbol \"%s\"; is it a clipward plugin", path,
		    CW_PLUGIN_SYMBOL);
	else if (p->abi_major != CW_PLUGIN_ABI_MAJOR ||
	    p->abi_minor > CW_PLUGIN_ABI_MINOR)
		st = cw_err_set(err, CW_E_ABI, "%s: built for plugin ABI "
		    "%u.%u; this daemon speaks %u.%u", path, p->abi_major,
		    p->abi_minor, CW_PLUGIN_ABI_MAJOR, CW_PLUGIN_ABI_MINOR);
	else if (p->size < sizeof(*p))
		st = cw_err_set(err, CW_E_ABI,
		    "%s: descriptor of %u bytes; want %zu or more", path,
		    p->size, sizeof(*p));
	else {
		*out = p;
		return CW_OK;
	}
	dlclose(*so);
	return st;
}

enum cw_status
cw_plugin_is_sink(const char *path, bool *is, struct cw_err *err)
{
	const struct cw_plugin *p;
	enum cw_status st;
	void *so;

	if ((st = load(path, &so, &p, err)) != CW_OK)
		return st;
	*is = p->kind == CW_PLUGIN_SINK;
	dlclose(so);
	return CW_OK;
}

static enum cw_status
check(const struct cw_sinks *all, const struct cw_plugin_sink *p,
    const char *path, struct cw_err *err)
{
	if (p->head.size < sizeof(*p) || p->head.name == NULL ||
	    p->head.open == NULL || p->head.close == NULL ||
	    p->deliver == NULL || p->flush == NULL)
		return cw_err_set(err, CW_E_ABI,
		    "%s: a field of its descriptor is missing", path);
	if (p->head.name[0] == '\0' || strlen(p->head.name) > 32)
		return cw_err_set(err, CW_E_ABI,
		    "%s: its name is not of 1 to 32 characters", path);
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->s[i].p->head.name, p->head.name) == 0)
			return cw_err_set(err, CW_E_CONFIG,
			    "%s: a sink \"%s\" is open already", path,
			    p->head.name);
	if (all->n == SINKS_MAX)
		return cw_err_set(err, CW_E_LIMIT,
		    "%s: more than %u sinks", path, SINKS_MAX);
	return CW_OK;
}

/* "key=value" lines, as the configuration has them. */
static const char *
options_text(struct cw_daemon *d, const struct cw_plugin_conf *c)
{
	const char *s = "";

	for (size_t i = 0; i < c->options.n && s != NULL; i++)
		s = cw_arena_printf(d->arena, "%s%s%s", s, i > 0 ? "\n" : "",
		    c->options.item[i]);
	CW_CHECK(s != NULL);
	return s;
}

static enum cw_status
open_one(struct cw_daemon *d, const struct cw_plugin_conf *c,
    struct cw_err *err)
{
	struct cw_sinks *all = d->sinks;
	struct sink *s = &all->s[all->n];
	const struct cw_plugin *p;
	enum cw_status st;

	if ((st = load(c->path, &s->so, &p, err)) != CW_OK)
		return st;
	if (p->kind != CW_PLUGIN_SINK) {
		dlclose(s->so);		/* a worker's, not ours */
		return CW_OK;
	}
	s->p = (const struct cw_plugin_sink *)p;
	if ((st = check(all, s->p, c->path, err)) == CW_OK &&
	    p->open(&host, options_text(d, c), &s->self) != 0)
		st = cw_err_set(err, CW_E_CONFIG,
		    "%s: does not open; its log line says why", c->path);
	if (st != CW_OK) {
		dlclose(s->so);
		return st;
	}
	s->due = true;		/* from before this start */
	all->n++;
	cw_log(CW_LOG_NOTICE, "sink=%s version=%s state=open", p->name,
	    p->version == NULL ? "" : p->version);
	return CW_OK;
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct cw_daemon *d = arg;

	(void)fd;
	(void)what;
	CW_CHECK_OBJ(d, CW_DAEMON_MAGIC);
	for (size_t i = 0; i < d->sinks->n; i++)
		d->sinks->s[i].due = true;
}

enum cw_status
cw_sinks_open(struct cw_daemon *d, struct cw_err *err)
{
	const char *names[SINKS_MAX];
	enum cw_status st;

	d->sinks = cw_arena_zalloc(d->arena, 1, sizeof(*d->sinks));
	CW_CHECK(d->sinks != NULL);
	st = cw_arena_open(DELIVER_BYTES, &d->sinks->scratch, err);
	if (st != CW_OK)
		return st;
	d->sinks->retry = evtimer_new(d->base, on_retry, d);
	if (d->sinks->retry == NULL)
		return cw_err_set(err, CW_E_SYSTEM, "sinks: no memory");
	for (size_t i = 0; i < d->cfg->nplugins; i++)
		if ((st = open_one(d, &d->cfg->plugins[i], err)) != CW_OK)
			return st;
	for (size_t i = 0; i < d->sinks->n; i++)
		names[i] = d->sinks->s[i].p->head.name;
	st = cw_spool_outbox_keep(d->spool, names, d->sinks->n, err);
	return st == CW_OK ? cw_spool_commit(d->spool, err) : st;
}

void
cw_sinks_close(struct cw_daemon *d)
{
	struct cw_err err;

	if (d->sinks == NULL)
		return;
	cw_sinks_deliver(d);
	cw_sinks_confirm(d);
	if (cw_spool_commit(d->spool, &err) != CW_OK)
		cw_log(CW_LOG_WARNING, "sinks will get some verdicts again "
		    "error=%s", cw_quote(err.text).text);
	for (size_t i = 0; i < d->sinks->n; i++) {
		d->sinks->s[i].p->head.close(d->sinks->s[i].self);
		dlclose(d->sinks->s[i].so);
	}
	if (d->sinks->retry != NULL)
		event_free(d->sinks->retry);
	cw_arena_close(&d->sinks->scratch);
	d->sinks = NULL;
}

/* ---- delivering ---- */

void
cw_sinks_enqueue(struct cw_daemon *d, const char *id)
{
	struct cw_err err;

	for (size_t i = 0; d->sinks != NULL && i < d->sinks->n; i++) {
		if (cw_spool_outbox_put(d->spool, d->sinks->s[i].p->head.name,
		    id, &err) != CW_OK)
			return;		/* the turn fails as a whole */
		d->sinks->s[i].due = true;
	}
}

/* Say it once, try again on a timer. */
static void
fail(struct cw_daemon *d, struct sink *s)
{
	if (!s->failing) {
		d->stats.sink_failures++;
		s->retry_ms = RETRY_FIRST_MS;
		cw_log(CW_LOG_WARNING, "sink=%s state=failing",
		    s->p->head.name);
	}
	s->failing = true;
	s->due = false;
	cw_timer_set(d->sinks->retry, s->retry_ms);
	s->retry_ms = s->retry_ms * 2 > RETRY_MOST_MS ? RETRY_MOST_MS :
	    s->retry_ms * 2;
}

/* One run: deliver, flush, and only then count it as safe. */
static void
deliver(struct cw_daemon *d, struct sink *s)
{
	struct cw_outbox_item items[DELIVER_MAX];
	int64_t last = s->delivered;
	int code = CW_SINK_OK;
	struct cw_err err;
	size_t n;

	cw_arena_reset(d->sinks->scratch, KEEP_BYTES);
	s->due = false;
	if (cw_spool_outbox_get(d->spool, s->p->head.name, s->delivered,
	    d->sinks->scratch, items, DELIVER_MAX, &n, &err) != CW_OK ||
	    n == 0)
		return;
	for (size_t i = 0; i < n && code != CW_SINK_LATER; i++) {
		const struct cw_sink_item it = {
			.size = sizeof(it),
			.id = items[i].id,
			.decision = items[i].decision,
			.json = items[i].json,
			.njson = strlen(items[i].json),
		};

		code = s->p->deliver(s->self, &it);
		if (code == CW_SINK_REFUSED)
			d->stats.sink_failures++;
		if (code != CW_SINK_LATER)
			last = items[i].seq;
	}
	if (s->p->flush(s->self) != 0) {
		fail(d, s);
		return;
	}
	s->delivered = last;
	if (code == CW_SINK_LATER) {
		fail(d, s);
		return;
	}
	if (s->failing)
		cw_log(CW_LOG_NOTICE, "sink=%s state=well", s->p->head.name);
	s->failing = false;
	s->due = n == DELIVER_MAX;
}

void
cw_sinks_deliver(struct cw_daemon *d)
{
	for (size_t i = 0; d->sinks != NULL && i < d->sinks->n; i++)
		if (d->sinks->s[i].due)
			deliver(d, &d->sinks->s[i]);
}

/* When this turn is undone, the rows go with a later one: the sink does not
 * get them again meanwhile, since `delivered` stays. */
void
cw_sinks_confirm(struct cw_daemon *d)
{
	struct cw_err err;

	for (size_t i = 0; d->sinks != NULL && i < d->sinks->n; i++) {
		struct sink *s = &d->sinks->s[i];

		if (s->confirmed < s->delivered && cw_spool_outbox_done(
		    d->spool, s->p->head.name, s->delivered, &err) == CW_OK)
			s->confirmed = s->delivered;
	}
}
