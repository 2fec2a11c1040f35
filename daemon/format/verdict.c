/*
 * verdict.c - see verdict.h.
 */
#include "format/verdict.h"

#include "base/io.h"
#include "format/json_write.h"
#include "format/pack.h"
#include "format/verdict_scores.h"

#define PROMPT_BYTES	160u	/* that most prompts take in it */
#define FURTHER_BYTES	24u	/* and a neutral one's cosine at a further view */

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
put_real(struct cw_pack *w, const char *key, float v)
{
	cw_json_put_key(w, key);
	cw_json_put_float(w, v);
}

static void
put_int(struct cw_pack *w, const char *key, int64_t v)
{
	cw_json_put_key(w, key);
	cw_json_put_int(w, v);
}

static void
put_bool(struct cw_pack *w, const char *key, bool v)
{
	cw_json_put_key(w, key);
	cw_json_put_bool(w, v);
}

static void
put_ms(struct cw_pack *w, const char *key, int64_t us)
{
	cw_json_put_key(w, key);
	cw_json_put_thousandths(w, us);
}

/* "key":{ or "key":[ */
static void
begin(struct cw_pack *w, const char *key, char bracket)
{
	cw_json_put_key(w, key);
	cw_json_put_open(w, bracket);
}

static void
put_reals(struct cw_pack *w, const char *key, const float *v, size_t n)
{
	begin(w, key, '[');
	for (size_t i = 0; i < n; i++)
		cw_json_put_float(w, v[i]);
	cw_json_put_close(w, ']');
}

static void
put_ints(struct cw_pack *w, const char *key, const int64_t *v, size_t n)
{
	begin(w, key, '[');
	for (size_t i = 0; i < n; i++)
		cw_json_put_int(w, v[i]);
	cw_json_put_close(w, ']');
}

static void
put_rectangle(struct cw_pack *w, const char *key, int32_t x, int32_t y,
    int32_t wide, int32_t high)
{
	const int64_t v[] = { x, y, wide, high };

	put_ints(w, key, v, CW_COUNT(v));
}

static void
put_image(struct cw_pack *w, const struct cw_verdict_facts *f,
    const struct cw_result *res)
{
	begin(w, "image", '{');
	cw_json_put_text(w, "sha256", f->sha256);
	put_int(w, "bytes", (int64_t)f->bytes);
	cw_json_put_text(w, "format", res->format);
	if (res->width > 0) {
		put_int(w, "width", res->width);
		put_int(w, "height", res->height);
		put_int(w, "frames", res->frames);
	}
	cw_json_put_close(w, '}');
}

static void
put_flag(struct cw_pack *w, const struct cw_policy *p,
    const struct cw_category *c, const struct cw_cat_result *r,
    const struct cw_result *res, enum cw_action act)
{
	const struct cw_thresholds *t = &c->thresholds;

	cw_json_put_open(w, '{');
	cw_json_put_text(w, "policy", p->id);
	cw_json_put_text(w, "category", c->id);
	cw_json_put_text(w, "title", c->title);
	cw_json_put_text(w, "severity", cw_severity_name(c->severity));
	cw_json_put_text(w, "decision", cw_action_name(act));
	put_real(w, "score", r->score);
	put_real(w, "threshold", act == CW_BLOCK ? t->block : t->review);
	put_real(w, "margin", r->margin);
	cw_json_put_text(w, "prompt", c->prompts[r->prompt].text);
	cw_json_put_text(w, "source", cw_source_name(r->source));
	if (r->source == CW_FROM_IMAGE && res->nviews > 0)
		put_int(w, "view", r->view);
	begin(w, "reason", '{');
	cw_json_put_text(w, "code", c->reason.code);
	cw_json_put_text(w, "dsa", c->reason.dsa);
	cw_json_put_text(w, "text", c->reason.text);
	cw_json_put_close(w, '}');
	cw_json_put_close(w, '}');
}

/* What decides, or what is only recorded; the latter may be absent. */
static void
put_flags(struct cw_pack *w, const struct cw_policy_set *set,
    const struct cw_result *res, bool shadow)
{
	bool begun = !shadow;

	if (begun)
		begin(w, "flags", '[');
	for (uint32_t i = 0; i < set->ncategories; i++) {
		const struct cw_cat_result *r = &res->cats[i];
		const struct cw_category *c;
		const struct cw_policy *p;
		enum cw_action act;

		cw_policy_set_category(set, i, &p, &c);
		if (r->source == CW_FROM_NONE || p->shadow != shadow)
			continue;
		act = cw_thresholds_decide(&c->thresholds, r->score);
		if (act == CW_ALLOW)
			continue;
		if (!begun)
			begin(w, "shadow", '[');
		begun = true;
		put_flag(w, p, c, r, res, act);
	}
	if (begun)
		cw_json_put_close(w, ']');
}

