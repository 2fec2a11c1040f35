/*
 * explain.c - see explain.h.
 */
#include "worker/explain.h"

#include <math.h>
#include <string.h>

#include "format/verdict.h"
#include "model/explain.h"
#include "worker/regions.h"
#include "worker/score.h"

/* ---- the contrast a margin stands in ---- */

/* nu = softmax over the neutral prompts of s cos + log w. */
static void
softmax_side(const struct cw_policy *p, const float *cos, double s,
    struct cw_contrast *k)
{
	double top = -INFINITY, sum = 0;

	for (size_t j = 0; j < p->nneutral; j++)
		top = fmax(top, s * cos[p->neutral_bank + j] +
		    log(p->neutral[j].weight));
	for (size_t j = 0; j < p->nneutral; j++)
		sum += exp(s * cos[p->neutral_bank + j] +
		    log(p->neutral[j].weight) - top);
	for (size_t j = 0; j < p->nneutral; j++) {
		const double logw = log(p->neutral[j].weight);
		const double lognu = s * cos[p->neutral_bank + j] + logw -
		    top - log(sum);
		const double nu = exp(lognu);

		k->bank[k->n] = (uint32_t)(p->neutral_bank + j);
		k->weight[k->n++] = (float)(-s * nu);
		/* -Ent(nu) = sum nu log nu */
		k->constant += nu * (lognu - logw);
	}
}

static void
largest_side(const struct cw_policy *p, const float *cos, double s,
    struct cw_contrast *k)
{
	double top = -INFINITY;
	size_t best = 0;

	for (size_t j = 0; j < p->nneutral; j++) {
		const double x = cos[p->neutral_bank + j] +
		    log(p->neutral[j].weight) / s;

		if (x > top) {
			top = x;
			best = j;
		}
	}
	k->bank[k->n] = (uint32_t)(p->neutral_bank + best);
	k->weight[k->n++] = -1;
	k->constant -= log(p->neutral[best].weight) / s;
}

enum cw_status
cw_contrast_make(const struct cw_policy *p, const struct cw_category *c,
    uint32_t prompt, const float *cos, float logit_scale, struct cw_arena *a,
    struct cw_contrast *out)
{
	const double s = logit_scale, logw = log(c->prompts[prompt].weight);
	const size_t room = 1 + p->nneutral;
	struct cw_contrast k = { .n = 1 };

	k.bank = cw_arena_zalloc(a, room, sizeof(*k.bank));
	k.weight = cw_arena_floats(a, room);
	if (k.bank == NULL || k.weight == NULL)
		return CW_E_LIMIT;
	k.bank[0] = (uint32_t)(c->bank + prompt);
	k.weight[0] = p->scoring == CW_SOFTMAX ? logit_scale : 1;
	k.constant = p->scoring == CW_SOFTMAX ? logw : logw / s;
	if (p->scoring == CW_SOFTMAX)
		softmax_side(p, cos, s, &k);
	else if (p->scoring == CW_MARGIN)
		largest_side(p, cos, s, &k);
	*out = k;
	return CW_OK;
}

/* ---- one map ---- */

bool
cw_explain_adds_up(const struct cw_model_info *info, double slack,
    double reach)
{
	const bool int8 = strcmp(info->precision, "int8") == 0;

	return fabs(slack) <= (int8 ? CW_INT8_WITHIN * reach :
	    CW_COMPLETE_WITHIN);
}

static double
reach_of(const struct cw_contrast *k)
{
	double sum = 0;

	for (int i = 0; i < k->n; i++)
		sum += fabsf(k->weight[i]);
	return sum;
}

/* A map of one trace along one contrast; values and all parts are filled. */
static enum cw_status
margin_map(struct cw_worker *w, const struct cw_trace *trace,
    const struct cw_contrast *k, double total, struct cw_map *map,
    struct cw_err *err)
{
	const uint32_t cells = map->gw * map->gh;
	double patches = 0, parts;
	struct cw_terms terms;
	struct cw_fold fold;
	enum cw_status st;

	CW_CHECK((int)cells == trace->T - 1);
	st = cw_bank_fold(w->bank, w->model, CW_SIDE_IMAGE, k->bank,
	    k->weight, k->n, w->scratch, &fold);
	if (st == CW_OK)
		st = cw_explain(w->model, trace, &fold, w->scratch, &terms,
		    NULL);
	if (st != CW_OK)
		return cw_err_set(err, st, "no room for a map");
	for (uint32_t i = 0; i < cells; i++) {
		map->values[i] = terms.tokens[i];
		patches += terms.tokens[i];
	}
	map->total = (float)total;
	map->remainder = (float)(total - patches);
	map->class_token = terms.read;
	map->mlp = terms.mlp;
	map->out_bias = terms.out_bias;
	map->embedding = terms.rest;
	map->ln_bias = terms.ln_bias;
	map->entropy = (float)k->constant;
	parts = (double)terms.read + terms.mlp + terms.out_bias + terms.rest +
	    terms.ln_bias + k->constant;
	map->rounding = (float)(total - patches - parts);
	if (!cw_explain_adds_up(w->info, total - patches - parts,
	    reach_of(k)))
		return cw_err_set(err, CW_E_NUMERIC,
		    "parts of a map sum to %.6f; want %.6f", patches + parts,
		    total);
	return CW_OK;
}

