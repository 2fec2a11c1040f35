/*
 * report.c - see report.h.
 */
#include "supervisor/report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "conf/config.h"
#include "format/job.h"
#include "supervisor/gates.h"
#include "supervisor/http.h"
#include "supervisor/json_memory.h"
#include "supervisor/metrics.h"
#include "supervisor/pool.h"
#include "supervisor/queue.h"
#include "supervisor/reload.h"
#include "supervisor/spool.h"

static const char *const commands[CW_COMMANDS] = {
	[CW_C_STATUS] = "status",
	[CW_C_RELOAD] = "reload",
	[CW_C_DRAIN] = "drain",
	[CW_C_GET] = "get",
	[CW_C_WATCH] = "watch",
};

/* ---- in ---- */

static enum cw_status
parse_object(json_t *root, struct cw_arena *a, struct cw_command_line *out,
    struct cw_err *err)
{
	const char *cmd = json_string_value(json_object_get(root, "cmd"));
	const char *id = json_string_value(json_object_get(root, "id"));
	size_t k = 0;

	while (cmd != NULL && k < CW_COMMANDS && strcmp(commands[k], cmd) != 0)
		k++;
	if (cmd == NULL || k == CW_COMMANDS)
		return cw_err_set(err, CW_E_FORMAT,
		    "cmd: want status, reload, drain, get or watch");
	*out = (struct cw_command_line){
		.cmd = (enum cw_command)k,
		.flagged = json_is_true(json_object_get(root, "flagged")),
	};
	if (k != CW_C_GET)
		return CW_OK;
	if (id == NULL || !cw_job_id_valid(id))
		return cw_err_set(err, CW_E_FORMAT, "id: want a job's id");
	out->id = cw_arena_strdup(a, id);
	return CW_OK;
}

enum cw_status
cw_command_parse(const char *line, size_t len, struct cw_arena *a,
    struct cw_command_line *out, struct cw_err *err)
{
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	enum cw_status st;

	if (!json_is_object(root)) {
		json_decref(root);
		return cw_err_set(err, CW_E_FORMAT,
		    "want one JSON object a line");
	}
	st = parse_object(root, a, out, err);
	json_decref(root);
	return st;
}

/* ---- out ---- */

