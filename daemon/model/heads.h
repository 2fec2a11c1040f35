/*
 * heads.h - attention of one head: softmax(scale q k') v.
 *
 * Runs in: worker.  Never: logs, allocates but in the arena it is given.
 *
 * In float; wide heads in bfloat16 where the matrices beside it are in 8 bits,
 * whose errors hide its own.  Sums and softmax are in float either way.
 */
#ifndef CW_HEADS_H
#define CW_HEADS_H

#include <stdbool.h>

#include "base/arena.h"

struct cw_kernel;		/* model/kernels/kernel.h */

struct cw_head {
	int		 n, T, D;	/* rows of q, rows of k and v, columns */
	int		 causal_from;	/* as for cw_softmax_rows */
	float		 scale;
	const float	*q;		/* [n] rows of D, ldq floats apart */
	const float	*k, *v;		/* [T] rows of D, ld floats apart */
	int		 ldq, ld;
	float		*p;		/* [n][T] the probabilities, if kept */
	bool		 keep;		/* else p is scratch or left alone */
	float		*mix;		/* [n] rows of D, ldm floats apart */
	int		 ldm;
};

/*
 * One head, beside matrices of that kernel (NULL: OpenBLAS).  When scratch
 * overflows, mix is not written: ask cw_arena_overflowed.
 */
void cw_head_attend(const struct cw_head *h, const struct cw_kernel *beside,
    struct cw_arena *scratch);

#endif /* CW_HEADS_H */
