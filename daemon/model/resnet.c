/*
 * resnet.c - the image tower of a ModifiedResNet; see towers.h.
 *
 * Activations are rows, one per position, of channels: a 1x1 convolution is
 * a matrix product as it stands, a 3x3 one after its neighbourhoods have been
 * laid out, a band of lines at a time so that they stay in the cache.
 */
#include "model/towers.h"

#include <string.h>

#include "model/rows.h"

#define BAND_FLOATS	(1u << 18)	/* 1 MiB of neighbourhoods at a time */

/* A map of side*side rows of C. */
struct map {
	int	 side, C;
	float	*v;
};

/* Floats of the largest map: behind the stem, or behind layer 1 (equal). */
static size_t
map_floats(const struct cw_resnet_weights *w)
{
	const size_t side = ((size_t)w->S - 1) / 2 + 1;
	const size_t width = (size_t)w->C / 32;

	return side * side * (width > 3 ? width : 3) + 4 * (size_t)w->S *
	    (size_t)w->S;
}

/* Floats of a band: at least one line of the widest convolution. */
static size_t
band_floats(const struct cw_resnet_weights *w)
{
	size_t most = 0, line;

	for (size_t i = 0; i < 3; i++) {
		line = (size_t)w->S * (size_t)w->stem[i].l.in;
		most = line > most ? line : most;
	}
	line = (size_t)w->S * 9 * (size_t)w->C / 4;
	most = line > most ? line : most;
	return most > BAND_FLOATS ? most : BAND_FLOATS;
}

size_t
cw_resnet_scratch_bytes(const struct cw_resnet_weights *w, int B)
{
	const size_t pool = 8 * (size_t)w->T * (size_t)w->C;

	(void)B;			/* one image after the other */
	return sizeof(float) * (4 * map_floats(w) + 2 * band_floats(w) +
	    pool) + CW_LINEAR_SCRATCH + (8u << 20);
}

/* Neighbourhoods of lines first .. last-1 of the result: [..][9*C]. */
static void
lay_out(const struct map *in, int stride, int side, int first, int last,
    float *out)
{
	const size_t C = (size_t)in->C;

	for (int y = first; y < last; y++)
		for (int x = 0; x < side; x++)
			for (int t = 0; t < 9; t++, out += C) {
				const int iy = y * stride + t / 3 - 1;
				const int ix = x * stride + t % 3 - 1;

				if (iy < 0 || iy >= in->side || ix < 0 ||
				    ix >= in->side)
					memset(out, 0, C * sizeof(float));
				else
					memcpy(out, in->v + ((size_t)iy *
					    (size_t)in->side + (size_t)ix) * C,
					    C * sizeof(float));
			}
}

/* out->v = act(conv(in) + residual); out->v and in->v do not overlap. */
static void
convolve(const struct cw_conv *c, const struct map *in, struct map *out,
    enum cw_act act, const float *residual, struct cw_arena *scratch)
{
	const int side = (in->side - 1) / c->stride + 1, K = c->l.in;
	const size_t mark = cw_arena_mark(scratch);
	int lines = (int)(BAND_FLOATS / ((size_t)side * (size_t)K));
	struct cw_input rows;
	float *band;

	out->side = side;
	out->C = c->l.out;
	if (c->k == 1) {
		rows = (struct cw_input){ in->v, side * side, K, side * side };
		cw_linear_apply(&c->l, &rows, out->v, out->C, act, residual,
		    scratch);
		return;
	}
	if (lines < 1)
		lines = 1;
	if (lines > side)
		lines = side;
	band = cw_arena_floats(scratch, (size_t)lines * (size_t)side *
	    (size_t)K);
	for (int y = 0; y < side && band != NULL; y += lines) {
		const int n = y + lines < side ? lines : side - y;

		lay_out(in, c->stride, side, y, y + n, band);
		rows = (struct cw_input){ band, n * side, K, n * side };
		cw_linear_apply(&c->l, &rows, out->v + (size_t)y *
		    (size_t)side * (size_t)out->C, out->C, act, NULL,
		    scratch);
	}
	cw_arena_release(scratch, mark);
}

/* 2x2 average, in place; a last odd line and column are dropped. */
static void
pool2(struct map *m)
{
	const size_t C = (size_t)m->C, from = (size_t)m->side;
	const size_t side = from / 2;

	for (size_t y = 0; y < side; y++)
		for (size_t x = 0; x < side; x++) {
			const float *a = m->v + (2 * y * from + 2 * x) * C;
			const float *b = a + from * C;
			float *out = m->v + (y * side + x) * C;

			for (size_t i = 0; i < C; i++)
				out[i] = 0.25f * (a[i] + a[C + i] + b[i] +
				    b[C + i]);
		}
	m->side = (int)side;
}

