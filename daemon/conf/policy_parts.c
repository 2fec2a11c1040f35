/*
 * policy_parts.c - the small readers: single values, and the mappings that a
 * policy and its categories share.  See policy_read.h.
 */
#include <string.h>

#include "conf/policy_read.h"
#include "conf/value.h"

#define COUNT_MAX	1000000000u
#define TOP_MAX		64u		/* maps per image */
#define NUMBER_MAX	1e6		/* of a calibration */

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

enum cw_status
cw_policy_count(struct cw_policy_read *r, const struct cw_yaml *n,
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

enum cw_status
cw_policy_bool(struct cw_policy_read *r, const struct cw_yaml *n,
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
enum cw_status
cw_policy_word(struct cw_policy_read *r, const struct cw_yaml *n,
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
expect_parse(const char *s)
{
	const int v = cw_action_parse(s);

	return v == CW_ERROR ? -1 : v;
}

/* ---- mappings --------------------------------------------------------- */

enum cw_status
cw_policy_read_reason(struct cw_policy_read *r, const struct cw_yaml *n,
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
enum cw_status
cw_policy_read_thresholds(struct cw_policy_read *r, const struct cw_yaml *n,
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

enum cw_status
cw_policy_read_calibration(struct cw_policy_read *r, const struct cw_yaml *n,
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
		st = cw_policy_count(r, cw_yaml_get(n, "n"), "calibration.n", 0,
		    COUNT_MAX, &c.n);
	if (st == CW_OK)
		st = cw_policy_text(r, cw_yaml_get(n, "date"),
		    "calibration.date", CW_ID_BYTES, &c.date);
	*out = c;
	return st;
}

enum cw_status
cw_policy_read_explain(struct cw_policy_read *r, const struct cw_yaml *n,
    struct cw_policy *p)
{
	static const char *const keys[] = { "when", "top", "faithfulness" };
	int when = (int)p->explain_when;
	enum cw_status st;

	if (n == NULL)
		return CW_OK;
	st = cw_policy_known_keys(r, n, "explain", keys, CW_COUNT(keys));
	if (st == CW_OK)
		st = cw_policy_word(r, cw_yaml_get(n, "when"), "explain.when",
		    cw_when_parse, "flagged, always or never", &when);
	p->explain_when = (enum cw_when)when;
	if (st == CW_OK)
		st = cw_policy_count(r, cw_yaml_get(n, "top"), "explain.top", 1,
		    TOP_MAX, &p->explain_top);
	if (st == CW_OK)
		st = cw_policy_bool(r, cw_yaml_get(n, "faithfulness"),
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
		st = cw_policy_word(r, cw_yaml_get(n, "expect"), "test.expect",
		    expect_parse, "allow, review or block", &expect);
	if (st != CW_OK)
		return st;
	if (out->image == NULL || expect < 0)
		return cw_yaml_err(r->err, &n->at,
		    "test without %s; want {image: ..., expect: ...}",
		    out->image == NULL ? "image" : "expect");
	out->expect = (enum cw_action)expect;
	out->line = cw_yaml_get(n, "image")->at.line;
	out->column = cw_yaml_get(n, "image")->at.column;
	return CW_OK;
}

enum cw_status
cw_policy_read_tests(struct cw_policy_read *r, const struct cw_yaml *n,
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
