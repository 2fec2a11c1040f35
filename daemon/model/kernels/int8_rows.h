/*
 * int8_rows.h - rows of activations into 8 bits, in vec.h's words.
 *
 * Runs in: worker.  Included by int8_body.h, which says what s, z and e are;
 * all static.
 *
 * Packed activations, one block: [in/CHUNK][rows][CHUNK].  A row's chunk is a
 * cache line, so rows are written where the product reads them.
 */
#ifndef CW_INT8_ROWS_H
#define CW_INT8_ROWS_H

#include <math.h>

#include "model/kernels/activate.h"

#define CHUNK		64
#define OUTLIERS	8
/* Values up to this many times the row's mean magnitude are never cut. */
#define ORDINARY	10.0f

struct int8_row {
	float	 scale;
	int32_t	 zero;
	int	 outliers;
	int	 at[OUTLIERS];		/* input index */
	float	 excess[OUTLIERS];	/* value less what was kept */
};

/* What is known of a row's values v = (x - shift) * by before they are cut. */
struct row_facts {
	float	 shift, by;
	float	 mean;			/* of the magnitudes */
	float	 least, most;		/* with 0 among the values */
};

static struct row_facts
row_look(const float *x, int n)
{
	const vf none = vf_all(0);
	vf sum[2] = { none, none }, lo[2] = { none, none };
	vf hi[2] = { none, none };
	int i = 0;

	for (; i + 2 * CW_LANES <= n; i += 2 * CW_LANES)
		for (int j = 0; j < 2; j++) {
			vf v = vf_load(x + i + j * CW_LANES);

			sum[j] += vf_abs(v);
			lo[j] = vf_at_most(lo[j], v);
			hi[j] = vf_at_least(hi[j], v);
		}
	for (; i < n; i += CW_LANES) {
		vf v = vf_load_part(x + i, lanes_left(n, i));

		sum[0] += vf_abs(v);
		lo[0] = vf_at_most(lo[0], v);
		hi[0] = vf_at_least(hi[0], v);
	}
	return (struct row_facts){ 0, 1, vf_sum(sum[0] + sum[1]) / (float)n,
	    -vf_largest(-vf_at_most(lo[0], lo[1])),
	    vf_largest(vf_at_least(hi[0], hi[1])) };
}

/* The least and the largest of a row, by way of its sum. */
static float
row_bounds(const float *x, int n, float *least, float *most)
{
	vf sum[2] = { vf_all(0), vf_all(0) };
	vf lo[2] = { vf_all(x[0]), vf_all(x[0]) }, hi[2] = { lo[0], lo[0] };
	int i = 0;

	for (; i + 2 * CW_LANES <= n; i += 2 * CW_LANES)
		for (int j = 0; j < 2; j++) {
			vf v = vf_load(x + i + j * CW_LANES);

			sum[j] += v;
			lo[j] = vf_at_most(lo[j], v);
			hi[j] = vf_at_least(hi[j], v);
		}
	*least = -vf_largest(-vf_at_most(lo[0], lo[1]));
	*most = vf_largest(vf_at_least(hi[0], hi[1]));
	sum[0][0] += vf_sum(sum[1]);
	for (; i < n; i++) {
		sum[0][0] += x[i];
		*least = x[i] < *least ? x[i] : *least;
		*most = x[i] > *most ? x[i] : *most;
	}
	return vf_sum(sum[0]);
}

/* The same of a row that a layer norm without weights goes before. */
static struct row_facts
row_look_normed(const float *x, int n, float eps)
{
	vf sum[2] = { vf_all(0), vf_all(0) }, all[2] = { sum[0], sum[0] };
	float least, most, mean = row_bounds(x, n, &least, &most) / (float)n;
	float spread, size, by;
	int i = 0;

	for (; i + 2 * CW_LANES <= n; i += 2 * CW_LANES)
		for (int j = 0; j < 2; j++) {
			vf d = vf_load(x + i + j * CW_LANES) - vf_all(mean);

			all[j] = vf_fma(d, d, all[j]);
			sum[j] += vf_abs(d);
		}
	spread = vf_sum(all[0] + all[1]);
	size = vf_sum(sum[0] + sum[1]);
	for (; i < n; i++) {
		spread += (x[i] - mean) * (x[i] - mean);
		size += fabsf(x[i] - mean);
	}
	by = 1 / sqrtf(spread / (float)n + eps);
	return (struct row_facts){ mean, by, size * by / (float)n,
	    fminf(0, (least - mean) * by), fmaxf(0, (most - mean) * by) };
}

/* Columns of row x beyond limit, at most OUTLIERS + 1. */
static int
count_beyond(const float *x, int n, float limit, int *at)
{
	const vf bound = vf_all(limit);
	int found = 0;

	for (int i = 0; i < n && found <= OUTLIERS; i += CW_LANES) {
		int left = lanes_left(n, i);

		if (!vf_any_above(vf_abs(vf_load_part(x + i, left)), bound))
			continue;
		for (int j = i; j < i + left && found <= OUTLIERS; j++)
			if (fabsf(x[j]) > limit) {
				if (found < OUTLIERS)
					at[found] = j;
				found++;
			}
	}
	return found;
}

