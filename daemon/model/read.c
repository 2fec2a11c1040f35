/*
 * read.c - see read.h.
 */
#include "model/read.h"

#include <string.h>

#include "model/rows.h"

/* Sequences that go through the heads' matrices together. */
#define TOGETHER	8

int
cw_read_row(const struct cw_seq *s)
{
	return s->at + s->read - s->nshared;
}

/* Floats of what stands for one sequence, [H][W]. */
static size_t
all_heads(const struct cw_encoder_weights *e)
{
	return (size_t)e->H * (size_t)e->W;
}

size_t
cw_read_bytes(const struct cw_encoder_weights *e)
{
	return TOGETHER * all_heads(e) * sizeof(float) + CW_ARENA_ALIGN;
}

/* The rows that are read, one under the other; to may be rows. */
static void
gather_read(const struct cw_run *r, const float *rows, float *to, size_t W)
{
	for (int s = 0; s < r->nseq; s++)
		memmove(to + (size_t)s * W, rows +
		    (size_t)cw_read_row(&r->seq[s]) * W, W * sizeof(float));
}

/* The normed rows of a sequence's tokens: where they lie, or gathered. */
static const float *
rows_of(const struct cw_seq *s, const struct cw_run *r, size_t W)
{
	if (s->nshared == 0)
		return r->norm + (size_t)s->at * W;
	for (int i = 0; i < s->n; i++)
		memcpy(r->kv + (size_t)i * W, r->norm + W * (size_t)
		    (i < s->nshared ? s->shared[i] : s->at + i - s->nshared),
		    W * sizeof(float));
	return r->kv;
}

/* What an explanation wants: p [H][T], and the values after all. */
static void
keep(const struct cw_encoder_weights *e, const struct cw_run *r, int s,
    const float *rows)
{
	struct cw_trace *t = &r->traces[s];
	const int T = r->seq[s].n, D = e->W / e->H, last = t->Lk - 1;
	const struct cw_input in = { rows, T, e->W, T };

	CW_CHECK(r->seq[s].nshared == 0);
	for (int h = 0; h < e->H; h++)
		cw_linear_apply(&e->value[h], &in, r->kv + h * D, e->W,
		    CW_ACT_NONE, NULL, r->scratch);
	cw_trace_values(t, last, r->kv, (size_t)e->W);
	memcpy(t->att + (size_t)(last * e->H) * (size_t)T, r->att,
	    (size_t)(e->H * T) * sizeof(float));
	for (int h = 0; h < e->H && t->mean_att != NULL; h++)
		cw_trace_mean(t, e->L - 1, t->read, 1, r->att + h * T);
}

/* y [H][W], from each head's K' q to its sum of rows: of sequence s. */
static void
attend(const struct cw_encoder_weights *e, const struct cw_run *r, int s,
    float *y)
{
	const struct cw_seq *q = &r->seq[s];
	const int W = e->W, T = q->n;
	const float *rows = rows_of(q, r, (size_t)W);

	/* it sees all of its tokens */
	CW_CHECK(!r->causal || q->read == T - 1);
	cw_gemm_bt(e->H, T, W, e->scale, y, W, rows, W, r->att, T);
	cw_softmax_rows(r->att, e->H, T, T, -1);
	cw_gemm(e->H, W, T, 1, r->att, T, rows, W, y, W);
	if (r->traces != NULL)
		keep(e, r, s, rows);
	for (int h = 0; h < e->H && s == 0; h++)
		cw_tap_call(r->tap, "attention", (e->L - 1) * e->H + h,
		    r->att + h * T, 1, T);
}

void
cw_attend_read(const struct cw_encoder_weights *e, const struct cw_run *r)
{
	const struct cw_block_weights *b = &e->block[e->L - 1];
	const int W = e->W, D = W / e->H, all = e->H * W;
	const size_t each = (size_t)r->nseq * (size_t)W;
	const size_t mark = cw_arena_mark(r->scratch);
	float *y = cw_arena_floats(r->scratch, TOGETHER * all_heads(e));
	float *read = r->wide, *q = read + each, *mix = q + each;

	if (y == NULL)
		return;
	cw_layernorm(r->x, r->rows, W, W, b->ln1.w, b->ln1.b, e->eps, r->norm,
	    W);
	gather_read(r, r->norm, read, (size_t)W);
	gather_read(r, r->x, r->x, (size_t)W);
	cw_linear_apply(&b->q, &(struct cw_input){ read, r->nseq, W, 1 }, q,
	    W, CW_ACT_NONE, NULL, r->scratch);
	for (int from = 0, n; from < r->nseq; from += n) {
		const size_t at = (size_t)from * (size_t)W;

		n = r->nseq - from < TOGETHER ? r->nseq - from : TOGETHER;
		for (int h = 0; h < e->H; h++)
			cw_linear_apply(&e->key[h], &(struct cw_input){
			    q + at + h * D, n, W, 1 }, y + h * W, all,
			    CW_ACT_NONE, NULL, r->scratch);
		for (int s = 0; s < n; s++)
			attend(e, r, from + s, y + s * all);
		for (int h = 0; h < e->H; h++)
			cw_linear_apply(&e->value[h], &(struct cw_input){
			    y + h * W, n, all, 1 }, mix + at + h * D, W,
			    CW_ACT_NONE, NULL, r->scratch);
	}
	cw_linear_apply(&b->out, &(struct cw_input){ mix, r->nseq, W, 1 },
	    r->x, W, CW_ACT_NONE, r->x, r->scratch);
	cw_arena_release(r->scratch, mark);
}
