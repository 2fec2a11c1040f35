/*
 * policy_read.c - one policy's mapping, key by key.  See policy_read.h.
 */
#include "conf/policy_read.h"

#include <string.h>

#include "conf/value.h"

#define SCHEMA		"clipward.policy/1"
#define VERSION_MAX	1000000000u
#define TOP_MAX		64u		/* maps per image */
#define COSINE_MAX	1.0		/* thresholds of cosines */
#define MARGIN_MAX	2.0		/* ... of their differences */
#define NUMBER_MAX	1e6		/* of a calibration */

static const char id_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";

enum cw_status
cw_policy_no_room(struct cw_policy_read *r)
{
	return cw_err_set(r->err, CW_E_LIMIT, "no room for the policies");
}

enum cw_status
cw_policy_known_keys(struct cw_policy_read *r, const struct cw_yaml *map,
    const char *what, const char *const *keys, size_t n)
{
	char show[CW_YAML_SHOW];

	if (map->kind != CW_YAML_MAP)
		return cw_yaml_err(r->err, &map->at, "%s is %s; want a "
		    "mapping", what, cw_yaml_show(map, show));
	for (const struct cw_yaml *c = map->first; c != NULL; c = c->next) {
		size_t i = 0;

		while (i < n && strcmp(keys[i], c->key) != 0)
			i++;
		if (i == n)
			return cw_yaml_err(r->err, &c->key_at,
			    "unknown key %s in %s; nearest is \"%s\"",
			    cw_yaml_quote(c->key, show), what,
			    cw_value_nearest(c->key, keys, n));
	}
	return CW_OK;
}

enum cw_status
cw_policy_text(struct cw_policy_read *r, const struct cw_yaml *n,
    const char *what, size_t max, const char **out)
{
	char show[CW_YAML_SHOW];

	if (n == NULL)
		return CW_OK;
	if (n->kind != CW_YAML_SCALAR ||
	    strspn(n->text, " \n") == strlen(n->text))
		return cw_yaml_err(r->err, &n->at, "%s is %s; want a text",
		    what, cw_yaml_show(n, show));
	if (strlen(n->text) > max)
		return cw_yaml_err(r->err, &n->at,
		    "%s has %zu bytes; want at most %zu", what,
		    strlen(n->text), max);
	*out = n->text;
	return CW_OK;
}

/* A number within lo..hi; n may be NULL: *out stays. */
static enum cw_status
read_number(struct cw_policy_read *r, const struct cw_yaml *n,
    const char *what, double lo, double hi, double *out)
{
	char show[CW_YAML_SHOW];
	double v = 0;

	if (n == NULL)
		return CW_OK;
	if (n->kind != CW_YAML_SCALAR || !cw_value_number(n->text, &v) ||
	    v < lo || v > hi)
		return cw_yaml_err(r->err, &n->at,
		    "%s is %s; want a number from %g to %g", what,
		    cw_yaml_show(n, show), lo, hi);
	*out = v;
	return CW_OK;
}

static enum cw_status
read_count(struct cw_policy_read *r, const struct cw_yaml *n,
    const char *what, uint32_t lo, uint32_t hi, uint32_t *out)
{
	char show[CW_YAML_SHOW];
	uint64_t v = 0;

	if (n == NULL)
		return CW_OK;
	if (n->kind != CW_YAML_SCALAR || !cw_value_count(n->text, &v) ||
	    v < lo || v > hi)
		return cw_yaml_err(r->err, &n->at, "%s is %s; want %u to %u",
		    what, cw_yaml_show(n, show), lo, hi);
	*out = (uint32_t)v;
	return CW_OK;
}

static enum cw_status
read_bool(struct cw_policy_read *r, const struct cw_yaml *n,
    const char *what, bool *out)
{
	char show[CW_YAML_SHOW];
	uint64_t v = 0;

	if (n == NULL)
		return CW_OK;
	if (n->kind != CW_YAML_SCALAR || !cw_value_bool(n->text, &v))
		return cw_yaml_err(r->err, &n->at,
		    "%s is %s; want true or false", what,
		    cw_yaml_show(n, show));
	*out = v != 0;
	return CW_OK;
}

/* One of an enum's words; n may be NULL: *out stays. */
static enum cw_status
read_word(struct cw_policy_read *r, const struct cw_yaml *n,
    const char *what, int (*parse)(const char *), const char *want, int *out)
{
	char show[CW_YAML_SHOW];
	int v = -1;

	if (n == NULL)
		return CW_OK;
	if (n->kind == CW_YAML_SCALAR)
		v = parse(n->text);
	if (v < 0)
		return cw_yaml_err(r->err, &n->at, "%s is %s; want %s", what,
		    cw_yaml_show(n, show), want);
	*out = v;
	return CW_OK;
}

static int
on_error_parse(const char *s)
{
	const int v = cw_action_parse(s);

	return v == CW_REVIEW || v == CW_BLOCK ? v : -1;
}

