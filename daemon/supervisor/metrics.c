/*
 * metrics.c - see metrics.h.
 */
#include "supervisor/metrics.h"

#include <event2/buffer.h>
#include <inttypes.h>

#include "base/io.h"
#include "conf/config.h"
#include "supervisor/gates.h"
#include "supervisor/pool.h"
#include "supervisor/queue.h"
#include "supervisor/reload.h"
#include "supervisor/spool.h"

const char *
cw_metrics_unready(const struct cw_daemon *d)
{
	uint32_t serving = 0;

	if (d->stopping)
		return "draining";
	if (!cw_gates_ready(d))
		return "the gate is not up";
	if (cw_spool_sick(d->spool))
		return "the spool can't be written";
	if (cw_queue_count(d->queue) >= d->cfg->limits.pending)
		return "the queue is full";
	for (uint32_t i = 0; i < cw_pool_size(d); i++) {
		struct cw_worker_view v;

		cw_pool_view(d, i, &v);
		serving += v.state == CW_W_IDLE || v.state == CW_W_BUSY;
	}
	if (serving == 0)
		return "no worker is up";
	return cw_pool_scores(d) ? NULL :
	    "no picture has been scored for a while";
}

static void
head(struct evbuffer *out, const char *name, const char *type,
    const char *help)
{
	evbuffer_add_printf(out, "# HELP clipward_%s %s\n"
	    "# TYPE clipward_%s %s\n", name, help, name, type);
}

static void
one(struct evbuffer *out, const char *name, const char *type, uint64_t v,
    const char *help)
{
	head(out, name, type, help);
	evbuffer_add_printf(out, "clipward_%s %" PRIu64 "\n", name, v);
}

static void
counters(const struct cw_stats *s, struct evbuffer *out)
{
	const struct {
		const char	*name;
		uint64_t	 v;
		const char	*help;
	} rows[] = {
		{ "accepted_total", s->accepted, "Jobs accepted." },
		{ "duplicates_total", s->duplicates, "Ids seen before." },
		{ "rejected_total", s->rejected, "Jobs rejected." },
		{ "busy_total", s->busy, "Jobs put off." },
		{ "cached_total", s->cached,
		    "Verdicts reissued for the same bytes." },
		{ "embeds_reused_total", s->embeds_reused,
		    "Jobs scored from a stored embedding." },
		{ "retries_total", s->retries,
		    "Jobs tried again after a worker's death." },
		{ "quarantined_total", s->quarantined,
		    "Jobs given up after workers' deaths." },
		{ "expired_total", s->expired, "Jobs past their deadline." },
		{ "batches_total", s->batches, "Batches sent to workers." },
		{ "worker_deaths_total", s->worker_deaths,
		    "Workers replaced." },
		{ "gate_deaths_total", s->gate_deaths, "Gates replaced." },
		{ "reloads_total", s->reloads, "Policy sets taken." },
		{ "reload_failures_total", s->reload_failures,
		    "Policy sets refused." },
		{ "spool_failures_total", s->spool_failures,
		    "Times the spool could not be written." },
		{ "commits_total", s->commits, "Transactions committed." },
		{ "sink_failures_total", s->sink_failures,
		    "Times a sink did not take a verdict." },
	};

	for (size_t i = 0; i < CW_COUNT(rows); i++)
		one(out, rows[i].name, "counter", rows[i].v, rows[i].help);
	head(out, "verdicts_total", "counter", "Verdicts by decision.");
	for (int i = 0; i < CW_ACTIONS; i++)
		evbuffer_add_printf(out, "clipward_verdicts_total{decision="
		    "\"%s\"} %" PRIu64 "\n",
		    cw_action_name((enum cw_action)i), s->verdicts[i]);
}

static void
latency(const struct cw_histogram *h, const char *name, const char *help,
    struct evbuffer *out)
{
	static const double at[] = { 0.5, 0.9, 0.99 };

	head(out, name, "summary", help);
	for (size_t i = 0; i < CW_COUNT(at); i++)
		evbuffer_add_printf(out,
		    "clipward_%s{quantile=\"%g\"} %.6f\n", name, at[i],
		    (double)cw_histogram_at(h, at[i]) / 1e6);
	evbuffer_add_printf(out, "clipward_%s_sum %.6f\n"
	    "clipward_%s_count %" PRIu64 "\n", name,
	    (double)h->sum_us / 1e6, name, h->count);
}

void
cw_metrics_text(const struct cw_daemon *d, struct evbuffer *out)
{
	uint32_t states[CW_W_STATES] = { 0 };

	counters(&d->stats, out);
	one(out, "queue_jobs", "gauge", cw_queue_count(d->queue),
	    "Jobs accepted and not answered.");
	one(out, "queue_bytes", "gauge", cw_queue_bytes(d->queue),
	    "Bytes of their images.");
	one(out, "policy_generation", "gauge",
	    cw_reload_current(d)->set.generation,
	    "Number of the policy set in force.");
	one(out, "ready", "gauge", cw_metrics_unready(d) == NULL,
	    "Would a job be taken and scored now.");
	for (uint32_t i = 0; i < cw_pool_size(d); i++) {
		struct cw_worker_view v;

		cw_pool_view(d, i, &v);
		states[v.state]++;
	}
	head(out, "workers", "gauge", "Workers by state.");
	for (int i = 0; i < CW_W_STATES; i++)
		evbuffer_add_printf(out, "clipward_workers{state=\"%s\"} %u\n",
		    cw_worker_state_name((enum cw_worker_state)i), states[i]);
	latency(&d->stats.total, "verdict_seconds",
	    "From reception to stored verdict.", out);
	latency(&d->stats.queue, "queue_seconds",
	    "From reception to a worker.", out);
}
