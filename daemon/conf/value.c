/*
 * value.c - see value.h.
 */
#include "conf/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX	64u	/* bytes of a word that are compared */

struct unit {
	const char	*name;
	uint64_t	 size;
};

/* Largest first, the bare unit last. */
static const struct unit byte_units[] = {
	{ "G", 1u << 30 }, { "M", 1u << 20 }, { "K", 1u << 10 }, { "", 1 },
};
static const struct unit msec_units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 },
	{ "ms", 1 },
};

/* Digits, then one of the units. */
static bool
with_unit(const char *s, const struct unit *units, size_t n, uint64_t *out)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(s, units[i].name) == 0)
			return !__builtin_mul_overflow(v, units[i].size, out);
	return false;
}

static void
show(uint64_t v, const struct unit *units, size_t n, char buf[CW_VALUE_MAX])
{
	size_t i = 0;

	while (i < n - 1 && (v == 0 || v % units[i].size != 0))
		i++;
	snprintf(buf, CW_VALUE_MAX, "%" PRIu64 "%s", v / units[i].size,
	    units[i].name);
}

bool
cw_value_count(const char *s, uint64_t *out)
{
	static const struct unit none[] = { { "", 1 } };

	return with_unit(s, none, 1, out);
}

bool
cw_value_bytes(const char *s, uint64_t *out)
{
	return with_unit(s, byte_units, 4, out);
}

bool
cw_value_msec(const char *s, uint64_t *out)
{
	return with_unit(s, msec_units, 5, out);
}

bool
cw_value_bool(const char *s, uint64_t *out)
{
	const bool yes = strcmp(s, "true") == 0;

	if (!yes && strcmp(s, "false") != 0)
		return false;
	*out = yes;
	return true;
}

bool
cw_value_number(const char *s, double *out)
{
	char *end;
	double v;

	if (*s == '\0' || strspn(s, "0123456789.eE+-") != strlen(s))
		return false;
	v = strtod(s, &end);
	if (*end != '\0' || !isfinite(v))
		return false;
	*out = v;
	return true;
}

void
cw_value_show_bytes(uint64_t v, char buf[CW_VALUE_MAX])
{
	show(v, byte_units, 4, buf);
}

void
cw_value_show_msec(uint64_t v, char buf[CW_VALUE_MAX])
{
	show(v, msec_units, 5, buf);
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours between a and b. */
static unsigned
edits(const char *a, const char *b)
{
	const size_t na = strnlen(a, WORD_MAX), nb = strnlen(b, WORD_MAX);
	unsigned char d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= na; i++)
		d[i][0] = (unsigned char)i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = (unsigned char)j;
	for (size_t i = 1; i <= na; i++) {
		for (size_t j = 1; j <= nb; j++) {
			unsigned v = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			v = least(v, least(d[i - 1][j], d[i][j - 1]) + 1u);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				v = least(v, d[i - 2][j - 2] + 1u);
			d[i][j] = (unsigned char)v;
		}
	}
	return d[na][nb];
}

const char *
cw_value_nearest(const char *s, const char *const *names, size_t n)
{
	const char *best = "";
	unsigned least_edits = ~0u;

	for (size_t i = 0; i < n; i++) {
		const unsigned e = edits(s, names[i]);

		if (e < least_edits) {
			least_edits = e;
			best = names[i];
		}
	}
	return best;
}
