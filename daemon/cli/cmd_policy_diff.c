/*
 * cmd_policy_diff.c - clipward policy diff: what a new set changes.
 *
 * Exit 0 when nothing differs, 1 when something does, as diff(1).
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/local.h"

struct diff {
	const struct cw_cli	*cli;
	const char		*where;	/* policy or category at hand */
	const char		*of;	/* prompt or image at hand, or NULL */
	bool			 shown;	/* its heading */
	bool			 any;
};

/* {"in":...,"what":...}, with what was and what is; NULL: nothing. */
static void
print_json(struct diff *d, const char *what, json_t *old, json_t *new)
{
	json_t *o = json_pack("{s:s,s:s}", "in", d->where, "what", what);

	if (d->of != NULL)
		json_object_set_new(o, "of", json_string(d->of));
	if (old != NULL)
		json_object_set_new(o, "old", old);
	if (new != NULL)
		json_object_set_new(o, "new", new);
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
	putchar('\n');
	json_decref(o);
	d->any = true;
}

static void
heading(struct diff *d)
{
	if (!d->shown)
		printf("%s\n", d->where);
	d->shown = d->any = true;
}

/* what is "" for the prompts of a category: they are most of it. */
static void
line(struct diff *d, bool added, const char *what, const char *text)
{
	if (d->cli->json) {
		print_json(d, what[0] != '\0' ? what : "prompt",
		    added ? NULL : json_string(text),
		    added ? json_string(text) : NULL);
		return;
	}
	heading(d);
	printf("  %s%c %s%s%s%s\n", cw_tint(d->cli, added ? CW_GOOD : CW_BAD),
	    added ? '+' : '-', what, what[0] != '\0' ? ": " : "", text,
	    cw_tint(d->cli, CW_PLAIN));
}

static void
changed(struct diff *d, const char *what)
{
	heading(d);
	printf("  ~ %s", what);
	if (d->of != NULL)
		printf(" of \"%s\"", d->of);
}

static void
changed_number(struct diff *d, const char *what, double a, double b)
{
	if (!(a < b) && !(a > b))
		return;
	if (d->cli->json) {
		print_json(d, what, json_real(a), json_real(b));
		return;
	}
	changed(d, what);
	printf(" %g -> %g\n", a, b);
}

static void
changed_count(struct diff *d, const char *what, uint32_t a, uint32_t b)
{
	if (a == b)
		return;
	if (d->cli->json) {
		print_json(d, what, json_integer(a), json_integer(b));
		return;
	}
	changed(d, what);
	printf(" %u -> %u\n", a, b);
}

static void
changed_text(struct diff *d, const char *what, const char *a, const char *b)
{
	if (strcmp(a, b) == 0)
		return;
	if (d->cli->json) {
		print_json(d, what, json_string(a), json_string(b));
		return;
	}
	changed(d, what);
	printf(" \"%s\" -> \"%s\"\n", a, b);
}

static void
changed_flag(struct diff *d, const char *what, bool a, bool b)
{
	if (a == b)
		return;
	if (d->cli->json) {
		print_json(d, what, json_boolean(a), json_boolean(b));
		return;
	}
	changed(d, what);
	printf(" %s -> %s\n", a ? "true" : "false", b ? "true" : "false");
}

static const struct cw_prompt *
find_prompt(const struct cw_prompt *p, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(p[i].text, text) == 0)
			return &p[i];
	return NULL;
}

static void
diff_prompts(struct diff *d, const char *what, const struct cw_prompt *a,
    size_t na, const struct cw_prompt *b, size_t nb)
{
	for (size_t i = 0; i < na; i++) {
		const struct cw_prompt *q = find_prompt(b, nb, a[i].text);

		if (q == NULL)
			line(d, false, what, a[i].text);
		else {
			d->of = a[i].text;
			changed_number(d, "weight", (double)a[i].weight,
			    (double)q->weight);
			d->of = NULL;
		}
	}
	for (size_t i = 0; i < nb; i++)
		if (find_prompt(a, na, b[i].text) == NULL)
			line(d, true, what, b[i].text);
}

