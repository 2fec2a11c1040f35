/*
 * plan.h - the matrices of a model as they are packed, and where each goes.
 *
 * Runs in: worker, at start.  Never: logs.  Private to daemon/model.
 *
 * A matrix is joined of one to three parts, with what is constant folded in:
 * see prepare.h.
 */
#ifndef CW_PLAN_H
#define CW_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"
#include "model/kernels/kernel.h"
#include "model/model.h"
#include "model/weights.h"

#define CW_PLAN_PAGE	4096u		/* at which each matrix begins */
#define CW_PLAN_HEAD	CW_PLAN_PAGE	/* bytes before the first bias */
#define CW_PARTS_MAX	3		/* q, k and v */

enum cw_part_kind {
	CW_PART_PLAIN,
	CW_PART_UNBIASED,	/* k: the norm's shift drops out as well */
	CW_PART_TURNED,		/* K' of read.h: so, and the norm is behind it */
};

struct cw_matrix_part {
	const float	*w, *b;		/* [out][in], turned [in][out]; b [out]
					   or NULL */
	int		 out;
	float		 scale;
	enum cw_part_kind kind;
};

struct cw_matrix {
	struct cw_linear	*to;
	const struct cw_kernel	*kernel;
	struct cw_matrix_part	 part[CW_PARTS_MAX];
	int			 parts, in, out;
	struct cw_norm		 norm;	/* before it, NULL: none */
	bool			 surveyed;	/* the next ones, too: four
						   of a block */
	size_t			 w_at, b_at;	/* in the file */
};

struct cw_plan {
	struct cw_matrix *m;
	size_t		 n, max;
	size_t		 bytes;		/* of the file */
	int		 deep;		/* inputs from which 8 bits pay */
	const struct cw_vit_weights *vit;	/* or NULL: none is surveyed */
};

/*
 * What w's matrices are packed as, and for which kernel each; deep as of
 * cw_prepare.  In a; points into w.  CW_E_LIMIT.
 */
CW_MUST_USE enum cw_status cw_plan_make(struct cw_plan *p,
    struct cw_weights *w, enum cw_tower_kind kind, const struct cw_kernel *k,
    int deep, struct cw_arena *a, struct cw_err *err);

/* The parts of a matrix joined and folded: w [out][in], b [out]. */
void cw_matrix_fold(const struct cw_matrix *m, float *w, float *b);

#endif /* CW_PLAN_H */
