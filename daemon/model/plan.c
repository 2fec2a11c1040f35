/*
 * plan.c - see plan.h.
 */
#include "model/plan.h"

#include <string.h>

#include "model/survey.h"

/* A survey keeps [inputs][inputs] sums: beyond that they would be too many. */
#define SURVEY_INPUTS	8192

/*
 * The kernel of a matrix so deep.  Over short rows the errors of 8 bits do not
 * average out, and there is little time to win: in a trained tower of width
 * 128, 1 - cosine is 3e-5 with those in float and 5e-4 without (with 7 bits
 * 6e-5 and 9e-4), and 8 bits make it 1.15 times as fast instead of 1.6.  No
 * published CLIP is as narrow.
 */
static const struct cw_kernel *
kernel_for(const struct cw_plan *p, const struct cw_kernel *k, int in)
{
	if (!k->int8 || in >= p->deep)
		return k;
	return k->fine != NULL ? k->fine : cw_kernel_find("", false);
}

static struct cw_matrix *
plan_add(struct cw_plan *p, const struct cw_kernel *k, struct cw_linear *to,
    const struct cw_norm *norm)
{
	struct cw_matrix *m = &p->m[p->n++];

	CW_CHECK(p->n <= p->max);
	*m = (struct cw_matrix){ .to = to, .kernel = k };
	if (norm != NULL)
		m->norm = *norm;
	return m;
}

static void
add_part(struct cw_matrix *m, const struct cw_linear *l, float scale,
    enum cw_part_kind kind)
{
	m->part[m->parts++] = (struct cw_matrix_part){ l->w, l->b, l->out,
	    scale, kind };
	m->in = l->in;
	m->out += l->out;
}

static void
plan_one(struct cw_plan *p, const struct cw_kernel *k, struct cw_linear *l,
    const struct cw_norm *norm)
{
	if (l->in > 0)
		add_part(plan_add(p, kernel_for(p, k, l->in), l, norm), l, 1,
		    CW_PART_PLAIN);
}

static void
plan_qkv(struct cw_plan *p, const struct cw_kernel *k,
    struct cw_block_weights *b, float scale)
{
	struct cw_matrix *m = plan_add(p, kernel_for(p, k, b->q.in), &b->qkv,
	    &b->ln1);

	add_part(m, &b->q, scale, CW_PART_PLAIN);
	add_part(m, &b->k, 1, CW_PART_UNBIASED);
	add_part(m, &b->v, 1, CW_PART_PLAIN);
}

/* What stands for q, k and v in the last block: see read.h. */
static void
plan_read(struct cw_plan *p, const struct cw_kernel *k,
    struct cw_encoder_weights *e)
{
	struct cw_block_weights *b = &e->block[e->L - 1];
	const struct cw_kernel *fine = k->fine != NULL ? k->fine :
	    kernel_for(p, k, e->W);
	const int W = e->W, D = W / e->H;

	add_part(plan_add(p, kernel_for(p, k, W), &b->q, &b->ln1), &b->q,
	    e->scale, CW_PART_PLAIN);
	for (int h = 0; h < e->H; h++) {
		const size_t at = (size_t)(h * D) * (size_t)W;
		const struct cw_linear key = { .in = D, .out = W,
		    .w = b->k.w + at };

		add_part(plan_add(p, kernel_for(p, k, D), &e->key[h],
		    &b->ln1), &key, 1, CW_PART_TURNED);
	}
	for (int h = 0; h < e->H; h++) {
		const size_t at = (size_t)(h * D) * (size_t)W;
		const struct cw_linear value = { .in = W, .out = D,
		    .w = b->v.w + at,
		    .b = b->v.b != NULL ? b->v.b + h * D : NULL };

		add_part(plan_add(p, fine, &e->value[h],
		    &b->ln1), &value, 1, CW_PART_PLAIN);
	}
}

static void
plan_rest(struct cw_plan *p, const struct cw_kernel *k,
    struct cw_block_weights *b)
{
	/*
	 * In 7 bits `out` makes a fifth of the error with a twelfth of the
	 * work: on seeded ViT-B/32 weights rounded to the nearest 1 - cosine
	 * is 4.8e-4 with it in float, 6.0e-4 without.
	 */
	plan_one(p, k->fine != NULL ? k->fine : k, &b->out, NULL);
	plan_one(p, k, &b->up, &b->ln2);
	plan_one(p, k, &b->down, NULL);
}

/*
 * One row of a text or picture goes through the last block, so it costs little
 * to spare that the errors of 7 bits: on seeded ViT-B/32 weights 1 - cosine
 * falls from 5.0e-4 to 4.7e-4.
 */
static void
plan_encoder(struct cw_plan *p, const struct cw_kernel *k,
    struct cw_encoder_weights *e)
{
	for (int i = 0; i < e->L; i++) {
		const bool last = i == e->L - 1;

		if (last)
			plan_read(p, k, e);
		else
			plan_qkv(p, k, &e->block[i], e->scale);
		plan_rest(p, last && k->fine != NULL ? k->fine : k,
		    &e->block[i]);
	}
}

/*
 * Of an image tower: in 8 bits the blocks that all rows go through are
 * surveyed, and rounded so well that all their matrices do with few bits.
 */
