/*
 * activate.h - activations of a vector, and counting the lanes of a row's end.
 *
 * Runs in: worker.  Never: logs, allocates.
 */
#ifndef CW_ACTIVATE_H
#define CW_ACTIVATE_H

#include "model/kernels/vec.h"
#include "model/linear.h"

CW_INLINE vf
activate(enum cw_act act, vf v)
{
	switch (act) {
	case CW_ACT_NONE:
		break;
	case CW_ACT_QUICK_GELU:
		return vf_quick_gelu(v);
	case CW_ACT_GELU:
		return v * vf_fma(vf_erf(v * vf_all(0.70710678f)),
		    vf_all(0.5f), vf_all(0.5f));
	case CW_ACT_RELU:
		return vf_at_least(vf_all(0), v);
	}
	return v;
}

/* Lanes of the vector at column i of a row of n, at most a full one. */
CW_INLINE int
lanes_left(int n, int i)
{
	return n - i < CW_LANES ? n - i : CW_LANES;
}

#endif /* CW_ACTIVATE_H */
