/*
 * bpe.c - see bpe.h.
 */
#include "model/bpe.h"

#include <string.h>

/* Printable Latin-1 stands for itself, the 68 others are 256, 257, ... */
static bool
is_own(int byte)
{
	return (byte >= 0x21 && byte < 0x7f) || (byte >= 0xa1 && byte != 0xad);
}

int
cw_bpe_byte(int32_t codepoint)
{
	int spare = 0x100;

	if (codepoint >= 0 && codepoint < 256)
		return is_own(codepoint) ? codepoint : -1;
	for (int b = 0; b < 256; b++)
		if (!is_own(b) && spare++ == codepoint)
			return b;
	return -1;
}

/* FNV-1a */
static uint32_t
hash_text(const char *s, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h ^ h >> 15;
}

static uint32_t
hash_pair(int32_t left, int32_t right)
{
	uint64_t h = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;

	h *= 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32);
}

/* A power of two at least twice n: probes stay short. */
static uint32_t
slots_for(size_t n)
{
	uint32_t s = 16;

	while (s < 2 * n)
		s *= 2;
	return s;
}

bool
cw_bpe_init(struct cw_bpe *b, int size, size_t merges, struct cw_arena *a)
{
	const uint32_t texts = slots_for((size_t)size);
	const uint32_t pairs = slots_for(merges);

	*b = (struct cw_bpe){ .size = size, .text_mask = texts - 1,
	    .merge_mask = pairs - 1 };
	b->token = cw_arena_zalloc(a, (size_t)size, sizeof(*b->token));
	b->by_text = cw_arena_alloc(a, texts * sizeof(*b->by_text));
	b->merge = cw_arena_alloc(a, pairs * sizeof(*b->merge));
	if (cw_arena_overflowed(a))
		return false;
	memset(b->by_text, 0xff, texts * sizeof(*b->by_text));
	memset(b->merge, 0xff, pairs * sizeof(*b->merge));
	return true;
}

/* The slot that holds the text, or the empty one where it would go. */
static uint32_t
text_slot(const struct cw_bpe *b, const char *s, size_t n)
{
	uint32_t i = hash_text(s, n) & b->text_mask;

	while (b->by_text[i] >= 0) {
		const struct cw_bpe_token *t = &b->token[b->by_text[i]];

		if (t->n == n && memcmp(t->s, s, n) == 0)
			break;
		i = (i + 1) & b->text_mask;
	}
	return i;
}

static struct cw_bpe_merge *
merge_slot(const struct cw_bpe *b, int32_t left, int32_t right)
{
	uint32_t i = hash_pair(left, right) & b->merge_mask;

	while (b->merge[i].left >= 0 && (b->merge[i].left != left ||
	    b->merge[i].right != right))
		i = (i + 1) & b->merge_mask;
	return &b->merge[i];
}

bool
cw_bpe_add(struct cw_bpe *b, const char *s, size_t n, int id)
{
	uint32_t slot;

	CW_CHECK(id >= 0 && id < b->size && n <= CW_TOKEN_BYTES);
	slot = text_slot(b, s, n);
	if (b->token[id].s != NULL || b->by_text[slot] >= 0)
		return false;
	b->token[id] = (struct cw_bpe_token){ s, (uint32_t)n };
	b->by_text[slot] = id;
	return true;
}

int
cw_bpe_find(const struct cw_bpe *b, const char *s, size_t n)
{
	return b->by_text[text_slot(b, s, n)];
}

bool
cw_bpe_add_merge(struct cw_bpe *b, const char *left, size_t nleft,
    const char *right, size_t nright, uint32_t rank)
{
	char both[CW_TOKEN_BYTES];
	struct cw_bpe_merge m;

	if (nleft + nright > sizeof(both))
		return false;
	memcpy(both, left, nleft);
	memcpy(both + nleft, right, nright);
	m.left = cw_bpe_find(b, left, nleft);
	m.right = cw_bpe_find(b, right, nright);
	m.made = cw_bpe_find(b, both, nleft + nright);
	m.rank = rank;
	if (m.left < 0 || m.right < 0 || m.made < 0)
		return false;
	*merge_slot(b, m.left, m.right) = m;
	return true;
}

