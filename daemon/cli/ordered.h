/*
 * ordered.h - lines that come in any order, printed in the order asked for.
 *
 * Runs in: cli.
 */
#ifndef CW_ORDERED_H
#define CW_ORDERED_H

#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"

struct cw_line {
	const char	*p;
	size_t		 n;
};

struct cw_ordered {
	FILE		*to;
	struct cw_line	*waiting;	/* [total] p NULL: not there yet */
	size_t		 total, next;	/* the first one not printed */
	size_t		 nwaiting;
	struct cw_arena	*lines, *spare;	/* texts of the waiting */
};

CW_MUST_USE enum cw_status cw_ordered_open(struct cw_ordered *o, FILE *to,
    size_t total, struct cw_arena *a, struct cw_err *err);
/* text (borrowed) is line number i; it and those waiting for it go out. */
CW_MUST_USE enum cw_status cw_ordered_put(struct cw_ordered *o, size_t i,
    const char *text, size_t n, struct cw_err *err);
void cw_ordered_close(struct cw_ordered *o);

#endif /* CW_ORDERED_H */
