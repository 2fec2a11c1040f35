/*
 * vision.c - the image tower of a ViT; see towers.h.
 */
#include "model/towers.h"

#include <string.h>

#include "model/rows.h"

/*
 * Patches as rows, [B*G*G][3*P*P]: channel, then line, then column, as the
 * patch convolution's weights are stored.
 */
static void
cut_patches(const struct cw_vit_weights *v, const float *pixels, int B,
    float *out)
{
	const size_t S = (size_t)v->S, P = (size_t)v->P, G = (size_t)v->G;

	for (size_t b = 0; b < (size_t)B; b++)
		for (size_t p = 0; p < G * G; p++)
			for (size_t c = 0; c < 3; c++)
				for (size_t y = 0; y < P; y++, out += P)
					memcpy(out, pixels + ((b * 3 + c) * S +
					    p / G * P + y) * S + p % G * P,
					    P * sizeof(float));
}

/* The class row, and each patch on its place. */
static void
add_positions(const struct cw_vit_weights *v, const float *patches,
    const struct cw_run *r)
{
	const size_t W = (size_t)v->enc.W, n = (size_t)v->T * W;

	for (size_t b = 0; b < (size_t)r->nseq; b++) {
		float *x = r->x + b * n;

		for (size_t i = 0; i < W; i++)
			x[i] = v->cls[i] + v->pos[i];
		for (size_t i = W; i < n; i++)
			x[i] = patches[b * (n - W) + i - W] + v->pos[i];
	}
}

static int
patch_floats(const struct cw_vit_weights *v)
{
	return v->patch.in;
}

size_t
cw_vit_scratch_bytes(const struct cw_vit_weights *v, int B)
{
	return cw_run_bytes(&v->enc, B * v->T, v->T, patch_floats(v)) +
	    (size_t)B * sizeof(struct cw_seq);
}

void
cw_vit_enter(const struct cw_vit_weights *v, const float *pixels, int B,
    const struct cw_run *r)
{
	const struct cw_input patches = { r->wide, B * v->G * v->G,
	    v->patch.in, v->G * v->G };
	const int W = v->enc.W;

	cut_patches(v, pixels, B, r->wide);
	cw_linear_apply(&v->patch, &patches, r->norm, W, CW_ACT_NONE, NULL,
	    r->scratch);
	add_positions(v, r->norm, r);
	cw_layernorm(r->x, B * v->T, W, W, v->pre.w, v->pre.b, v->enc.eps,
	    r->x, W);
}

enum cw_status
cw_vit_encode(const struct cw_vit_weights *v, const float *pixels, int B,
    const struct cw_encode *job, float *embed, float *norm,
    struct cw_err *err)
{
	struct cw_run r = { .nseq = B, .rows = B * v->T, .unit = v->T,
	    .longest = v->T,
	    .scratch = job->scratch, .traces = job->traces,
	    .tap = job->tap };
	struct cw_seq *seq = cw_arena_zalloc(r.scratch, (size_t)B,
	    sizeof(*seq));
	int bad;

	for (int b = 0; b < B && job->traces != NULL; b++)
		if (cw_trace_make(&job->traces[b], &v->enc, v->T, 0,
		    job->keep_layers, (job->want & CW_WANT_ROLLOUT) != 0,
		    job->keep) != CW_OK)
			return cw_err_set(err, CW_E_LIMIT,
			    "no room to keep an explanation");
	if (cw_run_make(&r, &v->enc, patch_floats(v)) != CW_OK)
		return cw_err_set(err, CW_E_LIMIT, "scratch is too small");
	for (int b = 0; b < B; b++)
		seq[b] = (struct cw_seq){ .n = v->T, .read = 0,
		    .at = b * v->T };
	r.seq = seq;

	cw_vit_enter(v, pixels, B, &r);
	cw_tap_call(r.tap, "patch_embed", -1, r.x, B * v->T, v->enc.W);
	cw_encoder_run(&v->enc, &r);
	return cw_encoder_finish(&v->enc, &v->post, &v->proj, &r, embed, norm,
	    &bad, err);
}
