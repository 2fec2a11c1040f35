/*
 * block.c - see block.h.
 */
#include "model/block.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/heads.h"
#include "model/read.h"
#include "model/rows.h"

/*
 * A block goes through its rows in parts whose widest values, [rows][hidden],
 * take about that much: they, and what is packed of them, stay in a core's own
 * cache.  Weights come from a shared one again for each part, so parts are not
 * too small either.
 */
#define PART_BYTES	(640 << 10)
#define PART_ROWS_MIN	48

void
cw_tap_call(const struct cw_tap *tap, const char *name, int at,
    const float *v, int rows, int cols)
{
	char full[64];

	if (tap == NULL || tap->fn == NULL)
		return;
	if (at >= 0) {
		snprintf(full, sizeof(full), "%s.%d", name, at);
		name = full;
	}
	tap->fn(tap->payload, name, v, rows, cols);
}

/* Floats of a row of r->wide. */
static size_t
wide_floats(const struct cw_encoder_weights *e, int wide)
{
	size_t w = 4 * (size_t)e->W;

	if (w < (size_t)e->hidden)
		w = (size_t)e->hidden;
	return w < (size_t)wide ? (size_t)wide : w;
}

/* Floats of r->att: rows of one head, or one row of every head. */
static size_t
att_floats(const struct cw_encoder_weights *e, int longest)
{
	const size_t T = (size_t)longest, H = (size_t)e->H;

	return T * (T > H ? T : H);
}

size_t
cw_run_bytes(const struct cw_encoder_weights *e, int rows, int longest,
    int wide)
{
	const size_t n = (size_t)rows, T = (size_t)longest, W = (size_t)e->W;

	/* As much again as wide, and x, for packed activations. */
	return sizeof(float) * (n * (3 * W + 2 * wide_floats(e, wide)) +
	    att_floats(e, longest) + T * 2 * W) + cw_read_bytes(e) +
	    CW_LINEAR_SCRATCH + (1u << 20);
}

enum cw_status
cw_run_make(struct cw_run *r, const struct cw_encoder_weights *e, int wide)
{
	const size_t rows = (size_t)r->rows, T = (size_t)r->longest;
	const size_t W = (size_t)e->W;

	r->x = cw_arena_floats(r->scratch, rows * W);
	r->norm = cw_arena_floats(r->scratch, rows * W);
	r->wide = cw_arena_floats(r->scratch, rows * wide_floats(e, wide));
	r->att = cw_arena_floats(r->scratch, att_floats(e, r->longest));
	r->kv = cw_arena_floats(r->scratch, T * 2 * W);
	return cw_arena_overflowed(r->scratch) ? CW_E_LIMIT : CW_OK;
}

/* Where q, k and v of the rows from `first` on lie, one beside the other. */
struct qkv {
	const float	*q, *kv;
	int		 ld, first;
};

/* k and v of a sequence's tokens: where they lie, or gathered. */
static const float *
keys_of(const struct cw_seq *s, const struct cw_run *r, size_t W,
    const struct qkv *at, int *ld)
{
	const size_t each = 2 * W * sizeof(float), from = (size_t)at->ld;

	if (s->nshared == 0) {
		*ld = at->ld;
		return at->kv + (size_t)(s->at - at->first) * from;
	}
	for (int i = 0; i < s->n; i++)
		memcpy(r->kv + (size_t)i * 2 * W, at->kv + from * (size_t)
		    (i < s->nshared ? s->shared[i] : s->at + i - s->nshared),
		    each);
	*ld = 2 * (int)W;
	return r->kv;
}

/*
 * softmax(scale q k') v of every head, of sequence s's own tokens; mix: where
 * those of the rows from at->first on go.
 */
static void
attend(const struct cw_encoder_weights *e, int l, int s,
    const struct cw_run *r, const struct qkv *at, float *mix)
{
	const struct cw_seq *seq = &r->seq[s];
	const int W = e->W, T = seq->n, D = W / e->H;
	const int first = seq->nshared, n = T - first;
	const int k = l - e->L;			/* counted from the end */
	const size_t row = (size_t)(seq->at - at->first);
	struct cw_trace *t = r->traces != NULL ? &r->traces[s] : NULL;
	struct cw_head head = { .n = n, .T = T, .D = D,
	    .causal_from = r->causal ? first : -1, .scale = e->scale,
	    .ldq = at->ld, .p = r->att, .ldm = W,
	    .keep = t != NULL || r->tap != NULL };
	const float *q = at->q + row * (size_t)at->ld, *kv;

	mix += row * (size_t)W;
	kv = keys_of(seq, r, (size_t)W, at, &head.ld);
	if (t != NULL && t->Lk + k >= 0)
		cw_trace_values(t, t->Lk + k, kv + W, (size_t)head.ld);
	for (int h = 0; h < e->H; h++) {
		head.q = q + h * D;
		head.k = kv + h * D;
		head.v = kv + W + h * D;
		head.mix = mix + h * D;
		cw_head_attend(&head, e->block[l].up.kernel, r->scratch);
		if (t != NULL && t->Lk + k >= 0)
			memcpy(t->att + ((size_t)(t->Lk + k) * (size_t)e->H +
			    (size_t)h) * (size_t)T, r->att +
			    (size_t)(seq->read - first) * (size_t)T,
			    (size_t)T * sizeof(float));
		if (t != NULL && t->mean_att != NULL)
			cw_trace_mean(t, l, first, n, r->att);
		if (s == 0)
			cw_tap_call(r->tap, "attention", l * e->H + h,
			    r->att, n, T);
	}
}

