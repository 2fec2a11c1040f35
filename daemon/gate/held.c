/*
 * held.c - see held.h.
 */
#include "gate/held.h"

#include <string.h>
#include <sys/mman.h>

#include "base/arena.h"

#define HELD_MAGIC	0x4e1d1e77u
#define BLOCK		512u
#define NONE		CW_NOBODY
_Static_assert(sizeof(struct cw_letter) + 8 < BLOCK, "a head fits");

#define KEEP_BYTES	((size_t)1 << 20)	/* not worth giving back */

/* What a letter's first block begins with. */
struct head {
	struct cw_letter l;
	uint32_t	 next;		/* letter of the same client, or NONE */
};

struct client {
	uint32_t	 first, last;	/* letters, by first block, or NONE */
	uint64_t	 blocks;
	uint32_t	 after, before;	/* clients with letters, a list */
};

struct cw_held {
	uint32_t	 magic;
	uint8_t		*base;
	uint32_t	*chain;		/* [nblocks] */
	uint32_t	 nblocks, used, top, free;	/* below top: once used */
	uint32_t	 nclients, some;	/* some: head of the list */
	struct client	*client;	/* [nclients] */
	uint32_t	 at;		/* reading: block, and byte in it */
	size_t		 offset;
};

enum cw_status
cw_held_open(uint32_t n, uint64_t bytes, struct cw_held **out,
    struct cw_err *err)
{
	struct cw_held *h = cw_zalloc(1, sizeof(*h));
	void *p;

