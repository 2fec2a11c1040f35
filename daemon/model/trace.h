/*
 * trace.h - what a tower keeps of a sequence for its explanation.
 *
 * Runs in: worker.  Never: logs; allocates only from the arena it is given.
 *
 * See struct cw_trace in model.h.  k counts the layers that are kept, l all.
 */
#ifndef CW_TRACE_H
#define CW_TRACE_H

#include "base/arena.h"
#include "base/status.h"
#include "model/model.h"
#include "model/weights.h"

/* Arrays of one trace, in keep.  Lk = min(keep_layers, L), 0: L. */
CW_MUST_USE enum cw_status cw_trace_make(struct cw_trace *t,
    const struct cw_encoder_weights *e, int T, int read, int keep_layers,
    bool rollout, struct cw_arena *keep);

/* The values of kept layer k: v is [T] rows of W, ld floats apart. */
void cw_trace_values(struct cw_trace *t, int k, const float *v, size_t ld);

/*
 * A head's probabilities p [n][T] of tokens from `first` on, added to layer l's
 * mean of heads, which starts as zeros.
 */
void cw_trace_mean(struct cw_trace *t, int l, int first, int n,
    const float *p);

#endif /* CW_TRACE_H */
