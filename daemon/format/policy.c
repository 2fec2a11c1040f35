/*
 * policy.c - see policy.h: numbering, packing and names of a policy set.
 */
#include "format/policy.h"

#include <math.h>
#include <string.h>

#include "format/names.h"

#define TITLE_BYTES	1024u
#define PATH_BYTES	4096u
#define POLICY_TESTS_MAX 1024u

static const char *const actions[] = { "allow", "review", "block", "error" };
static const char *const severities[] = {
	"low", "medium", "high", "critical"
};
static const char *const scorings[] = { "softmax", "margin", "cosine" };
static const char *const whens[] = { "flagged", "always", "never" };

CW_NAMES(cw_action, enum cw_action, actions)
CW_NAMES_PARSE(cw_action, actions)
CW_NAMES(cw_severity, enum cw_severity, severities)
CW_NAMES_PARSE(cw_severity, severities)
CW_NAMES(cw_scoring, enum cw_scoring, scorings)
CW_NAMES_PARSE(cw_scoring, scorings)
CW_NAMES(cw_when, enum cw_when, whens)
CW_NAMES_PARSE(cw_when, whens)

enum cw_status
cw_policy_set_finish(struct cw_policy_set *set, struct cw_arena *scratch,
    struct cw_err *err)
{
	const size_t mark = cw_arena_mark(scratch);
	struct cw_bytes part;
	struct cw_pack w;

	if (set->npolicies > CW_POLICIES_MAX)
		return cw_err_set(err, CW_E_LIMIT,
		    "%zu policies; want at most %u", set->npolicies,
		    CW_POLICIES_MAX);
	set->nprompts = set->ncategories = 0;
	for (size_t i = 0; i < set->npolicies; i++) {
		struct cw_policy *p = &set->policies[i];

		if (p->ncategories > CW_CATEGORIES_MAX)
			return cw_err_set(err, CW_E_LIMIT,
			    "policy %s: %zu categories; want at most %u",
			    p->id, p->ncategories, CW_CATEGORIES_MAX);
		for (size_t j = 0; j < p->ncategories; j++) {
			p->categories[j].bank = set->nprompts;
			set->nprompts += p->categories[j].nprompts;
		}
		p->neutral_bank = set->nprompts;
		set->nprompts += p->nneutral;
		set->ncategories += p->ncategories;
	}
	if (set->nprompts > CW_PROMPTS_MAX)
		return cw_err_set(err, CW_E_LIMIT,
		    "%zu prompts in all policies; want at most %u",
		    set->nprompts, CW_PROMPTS_MAX);

	/* The hash is over what is packed, so it says nothing of file paths. */
	cw_pack_init(&w, scratch, 16384);
	cw_policy_set_pack(set, &w);
	if (!cw_pack_ok(&w))
		return cw_err_set(err, CW_E_LIMIT, "no room for %zu policies",
		    set->npolicies);
	part = (struct cw_bytes){ w.p, w.len };
	cw_sha256(&part, 1, set->hash);
	cw_arena_release(scratch, mark);
	return CW_OK;
}

static void
put_prompts(struct cw_pack *w, const struct cw_prompt *p, size_t n)
{
	cw_put_u32(w, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		cw_put_str(w, p[i].text);
		cw_put_f32(w, p[i].weight);
	}
}

static void
put_category(struct cw_pack *w, const struct cw_category *c)
{
	const struct cw_calibration *k = &c->calibration;

	cw_put_str(w, c->id);
	cw_put_str(w, c->title);
	cw_put_u32(w, c->severity);
	put_prompts(w, c->prompts, c->nprompts);
	cw_put_str(w, c->reason.code);
	cw_put_str(w, c->reason.dsa);
	cw_put_str(w, c->reason.text);
	cw_put_f32(w, c->thresholds.review);
	cw_put_f32(w, c->thresholds.block);
	cw_put_u8(w, k->present);
	cw_put_f64(w, k->a);
	cw_put_f64(w, k->b);
	cw_put_str(w, k->model);
	cw_put_u32(w, k->n);
	cw_put_str(w, k->date);
}

void
cw_policy_set_pack(const struct cw_policy_set *set, struct cw_pack *w)
{
	cw_put_u32(w, (uint32_t)set->npolicies);
	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];

		cw_put_str(w, p->id);
		cw_put_str(w, p->title);
		cw_put_u32(w, p->version);
		cw_put_u32(w, (uint32_t)p->ntemplates);
		for (size_t j = 0; j < p->ntemplates; j++)
			cw_put_str(w, p->templates[j]);
		cw_put_u32(w, (uint32_t)p->ncategories);
		for (size_t j = 0; j < p->ncategories; j++)
			put_category(w, &p->categories[j]);
		put_prompts(w, p->neutral, p->nneutral);
		cw_put_u32(w, p->scoring);
		cw_put_u32(w, p->explain_when);
		cw_put_u32(w, p->explain_top);
		cw_put_u8(w, p->faithfulness);
		cw_put_u32(w, p->on_error);
		cw_put_u8(w, p->shadow);
	}
}

