/*
 * config_use.c - what others make of the settings.  See config.h.
 */
#include <sched.h>
#include <string.h>

#include "base/io.h"
#include "conf/config.h"

struct cw_limits
cw_config_limits(const struct cw_config *cfg)
{
	return (struct cw_limits){
		.bytes = cfg->limits.bytes,
		.decoded_bytes = cfg->limits.decoded_bytes,
		.pixels = cfg->limits.pixels,
		.scans = (uint32_t)cfg->limits.scans,
		.frames = (uint32_t)cfg->limits.frames,
		.cpu_ms = (uint32_t)cfg->limits.cpu_ms,
	};
}

uint32_t
cw_config_workers(const struct cw_config *cfg)
{
	uint64_t n = cfg->workers.count;
	cpu_set_t set;

	if (n == 0 && sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (uint64_t)CPU_COUNT(&set) / cfg->workers.threads;
	return n == 0 ? 1 : n > 256 ? 256 : (uint32_t)n;
}

const char *
cw_config_plugin_path(const char *name, struct cw_arena *a)
{
	const char *part = cw_arena_printf(a, "plugins/%s.so", name);

	return part == NULL ? NULL : cw_find_part(part, a);
}
