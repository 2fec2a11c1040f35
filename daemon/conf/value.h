/*
 * value.h - words of a YAML file become numbers; wrong words find their
 * nearest right one.
 *
 * Runs in: supervisor, cli.  Never: logs, allocates.
 */
#ifndef CW_VALUE_H
#define CW_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All are false for anything but the whole of s being such a value. */
bool cw_value_count(const char *s, uint64_t *out);	/* "10000" */
bool cw_value_bytes(const char *s, uint64_t *out);	/* "512", "32M": K M G */
bool cw_value_msec(const char *s, uint64_t *out);	/* "5ms", "30s": m h d */
bool cw_value_bool(const char *s, uint64_t *out);	/* true, false */
/* A finite decimal number; NaN, infinity and hexadecimal are none. */
bool cw_value_number(const char *s, double *out);

/* The same the other way, in the largest unit that divides it. */
#define CW_VALUE_MAX	32
void cw_value_show_bytes(uint64_t v, char buf[CW_VALUE_MAX]);
void cw_value_show_msec(uint64_t v, char buf[CW_VALUE_MAX]);

/* The one of names[n] with the fewest edits to s (only 64 bytes count). */
const char *cw_value_nearest(const char *s, const char *const *names,
    size_t n);

#endif /* CW_VALUE_H */
