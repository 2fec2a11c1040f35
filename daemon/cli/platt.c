/*
 * platt.c - see platt.h.
 */
#include "cli/platt.h"

#include <math.h>
#include <stdlib.h>

#define ROUNDS		100
#define RIDGE		1e-12	/* keeps the Hessian invertible */
#define CLOSE		1e-7	/* gradient at which it has converged */
#define STEP_MIN	1e-10

/* Negative log-likelihood of target t at z = a x + b, without overflow. */
static double
loss(const struct cw_labelled *v, size_t n, double yes, double no, double a,
    double b)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		const double z = a * v[i].x + b, t = v[i].yes ? yes : no;

		sum += z >= 0 ? (1 - t) * z + log1p(exp(-z)) :
		    -t * z + log1p(exp(z));
	}
	return sum;
}

enum cw_status
cw_platt_fit(const struct cw_labelled *v, size_t n, double *a, double *b,
    struct cw_err *err)
{
	size_t positive = 0;
	double yes, no, f;

	for (size_t i = 0; i < n; i++)
		positive += v[i].yes;
	if (positive == 0 || positive == n)
		return cw_err_set(err, CW_E_LIMIT,
		    "%zu of %zu images show it; want some of each", positive,
		    n);
	yes = ((double)positive + 1) / ((double)positive + 2);
	no = 1 / ((double)(n - positive) + 2);
	*a = 0;
	*b = log(((double)positive + 1) / ((double)(n - positive) + 1));
	f = loss(v, n, yes, no, *a, *b);
	for (int round = 0; round < ROUNDS; round++) {
		double haa = RIDGE, hab = 0, hbb = RIDGE, ga = 0, gb = 0;
		double da, db, det, step = 1;

		for (size_t i = 0; i < n; i++) {
			const double p = 1 / (1 + exp(-(*a * v[i].x + *b)));
			const double d = p - (v[i].yes ? yes : no);
			const double w = p * (1 - p);

			haa += v[i].x * v[i].x * w;
			hab += v[i].x * w;
			hbb += w;
			ga += v[i].x * d;
			gb += d;
		}
		if (fabs(ga) < CLOSE && fabs(gb) < CLOSE)
			break;
		det = haa * hbb - hab * hab;
		da = -(hbb * ga - hab * gb) / det;
		db = -(haa * gb - hab * ga) / det;
		for (; step >= STEP_MIN; step /= 2) {
			const double g = loss(v, n, yes, no, *a + step * da,
			    *b + step * db);

			if (g < f + 1e-4 * step * (ga * da + gb * db)) {
				*a += step * da;
				*b += step * db;
				f = g;
				break;
			}
		}
		if (step < STEP_MIN)
			break;
	}
	return CW_OK;
}

static int
by_score(const void *a, const void *b)
{
	const double x = ((const struct cw_labelled *)a)->x;
	const double y = ((const struct cw_labelled *)b)->x;

	return x < y ? 1 : x > y ? -1 : 0;
}

double
cw_platt_thresholds(struct cw_labelled *v, size_t n, double recall,
    double precision, double *review, double *block)
{
	size_t positive = 0, found = 0;
	double average = 0;

	qsort(v, n, sizeof(*v), by_score);
	for (size_t i = 0; i < n; i++)
		positive += v[i].yes;
	*review = n > 0 ? v[n - 1].x : 0;
	*block = INFINITY;
	for (size_t i = 0; i < n; i++) {
		if (!v[i].yes)
			continue;
		found++;
		average += (double)found / (double)(i + 1);
		if ((double)found / (double)(i + 1) >= precision)
			*block = v[i].x;
		/* The first place with enough of them is the highest one. */
		if ((double)found >= recall * (double)positive &&
		    (double)(found - 1) < recall * (double)positive)
			*review = v[i].x;
	}
	return positive > 0 ? average / (double)positive : 0;
}
