/*
 * poison.h - tells AddressSanitizer what of an arena is nobody's.
 *
 * Runs in: everywhere.  Private to arena.c.
 *
 * An arena is one mapping, in which a sanitizer sees no bounds by itself.  In
 * an ordinary build these are nothing.
 */
#ifndef CW_POISON_H
#define CW_POISON_H

#include <stddef.h>

#ifndef __has_feature
#define __has_feature(x)	0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>

static inline void
cw_poison(const void *p, size_t n)
{
	__asan_poison_memory_region(p, n);
}

static inline void
cw_unpoison(const void *p, size_t n)
{
	__asan_unpoison_memory_region(p, n);
}
#else
static inline void
cw_poison(const void *p, size_t n)
{
	(void)p;
	(void)n;
}

static inline void
cw_unpoison(const void *p, size_t n)
{
	(void)p;
	(void)n;
}
#endif

#endif /* CW_POISON_H */
