/*
 * read.h - attention of the last block, whose one row a sequence is read.
 *
 * Runs in: worker.  Never: logs; allocates only from the arenas of its run.
 *
 * With n_j the normed row of token j, q the read one's query and p its
 * probabilities, a head is
 *
 *	score_j = q (K n_j) = (K' q) n_j
 *	mix = sum_j p_j (V n_j + b) = V (sum_j p_j n_j) + b
 *
 * so keys and values of the other tokens are never made: for ViT-B/32 that is
 * 1.4 % of all multiplications.
 */
#ifndef CW_READ_H
#define CW_READ_H

#include "model/block.h"

/* The row of the token that leaves sequence s. */
int cw_read_row(const struct cw_seq *s);

/* x += out(attention(ln1 x)) of those rows, to the front of r->x: [nseq][W]. */
void cw_attend_read(const struct cw_encoder_weights *e,
    const struct cw_run *r);

/* Bytes of scratch that it takes beside the run's buffers. */
size_t cw_read_bytes(const struct cw_encoder_weights *e);

#endif /* CW_READ_H */
