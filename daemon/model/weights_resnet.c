/*
 * weights_resnet.c - the convolutions of a ModifiedResNet; see weights.h.
 *
 * Batch norm is an affine map per channel at run time, so it is folded into
 * the convolution before it.  Weights are reordered from [out][in][ky][kx] to
 * [out][ky][kx][in]: activations are rows of channels.
 */
#include "model/lookup.h"

#include <math.h>
#include <stdio.h>

#define BN_EPS	1e-5f		/* PyTorch's default; no file says otherwise */

/* gain and shift [n] of the batch norm prefix.name */
static void
load_norm(struct cw_lookup *l, const char *prefix, const char *name, int n,
    float *gain, float *shift)
{
	char p[CW_NAME_MAX];
	const float *w, *b, *mean, *var;

	snprintf(p, sizeof(p), "%s.%s", prefix, name);
	w = cw_lookup_vector(l, p, "weight", n);
	b = cw_lookup_vector(l, p, "bias", n);
	mean = cw_lookup_vector(l, p, "running_mean", n);
	var = cw_lookup_vector(l, p, "running_var", n);
	for (int i = 0; i < n && l->st == CW_OK; i++) {
		gain[i] = w[i] / sqrtf(var[i] + BN_EPS);
		shift[i] = b[i] - mean[i] * gain[i];
	}
}

static struct cw_conv
load_conv(struct cw_lookup *l, const char *prefix, const char *conv,
    const char *norm, int in, int out, int k, int stride)
{
	const size_t taps = (size_t)k * (size_t)k, cin = (size_t)in;
	struct cw_conv y = { .k = k, .stride = stride };
	float *w = cw_arena_floats(l->a, (size_t)out * cin * taps);
	float *b = cw_arena_floats(l->a, (size_t)out);
	float *gain = cw_arena_floats(l->a, (size_t)out);
	const float *from;
	char p[CW_NAME_MAX];

	snprintf(p, sizeof(p), "%s.%s", prefix, conv);
	from = cw_lookup_values(l, p, "weight", 4,
	    (int64_t[]){ out, in, k, k });
	if (l->st == CW_OK && cw_arena_overflowed(l->a))
		l->st = cw_err_set(l->err, CW_E_LIMIT, "%s: no room to fold "
		    "\"%s\"", l->file->what, p);
	if (l->st == CW_OK)
		load_norm(l, prefix, norm, out, gain, b);
	if (l->st != CW_OK)
		return y;
	for (size_t o = 0; o < (size_t)out; o++)
		for (size_t i = 0; i < cin; i++)
			for (size_t t = 0; t < taps; t++)
				w[(o * taps + t) * cin + i] = gain[o] *
				    from[(o * cin + i) * taps + t];
	y.l = (struct cw_linear){ .in = (int)(cin * taps), .out = out,
	    .w = w, .b = b };
	return y;
}

static void
load_bottleneck(struct cw_lookup *l, const char *p, int in, int planes,
    int stride, struct cw_bottleneck *b)
{
	b->stride = stride;
	b->conv[0] = load_conv(l, p, "conv1", "bn1", in, planes, 1, 1);
	b->conv[1] = load_conv(l, p, "conv2", "bn2", planes, planes, 3, 1);
	b->conv[2] = load_conv(l, p, "conv3", "bn3", planes, 4 * planes, 1,
	    1);
	b->has_down = cw_lookup_has(l, p, "downsample.0.weight");
	if (b->has_down)
		b->down = load_conv(l, p, "downsample.0", "downsample.1", in,
		    4 * planes, 1, 1);
	else if (l->st == CW_OK && (in != 4 * planes || stride != 1))
		l->st = cw_err_set(l->err, CW_E_MODEL, "%s: no tensor "
		    "\"%s.downsample.0.weight\"", l->file->what, p);
}

/*
 * The pool's values are linear in content plus position, so the position's
 * part (and the bias) is made here once: what is left of a token's value is
 * its content, which the explanation needs by itself.
 */
static void
load_pool(struct cw_lookup *l, struct cw_resnet_weights *r)
{
	const char *p = "visual.attnpool";
	const size_t n = (size_t)r->T * (size_t)r->C;
	float *vpos = cw_arena_floats(l->a, n);

	r->pos = cw_lookup_matrix(l, p, "positional_embedding", r->T, r->C);
	r->q = cw_lookup_linear(l, p, "q_proj", r->C, r->C, true);
	r->k = cw_lookup_linear(l, p, "k_proj", r->C, r->C, false);
	r->v = cw_lookup_linear(l, p, "v_proj", r->C, r->C, true);
	r->proj = cw_lookup_linear(l, p, "c_proj", r->C, r->E, true);
	if (l->st != CW_OK)
		return;
	if (vpos != NULL)
		cw_linear_apply(&r->v, &(struct cw_input){ r->pos, r->T, r->C,
		    1 }, vpos, r->C, CW_ACT_NONE, NULL, l->a);
	if (cw_arena_overflowed(l->a))
		l->st = cw_err_set(l->err, CW_E_LIMIT, "%s: no room for the "
		    "attention pool", l->file->what);
	r->vpos = vpos;
	r->v.b = NULL;
}

void
cw_resnet_load(struct cw_lookup *l, const struct cw_model_config *c,
    struct cw_resnet_weights *r)
{
	const int width = c->image.width / 32, half = width / 2;
	size_t blocks = 0, at = 0;
	int in = width, side;
	char p[CW_NAME_MAX / 2];

	*r = (struct cw_resnet_weights){ .S = c->S, .E = c->E,
	    .C = c->image.width, .H = c->image.heads };
	r->scale = 1 / sqrtf((float)(r->C / r->H));
	side = ((c->S - 1) / 2 + 1) / 2;	/* strided convolution, pool */
	for (int s = 0; s < CW_STAGES; s++) {
		blocks += (size_t)c->stages[s];
		r->stages[s] = c->stages[s];
		if (s > 0)
			side /= 2;
	}
	if (side < 1) {
		l->st = cw_err_set(l->err, CW_E_MODEL,
		    "%s: image_size %d leaves nothing to pool",
		    l->file->what, c->S);
		return;
	}
	if (side > CW_MODEL_GRID_MAX) {
		l->st = cw_err_set(l->err, CW_E_MODEL, "%s: image_size %d "
		    "leaves %d by %d cells to pool; want at most %d by %d",
		    l->file->what, c->S, side, side, CW_MODEL_GRID_MAX,
		    CW_MODEL_GRID_MAX);
		return;
	}
	r->G = side;
	r->T = side * side + 1;
	r->stem[0] = load_conv(l, "visual", "conv1", "bn1", 3, half, 3, 2);
	r->stem[1] = load_conv(l, "visual", "conv2", "bn2", half, half, 3, 1);
	r->stem[2] = load_conv(l, "visual", "conv3", "bn3", half, width, 3, 1);
	r->block = cw_arena_zalloc(l->a, blocks, sizeof(*r->block));
	for (int s = 0; s < CW_STAGES && l->st == CW_OK; s++) {
		const int planes = width << s;

		for (int i = 0; i < c->stages[s] && l->st == CW_OK; i++) {
			snprintf(p, sizeof(p), "visual.layer%d.%d", s + 1, i);
			load_bottleneck(l, p, in, planes,
			    s > 0 && i == 0 ? 2 : 1, &r->block[at++]);
			in = 4 * planes;
		}
	}
	if (l->st == CW_OK)
		load_pool(l, r);
}
