/*
 * block.c - see block.h.
 */
#include "model/block.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/rows.h"

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

enum cw_status
cw_run_make(struct cw_run *r, const struct cw_encoder_weights *e, int wide)
{
	const size_t rows = (size_t)r->B * (size_t)r->T;
	const size_t W = (size_t)e->W;
	size_t w = 4 * W;

	if (w < (size_t)e->hidden)
		w = (size_t)e->hidden;
	if (w < (size_t)wide)
		w = (size_t)wide;
	r->x = cw_arena_floats(r->scratch, rows * W);
	r->norm = cw_arena_floats(r->scratch, rows * W);
	r->wide = cw_arena_floats(r->scratch, rows * w);
	r->att = cw_arena_floats(r->scratch, (size_t)r->T * (size_t)r->T);
	return cw_arena_overflowed(r->scratch) ? CW_E_LIMIT : CW_OK;
}

enum cw_status
cw_trace_make(struct cw_trace *t, const struct cw_encoder_weights *e, int T,
    int read, int keep_layers, bool rollout, struct cw_arena *keep)
{
	const int Lk = keep_layers <= 0 || keep_layers > e->L ? e->L :
	    keep_layers;
	const size_t n = (size_t)Lk, tokens = (size_t)T, W = (size_t)e->W;

	*t = (struct cw_trace){ .Lk = Lk, .T = T, .W = e->W, .H = e->H,
	    .read = read };
	t->v = cw_arena_floats(keep, n * tokens * W);
	t->att = cw_arena_floats(keep, n * (size_t)e->H * tokens);
	t->mlp = cw_arena_floats(keep, n * W);
	t->rest = cw_arena_floats(keep, W);
	t->z = cw_arena_floats(keep, W);
	if (rollout)
		t->mean_att = cw_arena_zalloc(keep,
		    (size_t)e->L * tokens * tokens, sizeof(float));
	return cw_arena_overflowed(keep) ? CW_E_LIMIT : CW_OK;
}

/* Keep the values of layer k of sequence s, v is [T] rows 3W apart. */
static void
keep_values(struct cw_trace *t, int k, const float *v)
{
	const size_t W = (size_t)t->W;

	for (int j = 0; j < t->T; j++)
		memcpy(t->v + ((size_t)k * (size_t)t->T + (size_t)j) * W,
		    v + (size_t)j * 3 * W, W * sizeof(float));
}

/* Add a head's probabilities, rows first .. first+n-1, to the head mean. */
static void
add_mean(struct cw_trace *t, int l, int first, int n, const float *p)
{
	const size_t T = (size_t)t->T;
	float *m = t->mean_att + ((size_t)l * T + (size_t)first) * T;

	for (size_t i = 0; i < (size_t)n * T; i++)
		m[i] += p[i] / (float)t->H;
}

/*
 * softmax(scale q k') v of every head.  q, k and v lie side by side in rows
 * of 3W in r->wide; n query rows of each sequence, from row first on, give n
 * rows of mix [B*n][W].
 */
static void
attention(const struct cw_encoder_weights *e, int l, int first, int n,
    const struct cw_run *r, float *mix)
{
	const int W = e->W, T = r->T, D = W / e->H;
	const size_t seq = (size_t)T * 3 * (size_t)W;
	const int k = l - e->L;			/* counted from the end */

	for (int s = 0; s < r->B; s++) {
		const float *qkv = r->wide + (size_t)s * seq;
		struct cw_trace *t = r->traces != NULL ? &r->traces[s] : NULL;

		if (t != NULL && t->Lk + k >= 0)
			keep_values(t, t->Lk + k, qkv + 2 * W);
		for (int h = 0; h < e->H; h++) {
			const float *q = qkv + (size_t)first * 3 * (size_t)W +
			    h * D;
			float *out = mix + (size_t)s * (size_t)n * (size_t)W +
			    h * D;

			cw_gemm_bt(n, T, D, e->scale, q, 3 * W,
			    qkv + W + h * D, 3 * W, r->att, T);
			cw_softmax_rows(r->att, n, T, T,
			    r->causal ? first : -1);
			cw_gemm(n, D, T, 1, r->att, T, qkv + 2 * W + h * D,
			    3 * W, out, W);
			if (t != NULL && t->Lk + k >= 0)
				memcpy(t->att + ((size_t)(t->Lk + k) *
				    (size_t)e->H + (size_t)h) * (size_t)T,
				    r->att + (size_t)(r->read - first) *
				    (size_t)T, (size_t)T * sizeof(float));
			if (t != NULL && t->mean_att != NULL)
				add_mean(t, l, first, n, r->att);
			if (s == 0)
				cw_tap_call(r->tap, "attention",
				    l * e->H + h, r->att, n, T);
		}
	}
}

