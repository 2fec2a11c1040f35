/*
 * worker_init.c - what a worker is told at its start.
 *
 * Runs in: supervisor.  Never: logs.
 */
#include "conf/config.h"
#include "format/gate_msg.h"
#include "supervisor/plugin_sink.h"
#include "supervisor/worker.h"

/*
 * A client's pictures keep a worker busy for as long as this, and for no more
 * than a quarter of what would end the worker.
 */
#define EXTRAS_MS	5000u

static uint32_t
extras_ms(uint64_t deadline_ms)
{
	const uint64_t part = deadline_ms / 4;

	return part < 1 ? 1 : part < EXTRAS_MS ? (uint32_t)part : EXTRAS_MS;
}

void
cw_worker_init(const struct cw_config *cfg, struct cw_arena *a,
    struct cw_init *out)
{
	const char **plugins = cw_arena_zalloc(a, CW_PLUGINS_MAX,
	    sizeof(*plugins));

	*out = (struct cw_init){
		.model_dir = cfg->model.path,
		.cache_dir = cfg->model.cache,
		.precision = (enum cw_precision)cfg->model.precision,
		.kernel = cfg->model.kernel,
		.batch = (uint32_t)cfg->workers.batch,
		.threads = (uint32_t)cfg->workers.threads,
		.views = (enum cw_views)cfg->views,
		.explain_layers = (uint32_t)cfg->explain.layers,
		.sandbox = cfg->workers.sandbox != 0,
		.limits = cw_config_limits(cfg),
		.pictures = CW_PARTS_MAX,
		.extras_ms = extras_ms(cfg->workers.deadline_ms),
		.plugins = plugins,
	};
	CW_CHECK(plugins != NULL);
	for (size_t i = 0; i < cfg->nplugins; i++) {
		bool sink = false;
		struct cw_err err;

		/* One that can't be loaded is the worker's to complain of. */
		if (out->nplugins < CW_PLUGINS_MAX && (cw_plugin_is_sink(
		    cfg->plugins[i].path, &sink, &err) != CW_OK || !sink))
			plugins[out->nplugins++] = cfg->plugins[i].path;
	}
}
