/*
 * conns.c - see conns.h.
 */
#include "gate/conns.h"

#include "base/arena.h"
#include "base/status.h"

#define CONNS_MAGIC	0xc0225e11u

struct cw_conns {
	uint32_t	 magic;
	uint32_t	 n;
	uint64_t	 next;		/* number */
	uint64_t	*from;		/* [n] older numbers are over */
};

struct cw_conns *
cw_conns_open(uint32_t n)
{
	struct cw_conns *c = cw_zalloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->magic = CONNS_MAGIC;
	c->n = n;
	c->next = 1;
	c->from = cw_zalloc(n, sizeof(*c->from));
	return c->from == NULL ? NULL : c;
}

uint64_t
cw_conns_grant(struct cw_conns *c)
{
	CW_CHECK_OBJ(c, CONNS_MAGIC);
	return c->next++;
}

void
cw_conns_ended(struct cw_conns *c, int fd)
{
	CW_CHECK_OBJ(c, CONNS_MAGIC);
	if (fd >= 0 && (uint32_t)fd < c->n)
		c->from[fd] = c->next;
}

bool
cw_conns_alive(const struct cw_conns *c, const struct cw_conn *of)
{
	CW_CHECK_OBJ(c, CONNS_MAGIC);
	return of->number != 0 && of->fd >= 0 && (uint32_t)of->fd < c->n &&
	    of->number >= c->from[of->fd];
}
