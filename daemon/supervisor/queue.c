/*
 * queue.c - see queue.h.
 */
#include "supervisor/queue.h"

#include <string.h>
#include <sys/random.h>

#include "format/gate_msg.h"

#define QUEUE_MAGIC	0x9e0e0e5du
#define UNREAD_MS	1000	/* between two tries to read a row */

struct list {
	struct cw_slot	*head, *tail;
};

struct cw_queue {
	uint32_t	 magic;
	struct cw_arena	*arena;		/* holds all of it */
	struct cw_slot	*slots;		/* [nslots] */
	size_t		 nslots, used, top;	/* below top were ever used */
	struct cw_slot	*free;		/* through next */
	struct list	 ready[CW_PRIORITIES];
	size_t		 waiting;
	uint64_t	 bytes;
	struct cw_slot	**buckets;	/* [mask + 1] through hash_next */
	uint64_t	 mask, seed;
};

enum cw_status
cw_queue_open(size_t slots, struct cw_queue **out, struct cw_err *err)
{
	struct cw_arena *a;
	struct cw_queue *q;
	enum cw_status st;
	size_t n = 64;

	while (n < slots)
		n *= 2;
	st = cw_arena_open(slots * sizeof(struct cw_slot) +
	    n * sizeof(struct cw_slot *) + 4096, &a, err);
	if (st != CW_OK)
		return st;
	q = cw_arena_zalloc(a, 1, sizeof(*q));
	q->magic = QUEUE_MAGIC;
	q->arena = a;
	q->nslots = slots;
	q->buckets = cw_arena_zalloc(a, n, sizeof(*q->buckets));
	q->slots = cw_arena_alloc(a, slots * sizeof(*q->slots));
	q->mask = n - 1;
	CW_CHECK(!cw_arena_overflowed(a));
	/* Ids come from strangers: they must not know where they collide. */
	if (getrandom(&q->seed, sizeof(q->seed), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(q->seed))
		q->seed = (uint64_t)(uintptr_t)q->slots;
	*out = q;
	return CW_OK;
}

void
cw_queue_close(struct cw_queue **qp)
{
	struct cw_queue *q = *qp;
	struct cw_arena *a;

	if (q == NULL)
		return;
	CW_CHECK_OBJ(q, QUEUE_MAGIC);
	q->magic = 0;
	a = q->arena;
	cw_arena_close(&a);
	*qp = NULL;
}

/* FNV-1a from a secret start, finished by a mixer. */
static struct cw_slot **
bucket_of(const struct cw_queue *q, const char *id)
{
	uint64_t h = q->seed ^ 0xcbf29ce484222325u;

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * 0x100000001b3u;
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15u;
	h ^= h >> 29;
	return &q->buckets[h & q->mask];
}

struct cw_slot *
cw_queue_find(const struct cw_queue *q, const char *id)
{
	struct cw_slot *s;

	CW_CHECK_OBJ(q, QUEUE_MAGIC);
	for (s = *bucket_of(q, id); s != NULL; s = s->hash_next)
		if (strcmp(s->id, id) == 0)
			return s;
	return NULL;
}

struct cw_slot *
cw_queue_add(struct cw_queue *q, const char *id, uint64_t bytes)
{
	struct cw_slot **b, *s;

	CW_CHECK_OBJ(q, QUEUE_MAGIC);
	CW_CHECK(strlen(id) <= CW_JOB_ID_BYTES);
	if (q->free != NULL) {
		s = q->free;
		q->free = s->next;
	} else if (q->top < q->nslots)
		s = &q->slots[q->top++];
	else
		return NULL;
	memset(s, 0, sizeof(*s));
	s->state = CW_SLOT_NEW;
	strcpy(s->id, id);
	s->bytes = bytes;
	b = bucket_of(q, id);
	s->hash_next = *b;
	*b = s;
	q->used++;
	q->bytes += bytes;
	return s;
}

static void
unlist(struct cw_queue *q, struct cw_slot *s)
{
	struct list *l = &q->ready[s->priority];

	if (s->state != CW_SLOT_READY)
		return;
	*(s->prev != NULL ? &s->prev->next : &l->head) = s->next;
	*(s->next != NULL ? &s->next->prev : &l->tail) = s->prev;
	s->next = s->prev = NULL;
	q->waiting--;
}

void
cw_queue_ready(struct cw_queue *q, struct cw_slot *s)
{
	struct list *l = &q->ready[s->priority];

	CW_CHECK(s->state == CW_SLOT_NEW);
	s->state = CW_SLOT_READY;
	s->next = NULL;
	s->prev = l->tail;
	*(l->tail != NULL ? &l->tail->next : &l->head) = s;
	l->tail = s;
	q->waiting++;
}

void
cw_queue_put_back(struct cw_queue *q, struct cw_slot *s)
{
	struct list *l = &q->ready[s->priority];

	CW_CHECK(s->state == CW_SLOT_SENT || s->state == CW_SLOT_DONE);
	s->state = CW_SLOT_READY;
	s->prev = NULL;
	s->next = l->head;
	*(l->head != NULL ? &l->head->prev : &l->tail) = s;
	l->head = s;
	q->waiting++;
}

void
cw_queue_take(struct cw_queue *q, struct cw_slot *s, enum cw_slot_state to)
{
	CW_CHECK(to == CW_SLOT_SENT || to == CW_SLOT_DONE);
	unlist(q, s);
	s->state = to;
}

void
cw_queue_remove(struct cw_queue *q, struct cw_slot *s)
{
	struct cw_slot **b;

	CW_CHECK(s->state != CW_SLOT_FREE);
	unlist(q, s);
	for (b = bucket_of(q, s->id); *b != s; b = &(*b)->hash_next)
		CW_CHECK(*b != NULL);
	*b = s->hash_next;
	q->used--;
	q->bytes -= s->bytes;
	s->state = CW_SLOT_FREE;
	s->next = q->free;
	q->free = s;
}

struct cw_slot *
cw_queue_first(const struct cw_queue *q)
{
	for (size_t i = 0; i < CW_PRIORITIES; i++)
		if (q->ready[i].head != NULL)
			return q->ready[i].head;
	return NULL;
}

struct cw_slot *
cw_queue_next(const struct cw_queue *q, const struct cw_slot *s)
{
	if (s->next != NULL)
		return s->next;
	for (size_t i = s->priority + 1; i < CW_PRIORITIES; i++)
		if (q->ready[i].head != NULL)
			return q->ready[i].head;
	return NULL;
}

void
cw_slot_route(struct cw_slot *s, uint64_t route)
{
	if (route == 0 || cw_route_pushed(route))
		return;
	for (uint32_t i = 0; i < s->nroutes; i++)
		if (s->routes[i] == route)
			return;
	if (s->nroutes == CW_ROUTES_MAX) {
		memmove(s->routes + 1, s->routes + 2,
		    (CW_ROUTES_MAX - 2) * sizeof(s->routes[0]));
		s->nroutes--;
	}
	s->routes[s->nroutes++] = route;
}

bool
cw_slot_unread(struct cw_slot *s, uint64_t now_ms)
{
	s->again_ms = now_ms + UNREAD_MS;
	return ++s->unread >= CW_UNREAD_MAX;
}

size_t
cw_queue_count(const struct cw_queue *q)
{
	return q->used;
}

size_t
cw_queue_waiting(const struct cw_queue *q)
{
	return q->waiting;
}

uint64_t
cw_queue_bytes(const struct cw_queue *q)
{
	return q->bytes;
}

bool
cw_queue_full(const struct cw_queue *q)
{
	return q->used == q->nslots;
}

void
cw_queue_each(struct cw_queue *q, cw_queue_fn *fn, void *payload)
{
	CW_CHECK_OBJ(q, QUEUE_MAGIC);
	for (size_t i = 0; i < q->top; i++)
		if (q->slots[i].state != CW_SLOT_FREE)
			fn(payload, &q->slots[i]);
}
