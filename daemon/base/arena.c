/*
 * arena.c - see arena.h.
 *
 * The only file that asks the system for memory.  An arena is reserved with
 * mmap(MAP_NORESERVE), so its pages exist once they are written.
 */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/poison.h"

#define ARENA_MAGIC	0xa7e9a11cu
#define FENCE_BYTES	4096u	/* behind the last allocation */

struct cw_arena {
	uint32_t	 magic;
	bool		 overflowed;
	size_t		 limit;		/* bytes reserved from base on */
	size_t		 used;
	size_t		 peak;
	size_t		 fenced;	/* nothing is poisoned behind that */
	unsigned char	*base;
};

enum cw_status
cw_arena_open(size_t limit, struct cw_arena **out, struct cw_err *err)
{
	struct cw_arena *a;

	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return cw_err_sys(err, "arena");
	a->base = mmap(NULL, limit, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->base == MAP_FAILED) {
		free(a);
		return cw_err_sys(err, "arena of %zu bytes", limit);
	}
	a->magic = ARENA_MAGIC;
	a->limit = limit;
	*out = a;
	return CW_OK;
}

void
cw_arena_close(struct cw_arena **a)
{
	if (*a == NULL)
		return;
	CW_CHECK_OBJ(*a, ARENA_MAGIC);
	cw_unpoison((*a)->base, (*a)->fenced);
	munmap((*a)->base, (*a)->limit);
	(*a)->magic = 0;
	free(*a);
	*a = NULL;
}

/* The last want bytes used are a new allocation of size. */
static void *
hand_out(struct cw_arena *a, size_t want, size_t size)
{
	const size_t room = a->limit - a->used;
	const size_t fence = room < FENCE_BYTES ? room : FENCE_BYTES;
	unsigned char *p = a->base + a->used - want;

	cw_unpoison(p, size);
	cw_poison(p + size, want - size + fence);
	if (a->used + fence > a->fenced)
		a->fenced = a->used + fence;
	return p;
}

void *
cw_arena_alloc(struct cw_arena *a, size_t size)
{
	size_t room, want;

	CW_CHECK_OBJ(a, ARENA_MAGIC);
	room = a->limit - a->used;
	if (a->overflowed || size > SIZE_MAX - CW_ARENA_ALIGN) {
		a->overflowed = true;
		return NULL;
	}
	want = (size + CW_ARENA_ALIGN - 1) & ~(size_t)(CW_ARENA_ALIGN - 1);
	if (want > room) {
		a->overflowed = true;
		return NULL;
	}
	a->used += want;
	if (a->used > a->peak)
		a->peak = a->used;
	return hand_out(a, want, size);
}

void *
cw_arena_zalloc(struct cw_arena *a, size_t count, size_t size)
{
	size_t bytes;
	void *p;

	if (!cw_mul(count, size, &bytes))
		bytes = SIZE_MAX;
	p = cw_arena_alloc(a, bytes);
	return p == NULL ? NULL : memset(p, 0, bytes);
}

float *
cw_arena_floats(struct cw_arena *a, size_t count)
{
	size_t bytes;

	if (!cw_mul(count, sizeof(float), &bytes))
		bytes = SIZE_MAX;
	return cw_arena_alloc(a, bytes);
}

char *
cw_arena_strndup(struct cw_arena *a, const char *s, size_t n)
{
	char *p = cw_arena_alloc(a, n + 1);

	if (p == NULL)
		return NULL;
	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
cw_arena_strdup(struct cw_arena *a, const char *s)
{
	return s == NULL ? NULL : cw_arena_strndup(a, s, strlen(s));
}

char *
cw_arena_printf(struct cw_arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	CW_CHECK(n >= 0);
	p = cw_arena_alloc(a, (size_t)n + 1);
	if (p == NULL)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

bool
cw_arena_overflowed(const struct cw_arena *a)
{
	CW_CHECK_OBJ(a, ARENA_MAGIC);
	return a->overflowed;
}

size_t
cw_arena_used(const struct cw_arena *a)
{
	return a->used;
}

size_t
cw_arena_peak(const struct cw_arena *a)
{
	return a->peak;
}

size_t
cw_arena_mark(const struct cw_arena *a)
{
	CW_CHECK_OBJ(a, ARENA_MAGIC);
	return a->used;
}

void
cw_arena_release(struct cw_arena *a, size_t mark)
{
	CW_CHECK_OBJ(a, ARENA_MAGIC);
	CW_CHECK(mark <= a->used);
	cw_poison(a->base + mark, a->used - mark);
	a->used = mark;
}

void *
cw_arena_keep(struct cw_arena *a, size_t mark, const void *p, size_t n)
{
	const size_t want = (n + CW_ARENA_ALIGN - 1) &
	    ~(size_t)(CW_ARENA_ALIGN - 1);

	CW_CHECK_OBJ(a, ARENA_MAGIC);
	CW_CHECK(mark <= a->used && want <= a->used - mark);
	cw_unpoison(a->base + mark, n);
	memmove(a->base + mark, p, n);
	cw_arena_release(a, mark);
	a->used += want;
	return hand_out(a, want, n);
}

void
cw_arena_forgive(struct cw_arena *a)
{
	CW_CHECK_OBJ(a, ARENA_MAGIC);
	a->overflowed = false;
}

void
cw_arena_reset(struct cw_arena *a, size_t keep)
{
	const size_t page = 4096;

	CW_CHECK_OBJ(a, ARENA_MAGIC);
	keep = (keep + page - 1) & ~(page - 1);
	cw_poison(a->base, a->used);
	if (a->peak > keep) {
		madvise(a->base + keep, a->peak - keep, MADV_DONTNEED);
		a->peak = keep;
	}
	a->used = 0;
	a->overflowed = false;
}

void *
cw_zalloc(size_t count, size_t size)
{
	return calloc(count ? count : 1, size ? size : 1);
}

void *
cw_xalloc(size_t count, size_t size)
{
	void *p = cw_zalloc(count, size);

	CW_CHECK(p != NULL);
	return p;
}
