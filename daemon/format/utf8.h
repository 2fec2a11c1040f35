/*
 * utf8.h - is it UTF-8?
 *
 * Runs in: everywhere.
 */
#ifndef CW_UTF8_H
#define CW_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed (no overlong forms, no surrogates), and free of NUL. */
bool cw_utf8_valid(const char *s, size_t n);

#endif /* CW_UTF8_H */