/* mlp = x of the read row (after) - x before, where it was put aside. */
static void
keep_mlp(const struct cw_run *r, int W, int k, bool before)
{
	for (int s = 0; s < r->B && r->traces != NULL; s++) {
		struct cw_trace *t = &r->traces[s];
		const float *x = r->x + ((size_t)s * (size_t)r->T +
		    (size_t)r->read) * (size_t)W;
		float *m;

		if (t->Lk + k < 0)
			continue;
		m = t->mlp + (size_t)(t->Lk + k) * (size_t)W;
		for (int i = 0; i < W; i++)
			m[i] = before ? x[i] : x[i] - m[i];
	}
}

/* The stream that enters the first kept layer. */
static void
keep_rest(const struct cw_run *r, int W, int k)
{
	for (int s = 0; s < r->B && r->traces != NULL; s++)
		if (r->traces[s].Lk + k == 0)
			memcpy(r->traces[s].rest, r->x + ((size_t)s *
			    (size_t)r->T + (size_t)r->read) * (size_t)W,
			    (size_t)W * sizeof(float));
}

static void
block_run(const struct cw_encoder_weights *e, int l, const struct cw_run *r)
{
	const struct cw_block_weights *b = &e->block[l];
	const int W = e->W, T = r->T, rows = r->B * T, k = l - e->L;
	const bool last = l == e->L - 1;
	/* The rows that go on: every one, or one of T. */
	const int first = last ? r->read : 0, n = last ? 1 : T;
	const int ld = last ? T * W : W, out = r->B * n;
	const size_t skip = (size_t)first * (size_t)W;
	float *x = r->x + skip, *wide = r->wide;
	float *mix = wide + (size_t)rows * 3 * (size_t)W;

	keep_rest(r, W, k);
	cw_layernorm(r->x, rows, W, W, b->ln1.w, b->ln1.b, e->eps, r->norm,
	    W);
	if (last) {
		cw_linear_apply(&b->q, out, r->norm + skip, ld,
		    wide + 3 * skip, 3 * ld, CW_ACT_NONE, NULL, r->scratch);
		cw_linear_apply(&b->kv, rows, r->norm, W, wide + W, 3 * W,
		    CW_ACT_NONE, NULL, r->scratch);
	} else {
		cw_linear_apply(&b->qkv, rows, r->norm, W, wide, 3 * W,
		    CW_ACT_NONE, NULL, r->scratch);
	}
	attention(e, l, first, n, r, mix);
	cw_linear_apply(&b->out, out, mix, W, x, ld, CW_ACT_NONE, x,
	    r->scratch);

	keep_mlp(r, W, k, true);
	cw_layernorm(x, out, W, ld, b->ln2.w, b->ln2.b, e->eps, r->norm, W);
	cw_linear_apply(&b->up, out, r->norm, W, wide, e->hidden, e->act, NULL,
	    r->scratch);
	cw_linear_apply(&b->down, out, wide, e->hidden, x, ld, CW_ACT_NONE, x,
	    r->scratch);
	keep_mlp(r, W, k, false);
}

void
cw_encoder_run(const struct cw_encoder_weights *e, const struct cw_run *r)
{
	for (int l = 0; l < e->L; l++) {
		block_run(e, l, r);
		cw_tap_call(r->tap, "layer", l, r->x, r->B * r->T, e->W);
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
    const struct cw_run *r, float *embed, float *norm, struct cw_err *err)
{
	const int W = e->W, E = proj->out;
	const float *z = r->x + (size_t)r->read * (size_t)W;
	enum cw_status st;
	float len = 0;

	cw_layernorm(z, r->B, W, r->T * W, final->w, final->b, e->eps,
	    r->norm, W);
	cw_linear_apply(proj, r->B, r->norm, W, embed, E, CW_ACT_NONE, NULL,
	    r->scratch);
	if (cw_arena_overflowed(r->scratch))
		return cw_err_set(err, CW_E_LIMIT, "scratch is too small");
	cw_tap_call(r->tap, "embed", -1, embed, r->B, E);
	for (int s = 0; s < r->B; s++, z += (size_t)r->T * (size_t)W) {
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