	CW_CHECK(bytes / BLOCK < NONE);
	if (h == NULL)
		return cw_err_sys(err, "answers");
	h->magic = HELD_MAGIC;
	h->nblocks = (uint32_t)(bytes / BLOCK);
	h->nclients = n;
	h->free = h->some = NONE;
	p = mmap(NULL, (size_t)h->nblocks * BLOCK + BLOCK,
	    PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return cw_err_sys(err, "%u blocks of answers", h->nblocks);
	h->base = p;
	h->chain = cw_zalloc((size_t)h->nblocks + 1, sizeof(*h->chain));
	h->client = cw_zalloc(n, sizeof(*h->client));
	if (h->chain == NULL || h->client == NULL)
		return cw_err_sys(err, "answers of %u clients", n);
	for (uint32_t i = 0; i < n; i++)
		h->client[i].first = h->client[i].last = NONE;
	*out = h;
	return CW_OK;
}

static uint8_t *
block(const struct cw_held *h, uint32_t i)
{
	return h->base + (size_t)i * BLOCK;
}

static struct head *
head(const struct cw_held *h, uint32_t i)
{
	return (struct head *)(void *)block(h, i);
}

static uint64_t
blocks_of(const struct cw_letter *l)
{
	uint64_t n = sizeof(struct head);

	for (uint32_t i = 0; i < l->nparts; i++)
		n += l->len[i];
	return (n + BLOCK - 1) / BLOCK;
}

uint64_t
cw_held_cost(const struct cw_letter *l)
{
	return blocks_of(l) * BLOCK;
}

/* ---- the list of clients with letters ---- */

static void
enlist(struct cw_held *h, uint32_t c)
{
	h->client[c].before = NONE;
	h->client[c].after = h->some;
	if (h->some != NONE)
		h->client[h->some].before = c;
	h->some = c;
}

static void
strike(struct cw_held *h, uint32_t c)
{
	const struct client *k = &h->client[c];

	*(k->before == NONE ? &h->some : &h->client[k->before].after) =
	    k->after;
	if (k->after != NONE)
		h->client[k->after].before = k->before;
}

/* ---- blocks ---- */

static uint32_t
take_block(struct cw_held *h)
{
	uint32_t i = h->free;

	if (i != NONE)
		h->free = h->chain[i];
	else
		i = h->top++;
	h->used++;
	h->chain[i] = NONE;
	return i;
}

static void
give_back(struct cw_held *h, uint32_t i)
{
	while (i != NONE) {
		const uint32_t next = h->chain[i];

		h->chain[i] = h->free;
		h->free = i;
		h->used--;
		i = next;
	}
	if (h->used > 0)
		return;
	if ((size_t)h->top * BLOCK > KEEP_BYTES)
		(void)madvise(h->base + KEEP_BYTES, (size_t)h->top * BLOCK -
		    KEEP_BYTES, MADV_DONTNEED);
	h->top = 0;
	h->free = NONE;
}

/* n bytes behind what block *at holds, in it and in fresh ones. */
static void
append(struct cw_held *h, uint32_t *at, size_t *offset, const void *p,
    size_t n)
{
	const uint8_t *from = p;

	while (n > 0) {
		size_t k = BLOCK - *offset;

		if (k == 0) {
			h->chain[*at] = take_block(h);
			*at = h->chain[*at];
			*offset = 0;
			continue;
		}
		k = k < n ? k : n;
		memcpy(block(h, *at) + *offset, from, k);
		*offset += k;
		from += k;
		n -= k;
	}
}

/* ---- letters ---- */

bool
cw_held_put(struct cw_held *h, uint32_t client, const struct cw_letter *l,
    const struct cw_bytes *parts)
{
	struct client *k = &h->client[client];
	const uint64_t need = blocks_of(l);
	size_t offset = sizeof(struct head);
	uint32_t first, at;

	CW_CHECK_OBJ(h, HELD_MAGIC);
	CW_CHECK(client < h->nclients && l->nparts <= CW_LETTER_PARTS);
	if (need > h->nblocks - h->used)
		return false;
	first = at = take_block(h);
	*head(h, first) = (struct head){ *l, NONE };
	for (uint32_t i = 0; i < l->nparts; i++)
		append(h, &at, &offset, parts[i].p, parts[i].n);
	if (k->first == NONE) {
		k->first = first;
		enlist(h, client);
	} else
		head(h, k->last)->next = first;
	k->last = first;
	k->blocks += need;
	return true;
}

bool
cw_held_first(struct cw_held *h, uint32_t client, struct cw_letter *l)
{
	CW_CHECK_OBJ(h, HELD_MAGIC);
	h->at = h->client[client].first;
	h->offset = sizeof(struct head);
	if (h->at == NONE)
		return false;
	*l = head(h, h->at)->l;
	return true;
}

void
cw_held_read(struct cw_held *h, void *to, size_t n)
{
	uint8_t *p = to;

	while (n > 0) {
		size_t k = BLOCK - h->offset;

		if (k == 0) {
			h->at = h->chain[h->at];
			h->offset = 0;
			continue;
		}
		k = k < n ? k : n;
		memcpy(p, block(h, h->at) + h->offset, k);
		h->offset += k;
		p += k;
		n -= k;
	}
}

void
cw_held_pop(struct cw_held *h, uint32_t client)
{
	struct client *k = &h->client[client];
	const uint32_t first = k->first;

	CW_CHECK(first != NONE);
	k->blocks -= blocks_of(&head(h, first)->l);
	k->first = head(h, first)->next;
	if (k->first == NONE) {
		k->last = NONE;
		strike(h, client);
	}
	give_back(h, first);
}

uint32_t
cw_held_drop(struct cw_held *h, uint32_t client)
{
	uint32_t n = 0;

	for (; h->client[client].first != NONE; n++)
		cw_held_pop(h, client);
	return n;
}

/* ---- questions ---- */

uint32_t
cw_held_client(const struct cw_held *h)
{
	return h->some;
}

uint32_t
cw_held_next(const struct cw_held *h, uint32_t c)
{
	return h->client[c].after;
}

uint32_t
cw_held_greediest(const struct cw_held *h)
{
	uint32_t most = h->some;

	for (uint32_t c = h->some; c != NONE; c = h->client[c].after)
		if (h->client[c].blocks > h->client[most].blocks)
			most = c;
	return most;
}

uint64_t
cw_held_all(const struct cw_held *h)
{
	return (uint64_t)h->used * BLOCK;
}

uint64_t
cw_held_of(const struct cw_held *h, uint32_t client)
{
	return h->client[client].blocks * BLOCK;
}
