/*
 * weights.c - see weights.h.
 */
#include "model/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/lookup.h"

/* What the two naming habits call the parts of a block. */
struct block_names {
	const char	*ln1, *out, *ln2, *up, *down;
};

static const struct block_names hf_names = {
	"layer_norm1", "self_attn.out_proj", "layer_norm2", "mlp.fc1",
	"mlp.fc2",
};
static const struct block_names openai_names = {
	"ln_1", "attn.out_proj", "ln_2", "mlp.c_fc", "mlp.c_proj",
};

bool
cw_weights_openai(const struct cw_safetensors *st)
{
	return cw_safetensors_find(st, "token_embedding.weight") != NULL;
}

size_t
cw_weights_bytes(const struct cw_safetensors *st)
{
	const bool openai = cw_weights_openai(st);
	size_t bytes = 16u << 20;	/* tables, alignment, scratch */

	for (size_t i = 0; i < st->ntensors; i++) {
		const struct cw_tensor *t = &st->tensors[i];
		size_t copies = t->dtype != CW_F32 ||
		    (uintptr_t)t->data % sizeof(float) != 0;

		/* OpenAI's: turned projections, folded convolutions. */
		if (openai && (strstr(t->name, "proj") != NULL ||
		    strncmp(t->name, "visual.", 7) == 0))
			copies++;
		if (t->dtype != CW_DTYPE_OTHER)
			bytes += copies * (t->count * sizeof(float) +
			    CW_ARENA_ALIGN);
	}
	return bytes;
}

/* q, k and v of one block: three tensors, or one with three bands. */
static void
load_qkv(struct cw_lookup *l, const char *prefix, bool fused, int W,
    struct cw_block_weights *b)
{
	struct cw_linear *part[] = { &b->q, &b->k, &b->v };
	static const char *const names[] = { "self_attn.q_proj",
	    "self_attn.k_proj", "self_attn.v_proj" };

	if (!fused) {
		for (size_t i = 0; i < 3; i++)
			*part[i] = cw_lookup_linear(l, prefix, names[i], W, W,
			    true);
	} else {
		const float *w = cw_lookup_matrix(l, prefix,
		    "attn.in_proj_weight", 3 * W, W);
		const float *bias = cw_lookup_vector(l, prefix,
		    "attn.in_proj_bias", 3 * W);

		for (size_t i = 0; i < 3 && bias != NULL; i++)
			*part[i] = (struct cw_linear){
				.in = W, .out = W,
				.w = w + i * (size_t)W * (size_t)W,
				.b = bias + i * (size_t)W,
			};
	}
	b->k.b = NULL;
}

static void
load_encoder(struct cw_lookup *l, const char *prefix, bool openai,
    const struct cw_encoder_config *c, struct cw_encoder_weights *out)
{
	const struct block_names *n = openai ? &openai_names : &hf_names;
	const int W = c->width;
	char p[CW_NAME_MAX / 2];

	*out = (struct cw_encoder_weights){
		.W = W, .L = c->layers, .H = c->heads, .hidden = c->hidden,
		.eps = c->eps, .act = c->act,
		.scale = 1 / sqrtf((float)(W / c->heads)),
		.block = cw_arena_zalloc(l->a, (size_t)c->layers,
		    sizeof(*out->block)),
		.key = cw_arena_zalloc(l->a, (size_t)c->heads,
		    sizeof(*out->key)),
		.value = cw_arena_zalloc(l->a, (size_t)c->heads,
		    sizeof(*out->value)),
	};
	if (cw_arena_overflowed(l->a)) {
		l->st = cw_err_set(l->err, CW_E_LIMIT, "too many layers");
		return;
	}
	for (int i = 0; i < c->layers; i++) {
		struct cw_block_weights *b = &out->block[i];

		snprintf(p, sizeof(p), "%s.%d", prefix, i);
		b->ln1 = cw_lookup_norm(l, p, n->ln1, W);
		load_qkv(l, p, openai, W, b);
		b->out = cw_lookup_linear(l, p, n->out, W, W, true);
		b->ln2 = cw_lookup_norm(l, p, n->ln2, W);
		b->up = cw_lookup_linear(l, p, n->up, W, c->hidden, true);
		b->down = cw_lookup_linear(l, p, n->down, c->hidden, W, true);
	}
	snprintf(p, sizeof(p), "%s.%d.%s", prefix, c->layers, n->ln1);
	if (l->st == CW_OK && cw_lookup_has(l, p, "weight"))
		l->st = cw_err_set(l->err, CW_E_MODEL, "%s: tensor "
		    "\"%s.weight\" is one layer too many; the configuration "
		    "says %d", l->file->what, p, c->layers);
}