static void
relu(const struct map *m)
{
	const size_t n = (size_t)m->side * (size_t)m->side * (size_t)m->C;

	for (size_t i = 0; i < n; i++)
		m->v[i] = m->v[i] < 0 ? 0 : m->v[i];
}

/*
 * 1x1, 3x3, pool, 1x1, plus the shortcut, in m[0]; m[1..3] are room.  The
 * stride is the average pool, on the shortcut too.
 */
static void
bottleneck(const struct cw_bottleneck *b, struct map m[4],
    struct cw_arena *scratch)
{
	struct map swap;

	convolve(&b->conv[0], &m[0], &m[1], CW_ACT_RELU, NULL, scratch);
	convolve(&b->conv[1], &m[1], &m[2], CW_ACT_RELU, NULL, scratch);
	if (b->stride == 2) {
		pool2(&m[2]);
		pool2(&m[0]);
	}
	if (b->has_down) {
		convolve(&b->down, &m[0], &m[3], CW_ACT_NONE, NULL, scratch);
		swap = m[0];
		m[0] = m[3];
		m[3] = swap;
	}
	convolve(&b->conv[2], &m[2], &m[1], CW_ACT_NONE, m[0].v, scratch);
	relu(&m[1]);
	swap = m[0];
	m[0] = m[1];
	m[1] = swap;
}

/* Planar [3][S][S] to rows of 3. */
static void
to_rows(const float *pixels, int S, struct map *out)
{
	const size_t n = (size_t)S * (size_t)S;

	for (size_t p = 0; p < n; p++)
		for (size_t c = 0; c < 3; c++)
			out->v[p * 3 + c] = pixels[c * n + p];
	out->side = S;
	out->C = 3;
}

/* Everything up to the pool; the last map is m[0]. */
static void
features(const struct cw_resnet_weights *w, const float *pixels,
    struct map m[4], const struct cw_encode *job)
{
	const struct cw_bottleneck *b = w->block;

	to_rows(pixels, w->S, &m[0]);
	convolve(&w->stem[0], &m[0], &m[1], CW_ACT_RELU, NULL, job->scratch);
	convolve(&w->stem[1], &m[1], &m[2], CW_ACT_RELU, NULL, job->scratch);
	convolve(&w->stem[2], &m[2], &m[0], CW_ACT_RELU, NULL, job->scratch);
	pool2(&m[0]);
	cw_tap_call(job->tap, "stem", -1, m[0].v, m[0].side * m[0].side,
	    m[0].C);
	for (int s = 0; s < CW_STAGES; s++) {
		for (int i = 0; i < w->stages[s]; i++)
			bottleneck(b++, m, job->scratch);
		cw_tap_call(job->tap, "stage", s + 1, m[0].v,
		    m[0].side * m[0].side, m[0].C);
	}
}

/* What the pool's explanation needs: arrays of one trace, in keep. */
static enum cw_status
trace_make(struct cw_trace *t, const struct cw_resnet_weights *w,
    struct cw_arena *keep)
{
	const size_t n = (size_t)w->T * (size_t)w->C;

	*t = (struct cw_trace){ .Lk = 1, .T = w->T, .W = w->C, .H = w->H };
	t->v = cw_arena_floats(keep, n);
	t->att = cw_arena_floats(keep, (size_t)w->H * (size_t)w->T);
	t->share = cw_arena_floats(keep, n - (size_t)w->C);
	return cw_arena_overflowed(keep) ? CW_E_LIMIT : CW_OK;
}

/* out [C] = mean of n rows of C */
static void
mean_row(const float *rows, size_t n, size_t C, float *out)
{
	memset(out, 0, C * sizeof(float));
	for (size_t r = 0; r < n; r++)
		for (size_t i = 0; i < C; i++)
			out[i] += rows[r * C + i];
	for (size_t i = 0; i < C; i++)
		out[i] /= (float)n;
}

/*
 * The mean token asks all tokens, once, and its answer is the embedding.
 * tokens [T][C]: row 0 is made here, the others are the last map.
 */
