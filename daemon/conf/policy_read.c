/*
 * policy_read.c - one policy's mapping, key by key.  See policy_read.h.
 */
#include "conf/policy_read.h"

#include <string.h>

#define SCHEMA		"clipward.policy/1"
#define VERSION_MAX	1000000000u
#define COSINE_MAX	1.0		/* thresholds of cosines */
#define MARGIN_MAX	2.0		/* ... of their differences */

static const char id_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";

static int
on_error_parse(const char *s)
{
	const int v = cw_action_parse(s);

	return v == CW_REVIEW || v == CW_BLOCK ? v : -1;
}

/* ---- categories -------------------------------------------------------- */

static enum cw_status
read_category_id(struct cw_policy_read *r, const struct cw_yaml *n,
    const struct cw_policy *p, struct cw_category *c)
{
	const struct cw_yaml *id = cw_yaml_get(n, "id");
	const size_t len = strlen(p->id);
	enum cw_status st;

	if (id == NULL)
		return cw_yaml_err(r->err, &n->at,
		    "category without an id; want id: %s.NAME", p->id);
	st = cw_policy_text(r, id, "category id", CW_ID_BYTES, &c->id);
	if (st != CW_OK)
		return st;
	if (strncmp(c->id, p->id, len) != 0 || c->id[len] != '.' ||
	    c->id[len + 1] == '\0' ||
	    strspn(c->id, id_chars) != strlen(c->id))
		return cw_yaml_err(r->err, &id->at,
		    "category id \"%s\"; want %s. and a name of [a-z0-9_.-]",
		    c->id, p->id);
	for (size_t i = 0; i < p->ncategories; i++)
		if (strcmp(p->categories[i].id, c->id) == 0)
			return cw_yaml_err(r->err, &id->at,
			    "category \"%s\" again; want each id once", c->id);
	return CW_OK;
}

/* Bounds of the thresholds, in the unit of the score. */
static void
score_range(const struct cw_policy *p, const struct cw_calibration *k,
    double *lo, double *hi)
{
	*hi = k->present || p->scoring == CW_SOFTMAX ? 1 :
	    p->scoring == CW_MARGIN ? MARGIN_MAX : COSINE_MAX;
	*lo = k->present || p->scoring == CW_SOFTMAX ? 0 : -*hi;
}

/* c comes with the policy's thresholds and calibration. */
static enum cw_status
read_category(struct cw_policy_read *r, const struct cw_yaml *n,
    const struct cw_policy *p, unsigned given, struct cw_category *c)
{
	static const char *const keys[] = { "id", "title", "severity",
		"prompts", "reason", "thresholds", "calibration" };
	const struct cw_yaml *prompts;
	int severity = CW_MEDIUM;
	enum cw_status st;
	double lo, hi;

	st = cw_policy_known_keys(r, n, "a category", keys, CW_COUNT(keys));
	if (st == CW_OK)
		st = read_category_id(r, n, p, c);
	if (st != CW_OK)
		return st;
	c->title = c->id;
	prompts = cw_yaml_get(n, "prompts");
	if (prompts == NULL)
		return cw_yaml_err(r->err, &n->at,
		    "category %s without prompts; want a list of texts",
		    c->id);
	st = cw_policy_text(r, cw_yaml_get(n, "title"), "title",
	    CW_POLICY_TITLE_BYTES, &c->title);
	if (st == CW_OK)
		st = cw_policy_word(r, cw_yaml_get(n, "severity"), "severity",
		    cw_severity_parse, "low, medium, high or critical",
		    &severity);
	c->severity = (enum cw_severity)severity;
	if (st == CW_OK)
		st = cw_policy_prompts(r, prompts, "prompts", &c->prompts,
		    &c->nprompts);
	if (st == CW_OK)
		st = cw_policy_read_reason(r, cw_yaml_get(n, "reason"), &c->reason);
	if (st == CW_OK)
		st = cw_policy_read_calibration(r, cw_yaml_get(n, "calibration"),
		    &c->calibration);
	if (st != CW_OK)
		return st;
	score_range(p, &c->calibration, &lo, &hi);
	st = cw_policy_read_thresholds(r, cw_yaml_get(n, "thresholds"), lo, hi,
	    &c->thresholds, &given);
	if (st == CW_OK && given != 3)
		return cw_yaml_err(r->err, &n->at,
		    "category %s has no threshold for %s; want thresholds: "
		    "{review: ..., block: ...} here or in the policy", c->id,
		    given & 1u ? "block" : "review");
	/* Inherited ones may be in another unit than a calibrated score. */
	if (st == CW_OK && ((double)c->thresholds.review < lo ||
	    (double)c->thresholds.block > hi))
		return cw_yaml_err(r->err, &n->at,
		    "category %s: thresholds %g and %g do not fit its score; "
		    "want %g to %g", c->id, (double)c->thresholds.review,
		    (double)c->thresholds.block, lo, hi);
	return st;
}

