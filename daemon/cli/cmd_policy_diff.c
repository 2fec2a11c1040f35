/*
 * cmd_policy_diff.c - clipward policy diff: what a new set changes.
 *
 * Exit 0 when nothing differs, 1 when something does, as diff(1).
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/local.h"

struct diff {
	const struct cw_cli	*cli;
	const char		*where;	/* policy or category at hand */
	bool			 shown;	/* its heading */
	bool			 any;
};

static void
heading(struct diff *d)
{
	if (!d->shown)
		printf("%s\n", d->where);
	d->shown = d->any = true;
}

static void
line(struct diff *d, bool added, const char *what, const char *text)
{
	heading(d);
	printf("  %s%c %s%s%s\n", cw_tint(d->cli, added ? CW_GOOD : CW_BAD),
	    added ? '+' : '-', what, text, cw_tint(d->cli, CW_PLAIN));
}

static void
changed_number(struct diff *d, const char *what, double a, double b)
{
	if (a < b || a > b) {
		heading(d);
		printf("  ~ %s %g -> %g\n", what, a, b);
	}
}

static void
changed_text(struct diff *d, const char *what, const char *a, const char *b)
{
	if (strcmp(a, b) != 0) {
		heading(d);
		printf("  ~ %s \"%s\" -> \"%s\"\n", what, a, b);
	}
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
		else if (q->weight < a[i].weight || q->weight > a[i].weight)
			changed_number(d, a[i].text, (double)a[i].weight,
			    (double)q->weight);
	}
	for (size_t i = 0; i < nb; i++)
		if (find_prompt(a, na, b[i].text) == NULL)
			line(d, true, what, b[i].text);
}

static void
diff_category(struct diff *d, const struct cw_category *a,
    const struct cw_category *b)
{
	const struct cw_calibration *x = &a->calibration;
	const struct cw_calibration *y = &b->calibration;

	d->where = a->id;
	d->shown = false;
	changed_text(d, "title", a->title, b->title);
	changed_text(d, "severity", cw_severity_name(a->severity),
	    cw_severity_name(b->severity));
	changed_number(d, "review at", (double)a->thresholds.review,
	    (double)b->thresholds.review);
	changed_number(d, "block at", (double)a->thresholds.block,
	    (double)b->thresholds.block);
	changed_text(d, "reason.code", a->reason.code, b->reason.code);
	changed_text(d, "reason.dsa", a->reason.dsa, b->reason.dsa);
	changed_text(d, "reason.text", a->reason.text, b->reason.text);
	if (x->present != y->present)
		changed_text(d, "calibration", x->present ? "there" : "none",
		    y->present ? "there" : "none");
	else if (x->present) {
		changed_number(d, "calibration a", x->a, y->a);
		changed_number(d, "calibration b", x->b, y->b);
		changed_text(d, "calibration model", x->model, y->model);
	}
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

static void
diff_policy(struct diff *d, const struct cw_policy *a,
    const struct cw_policy *b)
{
	d->where = a->id;
	d->shown = false;
	changed_number(d, "version", a->version, b->version);
	changed_text(d, "title", a->title, b->title);
	changed_text(d, "score", cw_scoring_name(a->scoring),
	    cw_scoring_name(b->scoring));
	changed_text(d, "shadow", a->shadow ? "true" : "false",
	    b->shadow ? "true" : "false");
	changed_text(d, "on_error", cw_action_name(a->on_error),
	    cw_action_name(b->on_error));
	if (!same_templates(a, b)) {
		heading(d);
		printf("  ~ templates: every vector of this policy changes\n");
	}
	diff_prompts(d, "neutral: ", a->neutral, a->nneutral, b->neutral,
	    b->nneutral);
	for (size_t i = 0; i < a->ncategories; i++)
		if (find_category(b, a->categories[i].id) == NULL)
			line(d, false, "category ", a->categories[i].id);
	for (size_t i = 0; i < b->ncategories; i++)
		if (find_category(a, b->categories[i].id) == NULL)
			line(d, true, "category ", b->categories[i].id);
	for (size_t i = 0; i < a->ncategories; i++) {
		const struct cw_category *c =
		    find_category(b, a->categories[i].id);

		if (c != NULL)
			diff_category(d, &a->categories[i], c);
	}
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
			line(d, false, "", a->policies[i].id);
	for (size_t i = 0; i < b->npolicies; i++)
		if (find_policy(a, b->policies[i].id) == NULL)
			line(d, true, "", b->policies[i].id);
	for (size_t i = 0; i < a->npolicies; i++) {
		const struct cw_policy *p =
		    find_policy(b, a->policies[i].id);

		if (p != NULL)
			diff_policy(d, &a->policies[i], p);
	}
}

int
cw_cmd_policy_diff(struct cw_cli *cli, int argc, char **argv)
{
	struct cw_local old = { .model = NULL }, new = { .model = NULL };
	struct diff d = { .cli = cli };
	struct cw_strings args;
	int rc;

	rc = cw_options(cli, NULL, 0, argc, argv, &args);
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
