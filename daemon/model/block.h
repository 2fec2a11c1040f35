/*
 * block.h - the residual blocks that both towers are made of.
 *
 * Runs in: worker.  Never: logs; allocates only from the arenas of its run.
 *
 *	x += out(attention(ln1 x));  x += down(act(up(ln2 x)))
 *
 * Only one row of each sequence leaves the last block (the class token, the
 * end token), so there q, the attention output and the MLP are computed for
 * that row alone; k and v for all.
 */
#ifndef CW_BLOCK_H
#define CW_BLOCK_H

#include "base/arena.h"
#include "base/status.h"
#include "model/model.h"
#include "model/weights.h"

struct cw_tap {
	cw_tap_fn	*fn;		/* NULL: off */
	void		*payload;
};

/* B sequences of T tokens on their way through a tower. */
struct cw_run {
	int			 B, T;
	int			 read;		/* row that leaves the tower */
	bool			 causal;
	float			*x;		/* [B*T][W] the residual stream */
	float			*norm;		/* [B*T][W] */
	float			*wide;		/* [B*T][wide], wide >= 4W, hidden */
	float			*att;		/* [T][T] one head's rows */
	struct cw_arena		*scratch;
	struct cw_trace		*traces;	/* [B] or NULL */
	const struct cw_tap	*tap;
};

void cw_tap_call(const struct cw_tap *tap, const char *name, int at,
    const float *v, int rows, int cols);

/* Scratch for the buffers above; wide is at least `wide` floats a row. */
CW_MUST_USE enum cw_status cw_run_make(struct cw_run *r,
    const struct cw_encoder_weights *e, int wide);

/* Arrays of one trace, in keep.  Lk = min(keep_layers, L), 0: L. */
CW_MUST_USE enum cw_status cw_trace_make(struct cw_trace *t,
    const struct cw_encoder_weights *e, int T, int read, int keep_layers,
    bool rollout, struct cw_arena *keep);

/* All blocks.  Afterwards only row `read` of each sequence of x is valid. */
void cw_encoder_run(const struct cw_encoder_weights *e,
    const struct cw_run *r);

/*
 * Final norm and projection of row `read`: embed [B][E] unit length, norm [B]
 * may be NULL, the rest of the traces.  CW_E_NUMERIC, CW_E_LIMIT.
 */
CW_MUST_USE enum cw_status cw_encoder_finish(
    const struct cw_encoder_weights *e, const struct cw_norm *final,
    const struct cw_linear *proj, const struct cw_run *r, float *embed,
    float *norm, struct cw_err *err);

/* Make v [n] unit length; *norm is |v|.  CW_E_NUMERIC when that fails. */
CW_MUST_USE enum cw_status cw_unit(float *v, int n, float *norm,
    struct cw_err *err);

#endif /* CW_BLOCK_H */