/* Those that any score is of, bit by number. */
static uint32_t
used_views(const struct cw_policy_set *set, const struct cw_result *res)
{
	const struct cw_cat_result *r = res->cats;
	uint32_t used = 0;

	for (size_t i = 0; i < set->npolicies; i++) {
		used |= cw_result_views(&set->policies[i], r);
		r += set->policies[i].ncategories;
	}
	return used;
}

static void
put_views(struct cw_pack *w, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	const uint32_t used = used_views(set, res);

	begin(w, "views", '[');
	for (uint32_t i = 0; i < res->nviews; i++) {
		const struct cw_view *v = &res->views[i];

		cw_json_put_open(w, '{');
		cw_json_put_text(w, "kind", cw_view_name(v->kind));
		if (v->background != CW_BG_STORED)
			cw_json_put_text(w, "background",
			    cw_background_name(v->background));
		put_rectangle(w, "crop", v->x, v->y, v->w, v->h);
		if (v->frame > 0)
			put_int(w, "frame", v->frame);
		if (res->nviews > 1 && (used >> i & 1) != 0)
			put_bool(w, "used", true);
		cw_json_put_close(w, '}');
	}
	cw_json_put_close(w, ']');
}

static void
put_additive(struct cw_pack *w, const struct cw_map *m)
{
	put_real(w, "remainder", m->remainder);
	begin(w, "remainder_parts", '{');
	put_real(w, "class_token", m->class_token);
	put_real(w, "mlp", m->mlp);
	put_real(w, "out_bias", m->out_bias);
	put_real(w, "embedding", m->embedding);
	put_real(w, "ln_bias", m->ln_bias);
	put_real(w, "entropy", m->entropy);
	put_real(w, "rounding", m->rounding);
	cw_json_put_close(w, '}');
	put_real(w, "total", m->total);
}

static void
put_faithfulness(struct cw_pack *w, const struct cw_map *m)
{
	begin(w, "faithfulness", '{');
	put_int(w, "masked", m->masked);
	put_real(w, "drop", m->drop);
	put_real(w, "random_drop", m->random_drop);
	put_bool(w, "weak", cw_map_weak(m));
	cw_json_put_close(w, '}');
}

static void
put_map(struct cw_pack *w, const struct cw_policy_set *set,
    const struct cw_result *res, const struct cw_map *m)
{
	const struct cw_view *v = &res->views[m->view];
	const int64_t grid[] = { m->gw, m->gh };
	const struct cw_category *c;
	const struct cw_policy *p;

	cw_policy_set_category(set, m->category, &p, &c);
	cw_json_put_open(w, '{');
	cw_json_put_text(w, "policy", p->id);
	cw_json_put_text(w, "category", c->id);
	cw_json_put_text(w, "prompt", c->prompts[m->prompt].text);
	cw_json_put_text(w, "method", cw_method_name(m->method));
	put_ints(w, "grid", grid, CW_COUNT(grid));
	put_int(w, "view", m->view);
	put_rectangle(w, "crop", v->x, v->y, v->w, v->h);
	put_reals(w, "values", m->values, (size_t)m->gw * m->gh);
	if (m->method == CW_M_ADDITIVE)
		put_additive(w, m);
	if (m->measured)
		put_faithfulness(w, m);
	begin(w, "regions", '[');
	for (uint32_t i = 0; i < m->nregions; i++) {
		const struct cw_region *g = &m->regions[i];

		cw_json_put_open(w, '{');
		put_rectangle(w, "box", g->x, g->y, g->w, g->h);
		put_real(w, "share", g->share);
		cw_json_put_close(w, '}');
	}
	cw_json_put_close(w, ']');
	cw_json_put_close(w, '}');
}

/* Flagged, and no map to show for it: why. */
static void
put_absent(struct cw_pack *w, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	bool begun = false;

	for (uint32_t i = 0; i < set->ncategories; i++) {
		const struct cw_cat_result *r = &res->cats[i];
		const struct cw_category *c;
		const struct cw_policy *p;

		cw_policy_set_category(set, i, &p, &c);
		if (r->source == CW_FROM_NONE || r->no_map == CW_MAP_MADE ||
		    cw_thresholds_decide(&c->thresholds, r->score) == CW_ALLOW)
			continue;
		if (!begun)
			begin(w, "maps_absent", '[');
		begun = true;
		cw_json_put_open(w, '{');
		cw_json_put_text(w, "policy", p->id);
		cw_json_put_text(w, "category", c->id);
		cw_json_put_text(w, "reason", cw_no_map_name(r->no_map));
		cw_json_put_close(w, '}');
	}
	if (begun)
		cw_json_put_close(w, ']');
}

