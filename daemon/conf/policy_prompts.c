/*
 * policy_prompts.c - the texts of a policy: prompts and templates.
 * See policy_read.h.
 */
#include <string.h>
#include <strings.h>

#include "conf/policy_read.h"
#include "conf/value.h"

#define WEIGHT_MAX	1000.0

/* CLIP's own marks: in a text they would end or begin it for the model. */
static const char *const marks[] = { "<|endoftext|>", "<|startoftext|>" };

static enum cw_status
check_marks(struct cw_policy_read *r, const struct cw_yaml *n)
{
	for (size_t i = 0; i < CW_COUNT(marks); i++)
		if (strcasestr(n->text, marks[i]) != NULL)
			return cw_yaml_err(r->err, &n->at,
			    "\"%s\" in a text; want plain words", marks[i]);
	return CW_OK;
}

static enum cw_status
read_weight(struct cw_policy_read *r, const struct cw_yaml *n, float *out)
{
	char show[CW_YAML_SHOW];
	double v = 0;

	if (n == NULL)
		return CW_OK;
	if (n->kind != CW_YAML_SCALAR || !cw_value_number(n->text, &v) ||
	    !(v > 0) || v > WEIGHT_MAX)
		return cw_yaml_err(r->err, &n->at,
		    "weight is %s; want a number above 0, up to %g",
		    cw_yaml_show(n, show), WEIGHT_MAX);
	*out = (float)v;
	if (!(*out > 0))
		return cw_yaml_err(r->err, &n->at,
		    "weight is %s; want a number a float can hold", n->text);
	return CW_OK;
}

static enum cw_status
read_prompt(struct cw_policy_read *r, const struct cw_yaml *n,
    struct cw_prompt *out)
{
	static const char *const keys[] = { "text", "weight" };
	const struct cw_yaml *text = n;
	enum cw_status st = CW_OK;

	out->weight = 1;
	if (++r->nprompts > CW_PROMPTS_MAX)
		return cw_yaml_err(r->err, &n->at,
		    "more than %u prompts in all policies", CW_PROMPTS_MAX);
	if (n->kind == CW_YAML_MAP) {
		st = cw_policy_known_keys(r, n, "a prompt", keys,
		    CW_COUNT(keys));
		if (st != CW_OK)
			return st;
		text = cw_yaml_get(n, "text");
		if (text == NULL)
			return cw_yaml_err(r->err, &n->at,
			    "prompt without text; want {text: ..., "
			    "weight: ...}");
		st = read_weight(r, cw_yaml_get(n, "weight"), &out->weight);
	}
	if (st == CW_OK)
		st = cw_policy_text(r, text, "prompt", CW_PROMPT_BYTES,
		    &out->text);
	return st != CW_OK ? st : check_marks(r, text);
}

enum cw_status
cw_policy_prompts(struct cw_policy_read *r, const struct cw_yaml *list,
    const char *what, struct cw_prompt **out, size_t *count)
{
	enum cw_status st = CW_OK;
	char show[CW_YAML_SHOW];
	struct cw_prompt *p;
	size_t i = 0;

	if (list->kind != CW_YAML_LIST || list->n == 0)
		return cw_yaml_err(r->err, &list->at,
		    "%s is %s; want a list of texts", what,
		    list->kind == CW_YAML_LIST ? "an empty list" :
		    cw_yaml_show(list, show));
	p = cw_arena_zalloc(r->arena, list->n, sizeof(*p));
	if (p == NULL)
		return cw_policy_no_room(r);
	for (const struct cw_yaml *c = list->first;
	    c != NULL && st == CW_OK; c = c->next)
		st = read_prompt(r, c, &p[i++]);
	*out = p;
	*count = i;
	return st;
}

static enum cw_status
read_template(struct cw_policy_read *r, const struct cw_yaml *n,
    const char **out)
{
	char show[CW_YAML_SHOW];
	enum cw_status st;
	const char *hole;

	st = cw_policy_text(r, n, "template", CW_PROMPT_BYTES, out);
	if (st != CW_OK)
		return st;
	hole = strstr(*out, "{}");
	if (hole == NULL || strstr(hole + 2, "{}") != NULL)
		return cw_yaml_err(r->err, &n->at,
		    "template %s has %s {}; want exactly one",
		    cw_yaml_quote(*out, show),
		    hole == NULL ? "no" : "more than one");
	return check_marks(r, n);
}

enum cw_status
cw_policy_templates(struct cw_policy_read *r, const struct cw_yaml *list,
    struct cw_policy *p)
{
	static const char *const usual = "a photo of {}.";
	enum cw_status st = CW_OK;
	char show[CW_YAML_SHOW];

	if (list != NULL && (list->kind != CW_YAML_LIST || list->n == 0 ||
	    list->n > CW_TEMPLATES_MAX))
		return cw_yaml_err(r->err, &list->at,
		    "templates is %s; want a list of 1 to %u texts with {}",
		    list->kind == CW_YAML_LIST ? "a list of another size" :
		    cw_yaml_show(list, show), CW_TEMPLATES_MAX);
	p->templates = cw_arena_zalloc(r->arena, list == NULL ? 1 : list->n,
	    sizeof(*p->templates));
	if (p->templates == NULL)
		return cw_policy_no_room(r);
	if (list == NULL) {
		p->templates[p->ntemplates++] = usual;
		return CW_OK;
	}
	for (const struct cw_yaml *c = list->first;
	    c != NULL && st == CW_OK; c = c->next)
		st = read_template(r, c, &p->templates[p->ntemplates++]);
	return st;
}
