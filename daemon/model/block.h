/*
 * block.h - the residual blocks that both towers are made of.
 *
 * Runs in: worker.  Never: logs; allocates only from the arenas of its run.
 *
 *	x += out(attention(ln1 x));  x += down(act(up(ln2 x)))
 *
 * The rows of all sequences of a run lie one under the other and go through
 * each matrix together; only attention knows which belong to which.  Causal
 * sequences that begin alike share the rows of what they have in common:
 *
 *	a photo of a red | car .	rows 0 - 4 | 5 6
 *	                 | cup .	(0 - 4)      7 8
 *
 * Only one row of each sequence leaves the last block (the class token, the
 * end token), so there all is computed for that row alone: see read.h.
 */
#ifndef CW_BLOCK_H
#define CW_BLOCK_H

#include "base/arena.h"
#include "base/status.h"
#include "model/model.h"
#include "model/trace.h"
#include "model/weights.h"

struct cw_tap {
	cw_tap_fn	*fn;		/* NULL: off */
	void		*payload;
};

/* Token i lies in row shared[i] if i < nshared, else in row at + i - nshared. */
struct cw_seq {
	int		 n;		/* tokens */
	int		 read;		/* token that leaves the tower */
	int		 at;		/* its first own row */
	int		 nshared;	/* first tokens, in others' rows */
	const int	*shared;	/* [nshared] */
};

/* Sequences on their way through a tower. */
struct cw_run {
	int			 nseq, rows;	/* rows of all together */
	int			 unit;		/* rows whose rounding may mix */
	int			 longest;	/* most tokens of a sequence */
	const struct cw_seq	*seq;		/* [nseq] by ascending at */
	bool			 causal;
	float			*x;		/* [rows][W] the residual stream */
	float			*norm;		/* [rows][W] */
	float			*wide;		/* [rows][wide], wide >= 4W, hidden */
	float			*att;		/* [longest][longest] one head's rows,
						   or [H][longest] a row of each */
	float			*kv;		/* [longest][2W] gathered */
	struct cw_arena		*scratch;
	struct cw_trace		*traces;	/* [nseq] or NULL */
	const struct cw_tap	*tap;
};

void cw_tap_call(const struct cw_tap *tap, const char *name, int at,
    const float *v, int rows, int cols);

/* Scratch for the buffers above; wide is at least `wide` floats a row. */
CW_MUST_USE enum cw_status cw_run_make(struct cw_run *r,
    const struct cw_encoder_weights *e, int wide);

/* Bytes of those buffers, and what cw_linear_apply packs beside them. */
size_t cw_run_bytes(const struct cw_encoder_weights *e, int rows, int longest,
    int wide);

/* Block l: r->x moves on by it. */
void cw_block_run(const struct cw_encoder_weights *e, int l,
    const struct cw_run *r);

/* All blocks.  Afterwards x is [nseq][W]: what leaves of each sequence. */
void cw_encoder_run(const struct cw_encoder_weights *e,
    const struct cw_run *r);

/*
 * Final norm and projection: embed [nseq][E] unit length, norm [nseq] may be
 * NULL, the rest of the traces.  CW_E_LIMIT, CW_E_NUMERIC with the sequence at
 * fault in *bad.
 */
CW_MUST_USE enum cw_status cw_encoder_finish(
    const struct cw_encoder_weights *e, const struct cw_norm *final,
    const struct cw_linear *proj, const struct cw_run *r, float *embed,
    float *norm, int *bad, struct cw_err *err);

/* Make v [n] unit length; *norm is |v|.  CW_E_NUMERIC when that fails. */
CW_MUST_USE enum cw_status cw_unit(float *v, int n, float *norm,
    struct cw_err *err);

#endif /* CW_BLOCK_H */
