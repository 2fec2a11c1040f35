/*
 * result.c - see result.h.
 */
#include "format/result.h"

#include <math.h>
#include <string.h>

#include "format/names.h"
#include "format/utf8.h"

#define COORD_MAX	(1 << 24)	/* pixels; above any image we accept */
#define MESSAGE_BYTES	512u
#define TOKEN_BYTES	256u
#define CURVE_VALUE_MAX	1e9f		/* beyond it a number is nonsense */

static const char *const stages[] = {
	"queue", "decode", "preprocess", "encode", "score", "explain", "worker"
};
static const char *const view_kinds[] = { "center", "whole", "cover" };
static const char *const backgrounds[] = { "stored", "white", "black" };
static const char *const sources[] = { "none", "image", "text" };
static const char *const no_maps[] = {
	"none", "never", "no_image", "not_in_top", "incomplete", "no_room"
};
static const char *const methods[] = {
	"additive", "raw", "rollout", "similarity"
};

CW_NAMES(cw_stage, enum cw_stage, stages)
CW_NAMES(cw_view, enum cw_view_kind, view_kinds)
CW_NAMES(cw_background, enum cw_background, backgrounds)
CW_NAMES(cw_source, enum cw_source, sources)
CW_NAMES(cw_no_map, enum cw_no_map, no_maps)
CW_NAMES(cw_method, enum cw_method, methods)
CW_NAMES_PARSE(cw_method, methods)

/* ---- the views that scores are of ---- */

uint32_t
cw_result_views(const struct cw_policy *p, const struct cw_cat_result *cats)
{
	uint32_t views = 0;

	_Static_assert(CW_VIEWS_MAX <= 32, "a bit for each view");
	for (size_t i = 0; i < p->ncategories; i++)
		if (cats[i].source != CW_FROM_NONE)
			views |= UINT32_C(1) << cats[i].view;
	return views == 0 ? 1 : views;
}

size_t
cw_result_nfurther(const struct cw_policy_set *set,
    const struct cw_cat_result *cats)
{
	size_t n = 0;

	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];
		uint32_t views = cw_result_views(p, cats);

		while ((views &= views - 1) != 0)
			n += p->nneutral;
		cats += p->ncategories;
	}
	return n;
}

/* ---- writing ---- */

static void
put_map(struct cw_pack *w, const struct cw_map *m)
{
	cw_put_u32(w, m->category);
	cw_put_u32(w, m->prompt);
	cw_put_u32(w, m->method);
	cw_put_u32(w, m->view);
	cw_put_u32(w, m->gw);
	cw_put_u32(w, m->gh);
	cw_put_floats(w, m->values, (size_t)m->gw * m->gh);
	cw_put_f32(w, m->total);
	cw_put_f32(w, m->remainder);
	cw_put_f32(w, m->class_token);
	cw_put_f32(w, m->mlp);
	cw_put_f32(w, m->out_bias);
	cw_put_f32(w, m->embedding);
	cw_put_f32(w, m->ln_bias);
	cw_put_f32(w, m->entropy);
	cw_put_f32(w, m->rounding);
	cw_put_u8(w, m->measured);
	cw_put_u32(w, m->masked);
	cw_put_f32(w, m->drop);
	cw_put_f32(w, m->random_drop);
	cw_put_u32(w, m->nregions);
	for (uint32_t i = 0; i < m->nregions; i++) {
		const struct cw_region *g = &m->regions[i];

		cw_put_u32(w, (uint32_t)g->x);
		cw_put_u32(w, (uint32_t)g->y);
		cw_put_u32(w, (uint32_t)g->w);
		cw_put_u32(w, (uint32_t)g->h);
		cw_put_f32(w, g->share);
	}
}

static void
put_text(struct cw_pack *w, const struct cw_text_result *t)
{
	cw_put_u32(w, t->ntokens);
	if (t->ntokens == 0)
		return;
	for (uint32_t i = 0; i < t->ntokens; i++)
		cw_put_str(w, t->tokens[i]);
	cw_put_floats(w, t->values, t->ntokens);
	cw_put_u32(w, t->category);
	cw_put_f32(w, t->total);
	cw_put_f32(w, t->remainder);
}

static void
put_scores(struct cw_pack *w, const struct cw_result *res,
    const struct cw_policy_set *set)
{
	cw_put_u32(w, res->nviews);
	for (uint32_t i = 0; i < res->nviews; i++) {
		const struct cw_view *v = &res->views[i];

		cw_put_u32(w, v->kind);
		cw_put_u32(w, v->background);
		cw_put_u32(w, (uint32_t)v->x);
		cw_put_u32(w, (uint32_t)v->y);
		cw_put_u32(w, (uint32_t)v->w);
		cw_put_u32(w, (uint32_t)v->h);
		cw_put_u32(w, v->frame);
	}
	cw_put_u32(w, res->embed);
	cw_put_floats(w, res->embeds, (size_t)res->nviews * res->embed);
	for (size_t i = 0; i < set->ncategories; i++) {
		const struct cw_cat_result *c = &res->cats[i];

		cw_put_u32(w, c->source);
		cw_put_f32(w, c->score);
		cw_put_f32(w, c->margin);
		cw_put_u32(w, c->prompt);
		cw_put_u32(w, c->view);
		cw_put_f32(w, c->text_score);
		cw_put_u32(w, c->no_map);
	}
	cw_put_floats(w, res->cosines, set->nprompts);
	cw_put_floats(w, res->scores, set->nprompts);
	cw_put_floats(w, res->further, cw_result_nfurther(set, res->cats));
	cw_put_u32(w, res->nmaps);
	for (uint32_t i = 0; i < res->nmaps; i++)
		put_map(w, &res->maps[i]);
	put_text(w, &res->text);
}