static struct cw_prompt *
get_prompts(struct cw_unpack *r, struct cw_arena *a, size_t *n)
{
	const uint32_t count = cw_get_below(r, CW_PROMPTS_MAX + 1);
	struct cw_prompt *p = cw_arena_zalloc(a, count, sizeof(*p));

	*n = 0;
	if (p == NULL)
		r->bad = true;
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		p[i].text = cw_get_str(r, CW_PROMPT_BYTES, a);
		p[i].weight = cw_get_f32(r);
		if (!(p[i].weight > 0) || !isfinite(p[i].weight))
			r->bad = true;
	}
	*n = r->bad ? 0 : count;
	return p;
}

static void
get_category(struct cw_unpack *r, struct cw_arena *a, struct cw_category *c)
{
	struct cw_calibration *k = &c->calibration;
	const char *model;

	c->id = cw_get_str(r, CW_ID_BYTES, a);
	c->title = cw_get_str(r, TITLE_BYTES, a);
	c->severity = cw_get_below(r, CW_SEVERITIES);
	c->prompts = get_prompts(r, a, &c->nprompts);
	c->reason.code = cw_get_str(r, TITLE_BYTES, a);
	c->reason.dsa = cw_get_str(r, TITLE_BYTES, a);
	c->reason.text = cw_get_str(r, TITLE_BYTES, a);
	c->thresholds.review = cw_get_f32(r);
	c->thresholds.block = cw_get_f32(r);
	k->present = cw_get_u8(r) != 0;
	k->a = cw_get_f64(r);
	k->b = cw_get_f64(r);
	model = cw_get_str(r, CW_SHA256_HEX - 1, a);
	memcpy(k->model, model, strlen(model) + 1);
	k->n = cw_get_u32(r);
	k->date = cw_get_str(r, CW_ID_BYTES, a);
	if (c->nprompts == 0)
		r->bad = true;
}

static void
get_policy(struct cw_unpack *r, struct cw_arena *a, struct cw_policy *p)
{
	p->file = "";
	p->id = cw_get_str(r, CW_ID_BYTES, a);
	p->title = cw_get_str(r, TITLE_BYTES, a);
	p->version = cw_get_u32(r);
	p->ntemplates = cw_get_below(r, CW_TEMPLATES_MAX + 1);
	p->templates = cw_arena_zalloc(a, p->ntemplates,
	    sizeof(*p->templates));
	if (p->templates == NULL)
		r->bad = true;
	for (size_t j = 0; j < p->ntemplates && !r->bad; j++)
		p->templates[j] = cw_get_str(r, CW_PROMPT_BYTES, a);
	p->ncategories = cw_get_below(r, CW_CATEGORIES_MAX + 1);
	p->categories = cw_arena_zalloc(a, p->ncategories,
	    sizeof(*p->categories));
	if (p->categories == NULL)
		r->bad = true;
	for (size_t j = 0; j < p->ncategories && !r->bad; j++)
		get_category(r, a, &p->categories[j]);
	p->neutral = get_prompts(r, a, &p->nneutral);
	p->scoring = cw_get_below(r, CW_SCORINGS);
	p->explain_when = cw_get_below(r, CW_WHENS);
	p->explain_top = cw_get_u32(r);
	p->faithfulness = cw_get_u8(r) != 0;
	p->on_error = cw_get_below(r, CW_ACTIONS);
	p->shadow = cw_get_u8(r) != 0;
}

enum cw_status
cw_policy_set_unpack(struct cw_unpack *r, struct cw_arena *a,
    struct cw_policy_set *out, struct cw_err *err)
{
	struct cw_policy_set set = { 0 };
	enum cw_status st;

	set.npolicies = cw_get_below(r, CW_POLICIES_MAX + 1);
	set.policies = cw_arena_zalloc(a, set.npolicies,
	    sizeof(*set.policies));
	if (set.policies == NULL)
		r->bad = true;
	for (size_t i = 0; i < set.npolicies && !r->bad; i++)
		get_policy(r, a, &set.policies[i]);
	if (r->bad)
		return cw_err_set(err, CW_E_FORMAT, "policy set: bad bytes");
	if ((st = cw_policy_set_finish(&set, a, err)) != CW_OK)
		return st;
	*out = set;
	return CW_OK;
}
