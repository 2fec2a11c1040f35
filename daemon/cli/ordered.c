/*
 * ordered.c - see ordered.h.
 *
 * Waiting texts lie in one arena that is emptied whenever none waits.  Where
 * that never happens, those still waiting move to the spare one, so that
 * memory stays bounded by what waits and not by what was printed.
 */
#include "cli/ordered.h"

#include <string.h>

#define ROOM	((size_t)1 << 30)	/* reserved, not used */
#define TIDY	((size_t)64 << 20)	/* move the waiting beyond this */

enum cw_status
cw_ordered_open(struct cw_ordered *o, FILE *to, size_t total,
    struct cw_arena *a, struct cw_err *err)
{
	enum cw_status st;

	*o = (struct cw_ordered){ .to = to, .total = total };
	o->waiting = cw_arena_zalloc(a, total, sizeof(*o->waiting));
	if (o->waiting == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for %zu lines",
		    total);
	if ((st = cw_arena_open(ROOM, &o->lines, err)) != CW_OK)
		return st;
	st = cw_arena_open(ROOM, &o->spare, err);
	if (st != CW_OK)
		cw_arena_close(&o->lines);
	return st;
}

void
cw_ordered_close(struct cw_ordered *o)
{
	cw_arena_close(&o->lines);
	cw_arena_close(&o->spare);
}

static void
tidy(struct cw_ordered *o)
{
	struct cw_arena *full = o->lines;

	for (size_t i = o->next; i < o->total; i++) {
		struct cw_line *l = &o->waiting[i];

		if (l->p != NULL)
			l->p = cw_arena_strndup(o->spare, l->p, l->n);
	}
	o->lines = o->spare;
	o->spare = full;
	cw_arena_reset(full, 0);
}

enum cw_status
cw_ordered_put(struct cw_ordered *o, size_t i, const char *text, size_t n,
    struct cw_err *err)
{
	CW_CHECK(i < o->total && i >= o->next && o->waiting[i].p == NULL);
	if (i > o->next) {
		if (cw_arena_used(o->lines) > TIDY)
			tidy(o);
		o->waiting[i].p = cw_arena_strndup(o->lines, text, n);
		o->waiting[i].n = n;
		o->nwaiting++;
		return o->waiting[i].p != NULL ? CW_OK :
		    cw_err_set(err, CW_E_LIMIT, "too many lines wait");
	}
	fwrite(text, 1, n, o->to);
	for (o->next++; o->next < o->total; o->next++) {
		const struct cw_line *l = &o->waiting[o->next];

		if (l->p == NULL)
			break;
		fwrite(l->p, 1, l->n, o->to);
		o->nwaiting--;
	}
	fflush(o->to);
	if (o->nwaiting == 0)
		cw_arena_reset(o->lines, (size_t)1 << 20);
	return CW_OK;
}