static void
plan_image_encoder(struct cw_plan *p, const struct cw_kernel *k,
    struct cw_vit_weights *v)
{
	const struct cw_encoder_weights *e = &v->enc;
	const int deepest = e->hidden > e->W ? e->hidden : e->W;
	const size_t n = CW_BLOCK_MATRICES * (size_t)(e->L - 1);
	struct cw_matrix *m = &p->m[p->n];

	plan_encoder(p, k, &v->enc);
	if (!k->int8 || n == 0 || deepest < p->deep || deepest > SURVEY_INPUTS)
		return;
	p->vit = v;
	for (size_t i = 0; i < n; i++, m++) {
		const struct cw_kernel *own = kernel_for(p, k, m->in);

		m->surveyed = true;
		m->kernel = own->many != NULL && own->many->pays(v->T, m->in,
		    m->out) ? own->many : own;
	}
}

static void
plan_resnet(struct cw_plan *p, const struct cw_kernel *k,
    struct cw_resnet_weights *r)
{
	for (size_t i = 0; i < CW_COUNT(r->stem); i++)
		plan_one(p, k, &r->stem[i].l, NULL);
	for (int s = 0, at = 0; s < CW_STAGES; s++)
		for (int i = 0; i < r->stages[s]; i++, at++) {
			struct cw_bottleneck *b = &r->block[at];

			for (size_t c = 0; c < CW_COUNT(b->conv); c++)
				plan_one(p, k, &b->conv[c].l, NULL);
			plan_one(p, k, &b->down.l, NULL);
		}
	plan_one(p, k, &r->q, NULL);
	plan_one(p, k, &r->k, NULL);
	plan_one(p, k, &r->v, NULL);
	plan_one(p, k, &r->proj, NULL);
}

static size_t
encoder_max(const struct cw_encoder_weights *e)
{
	return 4 * (size_t)e->L + 2 * (size_t)e->H;
}

static size_t
plan_max(const struct cw_weights *w, enum cw_tower_kind kind)
{
	size_t n = encoder_max(&w->text.enc) + 1;

	if (kind == CW_TOWER_VIT)
		return n + encoder_max(&w->vit.enc) + 2;
	for (int s = 0; s < CW_STAGES; s++)
		n += 4 * (size_t)w->resnet.stages[s];
	return n + CW_COUNT(w->resnet.stem) + 4;
}

enum cw_status
cw_plan_make(struct cw_plan *p, struct cw_weights *w, enum cw_tower_kind kind,
    const struct cw_kernel *k, int deep, struct cw_arena *a,
    struct cw_err *err)
{
	*p = (struct cw_plan){ .max = plan_max(w, kind), .bytes = CW_PLAN_HEAD,
	    .deep = deep };
	p->m = cw_arena_zalloc(a, p->max, sizeof(*p->m));
	if (p->m == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room to prepare");
	if (kind == CW_TOWER_VIT) {
		plan_one(p, k, &w->vit.patch, NULL);
		plan_image_encoder(p, k, &w->vit);
		plan_one(p, k, &w->vit.proj, NULL);
	} else {
		plan_resnet(p, cw_kernel_find("", false), &w->resnet);
	}
	plan_encoder(p, k, &w->text.enc);
	plan_one(p, k, &w->text.proj, NULL);

	for (size_t i = 0; i < p->n; i++) {
		p->m[i].b_at = p->bytes;
		p->bytes += (size_t)p->m[i].out * sizeof(float);
	}
	for (size_t i = 0; i < p->n; i++) {
		p->bytes = (p->bytes + CW_PLAN_PAGE - 1) &
		    ~(size_t)(CW_PLAN_PAGE - 1);
		p->m[i].w_at = p->bytes;
		p->bytes += p->m[i].kernel->packed_bytes(p->m[i].in,
		    p->m[i].out);
	}
	return CW_OK;
}

/* w [out][in] and b [out] of a part: norm and scale folded. */
static void
fold_part(const struct cw_matrix *m, const struct cw_matrix_part *s, float *w,
    float *b)
{
	for (int o = 0; o < s->out; o++, w += m->in, b++) {
		const float *from = s->w + (size_t)o * (size_t)m->in;
		double sum = s->b != NULL ? s->b[o] : 0;

		for (int j = 0; j < m->in; j++) {
			w[j] = from[j] * s->scale;
			if (m->norm.w != NULL)
				w[j] *= m->norm.w[j];
			if (m->norm.b != NULL)
				sum += (double)from[j] * m->norm.b[j];
		}
		*b = s->kind == CW_PART_UNBIASED ? 0 : (float)sum * s->scale;
	}
}

static void
fold_turned(const struct cw_matrix *m, const struct cw_matrix_part *s,
    float *w, float *b)
{
	for (int o = 0; o < s->out; o++, w += m->in)
		for (int j = 0; j < m->in; j++)
			w[j] = s->w[(size_t)j * (size_t)s->out + (size_t)o] *
			    s->scale * (m->norm.w != NULL ? m->norm.w[o] : 1);
	memset(b, 0, (size_t)s->out * sizeof(*b));
}

void
cw_matrix_fold(const struct cw_matrix *m, float *w, float *b)
{
	for (int i = 0; i < m->parts; i++) {
		const struct cw_matrix_part *s = &m->part[i];

		if (s->kind == CW_PART_TURNED)
			fold_turned(m, s, w, b);
		else
			fold_part(m, s, w, b);
		w += (size_t)s->out * (size_t)m->in;
		b += s->out;
	}
}