static int
expect_parse(const char *s)
{
	const int v = cw_action_parse(s);

	return v == CW_ERROR ? -1 : v;
}

/* ---- parts ------------------------------------------------------------- */

static enum cw_status
read_reason(struct cw_policy_read *r, const struct cw_yaml *n,
    struct cw_reason *out)
{
	static const char *const keys[] = { "code", "dsa", "text" };
	enum cw_status st;

	out->code = out->dsa = out->text = "";
	if (n == NULL)
		return CW_OK;
	st = cw_policy_known_keys(r, n, "reason", keys, CW_COUNT(keys));
	if (st == CW_OK)
		st = cw_policy_text(r, cw_yaml_get(n, "code"), "reason.code",
		    CW_POLICY_TITLE_BYTES, &out->code);
	if (st == CW_OK)
		st = cw_policy_text(r, cw_yaml_get(n, "dsa"), "reason.dsa",
		    CW_POLICY_TITLE_BYTES, &out->dsa);
	if (st == CW_OK)
		st = cw_policy_text(r, cw_yaml_get(n, "text"), "reason.text",
		    CW_POLICY_TITLE_BYTES, &out->text);
	return st;
}

/* out holds what is inherited; *given says which were ever given. */
static enum cw_status
read_thresholds(struct cw_policy_read *r, const struct cw_yaml *n,
    double lo, double hi, struct cw_thresholds *out, unsigned *given)
{
	static const char *const keys[] = { "review", "block" };
	double review = out->review, block = out->block;
	enum cw_status st;

	if (n == NULL)
		return CW_OK;
	st = cw_policy_known_keys(r, n, "thresholds", keys, CW_COUNT(keys));
	if (st == CW_OK)
		st = read_number(r, cw_yaml_get(n, "review"),
		    "thresholds.review", lo, hi, &review);
	if (st == CW_OK)
		st = read_number(r, cw_yaml_get(n, "block"),
		    "thresholds.block", lo, hi, &block);
	if (st != CW_OK)
		return st;
	*given |= (cw_yaml_get(n, "review") != NULL ? 1u : 0u) |
	    (cw_yaml_get(n, "block") != NULL ? 2u : 0u);
	if (*given == 3 && review > block)
		return cw_yaml_err(r->err, &n->at,
		    "thresholds: review %g is above block %g; want it at "
		    "most that", review, block);
	out->review = (float)review;
	out->block = (float)block;
	return CW_OK;
}

/* "sha256:" and 64 hex digits. */
static enum cw_status
read_hash(struct cw_policy_read *r, const struct cw_yaml *n,
    char out[CW_SHA256_HEX])
{
	const char *s = n->text;

	if (strncmp(s, "sha256:", 7) == 0)
		s += 7;
	if (n->kind != CW_YAML_SCALAR || !cw_sha256_valid(s))
		return cw_yaml_err(r->err, &n->at,
		    "calibration.model; want sha256: and 64 hexadecimal "
		    "digits of the weights");
	memcpy(out, s, CW_SHA256_HEX);
	return CW_OK;
}

static enum cw_status
read_calibration(struct cw_policy_read *r, const struct cw_yaml *n,
    struct cw_calibration *out)
{
	static const char *const keys[] = { "kind", "a", "b", "model", "n",
		"date" };
	struct cw_calibration c = { .present = true, .date = "" };
	const char *kind = "platt";
	char show[CW_YAML_SHOW];
	enum cw_status st;

	if (n == NULL)
		return CW_OK;
	st = cw_policy_known_keys(r, n, "calibration", keys, CW_COUNT(keys));
	if (st != CW_OK)
		return st;
	for (size_t i = 1; i < 4; i++)
		if (cw_yaml_get(n, keys[i]) == NULL)
			return cw_yaml_err(r->err, &n->at,
			    "calibration without %s; want a, b and model",
			    keys[i]);
	st = cw_policy_text(r, cw_yaml_get(n, "kind"), "calibration.kind",
	    CW_ID_BYTES, &kind);
	if (st == CW_OK && strcmp(kind, "platt") != 0)
		return cw_yaml_err(r->err, &cw_yaml_get(n, "kind")->at,
		    "calibration.kind is %s; want platt",
		    cw_yaml_show(cw_yaml_get(n, "kind"), show));
	if (st == CW_OK)
		st = read_number(r, cw_yaml_get(n, "a"), "calibration.a",
		    -NUMBER_MAX, NUMBER_MAX, &c.a);
	if (st == CW_OK)
		st = read_number(r, cw_yaml_get(n, "b"), "calibration.b",
		    -NUMBER_MAX, NUMBER_MAX, &c.b);
	if (st == CW_OK)
		st = read_hash(r, cw_yaml_get(n, "model"), c.model);
	if (st == CW_OK)
		st = read_count(r, cw_yaml_get(n, "n"), "calibration.n", 0,
		    VERSION_MAX, &c.n);
	if (st == CW_OK)
		st = cw_policy_text(r, cw_yaml_get(n, "date"),
		    "calibration.date", CW_ID_BYTES, &c.date);
	*out = c;
	return st;
}

