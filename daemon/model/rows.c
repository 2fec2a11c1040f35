/*
 * rows.c - see rows.h.
 */
#include "model/rows.h"

#include <math.h>
#include <stddef.h>

void
cw_layernorm(const float *x, int rows, int W, int ldx, const float *gamma,
    const float *beta, float eps, float *y, int ldy)
{
	for (int r = 0; r < rows; r++, x += ldx, y += ldy) {
		float mean = 0, var = 0, scale;

		for (int i = 0; i < W; i++)
			mean += x[i];
		mean /= (float)W;
		for (int i = 0; i < W; i++)
			var += (x[i] - mean) * (x[i] - mean);
		scale = 1 / sqrtf(var / (float)W + eps);
		for (int i = 0; i < W; i++)
			y[i] = (x[i] - mean) * scale *
			    (gamma != NULL ? gamma[i] : 1) +
			    (beta != NULL ? beta[i] : 0);
	}
}

void
cw_softmax_rows(float *p, int rows, int cols, int ld, int causal_from)
{
	for (int r = 0; r < rows; r++, p += ld) {
		int n = causal_from < 0 || causal_from + r >= cols ?
		    cols : causal_from + r + 1;
		float top = p[0], sum = 0;

		for (int i = 1; i < n; i++)
			top = fmaxf(top, p[i]);
		for (int i = 0; i < n; i++)
			sum += p[i] = expf(p[i] - top);
		for (int i = 0; i < n; i++)
			p[i] /= sum;
		for (int i = n; i < cols; i++)
			p[i] = 0;
	}
}