static void
set_int(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void
set_text(json_t *o, const char *key, const char *s)
{
	json_object_set_new(o, key, json_string(s == NULL ? "" : s));
}

static json_t *
workers_json(const struct cw_daemon *d)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < cw_pool_size(d); i++) {
		struct cw_worker_view v;
		json_t *o = json_object();

		cw_pool_view(d, i, &v);
		set_int(o, "worker", v.number);
		set_text(o, "state", cw_worker_state_name(v.state));
		set_int(o, "pid", (uint64_t)v.pid);
		set_int(o, "jobs", v.jobs);
		set_int(o, "batches", v.batches);
		set_int(o, "restarts", v.restarts);
		set_int(o, "generation", v.generation);
		set_int(o, "rss", v.rss);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
gate_json(const struct cw_daemon *d)
{
	json_t *o = json_object();
	struct cw_gate_view v;

	cw_gates_view(d, &v);
	json_object_set_new(o, "ready", json_boolean(v.ready));
	set_int(o, "pid", (uint64_t)v.pid);
	set_int(o, "restarts", v.restarts);
	set_int(o, "waiting_bytes", v.waiting);
	set_int(o, "messages", v.stats.messages);
	set_int(o, "malformed", v.stats.malformed);
	set_int(o, "rejected", v.stats.rejected);
	set_int(o, "busy", v.stats.busy);
	set_int(o, "replies", v.stats.replies);
	set_int(o, "dropped_replies", v.stats.dropped_replies);
	set_int(o, "published", v.stats.published);
	set_int(o, "auth_refused", v.stats.auth_refused);
	set_int(o, "clients", v.stats.clients);
	set_int(o, "slow_replies", v.stats.slow_replies);
	set_int(o, "held_bytes", v.stats.held_bytes);
	return o;
}

static json_t *
endpoints_json(const struct cw_daemon *d)
{
	json_t *o = json_object();
	struct cw_gate_view v;

	cw_gates_view(d, &v);
	set_text(o, "submit", v.submit);
	set_text(o, "pull", v.pull);
	set_text(o, "pub", v.pub);
	set_text(o, "http", cw_http_bound(d));
	return o;
}

static json_t *
counters_json(const struct cw_stats *s)
{
	json_t *o = json_object();

	set_int(o, "accepted", s->accepted);
	set_int(o, "duplicates", s->duplicates);
	set_int(o, "rejected", s->rejected);
	set_int(o, "busy", s->busy);
	set_int(o, "allow", s->verdicts[CW_ALLOW]);
	set_int(o, "review", s->verdicts[CW_REVIEW]);
	set_int(o, "block", s->verdicts[CW_BLOCK]);
	set_int(o, "error", s->verdicts[CW_ERROR]);
	set_int(o, "cached", s->cached);
	set_int(o, "embeds_reused", s->embeds_reused);
	set_int(o, "retries", s->retries);
	set_int(o, "quarantined", s->quarantined);
	set_int(o, "expired", s->expired);
	set_int(o, "cancelled", s->cancelled);
	set_int(o, "batches", s->batches);
	set_int(o, "batch_jobs", s->batch_jobs);
	set_int(o, "worker_deaths", s->worker_deaths);
	set_int(o, "gate_deaths", s->gate_deaths);
	set_int(o, "reloads", s->reloads);
	set_int(o, "reload_failures", s->reload_failures);
	set_int(o, "spool_failures", s->spool_failures);
	set_int(o, "commits", s->commits);
	set_int(o, "sink_failures", s->sink_failures);
	set_int(o, "deleted", s->deleted);
	return o;
}

static json_t *
latency_json(const struct cw_histogram *h)
{
	static const struct { const char *name; double share; } at[] = {
		{ "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 },
		{ "max", 1 },
	};
	json_t *o = json_object();

	set_int(o, "count", h->count);
	for (size_t i = 0; i < CW_COUNT(at); i++)
		json_object_set_new(o, at[i].name, json_real(
		    (double)cw_histogram_at(h, at[i].share) / 1e3));
	return o;
}

static json_t *
model_json(const struct cw_model_facts *m)
{
	json_t *o = json_object();

	set_text(o, "name", m->name);
	set_text(o, "sha256", m->sha256);
	set_text(o, "tower", m->tower);
	set_int(o, "image_size", m->image_size);
	set_int(o, "patch", m->patch);
	set_int(o, "width", m->width);
	set_int(o, "layers", m->layers);
	set_int(o, "heads", m->heads);
	set_int(o, "embed", m->embed);
	set_int(o, "parameters", m->parameters);
	set_int(o, "weight_bytes", m->weight_bytes);
	set_text(o, "precision", m->precision);
	set_text(o, "kernel", m->kernel);
	set_text(o, "sandbox", m->sandbox);
	set_text(o, "plugins", m->plugins);
	set_int(o, "start_ms", m->start_ms);
	return o;
}

static json_t *
policies_json(const struct cw_daemon *d)
{
	const struct cw_generation *g = cw_reload_current(d);
	json_t *o = json_object(), *list = json_array();
	char when[CW_RFC3339_MAX];

	cw_rfc3339(g->loaded_us, when);
	for (size_t i = 0; i < g->set.npolicies; i++) {
		json_t *p = json_object();

		set_text(p, "id", g->set.policies[i].id);
		set_int(p, "version", g->set.policies[i].version);
		set_text(p, "file", g->set.policies[i].file);
		json_object_set_new(p, "shadow",
		    json_boolean(g->set.policies[i].shadow));
		json_array_append_new(list, p);
	}
	set_text(o, "hash", g->set.hash);
	set_int(o, "generation", g->set.generation);
	set_text(o, "loaded_at", when);
	set_int(o, "prompts", g->set.nprompts);
	set_int(o, "categories", g->set.ncategories);
	set_int(o, "warnings", g->warnings.n + g->warnings.dropped);
	json_object_set_new(o, "reloading", json_boolean(cw_reload_busy(d)));
	json_object_set_new(o, "list", list);
	return o;
}

static json_t *
queue_json(const struct cw_daemon *d)
{
	json_t *o = json_object();

	set_int(o, "pending", cw_queue_count(d->queue));
	set_int(o, "waiting", cw_queue_waiting(d->queue));
	set_int(o, "bytes", cw_queue_bytes(d->queue));
	set_int(o, "limit", d->cfg->limits.pending);
	set_int(o, "limit_bytes", d->cfg->limits.pending_bytes);
	return o;
}

static json_t *
spool_json(const struct cw_daemon *d)
{
	struct cw_spool_use use = { 0 };
	struct cw_err err;
	const bool readable = cw_spool_use(d->spool, &use, &err) == CW_OK;
	json_t *o = json_object();

	json_object_set_new(o, "well",
	    json_boolean(readable && !cw_spool_sick(d->spool)));
	set_text(o, "path", d->cfg->spool.path);
	set_int(o, "bytes", use.bytes);
	set_int(o, "verdicts", use.verdicts);
	set_int(o, "quarantined", use.quarantined);
	return o;
}

static uint64_t
own_rss(void)
{
	unsigned long all = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu %lu", &all, &resident) != 2)
		resident = 0;
	fclose(f);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

const char *
cw_report_status(struct cw_daemon *d, struct cw_arena *a)
{
	char started[CW_RFC3339_MAX];
	const char *line;
	char *text;
	json_t *o;

	cw_json_memory_watch();
	o = json_object();
	cw_rfc3339(d->started_us, started);
	json_object_set_new(o, "ok", json_true());
	set_text(o, "version", CW_VERSION);
	set_int(o, "pid", (uint64_t)getpid());
	set_text(o, "started_at", started);
	json_object_set_new(o, "uptime_s", json_real(
	    (double)(cw_now_ms() - d->started_ms) / 1e3));
	set_text(o, "state", d->stopping ? "draining" : "serving");
	json_object_set_new(o, "ready",
	    json_boolean(cw_metrics_unready(d) == NULL));
	json_object_set_new(o, "workers", workers_json(d));
	json_object_set_new(o, "gate", gate_json(d));
	json_object_set_new(o, "endpoints", endpoints_json(d));
	json_object_set_new(o, "queue", queue_json(d));
	json_object_set_new(o, "counters", counters_json(&d->stats));
	json_object_set_new(o, "latency_ms", latency_json(&d->stats.total));
	json_object_set_new(o, "queue_ms", latency_json(&d->stats.queue));
	json_object_set_new(o, "policies", policies_json(d));
	if (cw_pool_ready(d))
		json_object_set_new(o, "model",
		    model_json(cw_pool_facts(d)));
	json_object_set_new(o, "spool", spool_json(d));
	set_int(o, "rss", own_rss());
	text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(7));
	json_decref(o);
	line = cw_json_memory_short() ? NULL : cw_arena_strdup(a, text);
	free(text);
	return line;
}
