/*
 * bank.h - the prompts of a policy set as vectors, one generation at a time.
 *
 * Runs in: worker.  Never: logs.
 *
 * Rows follow the set's bank order (policy.h).  A row is the mean of the unit
 * vectors of the prompt in each of its policy's templates, made unit length
 * again.  A bank owns two arenas, and is replaced as a whole.
 */
#ifndef CW_BANK_H
#define CW_BANK_H

#include "base/arena.h"
#include "base/status.h"
#include "format/policy.h"
#include "format/worker_msg.h"
#include "model/explain.h"
#include "model/model.h"

struct cw_bank {
	uint32_t		 magic;
	struct cw_policy_set	 set;
	float			*rows;		/* [nprompts][E] unit length */
	int			 E;
	int			 keep_layers;
	struct cw_arena		*arena;		/* all of the above */
	struct cw_arena		*folds;		/* what is cached of the below */
	size_t			 fold_bytes;	/* of one fold, at most */
	struct cw_fold		**fold[2];	/* by side: [nprompts], or NULL */
};

/* Texts that are encoded in one call. */
#define CW_BANK_TEXTS	1024

/*
 * Make a bank from a POLICY frame's body: vectors that it brings are used as
 * they are, the others are encoded.
 *
 *	scratch	of cw_model_text_scratch_bytes for CW_BANK_TEXTS, and room
 *		for those texts, ids and vectors; released again.
 *	done	what POLICY_DONE says; its rows are borrowed from the bank.
 *	out	owned: cw_bank_close; written only on CW_OK.
 *
 * CW_E_FORMAT for a bad body or a prompt that can't be tokenized (the text
 * names it), CW_E_LIMIT when there is no room, CW_E_NUMERIC.
 */
CW_MUST_USE enum cw_status cw_bank_open(const struct cw_model *m,
    int keep_layers, const void *body, size_t len, struct cw_arena *scratch,
    struct cw_policy_done *done, struct cw_bank **out, struct cw_err *err);
void cw_bank_close(struct cw_bank **b);		/* NULL is fine */

/*
 * The fold of sum_i weight[i] * row[bank[i]] through one tower's output side.
 * Folds of single prompts are kept from use to use while they fit in
 * CW_FOLDS_BYTES: a fold reads every out_proj of the tower (3 ms for a
 * ViT-B/32), a sum of kept ones next to nothing.  They are made a few at a
 * time, so that no explanation waits for a whole bank; where one is missing,
 * the sum itself is folded.
 */
#define CW_FOLDS_BYTES	((size_t)32 << 20)	/* some 800 of a ViT-B/32 */
CW_MUST_USE enum cw_status cw_bank_fold(struct cw_bank *b,
    const struct cw_model *m, enum cw_side side, const uint32_t *bank,
    const float *weight, int n, struct cw_arena *a, struct cw_fold *out);

#endif /* CW_BANK_H */