void
cw_bpe_finish(struct cw_bpe *b, int unknown)
{
	int spare = 0x100;

	b->unknown = unknown;
	for (int i = 0; i < 256; i++) {
		const int c = is_own(i) ? i : spare++;
		char s[8];
		size_t n = 0;

		if (c >= 0x80) {
			s[n++] = (char)(0xc0 | c >> 6);
			s[n++] = (char)(0x80 | (c & 0x3f));
		} else {
			s[n++] = (char)c;
		}
		b->first[i] = cw_bpe_find(b, s, n);
		memcpy(s + n, CW_WORD_END, 4);
		b->last[i] = cw_bpe_find(b, s, n + 4);
	}
}

/*
 * The word as a linked list of parts, and a heap of the pairs that could be
 * merged: lowest rank first, leftmost first among equals.  An entry whose
 * pair has changed since is skipped when it comes up, so a word of n bytes
 * costs n log n whatever it holds.
 */
struct part {
	int32_t		 id;		/* -1: gone, or not in the vocabulary */
	int32_t		 prev, next;	/* -1: none */
};

struct chance {
	uint32_t	 rank;
	int32_t		 at;		/* left part */
};

struct word {
	const struct cw_bpe	*b;
	struct part		*part;	/* [n] */
	struct chance		*heap;	/* room for 3 n */
	size_t			 nheap;
};

static bool
before(struct chance a, struct chance b)
{
	return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void
heap_push(struct word *w, struct chance c)
{
	size_t i = w->nheap++;

	while (i > 0 && before(c, w->heap[(i - 1) / 2])) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = c;
}

static struct chance
heap_pop(struct word *w)
{
	const struct chance top = w->heap[0], c = w->heap[--w->nheap];
	size_t i = 0, kid;

	while ((kid = 2 * i + 1) < w->nheap) {
		if (kid + 1 < w->nheap &&
		    before(w->heap[kid + 1], w->heap[kid]))
			kid++;
		if (!before(w->heap[kid], c))
			break;
		w->heap[i] = w->heap[kid];
		i = kid;
	}
	w->heap[i] = c;
	return top;
}

/* The merge of part `at` with its right neighbour, or NULL. */
static const struct cw_bpe_merge *
merge_at(const struct word *w, int32_t at)
{
	const struct part *p = &w->part[at];
	const struct cw_bpe_merge *m;

	if (at < 0 || p->id < 0 || p->next < 0 || w->part[p->next].id < 0)
		return NULL;
	m = merge_slot(w->b, p->id, w->part[p->next].id);
	return m->left < 0 ? NULL : m;
}

static void
offer(struct word *w, int32_t at)
{
	const struct cw_bpe_merge *m = at < 0 ? NULL : merge_at(w, at);

	if (m != NULL)
		heap_push(w, (struct chance){ m->rank, at });
}

static void
merge_all(struct word *w)
{
	while (w->nheap > 0) {
		const struct chance c = heap_pop(w);
		const struct cw_bpe_merge *m = merge_at(w, c.at);
		struct part *p = &w->part[c.at], *gone;

		if (m == NULL || m->rank != c.rank)
			continue;
		gone = &w->part[p->next];
		p->id = m->made;
		p->next = gone->next;
		gone->id = -1;
		if (p->next >= 0)
			w->part[p->next].prev = c.at;
		offer(w, p->prev);
		offer(w, c.at);
	}
}

enum cw_status
cw_bpe_encode(const struct cw_bpe *b, const char *word, size_t n,
    struct cw_arena *scratch, int *ids, int max, int *count)
{
	const size_t mark = cw_arena_mark(scratch);
	struct word w = { .b = b };
	int k = 0;

	CW_CHECK(n > 0 && n < INT32_MAX / 4);
	w.part = cw_arena_alloc(scratch, n * sizeof(*w.part));
	w.heap = cw_arena_alloc(scratch, 3 * n * sizeof(*w.heap));
	if (cw_arena_overflowed(scratch))
		return CW_E_LIMIT;
	for (size_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)word[i];

		w.part[i] = (struct part){
			.id = i + 1 < n ? b->first[c] : b->last[c],
			.prev = (int32_t)i - 1,
			.next = i + 1 < n ? (int32_t)i + 1 : -1,
		};
	}
	for (size_t i = 0; i + 1 < n; i++)
		offer(&w, (int32_t)i);
	merge_all(&w);
	for (int32_t i = 0; i >= 0 && k < max; i = w.part[i].next)
		ids[k++] = w.part[i].id >= 0 ? w.part[i].id : b->unknown;
	*count = k;
	cw_arena_release(scratch, mark);
	return CW_OK;
}
