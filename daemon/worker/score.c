/*
 * score.c - see score.h.
 */
#include "worker/score.h"

#include <math.h>
#include <string.h>

#include "format/verdict.h"
#include "model/linear.h"

void
cw_score_cosines(const struct cw_bank *b, const float *embeds, int n,
    float *cos)
{
	const int T = (int)b->set.nprompts;

	if (T > 0 && n > 0)
		cw_gemm_bt(n, T, b->E, 1.0f, embeds, b->E, b->rows, b->E, cos,
		    T);
}

static enum cw_status
apply_policies(const struct cw_policy_set *set, struct cw_task *t,
    struct cw_err *err)
{
	for (size_t i = 0; i < set->npolicies; i++)
		t->applied[i] = t->job.npolicies == 0;
	for (size_t k = 0; k < t->job.npolicies; k++) {
		size_t i = 0;

		while (i < set->npolicies &&
		    strcmp(set->policies[i].id, t->job.policies[k]) != 0)
			i++;
		if (i == set->npolicies)
			return cw_err_set(err, CW_E_NOT_FOUND,
			    "no policy \"%.128s\"", t->job.policies[k]);
		t->applied[i] = true;
	}
	return CW_OK;
}

enum cw_status
cw_score_begin(const struct cw_bank *b, struct cw_arena *a,
    struct cw_task *t, struct cw_err *err)
{
	const struct cw_policy_set *set = &b->set;
	const size_t n = set->ncategories;

	t->applied = cw_arena_zalloc(a, set->npolicies, sizeof(*t->applied));
	t->image = cw_arena_zalloc(a, n, sizeof(*t->image));
	t->neutral = cw_arena_floats(a, CW_VIEWS_MAX * set->nprompts);
	t->maps = cw_arena_zalloc(a, n, sizeof(*t->maps));
	t->res.cats = cw_arena_zalloc(a, n, sizeof(*t->res.cats));
	t->res.cosines = cw_arena_zalloc(a, set->nprompts, sizeof(float));
	t->res.scores = cw_arena_zalloc(a, set->nprompts, sizeof(float));
	if (cw_arena_overflowed(a))
		return cw_err_set(err, CW_E_LIMIT, "no room for the scores");
	return apply_policies(set, t, err);
}

static bool
is_better(const struct cw_cat_result *old, const struct cw_score *s)
{
	if (old->source == CW_FROM_NONE)
		return true;
	/* A float of a score saturates at 1 where its margin still differs. */
	return s->score > old->score ||
	    (s->score == old->score && s->margin > old->margin);
}

static enum cw_status
score_category(const struct cw_worker *w, struct cw_task *t, uint32_t i,
    uint32_t view, const float *cos, double contrast, bool *better,
    struct cw_err *err)
{
	float *each = cw_arena_floats(w->scratch, CW_PROMPTS_MAX);
	struct cw_cat_result *best = &t->image[i];
	const struct cw_category *c;
	const struct cw_policy *p;
	struct cw_score s;
	enum cw_status st;

	cw_policy_set_category(&w->bank->set, i, &p, &c);
	CW_CHECK(each != NULL);
	st = cw_policy_score(p, c, cos, contrast, w->info->logit_scale,
	    w->info->sha256, each, &s);
	if (st != CW_OK || !isfinite(s.score) || !isfinite(s.margin))
		return cw_err_set(err, CW_E_NUMERIC,
		    "%s: the score is not a number", c->id);
	*better = is_better(best, &s);
	if (!*better)
		return CW_OK;
	*best = (struct cw_cat_result){ .source = CW_FROM_IMAGE,
		.score = s.score, .margin = s.margin, .prompt = s.prompt,
		.view = view };
	memcpy(t->res.cosines + c->bank, cos + c->bank,
	    c->nprompts * sizeof(*cos));
	memcpy(t->res.scores + c->bank, each, c->nprompts * sizeof(*each));
	return CW_OK;
}

/* The view's neutral cosines, if it is the harshest of any category so far. */
static void
keep_neutral(const struct cw_policy_set *set, const struct cw_policy *p,
    struct cw_task *t, uint32_t view, const float *cos, const bool *better)
{
	size_t i = 0;

	while (i < p->ncategories && !better[i])
		i++;
	if (view > 0 && i < p->ncategories)
		memcpy(t->neutral + view * set->nprompts + p->neutral_bank,
		    cos + p->neutral_bank, p->nneutral * sizeof(*cos));
}