/* "Similarity only": the winner's cosine and nothing to compare it with. */
static enum cw_status
similarity_map(struct cw_worker *w, const struct cw_trace *trace,
    uint32_t bank, const float *cos, struct cw_map *map, struct cw_err *err)
{
	float one = 1;
	struct cw_contrast k = { .bank = &bank, .weight = &one, .n = 1 };

	return margin_map(w, trace, &k, cos[bank], map, err);
}

static enum cw_status
make_map(struct cw_worker *w, enum cw_method method,
    const struct cw_policy *p, const struct cw_category *c,
    const struct cw_cat_result *r, const float *cos,
    const struct cw_trace *trace, struct cw_map *map, struct cw_err *err)
{
	struct cw_contrast k;
	enum cw_status st;

	switch (method) {
	case CW_M_RAW:
		st = cw_explain_raw(trace, map->values);
		break;
	case CW_M_ROLLOUT:
		st = cw_explain_rollout(w->model, trace, w->scratch,
		    map->values);
		break;
	case CW_M_SIMILARITY:
		return similarity_map(w, trace,
		    (uint32_t)c->bank + r->prompt, cos, map, err);
	default:
		st = cw_contrast_make(p, c, r->prompt, cos,
		    w->info->logit_scale, w->scratch, &k);
		if (st == CW_OK)
			return margin_map(w, trace, &k, r->margin, map, err);
	}
	if (st != CW_OK)
		return cw_err_set(err, st, "no %s map: %s",
		    cw_method_name(method), cw_status_name(st));
	map->total = r->margin;
	return CW_OK;
}

/* ---- which categories ---- */

static enum cw_when
when_of(const struct cw_task *t, const struct cw_policy *p)
{
	const enum cw_when when = t->job.explain_set ? t->job.explain :
	    p->explain_when;

	/* A picture of a map needs the map. */
	return when == CW_WHEN_NEVER && t->job.artifacts != 0 ?
	    CW_WHEN_FLAGGED : when;
}

unsigned
cw_explain_want(const struct cw_worker *w, const struct cw_task *t)
{
	const struct cw_policy_set *set = &w->bank->set;

	for (size_t i = 0; i < set->npolicies; i++)
		if (t->applied[i] &&
		    when_of(t, &set->policies[i]) != CW_WHEN_NEVER)
			return t->job.method == CW_M_ROLLOUT ?
			    CW_WANT_TRACE | CW_WANT_ROLLOUT : CW_WANT_TRACE;
	return CW_WANT_EMBED;
}

static bool
wants_map(const struct cw_task *t, const struct cw_policy *p,
    const struct cw_category *c, float score)
{
	const enum cw_when when = when_of(t, p);

	return when == CW_WHEN_ALWAYS || (when == CW_WHEN_FLAGGED &&
	    cw_thresholds_decide(&c->thresholds, score) != CW_ALLOW);
}

/*
 * The categories of one policy that want a map, harshest first, at most
 * explain.top of them, by the scores of the views seen so far.
 *
 * A category that is in the list at the end is in it at its harshest view
 * too: there it has its final score, and the others have theirs or less.  So
 * maps made view by view are never missing at the end.
 */
static size_t
choose(const struct cw_policy_set *set, const struct cw_task *t,
    const struct cw_policy *p, uint32_t first,
    uint32_t chosen[CW_CATEGORIES_MAX])
{
	const size_t top = p->explain_top < CW_MAPS_MAX ? p->explain_top :
	    CW_MAPS_MAX;
	size_t n = 0;

	for (uint32_t j = 0; j < p->ncategories; j++) {
		const uint32_t i = first + j;
		const float score = t->image[i].score;
		size_t at = n;

		if (!wants_map(t, p, &p->categories[j], score))
			continue;
		while (at > 0 && cw_score_harsher(set, i, score,
		    chosen[at - 1], t->image[chosen[at - 1]].score))
			at--;
		memmove(chosen + at + 1, chosen + at,
		    (n - at) * sizeof(*chosen));
		chosen[at] = i;
		n++;
	}
	return n < top ? n : top;
}

/* The place for a category's map; made on first use, then used again. */
static struct cw_map *
map_at(struct cw_worker *w, struct cw_task *t, uint32_t i)
{
	const uint32_t G = (uint32_t)cw_grid(w);
	struct cw_map *m = &t->maps[i];
	float *values = m->values;

	if (values == NULL)
		values = cw_arena_floats(w->batch, (size_t)G * G);
	*m = (struct cw_map){ .category = i, .method = t->job.method,
		.gw = G, .gh = G, .values = values };
	return values == NULL ? NULL : m;
}

static enum cw_status
map_category(struct cw_worker *w, struct cw_task *t, uint32_t view,
    uint32_t i, const float *cos, const struct cw_trace *trace,
    struct cw_err *err)
{
	const size_t mark = cw_arena_mark(w->scratch);
	struct cw_map *m = map_at(w, t, i);
	const struct cw_category *c;
	const struct cw_policy *p;
	enum cw_status st;