/* Put aside x of the read row, or what was added to it since: the MLP's. */
static void
keep_mlp(const struct cw_run *r, int W, int l, int L, bool before)
{
	for (int s = 0; s < r->nseq && r->traces != NULL; s++) {
		struct cw_trace *t = &r->traces[s];
		const int k = t->Lk + l - L, row = l == L - 1 ? s :
		    cw_read_row(&r->seq[s]);
		const float *x = r->x + (size_t)row * (size_t)W;
		float *m;

		if (k < 0)
			continue;
		m = t->mlp + (size_t)k * (size_t)W;
		for (int i = 0; i < W; i++)
			m[i] = before ? x[i] : x[i] - m[i];
	}
}

/* The stream that enters the first kept layer. */
static void
keep_rest(const struct cw_run *r, int W, int k)
{
	for (int s = 0; s < r->nseq && r->traces != NULL; s++)
		if (r->traces[s].Lk + k == 0)
			memcpy(r->traces[s].rest, r->x +
			    (size_t)cw_read_row(&r->seq[s]) * (size_t)W,
			    (size_t)W * sizeof(float));
}

/* Rows of a part, see PART_BYTES. */
static int
part_rows(const struct cw_encoder_weights *e)
{
	const int n = PART_BYTES / (int)sizeof(float) / e->hidden;

	return n < PART_ROWS_MIN ? PART_ROWS_MIN : n;
}

/* The sequence after those that make a part with sequence s. */
static int
part_end(const struct cw_run *r, int s, int most)
{
	const int first = r->seq[s].at;

	for (int i = 0; i < r->nseq; i++)
		if (r->seq[i].nshared > 0)
			return r->nseq;
	for (s++; s < r->nseq; s++)
		if (r->seq[s].at + r->seq[s].n - first > most)
			break;
	return s;
}

/* y = act(l(norm(x))), by way of r->norm if need be */
static void
normed_apply(const struct cw_encoder_weights *e, const struct cw_norm *norm,
    const struct cw_linear *l, const struct cw_input *x, float *y,
    enum cw_act act, const struct cw_run *r)
{
	struct cw_input normed = *x;

	if (norm->w == NULL && norm->b == NULL) {
		cw_linear_apply_normed(l, e->eps, x, r->norm, y, l->out, act,
		    r->scratch);
		return;
	}
	cw_layernorm(x->x, x->n, e->W, x->ld, norm->w, norm->b, e->eps,
	    r->norm, e->W);
	normed.x = r->norm;
	normed.ld = e->W;
	cw_linear_apply(l, &normed, y, l->out, act, NULL, r->scratch);
}

/* x += out(attention(ln1 x)), of sequences from .. to - 1 */
static void
attention_part(const struct cw_encoder_weights *e, int l,
    const struct cw_run *r, int from, int to)
{
	const struct cw_block_weights *b = &e->block[l];
	const int W = e->W, first = r->seq[from].at;
	const int n = (to < r->nseq ? r->seq[to].at : r->rows) - first;
	const struct qkv at = { r->wide, r->wide + W, 3 * W, first };
	float *x = r->x + (size_t)first * (size_t)W;
	float *mix = r->wide + (size_t)n * 3 * (size_t)W;
	const int unit = r->unit < n ? r->unit : n;
	const struct cw_input in = { x, n, W, unit };
	const struct cw_input mixed = { mix, n, W, unit };

	normed_apply(e, &b->ln1, &b->qkv, &in, r->wide, CW_ACT_NONE, r);
	for (int s = from; s < to; s++)
		attend(e, l, s, r, &at, mix);
	cw_linear_apply(&b->out, &mixed, x, W, CW_ACT_NONE, x, r->scratch);
}