static enum cw_status
read_explain(struct cw_policy_read *r, const struct cw_yaml *n,
    struct cw_policy *p)
{
	static const char *const keys[] = { "when", "top", "faithfulness" };
	int when = (int)p->explain_when;
	enum cw_status st;

	if (n == NULL)
		return CW_OK;
	st = cw_policy_known_keys(r, n, "explain", keys, CW_COUNT(keys));
	if (st == CW_OK)
		st = read_word(r, cw_yaml_get(n, "when"), "explain.when",
		    cw_when_parse, "flagged, always or never", &when);
	p->explain_when = (enum cw_when)when;
	if (st == CW_OK)
		st = read_count(r, cw_yaml_get(n, "top"), "explain.top", 1,
		    TOP_MAX, &p->explain_top);
	if (st == CW_OK)
		st = read_bool(r, cw_yaml_get(n, "faithfulness"),
		    "explain.faithfulness", &p->faithfulness);
	return st;
}

static enum cw_status
read_test(struct cw_policy_read *r, const struct cw_yaml *n,
    struct cw_policy_test *out)
{
	static const char *const keys[] = { "image", "expect" };
	int expect = -1;
	enum cw_status st;

	st = cw_policy_known_keys(r, n, "a test", keys, CW_COUNT(keys));
	if (st == CW_OK)
		st = cw_policy_text(r, cw_yaml_get(n, "image"), "test.image",
		    4095, &out->image);
	if (st == CW_OK)
		st = read_word(r, cw_yaml_get(n, "expect"), "test.expect",
		    expect_parse, "allow, review or block", &expect);
	if (st != CW_OK)
		return st;
	if (out->image == NULL || expect < 0)
		return cw_yaml_err(r->err, &n->at,
		    "test without %s; want {image: ..., expect: ...}",
		    out->image == NULL ? "image" : "expect");
	out->expect = (enum cw_action)expect;
	return CW_OK;
}

static enum cw_status
read_tests(struct cw_policy_read *r, const struct cw_yaml *n,
    struct cw_policy *p)
{
	enum cw_status st = CW_OK;

	if (n == NULL)
		return CW_OK;
	if (n->kind != CW_YAML_LIST || n->n > CW_POLICY_TESTS_MAX)
		return cw_yaml_err(r->err, &n->at,
		    "tests; want a list of at most %u of {image: ..., "
		    "expect: ...}", CW_POLICY_TESTS_MAX);
	p->tests = cw_arena_zalloc(r->arena, n->n, sizeof(*p->tests));
	if (p->tests == NULL)
		return cw_policy_no_room(r);
	for (const struct cw_yaml *c = n->first;
	    c != NULL && st == CW_OK; c = c->next)
		st = read_test(r, c, &p->tests[p->ntests++]);
	return st;
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
		st = read_word(r, cw_yaml_get(n, "severity"), "severity",
		    cw_severity_parse, "low, medium, high or critical",
		    &severity);
	c->severity = (enum cw_severity)severity;
	if (st == CW_OK)
		st = cw_policy_prompts(r, prompts, "prompts", &c->prompts,
		    &c->nprompts);
	if (st == CW_OK)
		st = read_reason(r, cw_yaml_get(n, "reason"), &c->reason);
	if (st == CW_OK)
		st = read_calibration(r, cw_yaml_get(n, "calibration"),
		    &c->calibration);
	if (st != CW_OK)
		return st;
	score_range(p, &c->calibration, &lo, &hi);
	st = read_thresholds(r, cw_yaml_get(n, "thresholds"), lo, hi,
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
	st = read_calibration(r, cw_yaml_get(root, "calibration"),
	    &usual.calibration);
	score_range(p, &usual.calibration, &lo, &hi);
	if (st == CW_OK)
		st = read_thresholds(r, cw_yaml_get(root, "thresholds"), lo,
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
	st = read_word(r, n, "score", cw_scoring_parse,
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
		st = read_count(r, cw_yaml_get(root, "version"), "version",
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
		st = read_explain(r, cw_yaml_get(root, "explain"), &p);
	if (st == CW_OK)
		st = read_word(r, cw_yaml_get(root, "on_error"), "on_error",
		    on_error_parse, "review or block", &on_error);
	p.on_error = (enum cw_action)on_error;
	if (st == CW_OK)
		st = read_bool(r, cw_yaml_get(root, "shadow"), "shadow",
		    &p.shadow);
	if (st == CW_OK)
		st = read_tests(r, cw_yaml_get(root, "tests"), &p);
	if (st != CW_OK)
		return st;
	if (r->warnings != NULL)
		cw_policy_lint(r, root, &p);
	*out = p;
	return CW_OK;
}
