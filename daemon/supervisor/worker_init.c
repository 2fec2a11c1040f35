/*
 * worker_init.c - what a worker is told at its start.
 *
 * Runs in: supervisor.  Never: logs.
 */
#include "conf/config.h"
#include "supervisor/plugin_sink.h"
#include "supervisor/worker.h"

void
cw_worker_init(const struct cw_config *cfg, const char *model_sha256,
    struct cw_arena *a, struct cw_init *out)
{
	const char **plugins = cw_arena_zalloc(a, CW_PLUGINS_MAX,
	    sizeof(*plugins));

	*out = (struct cw_init){
		.model_dir = cfg->model.path,
		.model_sha256 = model_sha256,
		.cache_dir = cfg->model.cache,
		.precision = (enum cw_precision)cfg->model.precision,
		.kernel = cfg->model.kernel,
		.batch = (uint32_t)cfg->workers.batch,
		.threads = (uint32_t)cfg->workers.threads,
		.views = (enum cw_views)cfg->views,
		.explain_layers = (uint32_t)cfg->explain.layers,
		.sandbox = cfg->workers.sandbox != 0,
		.limits = cw_config_limits(cfg),
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
