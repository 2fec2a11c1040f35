/*
 * verdict.c - see verdict.h.
 */
#include "format/verdict.h"

#include <jansson.h>

#include "base/io.h"
#include "format/json_memory.h"
#include "format/pack.h"

#define DIGITS	JSON_REAL_PRECISION(7)	/* floats have no more to say */

void
cw_policy_set_category(const struct cw_policy_set *set, uint32_t i,
    const struct cw_policy **p, const struct cw_category **c)
{
	CW_CHECK(i < set->ncategories);
	for (size_t k = 0; k < set->npolicies; k++) {
		const struct cw_policy *pol = &set->policies[k];

		if (i < pol->ncategories) {
			*p = pol;
			*c = &pol->categories[i];
			return;
		}
		i -= (uint32_t)pol->ncategories;
	}
}

/* Is a (action, severity, score) harsher than b? */
static bool
harsher(enum cw_action a, enum cw_severity sa, float xa, enum cw_action b,
    enum cw_severity sb, float xb)
{
	if (a != b)
		return a > b;
	return sa != sb ? sa > sb : xa > xb;
}

struct cw_decision
cw_verdict_decide(const struct cw_policy_set *set,
    const struct cw_result *res)
{
	struct cw_decision d = { .action = CW_ALLOW, .policy = "none" };
	enum cw_severity severity = CW_LOW;

	if (res->failed)
		return (struct cw_decision){ .action = CW_ERROR,
			.policy = "error" };
	for (uint32_t i = 0; i < set->ncategories; i++) {
		const struct cw_cat_result *r = &res->cats[i];
		const struct cw_category *c;
		const struct cw_policy *p;
		enum cw_action act;

		cw_policy_set_category(set, i, &p, &c);
		if (r->source == CW_FROM_NONE || p->shadow)
			continue;
		act = cw_thresholds_decide(&c->thresholds, r->score);
		if (act == CW_ALLOW || !harsher(act, c->severity, r->score,
		    d.action, severity, d.score))
			continue;
		d = (struct cw_decision){ act, p->id, i, r->score };
		severity = c->severity;
	}
	return d;
}

static void
set_text(json_t *o, const char *key, const char *s)
{
	if (s != NULL && s[0] != '\0')
		json_object_set_new(o, key, json_string(s));
}

static void
set_real(json_t *o, const char *key, double v)
{
	json_object_set_new(o, key, json_real(v));
}

static void
set_int(json_t *o, const char *key, int64_t v)
{
	json_object_set_new(o, key, json_integer(v));
}

static json_t *
reals(const float *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_real(v[i]));
	return list;
}

static json_t *
rectangle(int32_t x, int32_t y, int32_t w, int32_t h)
{
	return json_pack("[i,i,i,i]", x, y, w, h);
}

static json_t *
image_json(const struct cw_verdict_facts *f, const struct cw_result *res)
{
	json_t *o = json_object();

	set_text(o, "sha256", f->sha256);
	set_int(o, "bytes", (int64_t)f->bytes);
	set_text(o, "format", res->format);
	if (res->width > 0) {
		set_int(o, "width", res->width);
		set_int(o, "height", res->height);
		set_int(o, "frames", res->frames);
	}
	return o;
}

static json_t *
flag_json(const struct cw_policy *p, const struct cw_category *c,
    const struct cw_cat_result *r, const struct cw_result *res,
    enum cw_action act)
{
	const struct cw_thresholds *t = &c->thresholds;
	json_t *o = json_object(), *reason = json_object();

	set_text(o, "policy", p->id);
	set_text(o, "category", c->id);
	set_text(o, "title", c->title);
	set_text(o, "severity", cw_severity_name(c->severity));
	set_text(o, "decision", cw_action_name(act));
	set_real(o, "score", r->score);
	set_real(o, "threshold", act == CW_BLOCK ? t->block : t->review);
	set_real(o, "margin", r->margin);
	set_text(o, "prompt", c->prompts[r->prompt].text);
	set_text(o, "source", cw_source_name(r->source));
	if (r->source == CW_FROM_IMAGE && res->nviews > 0)
		set_int(o, "view", r->view);
	set_text(reason, "code", c->reason.code);
	set_text(reason, "dsa", c->reason.dsa);
	set_text(reason, "text", c->reason.text);
	json_object_set_new(o, "reason", reason);
	return o;
}

static void
flags_json(json_t *root, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	json_t *flags = json_array(), *shadow = json_array();

	for (uint32_t i = 0; i < set->ncategories; i++) {
		const struct cw_cat_result *r = &res->cats[i];
		const struct cw_category *c;
		const struct cw_policy *p;
		enum cw_action act;

		cw_policy_set_category(set, i, &p, &c);
		if (r->source == CW_FROM_NONE)
			continue;
		act = cw_thresholds_decide(&c->thresholds, r->score);
		if (act != CW_ALLOW)
			json_array_append_new(p->shadow ? shadow : flags,
			    flag_json(p, c, r, res, act));
	}
	json_object_set_new(root, "flags", flags);
	if (json_array_size(shadow) > 0)
		json_object_set_new(root, "shadow", shadow);
	else
		json_decref(shadow);
}