bool
cw_map_weak(const struct cw_map *m)
{
	return !(m->drop > m->random_drop && m->drop > 0);
}

void
cw_result_pack(const struct cw_result *res, const struct cw_policy_set *set,
    struct cw_pack *w)
{
	const struct cw_timing *t = &res->timing;

	cw_put_u8(w, res->failed);
	cw_put_u32(w, res->stage);
	cw_put_str(w, res->code);
	cw_put_str(w, res->message);
	cw_put_str(w, res->format);
	cw_put_u32(w, res->width);
	cw_put_u32(w, res->height);
	cw_put_u32(w, res->frames);
	cw_put_u32(w, t->decode);
	cw_put_u32(w, t->preprocess);
	cw_put_u32(w, t->encode);
	cw_put_u32(w, t->score);
	cw_put_u32(w, t->explain);
	if (!res->failed)
		put_scores(w, res, set);
}

/* ---- reading, with distrust ---- */

static float
get_number(struct cw_unpack *r)
{
	const float v = cw_get_f32(r);

	if (!isfinite(v) || fabsf(v) > CURVE_VALUE_MAX) {
		r->bad = true;
		return 0;
	}
	return v;
}

static int32_t
get_coord(struct cw_unpack *r)
{
	const int32_t v = (int32_t)cw_get_u32(r);

	if (v < -COORD_MAX || v > COORD_MAX) {
		r->bad = true;
		return 0;
	}
	return v;
}

static float *
get_numbers(struct cw_unpack *r, struct cw_arena *a, size_t want)
{
	size_t n;
	float *v = cw_get_floats(r, want, a, &n);

	if (n != want)
		r->bad = true;
	for (size_t i = 0; i < n; i++)
		if (!isfinite(v[i]) || fabsf(v[i]) > CURVE_VALUE_MAX)
			r->bad = true;
	return v;
}

/* As far from 0 as 1, and what rounding adds. */
static float *
get_cosines(struct cw_unpack *r, struct cw_arena *a, size_t want)
{
	float *v = get_numbers(r, a, want);

	for (size_t i = 0; i < want && !r->bad; i++)
		if (fabsf(v[i]) > 1.001f)
			r->bad = true;
	return v;
}

