/*
 * json_out.c - see json_out.h.
 */
#include "supervisor/json_out.h"

#include <string.h>

#include "format/json_write.h"

const char *
cw_json_string(struct cw_arena *a, const char *s)
{
	struct cw_pack w;

	cw_pack_init(&w, a, strlen(s) + 16);
	cw_json_put_string(&w, s);
	cw_put_u8(&w, '\0');
	return cw_pack_ok(&w) ? (const char *)w.p : NULL;
}

const char *
cw_json_rejected(struct cw_arena *a, const char *id, const char *code,
    const char *message)
{
	const char *text = cw_json_string(a, message);

	if (text == NULL)
		return NULL;
	return cw_arena_printf(a, "{\"id\":\"%s\",\"code\":\"%s\","
	    "\"message\":%s}", id, code, text);
}
