/*
 * json_out.c - see json_out.h.
 */
#include "supervisor/json_out.h"

#include <string.h>

#include "format/utf8.h"

const char *
cw_json_string(struct cw_arena *a, const char *s)
{
	static const char hex[] = "0123456789abcdef";
	const bool utf8 = cw_utf8_valid(s, strlen(s));
	char *out = cw_arena_alloc(a, 6 * strlen(s) + 3), *p = out;

	if (out == NULL)
		return NULL;
	*p++ = '"';
	for (; *s != '\0'; s++) {
		const unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			*p++ = '\\';
			*p++ = (char)c;
		} else if (c < 0x20) {
			memcpy(p, "\\u00", 4);
			p[4] = hex[c >> 4];
			p[5] = hex[c & 15];
			p += 6;
		} else
			*p++ = c >= 0x80 && !utf8 ? '?' : (char)c;
	}
	*p++ = '"';
	*p = '\0';
	return out;
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