static void
attention_pool(const struct cw_resnet_weights *w, float *tokens,
    const struct cw_encode *job, struct cw_trace *t, float *embed)
{
	const size_t C = (size_t)w->C, T = (size_t)w->T, D = C / (size_t)w->H;
	struct cw_arena *a = job->scratch;
	float *v = cw_arena_floats(a, T * C), *k = cw_arena_floats(a, T * C);
	float *q = cw_arena_floats(a, C), *mix = cw_arena_floats(a, C);
	float *att = cw_arena_floats(a, (size_t)w->H * T);
	const struct cw_input all = { tokens, w->T, w->C, w->T };
	const struct cw_input mean = { tokens, 1, w->C, 1 };
	const struct cw_input mixed = { mix, 1, w->C, 1 };

	if (cw_arena_overflowed(a))
		return;
	mean_row(tokens + C, T - 1, C, tokens);
	cw_linear_apply(&w->v, &all, v, w->C, CW_ACT_NONE, NULL, a);
	if (t != NULL)
		memcpy(t->share, v + C, (T - 1) * C * sizeof(float));
	for (size_t i = 0; i < T * C; i++) {
		v[i] += w->vpos[i];
		tokens[i] += w->pos[i];
	}
	cw_linear_apply(&w->q, &mean, q, w->C, CW_ACT_NONE, NULL, a);
	cw_linear_apply(&w->k, &all, k, w->C, CW_ACT_NONE, NULL, a);
	for (size_t h = 0; h < (size_t)w->H; h++) {
		cw_gemm_bt(1, w->T, (int)D, w->scale, q + h * D, w->C,
		    k + h * D, w->C, att + h * T, w->T);
		cw_softmax_rows(att + h * T, 1, w->T, w->T, -1);
		cw_gemm(1, (int)D, w->T, 1, att + h * T, w->T, v + h * D,
		    w->C, mix + h * D, w->C);
	}
	cw_tap_call(job->tap, "pool_attention", -1, att, w->H, w->T);
	if (t != NULL) {
		memcpy(t->v, v, T * C * sizeof(float));
		memcpy(t->att, att, (size_t)w->H * T * sizeof(float));
	}
	cw_linear_apply(&w->proj, &mixed, embed, w->E, CW_ACT_NONE, NULL, a);
}

static enum cw_status
encode_one(const struct cw_resnet_weights *w, const float *pixels,
    const struct cw_encode *job, struct cw_trace *t, float *embed,
    float *norm, struct cw_err *err)
{
	const size_t mark = cw_arena_mark(job->scratch);
	struct map m[4] = { 0 };
	enum cw_status st;
	float *tokens;

	for (size_t i = 0; i < 4; i++)
		m[i].v = cw_arena_floats(job->scratch, map_floats(w));
	tokens = cw_arena_floats(job->scratch, (size_t)w->T * (size_t)w->C);
	if (!cw_arena_overflowed(job->scratch)) {
		features(w, pixels, m, job);
		CW_CHECK(m[0].side == w->G && m[0].C == w->C);
		memcpy(tokens + w->C, m[0].v, ((size_t)w->T - 1) *
		    (size_t)w->C * sizeof(float));
		attention_pool(w, tokens, job, t, embed);
	}
	if (cw_arena_overflowed(job->scratch))
		return cw_err_set(err, CW_E_LIMIT, "scratch is too small");
	cw_arena_release(job->scratch, mark);
	cw_tap_call(job->tap, "embed", -1, embed, 1, w->E);
	if ((st = cw_unit(embed, w->E, norm, err)) == CW_OK && t != NULL)
		t->scale = t->inv_norm = 1 / *norm;
	return st;
}

enum cw_status
cw_resnet_encode(const struct cw_resnet_weights *w, const float *pixels,
    int B, const struct cw_encode *job, float *embed, float *norm,
    struct cw_err *err)
{
	const size_t n = 3 * (size_t)w->S * (size_t)w->S;

	for (size_t b = 0; b < (size_t)B; b++) {
		struct cw_trace *t = job->traces != NULL ? &job->traces[b] :
		    NULL;
		enum cw_status st;
		float len = 0;

		if (t != NULL && trace_make(t, w, job->keep) != CW_OK)
			return cw_err_set(err, CW_E_LIMIT,
			    "no room to keep an explanation");
		st = encode_one(w, pixels + b * n, job, t,
		    embed + b * (size_t)w->E, &len, err);
		if (st != CW_OK)
			return st;
		if (norm != NULL)
			norm[b] = len;
	}
	return CW_OK;
}
