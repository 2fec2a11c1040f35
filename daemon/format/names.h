/*
 * names.h - enum values and the words people write for them.
 *
 * Runs in: everywhere.  Private to format/.
 */
#ifndef CW_NAMES_H
#define CW_NAMES_H

#include <stddef.h>
#include <string.h>

static inline const char *
cw_name_of(const char *const *names, size_t n, size_t v)
{
	return v < n ? names[v] : "?";
}

static inline int
cw_name_parse(const char *const *names, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], s) == 0)
			return (int)i;
	return -1;
}

/* The getter and, with CW_NAMES_PARSE, the parser of one enum. */
#define CW_NAMES(fn, type, table)					\
	const char *fn##_name(type v)					\
	{								\
		return cw_name_of(table, CW_COUNT(table), (size_t)v);	\
	}
#define CW_NAMES_PARSE(fn, table)					\
	int fn##_parse(const char *s)					\
	{								\
		return cw_name_parse(table, CW_COUNT(table), s);	\
	}

#endif /* CW_NAMES_H */