static void
scores_json(json_t *root, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	json_t *scores = json_array(), *neutral = json_array();

	for (uint32_t i = 0; i < set->ncategories; i++) {
		const struct cw_category *c;
		const struct cw_policy *p;

		cw_policy_set_category(set, i, &p, &c);
		for (size_t k = 0; k < c->nprompts; k++) {
			json_t *o = json_object();

			set_text(o, "policy", p->id);
			set_text(o, "category", c->id);
			set_text(o, "prompt", c->prompts[k].text);
			set_real(o, "cosine", res->cosines[c->bank + k]);
			set_real(o, "score", res->scores[c->bank + k]);
			json_object_set_new(o, "applied",
			    json_boolean(res->cats[i].source != CW_FROM_NONE));
			json_array_append_new(scores, o);
		}
	}
	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];

		for (size_t k = 0; k < p->nneutral; k++) {
			json_t *o = json_object();

			set_text(o, "policy", p->id);
			set_text(o, "prompt", p->neutral[k].text);
			set_real(o, "cosine",
			    res->cosines[p->neutral_bank + k]);
			json_array_append_new(neutral, o);
		}
	}
	json_object_set_new(root, "scores", scores);
	json_object_set_new(root, "neutral", neutral);
}

static json_t *
views_json(const struct cw_result *res)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < res->nviews; i++) {
		const struct cw_view *v = &res->views[i];
		json_t *o = json_object();

		set_text(o, "kind", cw_view_name(v->kind));
		if (v->background != CW_BG_STORED)
			set_text(o, "background",
			    cw_background_name(v->background));
		json_object_set_new(o, "crop",
		    rectangle(v->x, v->y, v->w, v->h));
		if (v->frame > 0)
			set_int(o, "frame", v->frame);
		json_array_append_new(list, o);
	}
	return list;
}

static void
additive_json(json_t *o, const struct cw_map *m)
{
	json_t *parts = json_object();

	set_real(parts, "class_token", m->class_token);
	set_real(parts, "mlp", m->mlp);
	set_real(parts, "out_bias", m->out_bias);
	set_real(parts, "embedding", m->embedding);
	set_real(parts, "ln_bias", m->ln_bias);
	set_real(parts, "entropy", m->entropy);
	set_real(parts, "rounding", m->rounding);
	set_real(o, "remainder", m->remainder);
	json_object_set_new(o, "remainder_parts", parts);
	set_real(o, "total", m->total);
}

static json_t *
map_json(const struct cw_policy_set *set, const struct cw_result *res,
    const struct cw_map *m)
{
	const struct cw_view *v = &res->views[m->view];
	json_t *o = json_object(), *list;
	const struct cw_category *c;
	const struct cw_policy *p;

	cw_policy_set_category(set, m->category, &p, &c);
	set_text(o, "policy", p->id);
	set_text(o, "category", c->id);
	set_text(o, "prompt", c->prompts[m->prompt].text);
	set_text(o, "method", cw_method_name(m->method));
	json_object_set_new(o, "grid", json_pack("[i,i]", m->gw, m->gh));
	set_int(o, "view", m->view);
	json_object_set_new(o, "crop", rectangle(v->x, v->y, v->w, v->h));
	json_object_set_new(o, "values",
	    reals(m->values, (size_t)m->gw * m->gh));
	if (m->method == CW_M_ADDITIVE)
		additive_json(o, m);
	if (m->measured) {
		list = json_object();
		set_int(list, "masked", m->masked);
		set_real(list, "drop", m->drop);
		set_real(list, "random_drop", m->random_drop);
		json_object_set_new(list, "weak",
		    json_boolean(cw_map_weak(m)));
		json_object_set_new(o, "faithfulness", list);
	}
	list = json_array();
	for (uint32_t i = 0; i < m->nregions; i++) {
		const struct cw_region *g = &m->regions[i];
		json_t *r = json_object();

		json_object_set_new(r, "box",
		    rectangle(g->x, g->y, g->w, g->h));
		set_real(r, "share", g->share);
		json_array_append_new(list, r);
	}
	json_object_set_new(o, "regions", list);
	return o;
}

/* Flagged, and no map to show for it: why. */
static void
absent_json(json_t *root, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < set->ncategories; i++) {
		const struct cw_cat_result *r = &res->cats[i];
		const struct cw_category *c;
		const struct cw_policy *p;
		json_t *o;

		cw_policy_set_category(set, i, &p, &c);
		if (r->source == CW_FROM_NONE || r->no_map == CW_MAP_MADE ||
		    cw_thresholds_decide(&c->thresholds, r->score) == CW_ALLOW)
			continue;
		o = json_object();
		set_text(o, "policy", p->id);
		set_text(o, "category", c->id);
		set_text(o, "reason", cw_no_map_name(r->no_map));
		json_array_append_new(list, o);
	}
	if (json_array_size(list) > 0)
		json_object_set(root, "maps_absent", list);
	json_decref(list);
}

