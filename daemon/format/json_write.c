/*
 * json_write.c - see json_write.h.
 */
#include "format/json_write.h"

#include <string.h>

#include "format/float_text.h"
#include "format/utf8.h"

/* A comma, unless this is the first of its list or a key's value. */
static void
separate(struct cw_pack *w)
{
	const uint8_t last = w->len > 0 ? w->p[w->len - 1] : '{';

	if (last != '{' && last != '[' && last != ':')
		cw_put_u8(w, ',');
}

void
cw_json_put_open(struct cw_pack *w, char bracket)
{
	separate(w);
	cw_put_u8(w, (uint8_t)bracket);
}

void
cw_json_put_close(struct cw_pack *w, char bracket)
{
	cw_put_u8(w, (uint8_t)bracket);
}

void
cw_json_put_raw(struct cw_pack *w, const char *json, size_t n)
{
	separate(w);
	cw_put_raw(w, json, n);
}

/* One byte of a string that can't stand there as it is. */
static char *
put_escape(char *p, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char named[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *at = strchr(named, c);

	*p++ = '\\';
	if (at != NULL) {
		*p++ = letter[at - named];
		return p;
	}
	memcpy(p, "u00", 3);
	p[3] = hex[c >> 4];
	p[4] = hex[c & 15];
	return p + 5;
}

void
cw_json_put_string(struct cw_pack *w, const char *s)
{
	const size_t n = strlen(s);
	bool known = false, utf8 = false;	/* as soon as it matters */
	char *p, *start;

	separate(w);
	start = p = (char *)cw_pack_reserve(w, 6 * n + 2);
	if (p == NULL)
		return;
	*p++ = '"';
	for (size_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == '"' || c == '\\') {
			p = put_escape(p, c);
			continue;
		}
		if (c >= 0x80 && !known) {
			utf8 = cw_utf8_valid(s + i, n - i);
			known = true;
		}
		*p++ = c >= 0x80 && !utf8 ? '?' : (char)c;
	}
	*p++ = '"';
	w->len += (size_t)(p - start);
}

void
cw_json_put_key(struct cw_pack *w, const char *key)
{
	const size_t n = strlen(key);
	uint8_t *p;

	separate(w);
	p = cw_pack_reserve(w, n + 3);
	if (p == NULL)
		return;
	*p++ = '"';
	memcpy(p, key, n);
	memcpy(p + n, "\":", 2);
	w->len += n + 3;
}

void
cw_json_put_text(struct cw_pack *w, const char *key, const char *s)
{
	if (s == NULL || s[0] == '\0')
		return;
	cw_json_put_key(w, key);
	cw_json_put_string(w, s);
}

/* The digits of v, at least so many, ending before end. */
static char *
put_whole(char *end, uint64_t v, int least)
{
	for (int i = 0; i < least || v != 0; i++, v /= 10)
		*--end = (char)('0' + v % 10);
	return end;
}

static uint64_t
magnitude(int64_t v)
{
	return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

void
cw_json_put_int(struct cw_pack *w, int64_t v)
{
	char buf[24], *end = buf + sizeof(buf);
	char *p = put_whole(end, magnitude(v), 1);

	if (v < 0)
		*--p = '-';
	cw_json_put_raw(w, p, (size_t)(end - p));
}

void
cw_json_put_bool(struct cw_pack *w, bool v)
{
	if (v)
		cw_json_put_raw(w, "true", 4);
	else
		cw_json_put_raw(w, "false", 5);
}

void
cw_json_put_thousandths(struct cw_pack *w, int64_t v)
{
	char buf[32], *end = buf + sizeof(buf);
	char *p = put_whole(end, magnitude(v) % 1000, 3);

	for (int i = 0; i < 2 && end[-1] == '0'; i++)
		end--;
	*--p = '.';
	p = put_whole(p, magnitude(v) / 1000, 1);
	if (v < 0)
		*--p = '-';
	cw_json_put_raw(w, p, (size_t)(end - p));
}

void
cw_json_put_float(struct cw_pack *w, float v)
{
	char *p;

	separate(w);
	p = (char *)cw_pack_reserve(w, CW_FLOAT_TEXT_MAX);
	if (p != NULL)
		w->len += (size_t)(cw_float_text(p, v) - p);
}
