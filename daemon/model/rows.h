/*
 * rows.h - the row-wise steps between the matrix products.
 *
 * Runs in: worker.  Never: logs, allocates.
 *
 * Each uses the widest vectors this CPU has; results differ between CPUs by
 * rounding only.  A NaN in a row stays a NaN in that row.
 */
#ifndef CW_ROWS_H
#define CW_ROWS_H

/*
 * y[r] = (x[r] - mean) / sqrt(var + eps) * gamma + beta over W values.
 *
 *	x, y	[rows] rows of W, ldx and ldy floats apart; y may equal x
 *	gamma, beta	[W]; NULL when folded into the next matrix
 */
void cw_layernorm(const float *x, int rows, int W, int ldx,
    const float *gamma, const float *beta, float eps, float *y, int ldy);

/*
 * Softmax of each row in place.
 *
 *	p	[rows] rows of cols, ld floats apart
 *	causal_from	-1: every column counts.  Else row r sees the columns
 *		0 .. causal_from + r; the others become 0
 */
void cw_softmax_rows(float *p, int rows, int cols, int ld, int causal_from);

#endif /* CW_ROWS_H */