static json_t *
text_json(const struct cw_policy_set *set, const struct cw_result *res)
{
	const struct cw_text_result *t = &res->text;
	json_t *o = json_object(), *tokens = json_array();
	const struct cw_category *c;
	const struct cw_policy *p;

	for (uint32_t i = 0; i < t->ntokens; i++)
		json_array_append_new(tokens, json_string(t->tokens[i]));
	json_object_set_new(o, "tokens", tokens);
	json_object_set_new(o, "values", reals(t->values, t->ntokens));
	cw_policy_set_category(set, t->category, &p, &c);
	set_text(o, "policy", p->id);
	set_text(o, "category", c->id);
	set_real(o, "score", res->cats[t->category].text_score);
	set_real(o, "total", t->total);
	set_real(o, "remainder", t->remainder);
	return o;
}

static json_t *
timing_json(const struct cw_verdict_facts *f, const struct cw_timing *t)
{
	json_t *o = json_object();

	set_real(o, "queue", f->queue_us / 1e3);
	set_real(o, "decode", t->decode / 1e3);
	set_real(o, "preprocess", t->preprocess / 1e3);
	set_real(o, "encode", t->encode / 1e3);
	set_real(o, "score", t->score / 1e3);
	set_real(o, "explain", t->explain / 1e3);
	set_real(o, "total", (double)(f->scored_us - f->received_us) / 1e3);
	return o;
}

/* What the receiver of an error should do: the harshest policy's advice. */
static enum cw_action
advice_on_error(const struct cw_policy_set *set)
{
	enum cw_action a = CW_REVIEW;

	for (size_t i = 0; i < set->npolicies; i++)
		if (set->policies[i].on_error == CW_BLOCK)
			a = CW_BLOCK;
	return a;
}

static void
failed_json(json_t *root, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	json_t *o = json_object();

	set_text(o, "stage", cw_stage_name(res->stage));
	set_text(o, "code", res->code);
	set_text(o, "message", res->message);
	json_object_set_new(root, "error", o);
	set_text(root, "on_error", cw_action_name(advice_on_error(set)));
}

static void
scored_json(json_t *root, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	flags_json(root, set, res);
	scores_json(root, set, res);
	json_object_set_new(root, "views", views_json(res));
	if (res->nmaps > 0) {
		json_t *maps = json_array();

		for (uint32_t i = 0; i < res->nmaps; i++)
			json_array_append_new(maps,
			    map_json(set, res, &res->maps[i]));
		json_object_set_new(root, "maps", maps);
	}
	absent_json(root, set, res);
	if (res->text.ntokens > 0)
		json_object_set_new(root, "text", text_json(set, res));
}

/* What the frames behind the verdict are, in their order. */
static void
evidence_json(json_t *root, const struct cw_verdict_facts *f)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < f->nevidence; i++)
		json_array_append_new(list,
		    json_string(cw_artifact_name(f->evidence[i])));
	if (f->nevidence > 0)
		json_object_set(root, "evidence", list);
	json_decref(list);
}

static int
append(const char *buffer, size_t size, void *payload)
{
	struct cw_pack *w = payload;

	cw_put_raw(w, buffer, size);
	return cw_pack_ok(w) ? 0 : -1;
}

const char *
cw_verdict_json(const struct cw_verdict_facts *f,
    const struct cw_policy_set *set, const struct cw_result *res,
    struct cw_arena *a, size_t *len)
{
	const struct cw_decision d = cw_verdict_decide(set, res);
	char received[CW_RFC3339_MAX], scored[CW_RFC3339_MAX];
	struct cw_pack w;
	json_t *root;
	int rc;

	cw_json_memory_watch();
	root = json_object();
	cw_rfc3339(f->received_us, received);
	cw_rfc3339(f->scored_us, scored);
	set_text(root, "schema", "clipward.verdict/1");
	set_text(root, "id", f->id);
	set_text(root, "decision", cw_action_name(d.action));
	set_text(root, "received_at", received);
	set_text(root, "scored_at", scored);
	set_text(root, "surface", f->surface);
	json_object_set_new(root, "image", image_json(f, res));
	if (res->failed)
		failed_json(root, set, res);
	else
		scored_json(root, set, res);
	evidence_json(root, f);
	json_object_set_new(root, "model", json_pack("{s:s,s:s}", "name",
	    f->model_name, "sha256", f->model_sha256));
	json_object_set_new(root, "policies",
	    json_pack("{s:s}", "hash", set->hash));
	json_object_set_new(root, "cached", json_boolean(f->cached));
	set_int(root, "attempt", f->attempt);
	json_object_set_new(root, "timing_ms", timing_json(f, &res->timing));
	set_text(root, "build", CW_VERSION);

	cw_pack_init(&w, a, 16384);
	rc = json_dump_callback(root, append, &w, JSON_COMPACT | DIGITS);
	json_decref(root);
	cw_put_u8(&w, '\0');
	if (rc == -1 || !cw_pack_ok(&w) || cw_json_memory_short())
		return NULL;
	*len = w.len - 1;
	return (const char *)w.p;
}
