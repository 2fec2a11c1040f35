/*
 * prepare.h - every weight matrix in its kernel's form, made once, mapped by all.
 *
 * Runs in: worker, at start; `clipward model prepare`.  Never: logs.
 *
 * Packing also folds what is constant: a norm's gain and shift go into the
 * matrix that follows it, attention's scale into q, and q, k and v become one
 * matrix.  k has no bias at all: a constant added to a row of scores before
 * its softmax changes nothing.  The last block keeps q, and has K' and V of
 * each head for themselves: see read.h.  In 8 bits the blocks of an image tower
 * that all its rows go through are rounded by what goes through them: survey.h.
 *
 *	struct prepare_head, padded to 4096 bytes
 *	biases, one after another
 *	packed matrices, each 64-aligned
 *
 * The file is written under a temporary name and renamed, and its name says
 * model, precision and kernel: a file that is there is whole, and made for
 * this use.  A checksum over all of it is compared all the same.
 */
#ifndef CW_PREPARE_H
#define CW_PREPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"
#include "model/kernels/kernel.h"
#include "model/model.h"
#include "model/weights.h"

#define CW_DEEP		256	/* inputs from which 8 bits pay */

struct cw_prepared {
	const void	*base;		/* mapped read-only, or private */
	size_t		 bytes;
	bool		 cached;	/* shared through a file */
};

/*
 * Pack the matrices of w for kernel and point them there.
 *
 *	w	afterwards: ln1 and ln2 of every block are folded (NULL), q, k
 *		and v are gone in favour of qkv, in the last block of q, key
 *		and value; enc.scale is 1; out, down, patch and proj keep w
 *		and b as they were
 *	deep	matrices of fewer inputs stay in float under an int8 kernel:
 *		CW_DEEP
 *	sha256	of the model's weights; "": no file is kept
 *	cache_dir	where the file is kept; "": private memory.  A directory
 *		that can't be written to is no error either, but then each
 *		process packs for itself, which in 8 bits takes long
 *	scratch	released before return
 *	out	owned: cw_prepared_close, after w's last use
 *
 * A ResNet tower is never packed in 8 bits.  CW_E_SYSTEM, CW_E_LIMIT.
 */
CW_MUST_USE enum cw_status cw_prepare(struct cw_weights *w,
    enum cw_tower_kind kind, const struct cw_kernel *kernel, int deep,
    const char *sha256, const char *cache_dir, struct cw_arena *scratch,
    struct cw_prepared *out, struct cw_err *err);
void cw_prepared_close(struct cw_prepared *p);

#endif /* CW_PREPARE_H */
