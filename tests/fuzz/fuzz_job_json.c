/*
 * fuzz_job_json.c - the JSON header of a SUBMIT message.
 */
#include <stdint.h>
#include <stdlib.h>

#include "format/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cw_arena *a;
	struct cw_job j;
	struct cw_err err;

	if (a == NULL && cw_arena_open(1 << 20, &a, NULL) != CW_OK)
		abort();
	(void)!cw_job_from_json((const char *)data, size, a, &j, &err);
	cw_arena_reset(a, 1 << 20);
	return 0;
}
