/*
 * verdict_scores.c - see verdict_scores.h.
 *
 * There may be thousands of prompts, and then these lists are the verdict and
 * its time: what their objects share is made once, and behind the text all of
 * an object is written into room that was asked for once.
 */
#include "format/verdict_scores.h"

#include <string.h>

#include "format/float_text.h"
#include "format/json_write.h"

#define COSINE	",\"cosine\":"
#define SCORE	",\"score\":"
#define ALSO	",\"also\":{"
#define APPLIED	",\"applied\":true}"
#define NOT	",\"applied\":false}"

/* Room for what stands behind a prompt's text. */
#define REST_MAX	(sizeof(COSINE) + sizeof(SCORE) + sizeof(NOT) + \
			    2 * CW_FLOAT_TEXT_MAX)

/* A neutral prompt's, with its cosine at every view. */
#define NEUTRAL_MAX	(sizeof(COSINE) + sizeof(ALSO "}}") + \
			    CW_FLOAT_TEXT_MAX + CW_VIEWS_MAX * \
			    (sizeof("\"00\":,") + CW_FLOAT_TEXT_MAX))

/*
 * {"policy":...,"category":...,"view":...,"prompt": as every prompt of them
 * begins.
 */
static const uint8_t *
make_head(struct cw_arena *a, const char *policy, const char *category,
    uint32_t view, size_t *len)
{
	struct cw_pack w;

	cw_pack_init(&w, a, 0);
	cw_json_put_open(&w, '{');
	cw_json_put_text(&w, "policy", policy);
	cw_json_put_text(&w, "category", category);
	if (view > 0) {
		cw_json_put_key(&w, "view");
		cw_json_put_int(&w, view);
	}
	cw_json_put_key(&w, "prompt");
	*len = w.len;
	return cw_pack_ok(&w) ? w.p : NULL;
}

static char *
put_literal(char *p, const char *s)
{
	const size_t n = strlen(s);	/* the compiler's: s is a literal */

	memcpy(p, s, n);
	return p + n;
}

static void
put_category(struct cw_pack *w, const struct cw_policy *p,
    const struct cw_category *c, const struct cw_result *res,
    const struct cw_cat_result *r)
{
	const bool applied = r->source != CW_FROM_NONE;
	size_t n;
	const uint8_t *head = make_head(w->arena, p->id, c->id,
	    applied ? r->view : 0, &n);

	w->bad |= head == NULL;
	for (size_t k = 0; k < c->nprompts && !w->bad; k++) {
		char *to, *start;

		cw_json_put_raw(w, (const char *)head, n);
		cw_json_put_string(w, c->prompts[k].text);
		start = to = (char *)cw_pack_reserve(w, REST_MAX);
		if (to == NULL)
			return;
		to = put_literal(to, COSINE);
		to = cw_float_text(to, res->cosines[c->bank + k]);
		to = put_literal(to, SCORE);
		to = cw_float_text(to, res->scores[c->bank + k]);
		to = applied ? put_literal(to, APPLIED) : put_literal(to, NOT);
		w->len += (size_t)(to - start);
	}
}

/* "1":0.5,"12":0.25 of the views whose bits are set; cos: the first of them. */
static char *
put_also(char *p, uint32_t views, const float *cos, size_t step)
{
	for (; views != 0; views &= views - 1, cos += step) {
		const int v = __builtin_ctz(views);

		*p++ = '"';
		if (v >= 10)
			*p++ = (char)('0' + v / 10);
		*p++ = (char)('0' + v % 10);
		p = put_literal(p, "\":");
		p = cw_float_text(p, *cos);
		*p++ = ',';
	}
	return p - 1;	/* over the last comma */
}

/* further: [more views][nneutral], of the policy. */
static void
put_neutral(struct cw_pack *w, const struct cw_policy *p,
    const struct cw_result *res, uint32_t views, const float *further)
{
	const uint32_t more = views & (views - 1);
	size_t n;
	const uint8_t *head = make_head(w->arena, p->id, "",
	    (uint32_t)__builtin_ctz(views), &n);

	w->bad |= head == NULL;
	for (size_t k = 0; k < p->nneutral && !w->bad; k++) {
		char *to, *start;

		cw_json_put_raw(w, (const char *)head, n);
		cw_json_put_string(w, p->neutral[k].text);
		start = to = (char *)cw_pack_reserve(w, NEUTRAL_MAX);
		if (to == NULL)
			return;
		to = put_literal(to, COSINE);
		to = cw_float_text(to, res->cosines[p->neutral_bank + k]);
		if (more != 0) {
			to = put_literal(to, ALSO);
			to = put_also(to, more, further + k, p->nneutral);
			*to++ = '}';
		}
		*to++ = '}';
		w->len += (size_t)(to - start);
	}
}

void
cw_verdict_put_scores(struct cw_pack *w, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	const struct cw_cat_result *r = res->cats;
	const float *further = res->further;

	cw_json_put_key(w, "scores");
	cw_json_put_open(w, '[');
	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];

		for (size_t j = 0; j < p->ncategories; j++, r++)
			put_category(w, p, &p->categories[j], res, r);
	}
	cw_json_put_close(w, ']');
	cw_json_put_key(w, "neutral");
	cw_json_put_open(w, '[');
	r = res->cats;
	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];
		uint32_t views = cw_result_views(p, r);

		put_neutral(w, p, res, views, further);
		while ((views &= views - 1) != 0)
			further += p->nneutral;
		r += p->ncategories;
	}
	cw_json_put_close(w, ']');
}
