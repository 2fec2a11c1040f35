/*
 * survey.c - see survey.h.
 */
#include "model/survey.h"

#include <string.h>

#include "model/block.h"
#include "model/kernels/kernel.h"
#include "model/kernels/openblas.h"
#include "model/towers.h"

/*
 * With 8 pictures of 50 tokens the lowest cosine on seeded ViT-B/32 weights is
 * 0.00004 less, with 24 as high; of more tokens fewer pictures do.
 */
#define PICTURES	16
#define MANY_TOKENS	256
#define AT_ONCE		4

struct cw_survey {
	struct cw_arena			*arena;		/* holds this, too */
	const struct cw_vit_weights	*v;
	int				 pictures;
	float				*x;	/* [pictures * T][W] */
	float				*gram[CW_BLOCK_MATRICES];
	struct cw_run			 run;	/* of AT_ONCE */
};

/* A matrix in float that sums up what it is applied to. */
struct watched {
	struct cw_linear	 l;
	float			*gram;
};

static bool
supported(void)
{
	return true;
}

static void
watch(const struct cw_linear *l, const struct cw_input *x, float *y, int ldy,
    enum cw_act act, const float *residual, struct cw_arena *scratch)
{
	const struct watched *w = l->packed;

	cw_gram_add(x->x, x->n, l->in, x->ld, w->gram);
	cw_linear_apply(&w->l, x, y, ldy, act, residual, scratch);
}

static const struct cw_kernel watching = {
	.name = "survey", .supported = supported, .apply = watch
};

static int
pictures_for(const struct cw_vit_weights *v)
{
	return v->T < MANY_TOKENS ? PICTURES : PICTURES / 2;
}

static size_t
rows_of(const struct cw_vit_weights *v, int pictures)
{
	return (size_t)pictures * (size_t)v->T;
}

static size_t
inputs(const struct cw_vit_weights *v, int i)
{
	return (size_t)(i == CW_DOWN ? v->enc.hidden : v->enc.W);
}

static size_t
arena_bytes(const struct cw_vit_weights *v)
{
	size_t floats = rows_of(v, pictures_for(v)) * (size_t)v->enc.W +
	    (size_t)(AT_ONCE * 3 * v->S) * (size_t)v->S;

	for (int i = 0; i < CW_BLOCK_MATRICES; i++)
		floats += inputs(v, i) * inputs(v, i);
	return floats * sizeof(float) + cw_run_bytes(&v->enc, AT_ONCE * v->T,
	    v->T, v->patch.in) + (1u << 20);
}

/* The pictures as they enter the first block. */
static void
enter(struct cw_survey *c, float *pixels)
{
	const size_t S = (size_t)c->v->S;
	const size_t n = rows_of(c->v, AT_ONCE) * (size_t)c->v->enc.W;
	float *own = c->run.x;

	for (int i = 0; i < c->pictures; i += AT_ONCE) {
		for (int j = 0; j < AT_ONCE; j++)
			cw_survey_picture(i + j, c->v->S,
			    pixels + (size_t)j * 3 * S * S);
		c->run.x = c->x + (size_t)(i / AT_ONCE) * n;
		cw_vit_enter(c->v, pixels, AT_ONCE, &c->run);
	}
	c->run.x = own;
}

enum cw_status
cw_survey_open(const struct cw_vit_weights *v,
    struct cw_survey **out, struct cw_err *err)
{
	const size_t S = (size_t)v->S;
	struct cw_survey *c;
	struct cw_arena *a;
	struct cw_seq *seq;
	enum cw_status st;
	float *pixels;

	if ((st = cw_arena_open(arena_bytes(v), &a, err)) != CW_OK)
		return st;
	c = cw_arena_zalloc(a, 1, sizeof(*c));
	seq = cw_arena_zalloc(a, AT_ONCE, sizeof(*seq));
	*c = (struct cw_survey){ .arena = a, .v = v,
	    .pictures = pictures_for(v), .run = {
	    .nseq = AT_ONCE, .rows = AT_ONCE * v->T, .unit = v->T,
	    .longest = v->T, .seq = seq, .scratch = a } };
	for (int i = 0; i < AT_ONCE; i++)
		seq[i] = (struct cw_seq){ .n = v->T, .at = i * v->T };
	c->x = cw_arena_floats(a, rows_of(v, c->pictures) * (size_t)v->enc.W);
	for (int i = 0; i < CW_BLOCK_MATRICES; i++)
		c->gram[i] = cw_arena_floats(a, inputs(v, i) * inputs(v, i));
	pixels = cw_arena_floats(a, AT_ONCE * 3 * S * S);
	if (cw_run_make(&c->run, &v->enc, v->patch.in) != CW_OK) {
		cw_arena_close(&a);
		return cw_err_set(err, CW_E_LIMIT, "no room to survey a block");
	}
	enter(c, pixels);
	*out = c;
	return CW_OK;
}

void
cw_survey_close(struct cw_survey **c)
{
	struct cw_arena *a;

	if (*c == NULL)
		return;
	a = (*c)->arena;
	cw_arena_close(&a);
	*c = NULL;
}

enum cw_status
cw_survey_block(struct cw_survey *c,
    const struct cw_linear l[CW_BLOCK_MATRICES],
    float *gram[CW_BLOCK_MATRICES], struct cw_err *err)
{
	struct watched watched[CW_BLOCK_MATRICES];
	struct cw_linear seen[CW_BLOCK_MATRICES];
	struct cw_block_weights block;
	struct cw_encoder_weights e = c->v->enc;
	const size_t n = rows_of(c->v, AT_ONCE) * (size_t)e.W;
	struct cw_run r = c->run;

	for (int i = 0; i < CW_BLOCK_MATRICES; i++) {
		gram[i] = c->gram[i];
		memset(gram[i], 0, inputs(c->v, i) * inputs(c->v, i) *
		    sizeof(*gram[i]));
		watched[i] = (struct watched){ l[i], gram[i] };
		seen[i] = l[i];
		seen[i].kernel = &watching;
		seen[i].packed = &watched[i];
	}
	block = (struct cw_block_weights){ .qkv = seen[CW_QKV],
	    .out = seen[CW_OUT], .up = seen[CW_UP], .down = seen[CW_DOWN] };
	/* the first of several: all rows leave it; q is scaled already */
	e.L = 2;
	e.scale = 1;
	e.block = &block;
	for (int i = 0; i < c->pictures; i += AT_ONCE) {
		r.x = c->x + (size_t)(i / AT_ONCE) * n;
		cw_block_run(&e, 0, &r);
	}
	return cw_arena_overflowed(r.scratch) ?
	    cw_err_set(err, CW_E_LIMIT, "no room to survey a block") : CW_OK;
}
