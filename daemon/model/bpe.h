/*
 * bpe.h - byte pair encoding: a vocabulary, its merges, one word at a time.
 *
 * Runs in: worker.  Never: logs.
 *
 * Each byte is written as a printable character (the alphabet of GPT-2), the
 * last character of a word carries "</w>", and the pair with the lowest rank
 * is merged until no pair has a rank.
 */
#ifndef CW_BPE_H
#define CW_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

#define CW_TOKEN_BYTES	1024u	/* longest entry of a vocabulary */
#define CW_WORD_END	"</w>"

struct cw_bpe_token {
	const char	*s;		/* as in the vocabulary; NULL: a hole */
	uint32_t	 n;
};

struct cw_bpe_merge {
	int32_t		 left, right;	/* ids; left -1: an empty slot */
	uint32_t	 rank;
	int32_t		 made;		/* id of the two together */
};

struct cw_bpe {
	struct cw_bpe_token	*token;		/* [size] by id */
	int			 size;
	int32_t			*by_text;	/* hash of ids, -1 empty */
	uint32_t		 text_mask;
	struct cw_bpe_merge	*merge;		/* hash of pairs */
	uint32_t		 merge_mask;
	int32_t			 first[256];	/* id of a byte within a word */
	int32_t			 last[256];	/* ... at its end; -1: none */
	int32_t			 unknown;	/* stands for those without id */
};

/* Room for ids 0 .. size-1 and merges; false when the arena is full. */
bool cw_bpe_init(struct cw_bpe *b, int size, size_t merges,
    struct cw_arena *a);
/* s is borrowed for the life of b.  False when id or s is taken already. */
bool cw_bpe_add(struct cw_bpe *b, const char *s, size_t n, int id);
/* Id of a vocabulary entry or -1. */
int cw_bpe_find(const struct cw_bpe *b, const char *s, size_t n);
/* False when one of left, right and the two together is not an entry. */
bool cw_bpe_add_merge(struct cw_bpe *b, const char *left, size_t nleft,
    const char *right, size_t nright, uint32_t rank);
/* After the last entry: look up the 512 byte characters. */
void cw_bpe_finish(struct cw_bpe *b, int unknown);

/*
 * Encode a word of n > 0 bytes; at most max ids are written, *count says how
 * many.  CW_E_LIMIT when scratch is full.
 */
CW_MUST_USE enum cw_status cw_bpe_encode(const struct cw_bpe *b,
    const char *word, size_t n, struct cw_arena *scratch, int *ids, int max,
    int *count);

/* The byte that a code point of the alphabet stands for, or -1. */
int cw_bpe_byte(int32_t codepoint);

#endif /* CW_BPE_H */
