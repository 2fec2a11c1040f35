/*
 * utf8.h - is it UTF-8, and where may it be cut?
 *
 * Runs in: everywhere.
 */
#ifndef CW_UTF8_H
#define CW_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed (no overlong forms, no surrogates), and free of NUL. */
bool cw_utf8_valid(const char *s, size_t n);

/* Bytes of a well-formed s that are whole characters, at most `most`. */
size_t cw_utf8_cut(const char *s, size_t most);

#endif /* CW_UTF8_H */