/* A word of [a-z0-9_]. */
static const char *
get_word(struct cw_unpack *r, struct cw_arena *a)
{
	const char *s = cw_get_str(r, CW_CODE_BYTES, a);

	if (s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
		r->bad = true;
	return s;
}

static const char *
get_text(struct cw_unpack *r, size_t max, struct cw_arena *a)
{
	const char *s = cw_get_str(r, max, a);

	if (!cw_utf8_valid(s, strlen(s)))
		r->bad = true;
	return s;
}

static void *
get_array(struct cw_unpack *r, struct cw_arena *a, size_t n, size_t size)
{
	void *p = r->bad ? NULL : cw_arena_zalloc(a, n, size);

	if (p == NULL)
		r->bad = true;
	return p;
}

/* The category of that number, or NULL (and bad). */
static const struct cw_category *
category_at(struct cw_unpack *r, const struct cw_policy_set *set, uint32_t i)
{
	for (size_t p = 0; p < set->npolicies; p++) {
		if (i < set->policies[p].ncategories)
			return &set->policies[p].categories[i];
		i -= (uint32_t)set->policies[p].ncategories;
	}
	r->bad = true;
	return NULL;
}

static void
get_map(struct cw_unpack *r, const struct cw_policy_set *set,
    struct cw_arena *a, uint32_t nviews, struct cw_map *m)
{
	const struct cw_category *c;

	m->category = cw_get_below(r, (uint32_t)set->ncategories);
	c = category_at(r, set, m->category);
	m->prompt = cw_get_below(r, c == NULL ? 0 : (uint32_t)c->nprompts);
	m->method = cw_get_below(r, CW_METHODS);
	m->view = cw_get_below(r, nviews);
	m->gw = cw_get_below(r, CW_GRID_MAX + 1);
	m->gh = cw_get_below(r, CW_GRID_MAX + 1);
	m->values = get_numbers(r, a, (size_t)m->gw * m->gh);
	m->total = get_number(r);
	m->remainder = get_number(r);
	m->class_token = get_number(r);
	m->mlp = get_number(r);
	m->out_bias = get_number(r);
	m->embedding = get_number(r);
	m->ln_bias = get_number(r);
	m->entropy = get_number(r);
	m->rounding = get_number(r);
	m->measured = cw_get_u8(r) != 0;
	m->masked = cw_get_below(r, CW_GRID_MAX * CW_GRID_MAX + 1);
	m->drop = get_number(r);
	m->random_drop = get_number(r);
	m->nregions = cw_get_below(r, CW_REGIONS_MAX + 1);
	m->regions = get_array(r, a, m->nregions, sizeof(*m->regions));
	for (uint32_t i = 0; i < m->nregions && !r->bad; i++) {
		m->regions[i].x = get_coord(r);
		m->regions[i].y = get_coord(r);
		m->regions[i].w = get_coord(r);
		m->regions[i].h = get_coord(r);
		m->regions[i].share = get_number(r);
	}
}

static void
get_text_result(struct cw_unpack *r, const struct cw_policy_set *set,
    struct cw_arena *a, struct cw_text_result *t)
{
	t->ntokens = cw_get_below(r, CW_TOKENS_MAX + 1);
	if (t->ntokens == 0)
		return;
	t->tokens = get_array(r, a, t->ntokens, sizeof(*t->tokens));
	for (uint32_t i = 0; i < t->ntokens && !r->bad; i++)
		t->tokens[i] = get_text(r, TOKEN_BYTES, a);
	t->values = get_numbers(r, a, t->ntokens);
	t->category = cw_get_below(r, (uint32_t)set->ncategories);
	t->total = get_number(r);
	t->remainder = get_number(r);
}

static void
get_scores(struct cw_unpack *r, const struct cw_policy_set *set,
    struct cw_arena *a, struct cw_result *res)
{
	res->nviews = cw_get_below(r, CW_VIEWS_MAX + 1);
	res->views = get_array(r, a, res->nviews, sizeof(*res->views));
	for (uint32_t i = 0; i < res->nviews && !r->bad; i++) {
		struct cw_view *v = &res->views[i];

		v->kind = cw_get_below(r, CW_VIEW_KINDS);
		v->background = cw_get_below(r, CW_BGS);
		v->x = get_coord(r);
		v->y = get_coord(r);
		v->w = get_coord(r);
		v->h = get_coord(r);
		v->frame = cw_get_below(r, COORD_MAX);
	}
	res->embed = cw_get_below(r, CW_EMBED_MAX + 1);
	res->embeds = get_numbers(r, a, (size_t)res->nviews * res->embed);
	res->cats = get_array(r, a, set->ncategories, sizeof(*res->cats));
	for (size_t i = 0; i < set->ncategories && !r->bad; i++) {
		const struct cw_category *k = category_at(r, set, (uint32_t)i);
		struct cw_cat_result *c = &res->cats[i];

		c->source = cw_get_below(r, CW_SOURCES);
		c->score = get_number(r);
		c->margin = get_number(r);
		c->prompt = cw_get_below(r, (uint32_t)k->nprompts);
		c->view = cw_get_below(r, res->nviews + (res->nviews == 0));
		c->text_score = get_number(r);
		c->no_map = cw_get_below(r, CW_NO_MAPS);
	}
	res->cosines = get_cosines(r, a, set->nprompts);
	res->scores = get_numbers(r, a, set->nprompts);
	if (!r->bad)
		res->further = get_cosines(r, a,
		    cw_result_nfurther(set, res->cats));
	res->nmaps = cw_get_below(r, CW_MAPS_MAX + 1);
	res->maps = get_array(r, a, res->nmaps, sizeof(*res->maps));
	for (uint32_t i = 0; i < res->nmaps && !r->bad; i++)
		get_map(r, set, a, res->nviews, &res->maps[i]);
	if (!r->bad)
		get_text_result(r, set, a, &res->text);
}

enum cw_status
cw_result_unpack(struct cw_unpack *r, const struct cw_policy_set *set,
    struct cw_arena *a, struct cw_result *out, struct cw_err *err)
{
	struct cw_result res = { 0 };

	res.failed = cw_get_u8(r) != 0;
	res.stage = cw_get_below(r, CW_STAGES);
	res.code = get_word(r, a);
	res.message = get_text(r, MESSAGE_BYTES, a);
	res.format = get_word(r, a);
	res.width = cw_get_below(r, COORD_MAX);
	res.height = cw_get_below(r, COORD_MAX);
	res.frames = cw_get_u32(r);
	res.timing.decode = cw_get_u32(r);
	res.timing.preprocess = cw_get_u32(r);
	res.timing.encode = cw_get_u32(r);
	res.timing.score = cw_get_u32(r);
	res.timing.explain = cw_get_u32(r);
	if (res.failed && res.code[0] == '\0')
		r->bad = true;
	if (!res.failed && !r->bad)
		get_scores(r, set, a, &res);
	if (!cw_unpack_end(r))
		return cw_err_set(err, CW_E_FORMAT,
		    "result: a count, index or number is out of bounds");
	*out = res;
	return CW_OK;
}