static enum cw_status
read_categories(struct cw_policy_read *r, const struct cw_yaml *root,
    struct cw_policy *p)
{
	const struct cw_yaml *list = cw_yaml_get(root, "categories");
	struct cw_category usual = { 0 };
	enum cw_status st;
	unsigned given = 0;
	double lo, hi;

	if (list == NULL || list->kind != CW_YAML_LIST || list->n == 0 ||
	    list->n > CW_CATEGORIES_MAX)
		return cw_yaml_err(r->err, list ? &list->at : &root->at,
		    "categories; want a list of 1 to %u",
		    CW_CATEGORIES_MAX);
	st = cw_policy_read_calibration(r, cw_yaml_get(root, "calibration"),
	    &usual.calibration);
	score_range(p, &usual.calibration, &lo, &hi);
	if (st == CW_OK)
		st = cw_policy_read_thresholds(r, cw_yaml_get(root, "thresholds"), lo,
		    hi, &usual.thresholds, &given);
	p->categories = cw_arena_zalloc(r->arena, list->n,
	    sizeof(*p->categories));
	if (st == CW_OK && p->categories == NULL)
		return cw_policy_no_room(r);
	for (const struct cw_yaml *c = list->first;
	    c != NULL && st == CW_OK; c = c->next) {
		struct cw_category *cat = &p->categories[p->ncategories];

		*cat = usual;
		st = read_category(r, c, p, given, cat);
		p->ncategories++;
	}
	return st;
}

/* ---- the policy -------------------------------------------------------- */

static enum cw_status
read_schema(struct cw_policy_read *r, const struct cw_yaml *root)
{
	const struct cw_yaml *n = cw_yaml_get(root, "schema");
	char show[CW_YAML_SHOW];

	if (n == NULL)
		return cw_yaml_err(r->err, &root->at,
		    "no schema; want schema: " SCHEMA);
	if (n->kind != CW_YAML_SCALAR || strcmp(n->text, SCHEMA) != 0)
		return cw_yaml_err(r->err, &n->at, "schema is %s; want "
		    SCHEMA, cw_yaml_show(n, show));
	return CW_OK;
}

static enum cw_status
read_policy_id(struct cw_policy_read *r, const struct cw_yaml *root,
    struct cw_policy *p)
{
	const struct cw_yaml *n = cw_yaml_get(root, "id");
	enum cw_status st;

	if (n == NULL)
		return cw_yaml_err(r->err, &root->at,
		    "no id; want id: NAME");
	st = cw_policy_text(r, n, "id", CW_ID_BYTES / 2, &p->id);
	if (st != CW_OK)
		return st;
	/* A dot would split the topic verdict.DECISION.POLICY, and the two
	 * words stand there for verdicts without a policy. */
	if (strspn(p->id, id_chars) != strlen(p->id) ||
	    strchr(p->id, '.') != NULL || strcmp(p->id, "none") == 0 ||
	    strcmp(p->id, "error") == 0)
		return cw_yaml_err(r->err, &n->at,
		    "id \"%s\"; want a name of [a-z0-9_-] other than none "
		    "and error", p->id);
	return CW_OK;
}

