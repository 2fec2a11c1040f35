/*
 * json_memory.c - see json_memory.h.
 */
#include "supervisor/json_memory.h"

#include <jansson.h>

static json_malloc_t take;	/* what the library had before */
static bool refused;

static void *
watched(size_t n)
{
	void *p = take(n);

	if (p == NULL)
		refused = true;
	return p;
}

void
cw_json_memory_watch(void)
{
	json_malloc_t now;
	json_free_t give;

	json_get_alloc_funcs(&now, &give);
	if (now != watched) {
		take = now;
		json_set_alloc_funcs(watched, give);
	}
	refused = false;
}

bool
cw_json_memory_short(void)
{
	return refused;
}