enum cw_status
cw_score_view(const struct cw_worker *w, struct cw_task *t, uint32_t view,
    const float *cos, bool *better, struct cw_err *err)
{
	const struct cw_policy_set *set = &w->bank->set;
	const size_t mark = cw_arena_mark(w->scratch);
	enum cw_status st = CW_OK;
	double contrast;
	uint32_t i = 0;

	memset(better, 0, set->ncategories * sizeof(*better));
	if (view == 0)
		memcpy(t->res.cosines, cos, set->nprompts * sizeof(*cos));
	for (size_t k = 0; k < set->npolicies; k++) {
		const struct cw_policy *p = &set->policies[k];
		const uint32_t first = i;

		i += (uint32_t)p->ncategories;
		if (!t->applied[k] || p->ncategories == 0)
			continue;
		st = cw_policy_contrast(p, cos, w->info->logit_scale,
		    &contrast);
		if (st != CW_OK)
			return cw_err_set(err, st, "%s: the neutral prompts' "
			    "sum is not a number", p->id);
		for (uint32_t j = first; j < i && st == CW_OK; j++) {
			st = score_category(w, t, j, view, cos, contrast,
			    &better[j], err);
			cw_arena_release(w->scratch, mark);
		}
		if (st != CW_OK)
			return st;
		keep_neutral(set, p, t, view, cos, &better[first]);
	}
	return CW_OK;
}

/* Those of one policy; returns where the next policy's further ones go. */
static float *
settle_neutral(const struct cw_policy_set *set, const struct cw_policy *p,
    const struct cw_cat_result *cats, struct cw_task *t, float *further)
{
	const uint32_t views = cw_result_views(p, cats);
	bool begun = (views & 1) != 0;	/* cosines has the first view's */

	for (uint32_t v = 1; v < t->res.nviews; v++) {
		float *to = begun ? further : t->res.cosines + p->neutral_bank;

		if ((views >> v & 1) == 0)
			continue;
		memcpy(to, t->neutral + v * set->nprompts + p->neutral_bank,
		    p->nneutral * sizeof(*to));
		if (begun)
			further += p->nneutral;
		begun = true;
	}
	return further;
}

enum cw_status
cw_score_settle(const struct cw_bank *b, struct cw_arena *a,
    struct cw_task *t, struct cw_err *err)
{
	const struct cw_policy_set *set = &b->set;
	const struct cw_cat_result *cats = t->image;
	float *to = cw_arena_floats(a, cw_result_nfurther(set, cats));

	if (to == NULL)
		return cw_err_set(err, CW_E_LIMIT,
		    "no room for the neutral prompts");
	memcpy(t->res.cats, cats, set->ncategories * sizeof(*cats));
	t->res.further = to;
	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];

		to = settle_neutral(set, p, cats, t, to);
		cats += p->ncategories;
	}
	return CW_OK;
}

float
cw_score_margin(const struct cw_worker *w, const struct cw_policy *p,
    const struct cw_category *c, uint32_t prompt, const float *cos)
{
	struct cw_category one = *c;
	double contrast;
	struct cw_score s;

	one.prompts += prompt;
	one.bank += prompt;
	one.nprompts = 1;
	if (cw_policy_contrast(p, cos, w->info->logit_scale, &contrast) !=
	    CW_OK || cw_policy_score(p, &one, cos, contrast,
	    w->info->logit_scale, "", NULL, &s) != CW_OK)
		return NAN;
	return s.margin;
}

bool
cw_score_harsher(const struct cw_policy_set *set, uint32_t a, float xa,
    uint32_t b, float xb)
{
	const struct cw_category *ca, *cb;
	const struct cw_policy *pa, *pb;
	enum cw_action aa, ab;

	cw_policy_set_category(set, a, &pa, &ca);
	cw_policy_set_category(set, b, &pb, &cb);
	aa = cw_thresholds_decide(&ca->thresholds, xa);
	ab = cw_thresholds_decide(&cb->thresholds, xb);
	if (aa != ab)
		return aa > ab;
	/* Nothing fired: what came nearest, whatever its severity. */
	if (aa != CW_ALLOW && ca->severity != cb->severity)
		return ca->severity > cb->severity;
	return xa > xb;
}
