/*
 * pushed.c - see pushed.h.
 */
#include "gate/pushed.h"

#include <string.h>

#include "base/arena.h"

#define PUSHED_MAGIC	0x9a5bedeu
#define SENT		UINT64_MAX	/* not due before a BUSY */

/*
 * In the order they were read; what is answered leaves a hole, which goes when
 * it is the first.
 *
 *	head                    tail
 *	 | kept | hole | kept | ...	serial % CW_PUSHED_MAX
 */
struct kept {
	struct cw_arena	*a;		/* of this one; NULL: a hole */
	const uint8_t	*body;
	uint32_t	 len;
	uint64_t	 due;		/* ms, or SENT */
};

struct cw_pushed {
	uint32_t	 magic;
	uint32_t	 retry_ms;
	uint64_t	 head, tail;	/* serials */
	size_t		 bytes, most;
	struct kept	 kept[CW_PUSHED_MAX];
};

enum cw_status
cw_pushed_open(uint64_t most_bytes, uint32_t retry_ms, struct cw_pushed **out,
    struct cw_err *err)
{
	struct cw_pushed *p = cw_zalloc(1, sizeof(*p));

	if (p == NULL)
		return cw_err_sys(err, "pushed jobs");
	p->magic = PUSHED_MAGIC;
	p->retry_ms = retry_ms;
	p->most = (size_t)most_bytes;
	*out = p;
	return CW_OK;
}

bool
cw_pushed_takes(const struct cw_pushed *p)
{
	CW_CHECK_OBJ(p, PUSHED_MAGIC);
	return p->tail - p->head < CW_PUSHED_MAX && p->bytes < p->most;
}

size_t
cw_pushed_bytes(const struct cw_pushed *p)
{
	return p->bytes;
}

enum cw_status
cw_pushed_keep(struct cw_pushed *p, const struct cw_pack *request,
    struct cw_err *err)
{
	struct kept *k = &p->kept[p->tail % CW_PUSHED_MAX];
	enum cw_status st;
	uint8_t *copy;

	CW_CHECK_OBJ(p, PUSHED_MAGIC);
	if (p->tail - p->head == CW_PUSHED_MAX)
		return cw_err_set(err, CW_E_LIMIT, "too many pushed jobs");
	st = cw_arena_open(request->len + CW_ARENA_ALIGN, &k->a, err);
	if (st != CW_OK)
		return st;
	copy = cw_arena_alloc(k->a, request->len);
	CW_CHECK(copy != NULL);
	memcpy(copy, request->p, request->len);
	k->body = copy;
	k->len = (uint32_t)request->len;
	k->due = 0;
	p->bytes += request->len;
	p->tail++;
	return CW_OK;
}

bool
cw_pushed_due(const struct cw_pushed *p, uint64_t now, struct cw_frame *f)
{
	CW_CHECK_OBJ(p, PUSHED_MAGIC);
	for (uint64_t i = p->head; i < p->tail; i++) {
		const struct kept *k = &p->kept[i % CW_PUSHED_MAX];

		if (k->a == NULL || k->due > now)
			continue;
		*f = (struct cw_frame){ .type = CW_F_GATE_REQUEST,
		    .id = i | CW_ROUTE_PUSHED, .body = k->body,
		    .len = k->len };
		return true;
	}
	return false;
}

/* The kept one of that id, or NULL. */
static struct kept *
find(struct cw_pushed *p, uint64_t id)
{
	const uint64_t serial = id & ~CW_ROUTE_PUSHED;
	struct kept *k = &p->kept[serial % CW_PUSHED_MAX];

	CW_CHECK_OBJ(p, PUSHED_MAGIC);
	return serial < p->head || serial >= p->tail || k->a == NULL ? NULL :
	    k;
}

void
cw_pushed_sent(struct cw_pushed *p, uint64_t id)
{
	struct kept *k = find(p, id);

	CW_CHECK(k != NULL);
	k->due = SENT;
}

uint64_t
cw_pushed_wait(const struct cw_pushed *p, uint64_t now, uint64_t most)
{
	for (uint64_t i = p->head; i < p->tail; i++) {
		const struct kept *k = &p->kept[i % CW_PUSHED_MAX];

		if (k->a == NULL || k->due == SENT)
			continue;
		if (k->due <= now)
			return 0;
		if (k->due - now < most)
			most = k->due - now;
	}
	return most;
}

void
cw_pushed_hurry(struct cw_pushed *p)
{
	for (uint64_t i = p->head; i < p->tail; i++) {
		struct kept *k = &p->kept[i % CW_PUSHED_MAX];

		if (k->a != NULL && k->due != SENT)
			k->due = 0;
	}
}

void
cw_pushed_answer(struct cw_pushed *p, uint64_t id, enum cw_answer what,
    uint64_t now)
{
	struct kept *k = find(p, id);

	if (k == NULL)
		return;
	if (what == CW_A_BUSY) {
		k->due = now + p->retry_ms;
		return;
	}
	p->bytes -= k->len;
	cw_arena_close(&k->a);
	while (p->head < p->tail &&
	    p->kept[p->head % CW_PUSHED_MAX].a == NULL)
		p->head++;
}
