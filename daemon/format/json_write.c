/*
 * json_write.c - see json_write.h.
 *
 * A float is m * 2^e with m of 24 bits.  Its first seven digits are the whole
 * number next to m * 2^e * 10^p for the p that makes it one of seven digits,
 * and m * 5^p is exact in 128 bits for every float there is: for the smallest
 * p is 51, and 5^51 has 119 bits where m has 1.
 */
#include "format/json_write.h"

#include <math.h>
#include <string.h>

#include "format/utf8.h"

#define DIGITS	7		/* a float has no more to say */
#define SEVEN	10000000u	/* the first number of more digits */

__extension__ typedef unsigned __int128 wide;

/* 5^0 ... 5^27; a higher power is the product of two. */
#define FIVES	28
static const uint64_t fives[FIVES] = {
	1u, 5u, 25u, 125u, 625u, 3125u, 15625u, 78125u, 390625u, 1953125u,
	9765625u, 48828125u, 244140625u, 1220703125u, 6103515625u,
	30517578125u, 152587890625u, 762939453125u, 3814697265625u,
	19073486328125u, 95367431640625u, 476837158203125u,
	2384185791015625u, 11920928955078125u, 59604644775390625u,
	298023223876953125u, 1490116119384765625u, 7450580596923828125u,
};

static wide
times_five(uint64_t m, int power)
{
	const int low = power < FIVES ? power : FIVES - 1;

	return (wide)m * fives[low] * fives[power - low];
}

/* q, or q + 1 where the rest of it says so: ties go to the even one. */
static uint32_t
rounded(wide q, wide rest, wide whole)
{
	const wide twice = 2 * rest;
	const bool up = twice > whole || (twice == whole && (q & 1) != 0);

	return (uint32_t)q + up;
}

/* m * 2^e * 10^(6 - k) as a whole number. */
static uint32_t
digits_at(uint32_t m, int e, int k)
{
	const int p = DIGITS - 1 - k, shift = e + p;
	wide v, one;

	if (p < 0) {
		one = times_five(1, -p) << -p;
		v = (wide)m << e;
		return rounded(v / one, v % one, one);
	}
	v = times_five(m, p);
	if (shift >= 0)
		return (uint32_t)(v << shift);
	one = (wide)1 << -shift;
	return rounded(v >> -shift, v & (one - 1), one);
}

/* The seven digits of v > 0; v is d.dddddd * 10^*k. */
static uint32_t
seven_digits(float v, int *k)
{
	uint32_t bits, m, digits;
	int e;

	memcpy(&bits, &v, sizeof(bits));
	m = bits & 0x7fffffu;
	e = (int)(bits >> 23 & 0xff);
	if (e == 0)
		e = 1;
	else
		m |= 0x800000u;
	e -= 150;
	/* floor(log10 of the highest bit): right, or one too low. */
	*k = ((e + 31 - __builtin_clz(m)) * 1233) >> 12;
	while ((digits = digits_at(m, e, *k)) >= SEVEN)
		++*k;
	return digits;
}

/* n characters of d.ddd at p, with the point after the first `whole`. */
static char *
put_digits(char *p, const char *d, int n, int whole)
{
	for (int i = 0; i < n || i <= whole; i++) {
		if (i == whole)
			*p++ = '.';
		*p++ = i < n ? d[i] : '0';
	}
	return p;
}

static char *
put_exponent(char *p, const char *d, int n, int k)
{
	*p++ = d[0];
	if (n > 1) {
		*p++ = '.';
		memcpy(p, d + 1, (size_t)n - 1);
		p += n - 1;
	}
	*p++ = 'e';
	if (k < 0)
		*p++ = '-';
	k = k < 0 ? -k : k;
	if (k >= 10)
		*p++ = (char)('0' + k / 10);
	*p++ = (char)('0' + k % 10);
	return p;
}

static char *
put_float(char *p, float v)
{
	char d[DIGITS];
	uint32_t digits;
	int k, n = DIGITS;

	if (signbit(v))
		*p++ = '-';
	if (v == 0) {
		memcpy(p, "0.0", 3);
		return p + 3;
	}
	digits = seven_digits(fabsf(v), &k);
	for (int i = DIGITS; i-- > 0; digits /= 10)
		d[i] = (char)('0' + digits % 10);
	while (n > 1 && d[n - 1] == '0')
		n--;
	if (k < -4 || k >= DIGITS)
		return put_exponent(p, d, n, k);
	if (k >= 0)
		return put_digits(p, d, n, k + 1);
	memcpy(p, "0.000", 5);
	p += 1 - k;
	memcpy(p, d, (size_t)n);
	return p + n;
}

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
	char *p, *start;

	if (!isfinite(v)) {
		cw_json_put_raw(w, "null", 4);
		return;
	}
	separate(w);
	start = (char *)cw_pack_reserve(w, CW_JSON_FLOAT_MAX);
	if (start == NULL)
		return;
	p = put_float(start, v);
	w->len += (size_t)(p - start);
}