	t->image[i].no_map = CW_NO_MAP_ROOM;
	if (m == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for a map");
	cw_policy_set_category(&w->bank->set, i, &p, &c);
	m->view = view;
	m->prompt = t->image[i].prompt;
	st = make_map(w, t->job.method, p, c, &t->image[i], cos, trace, m,
	    err);
	cw_arena_release(w->scratch, mark);
	if (st != CW_OK)
		m->values = NULL;	/* no map is better than a wrong one */
	t->image[i].no_map = st == CW_OK ? CW_MAP_MADE :
	    st == CW_E_LIMIT ? CW_NO_MAP_ROOM : CW_NO_MAP_INCOMPLETE;
	return st;
}

enum cw_status
cw_explain_view(struct cw_worker *w, struct cw_task *t, uint32_t view,
    const float *cos, const bool *better, const struct cw_trace *trace,
    struct cw_err *err)
{
	const struct cw_policy_set *set = &w->bank->set;
	uint32_t chosen[CW_CATEGORIES_MAX], first = 0;
	enum cw_status st, worst = CW_OK;

	for (size_t k = 0; k < set->npolicies; k++) {
		const struct cw_policy *p = &set->policies[k];
		const size_t n = t->applied[k] ?
		    choose(set, t, p, first, chosen) : 0;

		for (size_t j = 0; j < n; j++) {
			if (!better[chosen[j]])
				continue;
			st = map_category(w, t, view, chosen[j], cos, trace,
			    err);
			if (st != CW_OK)
				worst = st;
		}
		first += (uint32_t)p->ncategories;
	}
	return worst;
}

/* Put a map into the result's list, harshest first. */
static void
insert(const struct cw_policy_set *set, struct cw_task *t,
    const struct cw_map *m)
{
	struct cw_map *list = t->res.maps;
	const float score = t->image[m->category].score;
	uint32_t at = t->res.nmaps;

	while (at > 0 && cw_score_harsher(set, m->category, score,
	    list[at - 1].category, t->image[list[at - 1].category].score))
		at--;
	if (at == CW_MAPS_MAX)
		return;
	if (t->res.nmaps == CW_MAPS_MAX)
		t->res.nmaps--;
	memmove(list + at + 1, list + at,
	    (t->res.nmaps - at) * sizeof(*list));
	list[at] = *m;
	t->res.nmaps++;
}

static bool
has_map(const struct cw_result *res, uint32_t category)
{
	uint32_t i = 0;

	while (i < res->nmaps && res->maps[i].category != category)
		i++;
	return i < res->nmaps;
}

/* Of what the image flagged: which has no map, and why. */
static void
excuse(const struct cw_worker *w, struct cw_task *t)
{
	const struct cw_policy_set *set = &w->bank->set;

	for (uint32_t i = 0; i < set->ncategories; i++) {
		struct cw_cat_result *r = &t->res.cats[i];
		const struct cw_category *c;
		const struct cw_policy *p;

		cw_policy_set_category(set, i, &p, &c);
		if (t->image[i].source == CW_FROM_NONE ||
		    cw_thresholds_decide(&c->thresholds,
		    t->image[i].score) == CW_ALLOW || has_map(&t->res, i))
			r->no_map = CW_MAP_MADE;
		else if (when_of(t, p) == CW_WHEN_NEVER)
			r->no_map = CW_NO_MAP_NEVER;
		else if (t->job.nembeds > 0)
			r->no_map = CW_NO_MAP_STORED;
		else if (r->no_map == CW_MAP_MADE)
			r->no_map = CW_NO_MAP_TOP;
	}
}

enum cw_status
cw_explain_settle(const struct cw_worker *w, struct cw_task *t,
    struct cw_err *err)
{
	const struct cw_policy_set *set = &w->bank->set;
	uint32_t chosen[CW_CATEGORIES_MAX], first = 0;

	t->res.maps = cw_arena_zalloc(w->batch, CW_MAPS_MAX,
	    sizeof(*t->res.maps));
	if (t->res.maps == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for the maps");
	for (size_t k = 0; k < set->npolicies; k++) {
		const struct cw_policy *p = &set->policies[k];
		const size_t n = t->applied[k] ?
		    choose(set, t, p, first, chosen) : 0;

		for (size_t j = 0; j < n; j++)
			if (t->maps[chosen[j]].values != NULL)
				insert(set, t, &t->maps[chosen[j]]);
		first += (uint32_t)p->ncategories;
	}
	excuse(w, t);
	for (uint32_t i = 0; i < t->res.nmaps; i++) {
		struct cw_map *m = &t->res.maps[i];

		m->regions = cw_arena_zalloc(w->batch, CW_REGIONS_MAX,
		    sizeof(*m->regions));
		if (m->regions == NULL)
			return cw_err_set(err, CW_E_LIMIT,
			    "no room for regions");
		m->nregions = cw_regions_find(m->values, m->gw, m->gh,
		    &t->res.views[m->view], t->res.width, t->res.height,
		    m->regions);
	}
	return CW_OK;
}
