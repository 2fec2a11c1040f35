/*
 * arena.h - memory with a named lifetime.
 *
 * Runs in: everywhere.  Never: logs.
 *
 * An arena is one reserved stretch of address space, filled front to back and
 * emptied as a whole.  Pages are touched only when used, so a generous limit
 * costs nothing.  Overflow is sticky: allocate freely (NULL comes back from
 * the first allocation that does not fit, and from every later one), then ask
 * cw_arena_overflowed() once per stage.  Giving back to a mark keeps the
 * overflow: what was asked for above the mark was still not had.
 *
 *	base          mark                 used             limit
 *	 |-- kept ----|-- this stage ------|-- untouched ---|
 */
#ifndef CW_ARENA_H
#define CW_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define CW_ARENA_ALIGN	64u	/* a cache line, and the widest vector */

struct cw_arena;		/* opaque */

/*
 * Reserve an arena of at most limit bytes.  owned: cw_arena_close it.
 * Returns CW_E_SYSTEM when the address space can't be had.
 */
CW_MUST_USE enum cw_status cw_arena_open(size_t limit, struct cw_arena **out,
    struct cw_err *err);
void cw_arena_close(struct cw_arena **a);	/* sets *a to NULL; NULL is fine */

/* size bytes aligned to CW_ARENA_ALIGN, contents undefined; NULL on overflow. */
void *cw_arena_alloc(struct cw_arena *a, size_t size);
/* count * size bytes set to zero; NULL on overflow, also of the product. */
void *cw_arena_zalloc(struct cw_arena *a, size_t count, size_t size);
/* count floats, undefined; NULL on overflow, also of the product. */
float *cw_arena_floats(struct cw_arena *a, size_t count);
/* Copies, NUL-terminated; NULL on overflow (or for s == NULL). */
char *cw_arena_strdup(struct cw_arena *a, const char *s);
char *cw_arena_strndup(struct cw_arena *a, const char *s, size_t n);
char *cw_arena_printf(struct cw_arena *a, const char *fmt, ...)
    CW_PRINTF(2, 3);

bool cw_arena_overflowed(const struct cw_arena *a);
size_t cw_arena_used(const struct cw_arena *a);
size_t cw_arena_peak(const struct cw_arena *a);	/* most ever used */

/* Forget everything allocated since the mark was taken. */
size_t cw_arena_mark(const struct cw_arena *a);
void cw_arena_release(struct cw_arena *a, size_t mark);
/*
 * The same but for the n bytes at p, an allocation since then, which move down
 * to the mark; returns where they are now.
 */
void *cw_arena_keep(struct cw_arena *a, size_t mark, const void *p, size_t n);

/*
 * Forget that it overflowed, and nothing else.  For the arena's owner, between
 * one user's work and the next's: whoever asked for too much has failed by
 * now, and its neighbour shall not.
 */
void cw_arena_forgive(struct cw_arena *a);

/* Forget everything and the overflow; pages past keep bytes go back. */
void cw_arena_reset(struct cw_arena *a, size_t keep);

/*
 * Process-lifetime memory: zeroed, never freed, NULL when there is none.
 * For start-up tables only.
 */
void *cw_zalloc(size_t count, size_t size);
/* The same for tests, which end when there is none. */
void *cw_xalloc(size_t count, size_t size);

/* *out = a * b, or false when it does not fit. */
static inline bool
cw_mul(size_t a, size_t b, size_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

static inline bool
cw_add(size_t a, size_t b, size_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

#endif /* CW_ARENA_H */
