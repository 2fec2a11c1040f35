/*
 * policy_lint.c - what is right and still unwise in a policy.
 * See policy_read.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/policy_read.h"
#include "format/utf8.h"

#define NEUTRAL_FEW	8u	/* fewer make every image look suspicious */

static void CW_PRINTF(4, 5)
warn(struct cw_warnings *w, struct cw_arena *a,
    const struct cw_yaml_place *at, const char *fmt, ...)
{
	char text[CW_ERR_MAX];
	va_list ap;

	if (w->n == CW_WARNINGS_MAX) {
		w->dropped++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	w->text[w->n] = at->line == 0 ?
	    cw_arena_printf(a, "%s: %s", at->file, text) :
	    cw_arena_printf(a, "%s:%d:%d: %s", at->file, at->line,
	    at->column, text);
	if (w->text[w->n] != NULL)
		w->n++;
}

/* One prompt of a policy and where it stands. */
struct line {
	const char		*text;
	const struct cw_yaml	*node;
	const char		*category;	/* NULL: neutral */
};

static int
by_text_then_place(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	const int c = strcasecmp(x->text, y->text);

	return c != 0 ? c : x->node->at.line != y->node->at.line ?
	    x->node->at.line - y->node->at.line :
	    x->node->at.column - y->node->at.column;
}

static size_t
add_lines(struct line *lines, size_t n, const struct cw_yaml *list,
    const char *category)
{
	if (list == NULL)
		return n;
	for (const struct cw_yaml *c = list->first; c != NULL; c = c->next) {
		const struct cw_yaml *text =
		    c->kind == CW_YAML_MAP ? cw_yaml_get(c, "text") : c;

		lines[n++] = (struct line){ text->text, text, category };
	}
	return n;
}

static void
warn_pair(struct cw_policy_read *r, const struct line *first,
    const struct line *again)
{
	const int line = first->node->at.line;
	char show[CW_YAML_SHOW];

	cw_yaml_quote(again->text, show);
	if ((first->category == NULL) != (again->category == NULL))
		warn(r->warnings, r->arena, &again->node->at,
		    "%s is a prompt and a neutral one (line %d); it can "
		    "tell nothing apart", show, line);
	else
		warn(r->warnings, r->arena, &again->node->at,
		    "%s again (line %d)", show, line);
}

static void
lint_prompts(struct cw_policy_read *r, const struct cw_yaml *root,
    const struct cw_policy *p)
{
	const struct cw_yaml *cat = cw_yaml_get(root, "categories")->first;
	struct line *lines;
	size_t total = p->nneutral, n = 0;

	for (size_t i = 0; i < p->ncategories; i++)
		total += p->categories[i].nprompts;
	lines = cw_arena_zalloc(r->arena, total, sizeof(*lines));
	if (lines == NULL)
		return;		/* the reader will find the same lack */
	for (size_t i = 0; i < p->ncategories; i++, cat = cat->next)
		n = add_lines(lines, n, cw_yaml_get(cat, "prompts"),
		    p->categories[i].id);
	n = add_lines(lines, n, cw_yaml_get(root, "neutral"), NULL);
	qsort(lines, n, sizeof(*lines), by_text_then_place);
	for (size_t i = 1; i < n; i++)
		if (strcasecmp(lines[i].text, lines[i - 1].text) == 0)
			warn_pair(r, &lines[i - 1], &lines[i]);
}

static void
lint_category(struct cw_policy_read *r, const struct cw_yaml *node,
    const struct cw_policy *p, const struct cw_category *c)
{
	if (c->thresholds.review == c->thresholds.block)
		warn(r->warnings, r->arena, &node->at,
		    "category %s: review equals block, so nothing is ever "
		    "only reviewed", c->id);
	if (p->scoring == CW_SOFTMAX && c->thresholds.review <= 0)
		warn(r->warnings, r->arena, &node->at,
		    "category %s: review at 0 flags every image", c->id);
	if (c->reason.code[0] == '\0')
		warn(r->warnings, r->arena, &node->at,
		    "category %s has no reason.code to tell people", c->id);
	if (c->calibration.present && c->calibration.a <= 0)
		warn(r->warnings, r->arena, &node->at,
		    "category %s: calibration a is not above 0, so higher "
		    "scores count less", c->id);
}

void
cw_policy_lint(struct cw_policy_read *r, const struct cw_yaml *root,
    const struct cw_policy *p)
{
	const struct cw_yaml *neutral = cw_yaml_get(root, "neutral");
	const struct cw_yaml *cat = cw_yaml_get(root, "categories")->first;

	if (p->scoring != CW_COSINE && p->nneutral < NEUTRAL_FEW)
		warn(r->warnings, r->arena, &neutral->at,
		    "only %zu neutral prompts; %u or more keep harmless "
		    "images out", p->nneutral, NEUTRAL_FEW);
	for (size_t i = 0; i < p->ncategories; i++, cat = cat->next)
		lint_category(r, cat, p, &p->categories[i]);
	lint_prompts(r, root, p);
}

void
cw_policy_set_lint_model(const struct cw_policy_set *set,
    const char *sha256, struct cw_arena *a, struct cw_warnings *warnings)
{
	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];
		const struct cw_yaml_place at = { p->file, 0, 0 };

		for (size_t j = 0; j < p->ncategories; j++) {
			const struct cw_category *c = &p->categories[j];

			if (!c->calibration.present ||
			    strcmp(c->calibration.model, sha256) == 0)
				continue;
			warn(warnings, a, &at,
			    "category %s: calibration belongs to model "
			    "%.12s, not to %.12s, and is not applied", c->id,
			    c->calibration.model, sha256);
		}
	}
}

#define SHOWN	80	/* bytes of a prompt in a warning */

/* The prompt of a bank index; *where is its category, or "neutral". */
static const struct cw_prompt *
prompt_at(const struct cw_policy *p, size_t bank, const char **where)
{
	for (size_t i = 0; i < p->ncategories; i++) {
		const struct cw_category *c = &p->categories[i];

		*where = c->id;
		if (bank >= c->bank && bank - c->bank < c->nprompts)
			return &c->prompts[bank - c->bank];
	}
	*where = "neutral";
	return bank >= p->neutral_bank && bank - p->neutral_bank <
	    p->nneutral ? &p->neutral[bank - p->neutral_bank] : NULL;
}

void
cw_policy_set_lint_long(const struct cw_policy_set *set, bool neutral,
    const struct cw_policy_done *done, struct cw_arena *a,
    struct cw_warnings *warnings)
{
	for (uint32_t i = 0; i < done->nlongs; i++)
		for (size_t k = 0; k < set->npolicies; k++) {
			const struct cw_policy *p = &set->policies[k];
			const struct cw_yaml_place at = {
				p->file[0] != '\0' ? p->file : p->id, 0, 0 };
			const struct cw_prompt *prompt;
			const char *where;
			int shown;

			if (!neutral && done->longs[i].bank >= p->neutral_bank)
				continue;
			prompt = prompt_at(p, done->longs[i].bank, &where);
			if (prompt == NULL)
				continue;
			shown = (int)cw_utf8_cut(prompt->text, SHOWN);
			warn(warnings, a, &at, "policy %s, %s: prompt "
			    "\"%.*s%s\" makes %u tokens in its template; the "
			    "model reads the first %u", p->id, where, shown,
			    prompt->text, prompt->text[shown] != '\0' ?
			    "..." : "", done->longs[i].tokens, done->context);
		}
}