static enum cw_status
read_scoring(struct cw_policy_read *r, const struct cw_yaml *root,
    struct cw_policy *p)
{
	const struct cw_yaml *n = cw_yaml_get(root, "score");
	const struct cw_yaml *heads = cw_yaml_get(root, "heads");
	int scoring = CW_SOFTMAX;
	enum cw_status st;

	if (heads != NULL && (heads->kind != CW_YAML_LIST || heads->n > 0))
		return cw_yaml_err(r->err, &heads->at,
		    "heads: linear heads are not read by this version; want "
		    "[]");
	if (n != NULL && n->kind == CW_YAML_SCALAR &&
	    strcmp(n->text, "head") == 0)
		return cw_yaml_err(r->err, &n->at,
		    "score: head is not read by this version; want softmax, "
		    "margin or cosine");
	st = cw_policy_word(r, n, "score", cw_scoring_parse,
	    "softmax, margin or cosine", &scoring);
	p->scoring = (enum cw_scoring)scoring;
	return st;
}

static enum cw_status
read_neutral(struct cw_policy_read *r, const struct cw_yaml *root,
    struct cw_policy *p)
{
	const struct cw_yaml *n = cw_yaml_get(root, "neutral");
	const bool none = n == NULL ||
	    (n->kind == CW_YAML_LIST && n->n == 0);

	if (none && p->scoring == CW_COSINE)
		return CW_OK;
	if (none)
		return cw_yaml_err(r->err, n ? &n->at : &root->at,
		    "no neutral prompts; score: %s wants a contrast set",
		    cw_scoring_name(p->scoring));
	return cw_policy_prompts(r, n, "neutral", &p->neutral, &p->nneutral);
}

enum cw_status
cw_policy_read_tree(struct cw_policy_read *r, const struct cw_yaml *root,
    struct cw_policy *out)
{
	static const char *const keys[] = { "schema", "id", "version",
		"title", "templates", "categories", "neutral", "score",
		"thresholds", "calibration", "heads", "explain", "on_error",
		"shadow", "tests" };
	struct cw_policy p = { .file = root->at.file, .version = 1,
		.explain_when = CW_WHEN_FLAGGED, .explain_top = 3 };
	int on_error = CW_REVIEW;
	enum cw_status st;

	if (r->defaults != NULL) {
		p.explain_when = r->defaults->explain_when;
		p.explain_top = r->defaults->explain_top;
	}
	st = cw_policy_known_keys(r, root, "a policy", keys, CW_COUNT(keys));
	if (st == CW_OK)
		st = read_schema(r, root);
	if (st == CW_OK)
		st = read_policy_id(r, root, &p);
	p.title = p.id;
	if (st == CW_OK)
		st = cw_policy_count(r, cw_yaml_get(root, "version"), "version",
		    1, VERSION_MAX, &p.version);
	if (st == CW_OK)
		st = cw_policy_text(r, cw_yaml_get(root, "title"), "title",
		    CW_POLICY_TITLE_BYTES, &p.title);
	if (st == CW_OK)
		st = cw_policy_templates(r, cw_yaml_get(root, "templates"),
		    &p);
	if (st == CW_OK)
		st = read_scoring(r, root, &p);
	if (st == CW_OK)
		st = read_categories(r, root, &p);
	if (st == CW_OK)
		st = read_neutral(r, root, &p);
	if (st == CW_OK)
		st = cw_policy_read_explain(r, cw_yaml_get(root, "explain"), &p);
	if (st == CW_OK)
		st = cw_policy_word(r, cw_yaml_get(root, "on_error"), "on_error",
		    on_error_parse, "review or block", &on_error);
	p.on_error = (enum cw_action)on_error;
	if (st == CW_OK)
		st = cw_policy_bool(r, cw_yaml_get(root, "shadow"), "shadow",
		    &p.shadow);
	if (st == CW_OK)
		st = cw_policy_read_tests(r, cw_yaml_get(root, "tests"), &p);
	if (st != CW_OK)
		return st;
	if (r->warnings != NULL)
		cw_policy_lint(r, root, &p);
	*out = p;
	return CW_OK;
}
