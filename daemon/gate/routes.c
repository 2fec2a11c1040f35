/*
 * routes.c - see routes.h.
 *
 * A number is slot + generation * slots, so finding it needs no index; the
 * identity is found by a keyed hash, so that nobody can choose identities
 * that fall into one bucket.
 *
 *	buckets[hash] -> slot -> slot -> NONE
 *	newest <-> ... <-> oldest	(used slots, by last word)
 *	free -> slot -> ...		(through chain)
 */
#include "gate/routes.h"

#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/status.h"

#define ROUTES_MAGIC	0x4007e5a1u
#define NONE		UINT32_MAX

struct cw_routes {
	uint32_t	 magic;
	uint32_t	 slots, used;
	uint32_t	 newest, oldest, free;
	uint64_t	 generation;	/* of the next number; starts at random */
	uint64_t	 key;		/* of the hash */
	uint32_t	*buckets;	/* [slots] */
	struct cw_route	*slot;		/* [slots] */
};

struct cw_routes *
cw_routes_open(uint32_t n)
{
	struct cw_routes *t = cw_zalloc(1, sizeof(*t));

	CW_CHECK(n > 0 && n < NONE);
	if (t == NULL)
		return NULL;
	t->magic = ROUTES_MAGIC;
	t->slots = n;
	t->newest = t->oldest = NONE;
	t->buckets = cw_zalloc(n, sizeof(*t->buckets));
	t->slot = cw_zalloc(n, sizeof(*t->slot));
	if (t->buckets == NULL || t->slot == NULL)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		t->buckets[i] = NONE;
		t->slot[i].chain = i + 1 < n ? i + 1 : NONE;
	}
	CW_CHECK(getrandom(&t->key, sizeof(t->key), 0) == sizeof(t->key));
	/* A number of an earlier gate, still on its way, names nobody here. */
	t->generation = 1 + (t->key >> 24);
	return t;
}

/* FNV-1a, started from a secret and finished with a multiply-shift. */
static uint32_t *
bucket(struct cw_routes *t, const void *identity, size_t n)
{
	const uint8_t *p = identity;
	uint64_t h = t->key ^ 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	h = (h ^ (h >> 32) ^ t->key) * 0x9e3779b97f4a7c15u;
	return &t->buckets[(h >> 32) % t->slots];
}

static void
unlink_age(struct cw_routes *t, struct cw_route *r)
{
	if (r->newer == NONE)
		t->newest = r->older;
	else
		t->slot[r->newer].older = r->older;
	if (r->older == NONE)
		t->oldest = r->newer;
	else
		t->slot[r->older].newer = r->newer;
}

static void
link_newest(struct cw_routes *t, struct cw_route *r)
{
	const uint32_t i = (uint32_t)(r - t->slot);

	r->newer = NONE;
	r->older = t->newest;
	if (t->newest != NONE)
		t->slot[t->newest].newer = i;
	t->newest = i;
	if (t->oldest == NONE)
		t->oldest = i;
}

void
cw_routes_forget(struct cw_routes *t, struct cw_route *r)
{
	const uint32_t i = (uint32_t)(r - t->slot);
	uint32_t *at;

	CW_CHECK_OBJ(t, ROUTES_MAGIC);
	CW_CHECK(i < t->slots && r->number != 0);
	at = bucket(t, r->identity, r->nidentity);
	while (*at != i)
		at = &t->slot[*at].chain;
	*at = r->chain;
	unlink_age(t, r);
	r->number = 0;
	r->chain = t->free;
	t->free = i;
	t->used--;
}

struct cw_route *
cw_routes_learn(struct cw_routes *t, const void *identity, size_t n,
    const char *key)
{
	struct cw_route *r;
	uint32_t i, *head;

	CW_CHECK_OBJ(t, ROUTES_MAGIC);
	CW_CHECK(n > 0 && n <= CW_IDENTITY_BYTES);
	CW_CHECK(strlen(key) < sizeof(r->key));
	head = bucket(t, identity, n);
	for (i = *head; i != NONE; i = t->slot[i].chain) {
		r = &t->slot[i];
		if (r->nidentity != n || memcmp(r->identity, identity, n) != 0)
			continue;
		if (strcmp(r->key, key) != 0) {
			cw_routes_forget(t, r);
			break;
		}
		unlink_age(t, r);
		link_newest(t, r);
		return r;
	}
	if (t->free == NONE)
		cw_routes_forget(t, &t->slot[t->oldest]);
	i = t->free;
	r = &t->slot[i];
	t->free = r->chain;
	t->used++;
	memcpy(r->identity, identity, n);
	r->nidentity = (uint8_t)n;
	strcpy(r->key, key);
	r->conn = (struct cw_conn){ 0, -1 };
	r->delimiter = false;
	r->number = t->generation++ * t->slots + i;
	r->chain = *head;
	*head = i;
	link_newest(t, r);
	return r;
}

struct cw_route *
cw_routes_find(struct cw_routes *t, uint64_t number)
{
	struct cw_route *r;

	CW_CHECK_OBJ(t, ROUTES_MAGIC);
	r = &t->slot[number % t->slots];
	return number != 0 && r->number == number ? r : NULL;
}

uint32_t
cw_routes_slot(const struct cw_routes *t, const struct cw_route *r)
{
	return (uint32_t)(r - t->slot);
}

uint32_t
cw_routes_count(const struct cw_routes *t)
{
	return t->used;
}
