/*
 * fuzz_policy_yaml.c - a policy file: libyaml's events, our tree and checks.
 */
#include <stdint.h>
#include <stdlib.h>

#include "conf/policy_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cw_warnings warnings = { .n = 0 };
	struct cw_policy_set set;
	static struct cw_arena *a;
	struct cw_err err;

	if (a == NULL && cw_arena_open(64 << 20, &a, NULL) != CW_OK)
		abort();
	(void)!cw_policy_bytes_read("fuzz.yaml", (const char *)data, size,
	    NULL, a, &set, &warnings, &err);
	cw_arena_reset(a, 1 << 20);
	return 0;
}