static void
diff_calibration(struct diff *d, const struct cw_calibration *x,
    const struct cw_calibration *y)
{
	if (x->present != y->present) {
		changed_text(d, "calibration", x->present ? "there" : "none",
		    y->present ? "there" : "none");
		return;
	}
	if (!x->present)
		return;
	changed_number(d, "calibration.a", x->a, y->a);
	changed_number(d, "calibration.b", x->b, y->b);
	changed_text(d, "calibration.model", x->model, y->model);
	changed_count(d, "calibration.n", x->n, y->n);
	changed_text(d, "calibration.date", x->date, y->date);
}

static void
diff_category(struct diff *d, const struct cw_category *a,
    const struct cw_category *b)
{
	d->where = a->id;
	d->shown = false;
	changed_text(d, "title", a->title, b->title);
	changed_text(d, "severity", cw_severity_name(a->severity),
	    cw_severity_name(b->severity));
	changed_number(d, "thresholds.review", (double)a->thresholds.review,
	    (double)b->thresholds.review);
	changed_number(d, "thresholds.block", (double)a->thresholds.block,
	    (double)b->thresholds.block);
	changed_text(d, "reason.code", a->reason.code, b->reason.code);
	changed_text(d, "reason.dsa", a->reason.dsa, b->reason.dsa);
	changed_text(d, "reason.text", a->reason.text, b->reason.text);
	diff_calibration(d, &a->calibration, &b->calibration);
	diff_prompts(d, "", a->prompts, a->nprompts, b->prompts,
	    b->nprompts);
}

static const struct cw_category *
find_category(const struct cw_policy *p, const char *id)
{
	for (size_t i = 0; i < p->ncategories; i++)
		if (strcmp(p->categories[i].id, id) == 0)
			return &p->categories[i];
	return NULL;
}

static const struct cw_policy_test *
find_test(const struct cw_policy *p, const char *image)
{
	for (size_t i = 0; i < p->ntests; i++)
		if (strcmp(p->tests[i].image, image) == 0)
			return &p->tests[i];
	return NULL;
}

static void
diff_tests(struct diff *d, const struct cw_policy *a,
    const struct cw_policy *b)
{
	for (size_t i = 0; i < a->ntests; i++) {
		const struct cw_policy_test *x = &a->tests[i];
		const struct cw_policy_test *y = find_test(b, x->image);

		if (y == NULL)
			line(d, false, "test", x->image);
		else {
			d->of = x->image;
			changed_text(d, "expect", cw_action_name(x->expect),
			    cw_action_name(y->expect));
			d->of = NULL;
		}
	}
	for (size_t i = 0; i < b->ntests; i++)
		if (find_test(a, b->tests[i].image) == NULL)
			line(d, true, "test", b->tests[i].image);
}

static bool
same_templates(const struct cw_policy *a, const struct cw_policy *b)
{
	if (a->ntemplates != b->ntemplates)
		return false;
	for (size_t i = 0; i < a->ntemplates; i++)
		if (strcmp(a->templates[i], b->templates[i]) != 0)
			return false;
	return true;
}

static json_t *
templates_json(const struct cw_policy *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->ntemplates; i++)
		json_array_append_new(list, json_string(p->templates[i]));
	return list;
}

static void
diff_templates(struct diff *d, const struct cw_policy *a,
    const struct cw_policy *b)
{
	if (same_templates(a, b))
		return;
	if (d->cli->json) {
		print_json(d, "templates", templates_json(a),
		    templates_json(b));
		return;
	}
	heading(d);
	printf("  ~ templates: every vector of this policy changes\n");
}

