/*
 * survey.h - what goes through the matrices of an image tower.
 *
 * Runs in: worker, at start.  Never: logs.
 *
 * Weights are best rounded in view of what they are multiplied with: see
 * rounding.h.  So some made-up pictures go through the tower in float, a block
 * at a time, and the rows that each matrix meets are summed up (what papers on
 * quantisation call calibration).  The pictures come from a seed: on one kind of
 * machine the sums are always the same.
 */
#ifndef CW_SURVEY_H
#define CW_SURVEY_H

#include "base/status.h"
#include "model/weights.h"

/* Of a block, joined and folded as prepare.h says. */
enum cw_block_matrix { CW_QKV, CW_OUT, CW_UP, CW_DOWN, CW_BLOCK_MATRICES };

struct cw_survey;		/* opaque */

/*
 * Pictures at the first block of v, whose matrices are not prepared yet and
 * must outlive it.  owned: cw_survey_close.  CW_E_SYSTEM, CW_E_LIMIT.
 */
CW_MUST_USE enum cw_status cw_survey_open(const struct cw_vit_weights *v,
    struct cw_survey **out, struct cw_err *err);
void cw_survey_close(struct cw_survey **c);	/* NULL is fine */

/*
 * The pictures go through the next block, of these matrices in float.
 *
 *	gram	[i]: X'X of the rows that went through l[i], the upper triangle
 *		of [in][in]; borrowed until the next call, to be written over
 */
CW_MUST_USE enum cw_status cw_survey_block(struct cw_survey *c,
    const struct cw_linear l[CW_BLOCK_MATRICES],
    float *gram[CW_BLOCK_MATRICES], struct cw_err *err);

/* Picture i, as a tower takes it: pixels [3][S][S], normalised. */
void cw_survey_picture(int i, int S, float *pixels);

#endif /* CW_SURVEY_H */
