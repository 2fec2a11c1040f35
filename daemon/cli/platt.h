/*
 * platt.h - scores with known answers become a probability and thresholds.
 *
 * Runs in: cli.  Never: prints, allocates.
 */
#ifndef CW_PLATT_H
#define CW_PLATT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct cw_labelled {
	double	 x;		/* the uncalibrated score's margin */
	bool	 yes;
};

/*
 * p = 1 / (1 + exp(-(a x + b))) by maximum likelihood with Platt's smoothed
 * targets (Lin, Lin and Weng 2007), so that a separable set stays finite.
 * CW_E_LIMIT when there is not one of each kind.
 */
CW_MUST_USE enum cw_status cw_platt_fit(const struct cw_labelled *v, size_t n,
    double *a, double *b, struct cw_err *err);

/*
 * Sorts v, largest x first.  *review: the highest x that still has recall of
 * them at or above it; *block: the lowest x from which on precision holds
 * (INFINITY when it never does).  Returns the average precision.
 */
double cw_platt_thresholds(struct cw_labelled *v, size_t n, double recall,
    double precision, double *review, double *block);

#endif /* CW_PLATT_H */