static void
diff_categories(struct diff *d, const struct cw_policy *a,
    const struct cw_policy *b)
{
	for (size_t i = 0; i < a->ncategories; i++)
		if (find_category(b, a->categories[i].id) == NULL)
			line(d, false, "category", a->categories[i].id);
	for (size_t i = 0; i < b->ncategories; i++)
		if (find_category(a, b->categories[i].id) == NULL)
			line(d, true, "category", b->categories[i].id);
	for (size_t i = 0; i < a->ncategories; i++) {
		const struct cw_category *c =
		    find_category(b, a->categories[i].id);

		if (c != NULL)
			diff_category(d, &a->categories[i], c);
	}
}

static void
diff_policy(struct diff *d, const struct cw_policy *a,
    const struct cw_policy *b)
{
	d->where = a->id;
	d->shown = false;
	changed_count(d, "version", a->version, b->version);
	changed_text(d, "title", a->title, b->title);
	changed_text(d, "score", cw_scoring_name(a->scoring),
	    cw_scoring_name(b->scoring));
	changed_flag(d, "shadow", a->shadow, b->shadow);
	changed_text(d, "on_error", cw_action_name(a->on_error),
	    cw_action_name(b->on_error));
	changed_text(d, "explain.when", cw_when_name(a->explain_when),
	    cw_when_name(b->explain_when));
	changed_count(d, "explain.top", a->explain_top, b->explain_top);
	changed_flag(d, "explain.faithfulness", a->faithfulness,
	    b->faithfulness);
	diff_templates(d, a, b);
	diff_prompts(d, "neutral", a->neutral, a->nneutral, b->neutral,
	    b->nneutral);
	diff_tests(d, a, b);
	diff_categories(d, a, b);
}

static const struct cw_policy *
find_policy(const struct cw_policy_set *set, const char *id)
{
	for (size_t i = 0; i < set->npolicies; i++)
		if (strcmp(set->policies[i].id, id) == 0)
			return &set->policies[i];
	return NULL;
}

static void
diff_sets(struct diff *d, const struct cw_policy_set *a,
    const struct cw_policy_set *b)
{
	d->where = "policies";
	for (size_t i = 0; i < a->npolicies; i++)
		if (find_policy(b, a->policies[i].id) == NULL)
			line(d, false, "policy", a->policies[i].id);
	for (size_t i = 0; i < b->npolicies; i++)
		if (find_policy(a, b->policies[i].id) == NULL)
			line(d, true, "policy", b->policies[i].id);
	for (size_t i = 0; i < a->npolicies; i++) {
		const struct cw_policy *p =
		    find_policy(b, a->policies[i].id);

		if (p != NULL)
			diff_policy(d, &a->policies[i], p);
	}
	d->where = "policies";
	d->shown = false;
	/* The hash knows all there is, also what stands before what. */
	if (!d->any && strcmp(a->hash, b->hash) != 0)
		changed_text(d, "hash", a->hash, b->hash);
}

int
cw_cmd_policy_diff(struct cw_cli *cli, int argc, char **argv)
{
	struct cw_local old = { .model = NULL }, new = { .model = NULL };
	struct diff d = { .cli = cli };
	const struct cw_opt opts[] = { CW_OPT_JSON(cli) };
	struct cw_strings args;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n != 2)
		return cw_complain("policy diff: want OLD and NEW, files or "
		    "directories");
	old.policies = (struct cw_strings){ &args.item[0], 1 };
	new.policies = (struct cw_strings){ &args.item[1], 1 };
	if ((rc = cw_local_settings(cli, &old)) != CW_GO_ON ||
	    (rc = cw_local_policies(cli, &old)) != CW_GO_ON ||
	    (rc = cw_local_settings(cli, &new)) != CW_GO_ON ||
	    (rc = cw_local_policies(cli, &new)) != CW_GO_ON)
		return rc;
	diff_sets(&d, &old.set, &new.set);
	return d.any ? CW_EXIT_FLAGGED : 0;
}
