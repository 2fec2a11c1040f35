/*
 * fuzz_config.c - config.yaml.
 */
#include "conf/config.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cw_config cfg;
	static struct cw_arena *a;
	struct cw_err err;
	char path[128];

	scratch_write("config.yaml", data, size);
	snprintf(path, sizeof(path), "%s/config.yaml", scratch_path);
	if (a == NULL && cw_arena_open(64 << 20, &a, NULL) != CW_OK)
		abort();
	(void)!cw_config_read(path, a, &cfg, &err);
	cw_arena_reset(a, 1 << 20);
	return 0;
}
