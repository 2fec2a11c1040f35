/*
 * fifo.h - bytes waiting, first in first out, in one reserved stretch.
 *
 * Runs in: gate.  Never: logs, blocks.
 *
 *	 base        head              tail                room
 *	  |--- gone ---|=== waiting =====|---- untouched ----|
 *
 * Linear, so that whatever waits can be read in place.  What is gone is
 * reclaimed by moving the rest down once that costs less than it frees, and
 * all memory but a little goes back whenever nothing waits.
 */
#ifndef CW_FIFO_H
#define CW_FIFO_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct cw_fifo {
	uint8_t		*base;
	size_t		 head, tail, room;	/* bytes from base */
	size_t		 peak;			/* highest tail since emptied */
};

/* Reserve room bytes of address space for the life of the process. */
CW_MUST_USE enum cw_status cw_fifo_open(struct cw_fifo *f, size_t room,
    struct cw_err *err);

/* Bytes waiting, and the first of them. */
size_t cw_fifo_len(const struct cw_fifo *f);
const uint8_t *cw_fifo_peek(const struct cw_fifo *f);

/*
 * Room for n more bytes at the tail, or NULL when there is none.  Pointers
 * from peek are void afterwards.  cw_fifo_added says how many were filled.
 */
uint8_t *cw_fifo_reserve(struct cw_fifo *f, size_t n);
void cw_fifo_added(struct cw_fifo *f, size_t n);

/* Forget the first n bytes; pointers from peek stay good until reserve or
 * until nothing waits. */
void cw_fifo_drop(struct cw_fifo *f, size_t n);

#endif /* CW_FIFO_H */
