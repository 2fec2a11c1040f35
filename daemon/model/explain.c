/*
 * explain.c - see explain.h.
 *
 * Notation: z the read row after the last layer, g = gamma * (P' t),
 * q = g - mean(g), s = 1 / (sigma |u|):
 *	t . u/|u| = s (q . z) + beta . (P' t) / |u|
 * and z is the sum of what every layer wrote to that row.
 */
#include "model/explain.h"

#include <string.h>

#include "model/linear.h"
#include "model/model_state.h"

/* out [cols] = x [rows] W, W [rows][cols] */
static void
through(const float *x, const float *w, int rows, int cols, float *out)
{
	cw_gemm(1, cols, rows, 1, x, rows, w, cols, out, cols);
}

static double
dot(const float *a, const float *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

static enum cw_status
fold_alloc(struct cw_fold *f, int Lk, int W, struct cw_arena *a)
{
	*f = (struct cw_fold){ .Lk = Lk, .W = W };
	f->q = cw_arena_floats(a, (size_t)W);
	f->r = cw_arena_floats(a, (size_t)Lk * (size_t)W);
	f->ob = cw_arena_floats(a, (size_t)Lk);
	return cw_arena_overflowed(a) ? CW_E_LIMIT : CW_OK;
}

static enum cw_status
fold_encoder(const struct cw_encoder_weights *e, const struct cw_norm *final,
    const struct cw_linear *proj, const float *t, int keep_layers,
    struct cw_arena *a, struct cw_fold *f)
{
	const int W = e->W, Lk = keep_layers <= 0 || keep_layers > e->L ?
	    e->L : keep_layers;
	double mean = 0;

	if (fold_alloc(f, Lk, W, a) != CW_OK)
		return CW_E_LIMIT;
	through(t, proj->w, proj->out, W, f->q);	/* P' t */
	f->k = (float)dot(final->b, f->q, (size_t)W);
	for (int i = 0; i < W; i++)
		mean += f->q[i] *= final->w[i];
	mean /= W;
	for (int i = 0; i < W; i++)
		f->q[i] -= (float)mean;
	for (int l = 0; l < Lk; l++) {
		const struct cw_linear *o = &e->block[e->L - Lk + l].out;

		through(f->q, o->w, W, W, f->r + (size_t)l * (size_t)W);
		f->ob[l] = (float)dot(o->b, f->q, (size_t)W);
	}
	return CW_OK;
}

/* The pool is one attention with nothing behind it but its projection. */
static enum cw_status
fold_resnet(const struct cw_resnet_weights *w, const float *t,
    struct cw_arena *a, struct cw_fold *f)
{
	if (fold_alloc(f, 1, w->C, a) != CW_OK)
		return CW_E_LIMIT;
	memset(f->q, 0, (size_t)w->C * sizeof(float));
	f->ob[0] = 0;
	through(t, w->proj.w, w->E, w->C, f->r);
	f->k = (float)dot(w->proj.b, t, (size_t)w->E);
	return CW_OK;
}

enum cw_status
cw_fold_make(const struct cw_model *m, enum cw_side side, const float *t,
    int keep_layers, struct cw_arena *a, struct cw_fold *out)
{
	const struct cw_weights *w = &m->weights;

	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	if (side == CW_SIDE_TEXT)
		return fold_encoder(&w->text.enc, &w->text.final,
		    &w->text.proj, t, keep_layers, a, out);
	if (m->config.kind == CW_TOWER_RESNET)
		return fold_resnet(&w->resnet, t, a, out);
	return fold_encoder(&w->vit.enc, &w->vit.post, &w->vit.proj, t,
	    keep_layers, a, out);
}

/* out += weight * from */
static void
mix_floats(float *out, size_t n, float weight, const float *from)
{
	for (size_t i = 0; i < n; i++)
		out[i] += weight * from[i];
}

enum cw_status
cw_fold_mix(const struct cw_fold *const *f, const float *w, int n,
    struct cw_arena *a, struct cw_fold *out)
{
	size_t W, Lk;

	CW_CHECK(n > 0);
	W = (size_t)f[0]->W;
	Lk = (size_t)f[0]->Lk;
	if (fold_alloc(out, f[0]->Lk, f[0]->W, a) != CW_OK)
		return CW_E_LIMIT;
	memset(out->q, 0, W * sizeof(float));
	memset(out->r, 0, Lk * W * sizeof(float));
	memset(out->ob, 0, Lk * sizeof(float));
	for (int i = 0; i < n; i++) {
		CW_CHECK(f[i]->W == f[0]->W && f[i]->Lk == f[0]->Lk);
		mix_floats(out->q, W, w[i], f[i]->q);
		mix_floats(out->r, Lk * W, w[i], f[i]->r);
		mix_floats(out->ob, Lk, w[i], f[i]->ob);
		out->k += w[i] * f[i]->k;
	}
	return CW_OK;
}

/* Eight sums side by side, which the compiler turns into vectors. */
static float
dot_head(const float *a, const float *b, int n)
{
	float s[8] = { 0 };
	int i = 0;

	for (; i + 8 <= n; i += 8)
		for (int k = 0; k < 8; k++)
			s[k] += a[i + k] * b[i + k];
	for (; i < n; i++)
		s[0] += a[i] * b[i];
	return ((s[0] + s[4]) + (s[1] + s[5])) +
	    ((s[2] + s[6]) + (s[3] + s[7]));
}

/*
 * out[j] += sum over heads of att[h][j * step] * (v[j] . r), per head slice,
 * for n rows v of W.
 */
static void
add_heads(const struct cw_trace *t, const float *v, int n, const float *r,
    const float *att, size_t step, float *out)
{
	const int D = t->W / t->H;

	for (int j = 0; j < n; j++, v += t->W)
		for (int h = 0; h < t->H; h++)
			out[j] += att[(size_t)h * (size_t)t->T +
			    (size_t)j * step] * dot_head(v + h * D,
			    r + h * D, D);
}

/* Split [T] into the read token's value, returned, and the others, scaled. */
static float
split_read(const struct cw_trace *t, const float *all, float *tokens)
{
	float read = 0;

	for (int j = 0; j < t->T; j++)
		if (j == t->read)
			read = t->scale * all[j];
		else
			*tokens++ = t->scale * all[j];
	return read;
}

/*
 * ResNet: the mean token's value is the mean of the positions' contents plus
 * its own position and bias.  Hand each position its share; what is left
 * stays with the read token.  share: room for T-1 floats.
 */
static void
share_mean(const struct cw_trace *t, const struct cw_fold *f, float *share,
    struct cw_terms *out)
{
	const int n = t->T - 1;

	memset(share, 0, (size_t)n * sizeof(float));
	add_heads(t, t->share, n, f->r, t->att, 0, share);
	for (int j = 0; j < n; j++) {
		const float c = t->scale / (float)n * share[j];

		out->tokens[j] += c;
		out->read -= c;
	}
}

enum cw_status
cw_explain(const struct cw_model *m, const struct cw_trace *t,
    const struct cw_fold *f, struct cw_arena *a, struct cw_terms *out,
    float *by_layer)
{
	const size_t T = (size_t)t->T, n = T - 1, W = (size_t)t->W;
	float *all, *layer;
	size_t mark;

	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	CW_CHECK(t->Lk == f->Lk && t->W == f->W);
	*out = (struct cw_terms){ .ln_bias = f->k * t->inv_norm };
	out->tokens = cw_arena_zalloc(a, n, sizeof(float));
	mark = cw_arena_mark(a);
	all = cw_arena_floats(a, T);
	layer = cw_arena_floats(a, n);
	if (cw_arena_overflowed(a))
		return CW_E_LIMIT;
	for (size_t l = 0; l < (size_t)t->Lk; l++) {
		memset(all, 0, T * sizeof(float));
		add_heads(t, t->v + l * T * W, t->T, f->r + l * W,
		    t->att + l * (size_t)t->H * T, 1, all);
		out->read += split_read(t, all, layer);
		mix_floats(out->tokens, n, 1, layer);
		out->out_bias += t->scale * f->ob[l];
		if (t->mlp != NULL)
			out->mlp += t->scale * (float)dot(f->q,
			    t->mlp + l * W, W);
		if (by_layer != NULL)
			memcpy(by_layer + l * n, layer, n * sizeof(float));
	}
	if (t->rest != NULL)
		out->rest = t->scale * (float)dot(f->q, t->rest, W);
	if (t->share != NULL) {
		share_mean(t, f, layer, out);
		if (by_layer != NULL)
			memcpy(by_layer, out->tokens, n * sizeof(float));
	}
	cw_arena_release(a, mark);
	return CW_OK;
}

/* Copy the tokens but the read one. */
static void
without_read(const struct cw_trace *t, const float *row, float *out)
{
	for (int j = 0; j < t->T; j++)
		if (j != t->read)
			*out++ = row[j];
}

enum cw_status
cw_explain_raw(const struct cw_trace *t, float *out)
{
	const size_t T = (size_t)t->T, H = (size_t)t->H;
	const float *att = t->att + ((size_t)t->Lk - 1) * H * T;

	for (size_t j = 0; j < T; j++) {
		float sum = 0;

		if ((int)j == t->read)
			continue;
		for (size_t h = 0; h < H; h++)
			sum += att[h * T + j];
		*out++ = sum / (float)H;
	}
	return CW_OK;
}

enum cw_status
cw_explain_rollout(const struct cw_model *m, const struct cw_trace *t,
    struct cw_arena *scratch, float *out)
{
	const size_t T = (size_t)t->T, mark = cw_arena_mark(scratch);
	float *row = cw_arena_zalloc(scratch, T, sizeof(float));
	float *next = cw_arena_floats(scratch, T), *swap;

	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	if (cw_arena_overflowed(scratch))
		return CW_E_LIMIT;
	if (t->mean_att == NULL) {
		cw_arena_release(scratch, mark);
		return CW_E_UNSUPPORTED;
	}
	/* From the last layer down: row <- (row A + row) / 2. */
	row[t->read] = 1;
	for (int l = m->config.image.layers - 1; l >= 0; l--) {
		through(row, t->mean_att + (size_t)l * T * T, t->T, t->T,
		    next);
		for (size_t j = 0; j < T; j++)
			next[j] = 0.5f * (next[j] + row[j]);
		swap = row;
		row = next;
		next = swap;
	}
	without_read(t, row, out);
	cw_arena_release(scratch, mark);
	return CW_OK;
}
