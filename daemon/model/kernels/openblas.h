/*
 * openblas.h - what is wanted of the library beside its product, at start.
 *
 * Runs in: worker.  Never: logs.  See fp32_openblas.c.
 */
#ifndef CW_OPENBLAS_H
#define CW_OPENBLAS_H

#include <stdbool.h>

#include "base/status.h"

/* gram [in][in] += x'x of rows x [n][in], ld floats apart: its upper triangle. */
void cw_gram_add(const float *x, int n, int in, int ld, float *gram);

/*
 * a [n][n], of which the upper triangle is read, to R with R'R = a, upper
 * triangular (Cholesky).  False where there is none, and a is spoilt.
 */
CW_MUST_USE bool cw_factor(float *a, int n);

/* It works with so many threads from now on; with how many it did before. */
int cw_blas_threads(int n);

#endif /* CW_OPENBLAS_H */
