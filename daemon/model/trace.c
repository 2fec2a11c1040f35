/*
 * trace.c - see trace.h.
 */
#include "model/trace.h"

#include <string.h>

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

void
cw_trace_values(struct cw_trace *t, int k, const float *v, size_t ld)
{
	const size_t W = (size_t)t->W;

	for (int j = 0; j < t->T; j++)
		memcpy(t->v + ((size_t)k * (size_t)t->T + (size_t)j) * W,
		    v + (size_t)j * ld, W * sizeof(float));
}

void
cw_trace_mean(struct cw_trace *t, int l, int first, int n, const float *p)
{
	const size_t T = (size_t)t->T;
	float *m = t->mean_att + ((size_t)l * T + (size_t)first) * T;

	for (size_t i = 0; i < (size_t)n * T; i++)
		m[i] += p[i] / (float)t->H;
}
