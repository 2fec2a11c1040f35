/*
 * rows_body.h - layer norm, softmax and the end of a product, in vec.h's words.
 *
 * Runs in: worker.  Included once by each instruction set's file; all static.
 */
#ifndef CW_ROWS_BODY_H
#define CW_ROWS_BODY_H

#include <math.h>

#include "model/kernels/activate.h"

static void
rows_finish(const float *t, int ldt, int rows, int cols, const float *bias,
    enum cw_act act, const float *residual, float *y, int ldy)
{
	for (int r = 0; r < rows; r++, t += ldt, y += ldy) {
		for (int i = 0; i < cols; i += CW_LANES) {
			int n = lanes_left(cols, i);
			vf v = vf_load_part(t + i, n);

			if (bias != NULL)
				v += vf_load_part(bias + i, n);
			v = activate(act, v);
			if (residual != NULL)
				v += vf_load_part(residual + i, n);
			vf_store_part(y + i, v, n);
		}
		if (residual != NULL)
			residual += ldy;
	}
}

static float
row_sum(const float *x, int n)
{
	vf s0 = vf_all(0), s1 = vf_all(0);
	int i = 0;

	for (; i + 2 * CW_LANES <= n; i += 2 * CW_LANES) {
		s0 += vf_load(x + i);
		s1 += vf_load(x + i + CW_LANES);
	}
	for (; i < n; i += CW_LANES)
		s0 += vf_load_part(x + i, lanes_left(n, i));
	return vf_sum(s0 + s1);
}

/* Sum of (x - mean)^2. */
static float
row_spread(const float *x, int n, float mean)
{
	vf s0 = vf_all(0), s1 = vf_all(0), m = vf_all(mean), d;
	int i = 0;

	for (; i + 2 * CW_LANES <= n; i += 2 * CW_LANES) {
		d = vf_load(x + i) - m;
		s0 = vf_fma(d, d, s0);
		d = vf_load(x + i + CW_LANES) - m;
		s1 = vf_fma(d, d, s1);
	}
	for (; i + CW_LANES <= n; i += CW_LANES) {
		d = vf_load(x + i) - m;
		s0 = vf_fma(d, d, s0);
	}
	for (float t; i < n; i++) {
		t = x[i] - mean;
		s0[0] += t * t;
	}
	return vf_sum(s0 + s1);
}

static void
rows_layernorm(const float *x, int rows, int W, int ldx, const float *gamma,
    const float *beta, float eps, float *y, int ldy)
{
	for (int r = 0; r < rows; r++, x += ldx, y += ldy) {
		float mean = row_sum(x, W) / (float)W;
		float var = row_spread(x, W, mean) / (float)W;
		vf m = vf_all(mean), s = vf_all(1 / sqrtf(var + eps));

		for (int i = 0; i < W; i += CW_LANES) {
			int n = lanes_left(W, i);
			vf v = (vf_load_part(x + i, n) - m) * s;

			if (gamma != NULL)
				v *= vf_load_part(gamma + i, n);
			if (beta != NULL)
				v += vf_load_part(beta + i, n);
			vf_store_part(y + i, v, n);
		}
	}
}

/* A NaN may be passed over: it is one after p[i] - top just as well. */
static float
row_largest(const float *p, int n)
{
	float top = p[0];
	vf t;
	int i = 0;

	if (n >= CW_LANES) {
		t = vf_load(p);
		for (i = CW_LANES; i + CW_LANES <= n; i += CW_LANES)
			t = vf_at_least(t, vf_load(p + i));
		top = vf_largest(t);
	}
	for (; i < n; i++)
		top = top > p[i] ? top : p[i];
	return top;
}

static void
rows_softmax(float *p, int rows, int cols, int ld, int causal_from)
{
	for (int r = 0; r < rows; r++, p += ld) {
		int n = causal_from < 0 || causal_from + r >= cols ?
		    cols : causal_from + r + 1;
		vf top = vf_all(row_largest(p, n)), sum = vf_all(0), scale;
		float tail = 0;
		int i;

		for (i = 0; i + CW_LANES <= n; i += CW_LANES) {
			vf e = vf_exp(vf_load(p + i) - top);

			vf_store(p + i, e);
			sum += e;
		}
		if (i < n) {
			vf e = vf_exp(vf_load_part(p + i, n - i) - top);

			vf_store_part(p + i, e, n - i);
			tail = row_sum(p + i, n - i);
		}
		scale = vf_all(1 / (vf_sum(sum) + tail));
		for (i = 0; i < n; i += CW_LANES)
			vf_store_part(p + i, scale *
			    vf_load_part(p + i, lanes_left(n, i)),
			    lanes_left(n, i));
		for (i = n; i < cols; i++)
			p[i] = 0;
	}
}

#endif /* CW_ROWS_BODY_H */
