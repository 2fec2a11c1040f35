/*
 * tokenizer.h - text to the ids of a CLIP's text tower, and back to letters.
 *
 * Runs in: worker.  Never: logs.
 *
 * As the fast tokenizer of Hugging Face does it: NFC; white space runs become
 * one space; lower case, character by character; split into contractions,
 * runs of letters, single numbers, runs of the rest; byte pair encoding.
 */
#ifndef CW_TOKENIZER_H
#define CW_TOKENIZER_H

#include "base/arena.h"
#include "base/status.h"
#include "model/bpe.h"

#define CW_TEXT_MAX	(1u << 20)	/* bytes of a text to tokenize */
#define CW_TOKENIZER_FILE_MAX	((size_t)64 << 20)	/* bytes of any of its files */
#define CW_TEXT_START	"<|startoftext|>"
#define CW_TEXT_END	"<|endoftext|>"

struct cw_tokenizer {
	struct cw_bpe	bpe;
	int		start, end;	/* ids of the two marks */
	int		context;	/* most ids of a text, marks included */
};

/*
 * Read vocab.json and merges.txt, or else tokenizer.json; and from
 * tokenizer_config.json a context shorter than the given one.  Ids must be
 * below vocab.  Tables go to a, files to boot.  CW_E_MODEL with file and line
 * or entry.
 */
CW_MUST_USE enum cw_status cw_tokenizer_load(int dirfd, const char *dir,
    int context, int vocab, struct cw_arena *a, struct cw_arena *boot,
    struct cw_tokenizer *out, struct cw_err *err);

/*
 * ids[] has room for t->context.  CW_E_FORMAT for text that is not UTF-8 or
 * holds a literal end mark, CW_E_LIMIT for more than CW_TEXT_MAX bytes.
 */
CW_MUST_USE enum cw_status cw_tokenizer_encode(const struct cw_tokenizer *t,
    const char *text, struct cw_arena *scratch, int *ids, int *n,
    struct cw_err *err);

/* How many ids it would be if the context had room for all. */
CW_MUST_USE enum cw_status cw_tokenizer_measure(const struct cw_tokenizer *t,
    const char *text, struct cw_arena *scratch, int *n, struct cw_err *err);

/* See cw_model_token_text; "" for an id that is none. */
const char *cw_tokenizer_text(const struct cw_tokenizer *t, int id,
    struct cw_arena *a);

#endif /* CW_TOKENIZER_H */