/* Mean magnitude, none counted for more than limit. */
static float
mean_magnitude(const float *x, int n, float limit)
{
	vf sum = vf_all(0), most = vf_all(limit);

	for (int i = 0; i < n; i += CW_LANES)
		sum += vf_at_most(most, vf_abs(vf_load_part(x + i,
		    lanes_left(n, i))));
	return vf_sum(sum) / (float)n;
}

/* The values of a row with a layer norm before it; it no longer is. */
static void
row_normed(const float *x, int n, struct row_facts *f, float *to)
{
	for (int i = 0; i < n; i += CW_LANES) {
		const int left = lanes_left(n, i);

		vf_store_part(to + i, (vf_load_part(x + i, left) -
		    vf_all(f->shift)) * vf_all(f->by), left);
	}
	f->shift = 0;
	f->by = 1;
}

/*
 * Find what sticks out of a row, at first guess beyond limit; the magnitude
 * above which it is cut.
 */
static float
row_limit(const float *x, int n, float limit, struct int8_row *row)
{
	/* a mean that what sticks out has no great part in */
	limit = ORDINARY * mean_magnitude(x, n, limit);
	while ((row->outliers = count_beyond(x, n, limit, row->at)) > OUTLIERS)
		limit *= 1.5f;
	for (int i = 0; i < row->outliers; i++) {
		float v = x[row->at[i]];

		row->excess[i] = v - copysignf(limit, v);
	}
	return limit;
}

/* CW_LANES values times inv, clamped to limit if cut, in steps */
CW_INLINE vi
in_steps(vf v, bool cut, float limit, float inv, float zero)
{
	if (cut)
		v = vf_at_most(vf_all(limit), vf_at_least(vf_all(-limit), v));
	/* the low byte of 1.5 * 2^23 + k is k */
	return (vi)vf_fma(v, vf_all(inv), vf_all(0x1.8p23f + zero)) & 0xff;
}

/* q [CHUNK], its like `step` bytes apart: n values less shift in steps */
CW_INLINE void
quantise_row(const float *x, int n, float shift, float inv, bool cut,
    float limit, float zero, uint8_t *q, size_t step)
{
	int i = 0;

	for (; i + CHUNK <= n; i += CHUNK, q += step) {
		vi t[CHUNK / CW_LANES];

		for (int j = 0; j < CHUNK / CW_LANES; j++)
			t[j] = in_steps(vf_load(x + i + j * CW_LANES) -
			    vf_all(shift), cut, limit, inv, zero);
		vi_store_bytes(q, t);
	}
	for (int j = 0; i < n; i += CW_LANES, j += CW_LANES) {
		const int left = lanes_left(n, i);
		vi t = in_steps(vf_load_part(x + i, left) - vf_all(shift),
		    cut, limit, inv, zero);

		for (int k = 0; k < ((left + 3) & ~3); k++)
			q[j + k] = (uint8_t)t[k];
	}
}

/* A row that holds a NaN or an infinity: so is the whole result. */
static void
quantise_nothing(int n, struct int8_row *row, uint8_t *q, size_t step)
{
	for (int i = 0; i < n; i += CHUNK, q += step)
		memset(q, 0, CHUNK);
	row->scale = NAN;
	row->zero = row->outliers = 0;
}

/*
 * q = x in that many levels, after a layer norm if eps is not NULL; the row's
 * scale and the like.  plain [n] is scratch.
 */
static void
quantise(const float *x, int n, const float *eps, int levels, float *plain,
    uint8_t *q, size_t step, struct int8_row *row)
{
	struct row_facts f = eps != NULL ? row_look_normed(x, n, *eps) :
	    row_look(x, n);
	float limit = ORDINARY * f.mean, least, most;

	if (!(limit < INFINITY)) {
		quantise_nothing(n, row, q, step);
		return;
	}
	row->outliers = 0;
	if (fmaxf(f.most, -f.least) > limit) {
		if (eps != NULL) {
			row_normed(x, n, &f, plain);
			x = plain;
		}
		limit = row_limit(x, n, limit, row);
	}
	least = fmaxf(f.least, -limit);
	most = fminf(f.most, limit);
	row->scale = fmaxf((most - least) / (float)(levels - 2), 1e-30f);
	/* a hair above, or the least may round to one below 0 */
	row->zero = (int32_t)(0.5f + 0x1p-10f - least / row->scale);
	if (row->outliers > 0)
		quantise_row(x, n, 0, 1 / row->scale, true, limit,
		    (float)row->zero, q, step);
	else
		quantise_row(x, n, f.shift, f.by / row->scale, false, limit,
		    (float)row->zero, q, step);
}

#endif /* CW_INT8_ROWS_H */