static void
put_text(struct cw_pack *w, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	const struct cw_text_result *t = &res->text;
	const struct cw_category *c;
	const struct cw_policy *p;

	begin(w, "text", '{');
	begin(w, "tokens", '[');
	for (uint32_t i = 0; i < t->ntokens; i++)
		cw_json_put_string(w, t->tokens[i]);
	cw_json_put_close(w, ']');
	put_reals(w, "values", t->values, t->ntokens);
	cw_policy_set_category(set, t->category, &p, &c);
	cw_json_put_text(w, "policy", p->id);
	cw_json_put_text(w, "category", c->id);
	put_real(w, "score", res->cats[t->category].text_score);
	put_real(w, "total", t->total);
	put_real(w, "remainder", t->remainder);
	cw_json_put_close(w, '}');
}

static void
put_timing(struct cw_pack *w, const struct cw_verdict_facts *f,
    const struct cw_timing *t)
{
	begin(w, "timing_ms", '{');
	put_ms(w, "queue", (int64_t)f->queue_us);
	put_ms(w, "decode", t->decode);
	put_ms(w, "preprocess", t->preprocess);
	put_ms(w, "encode", t->encode);
	put_ms(w, "score", t->score);
	put_ms(w, "explain", t->explain);
	put_ms(w, "total", f->scored_us - f->received_us);
	cw_json_put_close(w, '}');
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
put_failed(struct cw_pack *w, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	begin(w, "error", '{');
	cw_json_put_text(w, "stage", cw_stage_name(res->stage));
	cw_json_put_text(w, "code", res->code);
	cw_json_put_text(w, "message", res->message);
	cw_json_put_close(w, '}');
	cw_json_put_text(w, "on_error", cw_action_name(advice_on_error(set)));
}

static void
put_scored(struct cw_pack *w, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	put_flags(w, set, res, false);
	put_flags(w, set, res, true);
	cw_verdict_put_scores(w, set, res);
	put_views(w, set, res);
	if (res->nmaps > 0) {
		begin(w, "maps", '[');
		for (uint32_t i = 0; i < res->nmaps; i++)
			put_map(w, set, res, &res->maps[i]);
		cw_json_put_close(w, ']');
	}
	put_absent(w, set, res);
	if (res->text.ntokens > 0)
		put_text(w, set, res);
}

/* What the frames behind the verdict are, in their order. */
static void
put_evidence(struct cw_pack *w, const struct cw_verdict_facts *f)
{
	if (f->nevidence == 0)
		return;
	begin(w, "evidence", '[');
	for (uint32_t i = 0; i < f->nevidence; i++)
		cw_json_put_string(w, cw_artifact_name(f->evidence[i]));
	cw_json_put_close(w, ']');
}

static void
put_verdict(struct cw_pack *w, const struct cw_verdict_facts *f,
    const struct cw_policy_set *set, const struct cw_result *res)
{
	const struct cw_decision d = cw_verdict_decide(set, res);
	char received[CW_RFC3339_MAX], scored[CW_RFC3339_MAX];

	cw_rfc3339(f->received_us, received);
	cw_rfc3339(f->scored_us, scored);
	cw_json_put_open(w, '{');
	cw_json_put_text(w, "schema", CW_VERDICT_SCHEMA);
	cw_json_put_text(w, "id", f->id);
	cw_json_put_text(w, "decision", cw_action_name(d.action));
	cw_json_put_text(w, "received_at", received);
	cw_json_put_text(w, "scored_at", scored);
	cw_json_put_text(w, "surface", f->surface);
	put_image(w, f, res);
	if (res->failed)
		put_failed(w, set, res);
	else
		put_scored(w, set, res);
	put_evidence(w, f);
	begin(w, "model", '{');
	cw_json_put_key(w, "name");
	cw_json_put_string(w, f->model_name);
	cw_json_put_key(w, "sha256");
	cw_json_put_string(w, f->model_sha256);
	cw_json_put_close(w, '}');
	begin(w, "policies", '{');
	cw_json_put_text(w, "hash", set->hash);
	cw_json_put_close(w, '}');
	put_bool(w, "cached", f->cached);
	put_int(w, "attempt", f->attempt);
	put_timing(w, f, &res->timing);
	cw_json_put_text(w, "build", CW_VERSION);
	cw_json_put_close(w, '}');
}

const char *
cw_verdict_json(const struct cw_verdict_facts *f,
    const struct cw_policy_set *set, const struct cw_result *res,
    struct cw_arena *a, size_t *len)
{
	struct cw_pack w;

	/* Room for most verdicts, so that few are moved while they grow. */
	cw_pack_init(&w, a, 16384 + (res->failed ? 0 :
	    set->nprompts * PROMPT_BYTES +
	    cw_result_nfurther(set, res->cats) * FURTHER_BYTES));
	put_verdict(&w, f, set, res);
	cw_put_u8(&w, '\0');
	if (!cw_pack_ok(&w))
		return NULL;
	*len = w.len - 1;
	return (const char *)w.p;
}
