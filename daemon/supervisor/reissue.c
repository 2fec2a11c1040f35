/*
 * reissue.c - see reissue.h.
 */
#include "supervisor/reissue.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "format/pack.h"

/* The character after the string that begins at s, or NULL. */
static const char *
skip_string(const char *s)
{
	if (*s != '"')
		return NULL;
	for (s++; *s != '"'; s++) {
		if (*s == '\\' && s[1] != '\0')
			s++;
		else if (*s == '\0')
			return NULL;
	}
	return s + 1;
}

/* The character after the value that begins at s, or NULL. */
static const char *
skip_value(const char *s)
{
	int depth = 0;

	do {
		if (*s == '"') {
			if ((s = skip_string(s)) == NULL)
				return NULL;
			continue;
		}
		if (*s == '{' || *s == '[')
			depth++;
		else if (*s == '}' || *s == ']')
			depth--;
		else if (*s == '\0')
			return NULL;
		s++;
	} while (depth > 0 || (*s != ',' && *s != '}'));
	return depth == 0 ? s : NULL;
}

static void
put_text(struct cw_pack *w, const char *s)
{
	cw_put_raw(w, s, strlen(s));
}

static bool
is_key(const char *key, const char *end, const char *name)
{
	const size_t n = strlen(name);

	return (size_t)(end - key) == n + 2 && memcmp(key + 1, name, n) == 0;
}

/* The new value of a key that changes, in buf, or NULL. */
static const char *
new_value(const char *key, const char *end, const char *id, const char *when,
    char *buf, size_t n)
{
	if (is_key(key, end, "id"))
		snprintf(buf, n, "\"%s\"", id);
	else if (is_key(key, end, "received_at") ||
	    is_key(key, end, "scored_at"))
		snprintf(buf, n, "\"%s\"", when);
	else if (is_key(key, end, "cached"))
		snprintf(buf, n, "true");
	else if (is_key(key, end, "attempt"))
		snprintf(buf, n, "1");
	else if (is_key(key, end, "timing_ms"))
		snprintf(buf, n, "{\"queue\":0.0,\"decode\":0.0,"
		    "\"preprocess\":0.0,\"encode\":0.0,\"score\":0.0,"
		    "\"explain\":0.0,\"total\":0.0}");
	else
		return NULL;
	return buf;
}

const char *
cw_verdict_reissue(const char *json, const char *id, int64_t now_us,
    struct cw_arena *a)
{
	char when[CW_RFC3339_MAX], buf[256];
	const char *s = json, *key, *end;
	struct cw_pack w;

	cw_rfc3339(now_us, when);
	cw_pack_init(&w, a, strlen(json) + 512);
	if (*s != '{')
		return NULL;
	put_text(&w, "{");
	for (s++; *s != '}'; s = *end == ',' ? end + 1 : end) {
		const char *value;

		key = s;
		if ((end = skip_string(key)) == NULL || *end != ':')
			return NULL;
		value = new_value(key, end, id, when, buf, sizeof(buf));
		if (key != json + 1)
			put_text(&w, ",");
		cw_put_raw(&w, key, (size_t)(end - key) + 1);
		key = end + 1;
		if ((end = skip_value(key)) == NULL)
			return NULL;
		if (value != NULL)
			put_text(&w, value);
		else
			cw_put_raw(&w, key, (size_t)(end - key));
	}
	cw_put_raw(&w, "}", 2);
	return s[1] == '\0' && cw_pack_ok(&w) ? (const char *)w.p : NULL;
}