/* x += down(act(up(ln2 x))), the given rows of r->x */
static void
mlp_part(const struct cw_encoder_weights *e, const struct cw_block_weights *b,
    const struct cw_run *r, int first, int n, int unit)
{
	const int W = e->W;
	float *x = r->x + (size_t)first * (size_t)W;
	const struct cw_input in = { x, n, W, unit };
	const struct cw_input hidden = { r->wide, n, e->hidden, unit };

	normed_apply(e, &b->ln2, &b->up, &in, r->wide, e->act, r);
	cw_linear_apply(&b->down, &hidden, x, W, CW_ACT_NONE, x, r->scratch);
}

/* The same of n rows in even parts: of some units, or of one. */
static void
mlp(const struct cw_encoder_weights *e, const struct cw_block_weights *b,
    const struct cw_run *r, int n, int unit)
{
	const int most = part_rows(e), units = n / unit;
	const int together = unit < most ? most / unit : 1;
	const int parts = (units + together - 1) / together;
	const int shares = (unit + most - 1) / most;

	for (int i = 0; i < parts; i++) {
		const int first = units * i / parts * unit;
		const int m = units * (i + 1) / parts * unit - first;

		for (int j = 0; j < shares; j++) {
			int from = m * j / shares & ~1;
			int to = j + 1 < shares ? m * (j + 1) / shares & ~1 : m;

			mlp_part(e, b, r, first + from, to - from,
			    shares > 1 ? to - from : unit);
		}
	}
}

void
cw_block_run(const struct cw_encoder_weights *e, int l, const struct cw_run *r)
{
	const bool last = l == e->L - 1;

	keep_rest(r, e->W, l - e->L);
	if (last)
		cw_attend_read(e, r);
	else
		for (int s = 0, end; s < r->nseq; s = end) {
			end = part_end(r, s, part_rows(e));
			attention_part(e, l, r, s, end);
		}
	keep_mlp(r, e->W, l, e->L, true);
	if (last)
		mlp(e, &e->block[l], r, r->nseq, 1);
	else
		mlp(e, &e->block[l], r, r->rows, r->unit);
	keep_mlp(r, e->W, l, e->L, false);
}

void
cw_encoder_run(const struct cw_encoder_weights *e, const struct cw_run *r)
{
	for (int l = 0; l < e->L; l++) {
		cw_block_run(e, l, r);
		cw_tap_call(r->tap, "layer", l, r->x,
		    l == e->L - 1 ? r->nseq : r->rows, e->W);
	}
}

enum cw_status
cw_unit(float *v, int n, float *norm, struct cw_err *err)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += (double)v[i] * (double)v[i];
	if (!isfinite(sum) || !(sum > 0))
		return cw_err_set(err, CW_E_NUMERIC,
		    "the embedding is not a finite vector");
	for (int i = 0; i < n; i++)
		v[i] = (float)(v[i] / sqrt(sum));
	*norm = (float)sqrt(sum);
	return CW_OK;
}

/* 1 / sqrt(var + eps) of z, as the final norm divided by it */
static double
inv_sigma(const float *z, int W, float eps)
{
	double mean = 0, var = 0;

	for (int i = 0; i < W; i++)
		mean += z[i];
	mean /= W;
	for (int i = 0; i < W; i++)
		var += (z[i] - mean) * (z[i] - mean);
	return 1 / sqrt(var / W + (double)eps);
}

enum cw_status
cw_encoder_finish(const struct cw_encoder_weights *e,
    const struct cw_norm *final, const struct cw_linear *proj,
    const struct cw_run *r, float *embed, float *norm, int *bad,
    struct cw_err *err)
{
	const int W = e->W, E = proj->out;
	const struct cw_input read = { r->norm, r->nseq, W, 1 };
	const float *z = r->x;
	enum cw_status st;
	float len = 0;

	cw_layernorm(z, r->nseq, W, W, final->w, final->b, e->eps, r->norm,
	    W);
	cw_linear_apply(proj, &read, embed, E, CW_ACT_NONE, NULL, r->scratch);
	if (cw_arena_overflowed(r->scratch))
		return cw_err_set(err, CW_E_LIMIT, "scratch is too small");
	cw_tap_call(r->tap, "embed", -1, embed, r->nseq, E);
	for (int s = 0; s < r->nseq; s++, z += W) {
		*bad = s;
		if ((st = cw_unit(embed + (size_t)s * (size_t)E, E, &len,
		    err)) != CW_OK)
			return st;
		if (norm != NULL)
			norm[s] = len;
		if (r->traces == NULL)
			continue;
		memcpy(r->traces[s].z, z, (size_t)W * sizeof(float));
		r->traces[s].inv_norm = 1 / len;
		r->traces[s].scale = (float)(inv_sigma(z, W, e->eps) / len);
	}
	return CW_OK;
}
