/*
 * fifo.c - see fifo.h.
 */
#include "gate/fifo.h"

#include <string.h>
#include <sys/mman.h>

#define KEEP_BYTES	((size_t)1 << 20)	/* not worth giving back */

enum cw_status
cw_fifo_open(struct cw_fifo *f, size_t room, struct cw_err *err)
{
	void *p = mmap(NULL, room, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return cw_err_sys(err, "buffer of %zu bytes", room);
	*f = (struct cw_fifo){ .base = p, .room = room };
	return CW_OK;
}

size_t
cw_fifo_len(const struct cw_fifo *f)
{
	return f->tail - f->head;
}

const uint8_t *
cw_fifo_peek(const struct cw_fifo *f)
{
	return f->base + f->head;
}

uint8_t *
cw_fifo_reserve(struct cw_fifo *f, size_t n)
{
	const size_t len = cw_fifo_len(f);

	/* Moving len bytes frees head: each byte is moved once on average. */
	if (f->head > KEEP_BYTES && f->head >= len) {
		memmove(f->base, f->base + f->head, len);
		f->head = 0;
		f->tail = len;
	}
	if (n > f->room - f->tail && n <= f->room - len) {
		memmove(f->base, f->base + f->head, len);
		f->head = 0;
		f->tail = len;
	}
	return n <= f->room - f->tail ? f->base + f->tail : NULL;
}

void
cw_fifo_added(struct cw_fifo *f, size_t n)
{
	CW_CHECK(n <= f->room - f->tail);
	f->tail += n;
	if (f->tail > f->peak)
		f->peak = f->tail;
}

void
cw_fifo_drop(struct cw_fifo *f, size_t n)
{
	CW_CHECK(n <= cw_fifo_len(f));
	f->head += n;
	if (f->head < f->tail)
		return;
	f->head = f->tail = 0;
	if (f->peak > KEEP_BYTES) {
		madvise(f->base + KEEP_BYTES, f->peak - KEEP_BYTES,
		    MADV_DONTNEED);
		f->peak = KEEP_BYTES;
	}
}