static void
load_vit(struct cw_lookup *l, bool openai, const struct cw_model_config *c,
    struct cw_vit_weights *v)
{
	const char *emb = openai ? "visual" : "vision_model.embeddings";
	const char *top = openai ? "visual" : "vision_model";
	const char *patch = openai ? "conv1" : "patch_embedding";
	const int W = c->image.width;
	char p[CW_NAME_MAX / 2];

	*v = (struct cw_vit_weights){ .S = c->S, .P = c->P, .G = c->S / c->P,
	    .E = c->E };
	v->T = v->G * v->G + 1;
	snprintf(p, sizeof(p), "%s.%s", emb, patch);
	v->patch = (struct cw_linear){ .in = 3 * c->P * c->P, .out = W };
	v->patch.w = cw_lookup_values(l, p, "weight", 4,
	    (int64_t[]){ W, 3, c->P, c->P });
	if (cw_lookup_has(l, p, "bias"))
		v->patch.b = cw_lookup_vector(l, p, "bias", W);
	v->cls = cw_lookup_vector(l, emb, "class_embedding", W);
	v->pos = cw_lookup_matrix(l, emb, openai ? "positional_embedding" :
	    "position_embedding.weight", v->T, W);
	v->pre = cw_lookup_norm(l, top, openai ? "ln_pre" : "pre_layrnorm", W);
	v->post = cw_lookup_norm(l, top, openai ? "ln_post" :
	    "post_layernorm", W);
	load_encoder(l, openai ? "visual.transformer.resblocks" :
	    "vision_model.encoder.layers", openai, &c->image, &v->enc);
	v->proj = (struct cw_linear){ .in = W, .out = c->E };
	v->proj.w = openai ? cw_lookup_turned(l, "visual", "proj", c->E, W) :
	    cw_lookup_matrix(l, "", "visual_projection.weight", c->E, W);
}

static void
load_text(struct cw_lookup *l, bool openai, const struct cw_model_config *c,
    struct cw_text_weights *t)
{
	const char *emb = openai ? "" : "text_model.embeddings";
	const int W = c->text.width;

	*t = (struct cw_text_weights){ .context = c->context,
	    .vocab = c->vocab, .E = c->E };
	t->tok = cw_lookup_matrix(l, emb, "token_embedding.weight", c->vocab,
	    W);
	t->pos = cw_lookup_matrix(l, emb, openai ? "positional_embedding" :
	    "position_embedding.weight", c->context, W);
	load_encoder(l, openai ? "transformer.resblocks" :
	    "text_model.encoder.layers", openai, &c->text, &t->enc);
	t->final = cw_lookup_norm(l, openai ? "" : "text_model", openai ?
	    "ln_final" : "final_layer_norm", W);
	t->proj = (struct cw_linear){ .in = W, .out = c->E };
	t->proj.w = openai ? cw_lookup_turned(l, "", "text_projection", c->E,
	    W) : cw_lookup_matrix(l, "", "text_projection.weight", c->E, W);
}

static float
load_logit_scale(struct cw_lookup *l)
{
	const struct cw_tensor *t = cw_safetensors_find(l->file,
	    "logit_scale");
	const float *v;

	/* A scalar; older files hold a list of one. */
	v = cw_lookup_values(l, "", "logit_scale", t != NULL && t->ndim == 1,
	    (int64_t[]){ 1 });
	if (v == NULL)
		return 0;
	if (!(v[0] > -20 && v[0] < 20))
		l->st = cw_err_set(l->err, CW_E_MODEL, "%s: logit_scale is "
		    "%g; want -20 to 20", l->file->what, (double)v[0]);
	return expf(v[0]);
}

enum cw_status
cw_weights_load(const struct cw_safetensors *st,
    const struct cw_model_config *c, struct cw_arena *a,
    struct cw_weights *out, struct cw_err *err)
{
	const bool openai = cw_weights_openai(st);
	struct cw_lookup l = { .file = st, .a = a, .err = err };

	*out = (struct cw_weights){ 0 };
	if (c->kind == CW_TOWER_VIT)
		load_vit(&l, openai, c, &out->vit);
	else
		cw_resnet_load(&l, c, &out->resnet);
	load_text(&l, openai, c, &out->text);
	out->logit_scale = load_logit_scale(&l);
	return l.st;
}
