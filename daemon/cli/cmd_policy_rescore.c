/*
 * cmd_policy_rescore.c - clipward policy rescore: what other policies would
 * have said of images that are long gone.
 *
 * A verdict holds the cosine of every prompt, so thresholds, weights,
 * calibrations and the choice among its prompts can be changed and decided
 * anew.  A category with a prompt that the verdict does not hold can not, and
 * is counted.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/local.h"
#include "cli/verdict_print.h"
#include "format/verdict.h"

struct rescore {
	struct cw_cli		*cli;
	struct cw_local		 local;
	struct cw_model_facts	 model;
	float			*cos;		/* [nprompts] NaN: not known */
	struct cw_cat_result	*cats;		/* [ncategories] */
	size_t			 lines, changed, unknown, errors, foreign;
	/* from (row) to (column), CW_ALLOW .. CW_BLOCK */
	size_t			 moved[3][3];
};

/* The place of a policy's prompt in the new bank, or -1. */
static long
find_bank(const struct cw_policy_set *set, const char *policy,
    const char *category, const char *text)
{
	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];

		if (strcmp(p->id, policy) != 0)
			continue;
		for (size_t k = 0; category == NULL && k < p->nneutral; k++)
			if (strcmp(p->neutral[k].text, text) == 0)
				return (long)(p->neutral_bank + k);
		for (size_t j = 0; category != NULL && j < p->ncategories;
		    j++) {
			const struct cw_category *c = &p->categories[j];

			if (strcmp(c->id, category) != 0)
				continue;
			for (size_t k = 0; k < c->nprompts; k++)
				if (strcmp(c->prompts[k].text, text) == 0)
					return (long)(c->bank + k);
		}
	}
	return -1;
}

static void
take_cosines(struct rescore *r, const json_t *verdict, const char *list,
    bool neutral)
{
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(verdict, list), i, s) {
		const long at = find_bank(&r->local.set,
		    cw_json_text(s, "policy"), neutral ? NULL :
		    cw_json_text(s, "category"), cw_json_text(s, "prompt"));

		if (at >= 0 && (neutral ||
		    json_is_true(json_object_get(s, "applied"))))
			r->cos[at] = (float)json_number_value(
			    json_object_get(s, "cosine"));
	}
}

static bool
knows_all(const struct rescore *r, const struct cw_policy *p,
    const struct cw_category *c)
{
	for (size_t k = 0; k < c->nprompts; k++)
		if (isnan(r->cos[c->bank + k]))
			return false;
	for (size_t k = 0; p->scoring != CW_COSINE && k < p->nneutral; k++)
		if (isnan(r->cos[p->neutral_bank + k]))
			return false;
	return true;
}

/* *undecided: categories that this verdict does not hold all prompts of. */
static struct cw_decision
decide(struct rescore *r, size_t *undecided)
{
	const struct cw_policy_set *set = &r->local.set;
	const struct cw_result res = { .cats = r->cats };

	for (uint32_t i = 0; i < set->ncategories; i++) {
		struct cw_cat_result *out = &r->cats[i];
		const struct cw_category *c;
		const struct cw_policy *p;
		struct cw_score score;
		double contrast;

		cw_policy_set_category(set, i, &p, &c);
		*out = (struct cw_cat_result){ .source = CW_FROM_NONE };
		if (!knows_all(r, p, c) || cw_policy_contrast(p, r->cos,
		    r->model.logit_scale, &contrast) != CW_OK ||
		    cw_policy_score(p, c, r->cos, contrast,
		    r->model.logit_scale, r->model.sha256, NULL, &score) !=
		    CW_OK) {
			(*undecided)++;
			continue;
		}
		out->source = CW_FROM_IMAGE;
		out->score = score.score;
		out->prompt = score.prompt;
	}
	return cw_verdict_decide(set, &res);
}

static void
report(struct rescore *r, const json_t *verdict, enum cw_action old,
    const struct cw_decision *new, size_t undecided)
{
	const char *id = cw_text_clean(cw_json_text(verdict, "id"),
	    r->cli->arena);
	const char *from = cw_action_name(old);
	const char *to = cw_action_name(new->action);

	if (r->cli->json) {
		json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:f,s:I}", "id", id,
		    "from", from, "to", to, "policy", new->policy, "score",
		    (double)new->score, "undecided", (json_int_t)undecided);

		json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
		putchar('\n');
		json_decref(o);
		return;
	}
	printf("%s: %s%s%s -> %s%s%s", id, cw_tint(r->cli, cw_tint_of(from)),
	    from, cw_tint(r->cli, CW_PLAIN), cw_tint(r->cli, cw_tint_of(to)),
	    to, cw_tint(r->cli, CW_PLAIN));
	if (new->action != CW_ALLOW)
		printf(" (%s %.3f)", new->policy, (double)new->score);
	if (undecided > 0)
		printf(", %zu categories undecided", undecided);
	putchar('\n');
}

static void
rescore_one(struct rescore *r, const json_t *verdict)
{
	const int old = cw_action_parse(cw_json_text(verdict, "decision"));
	const char *model = cw_json_text(json_object_get(verdict, "model"),
	    "sha256");
	struct cw_decision new;
	size_t undecided = 0;

	r->lines++;
	if (old == CW_ERROR || old == -1) {
		r->errors++;
		return;
	}
	if (strcmp(model, r->model.sha256) != 0) {
		r->foreign++;
		return;
	}
	for (size_t i = 0; i < r->local.set.nprompts; i++)
		r->cos[i] = NAN;
	take_cosines(r, verdict, "scores", false);
	take_cosines(r, verdict, "neutral", true);
	new = decide(r, &undecided);
	r->unknown += undecided;
	r->moved[old][new.action]++;
	if (new.action != (enum cw_action)old) {
		r->changed++;
		report(r, verdict, (enum cw_action)old, &new, undecided);
	}
}

static int
rescore_file(struct rescore *r, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *line = NULL;
	size_t room = 0, number = 0;
	ssize_t n;
	int rc = CW_GO_ON;

	if (f == NULL)
		return cw_complain("%s: %s", path, strerror(errno));
	while (rc == CW_GO_ON && (n = getline(&line, &room, f)) != -1) {
		const size_t mark = cw_arena_mark(r->cli->arena);
		json_error_t why;
		json_t *o;

		number++;
		if (n <= 1)
			continue;
		o = json_loadb(line, (size_t)n, 0, &why);
		if (o == NULL)
			rc = cw_complain("%s:%zu:%d: %s; want a verdict",
			    path, number, why.column,
			    cw_text_clean(why.text, r->cli->arena));
		else if (strcmp(cw_json_text(o, "schema"), CW_VERDICT_SCHEMA)
		    != 0)
			rc = cw_complain("%s:%zu: schema is \"%s\"; want a "
			    "verdict, %s", path, number,
			    cw_text_clean(cw_json_text(o, "schema"),
			    r->cli->arena), CW_VERDICT_SCHEMA);
		else
			rescore_one(r, o);
		json_decref(o);
		cw_arena_release(r->cli->arena, mark);
	}
	if (rc == CW_GO_ON && ferror(f))
		rc = cw_complain("%s: %s", path, strerror(errno));
	free(line);
	if (f != stdin)
		fclose(f);
	return rc;
}

static void
summary(const struct rescore *r)
{
	fprintf(stderr, "%zu verdicts: %zu change (%zu become harsher, %zu "
	    "milder)", r->lines, r->changed,
	    r->moved[CW_ALLOW][CW_REVIEW] + r->moved[CW_ALLOW][CW_BLOCK] +
	    r->moved[CW_REVIEW][CW_BLOCK],
	    r->moved[CW_REVIEW][CW_ALLOW] + r->moved[CW_BLOCK][CW_ALLOW] +
	    r->moved[CW_BLOCK][CW_REVIEW]);
	if (r->errors > 0)
		fprintf(stderr, "; %zu were errors", r->errors);
	if (r->foreign > 0)
		fprintf(stderr, "; %zu are of another model", r->foreign);
	if (r->unknown > 0)
		fprintf(stderr, "; %zu categories need prompts that no "
		    "verdict holds", r->unknown);
	fputc('\n', stderr);
}

int
cw_cmd_policy_rescore(struct cw_cli *cli, int argc, char **argv)
{
	struct rescore r = { .cli = cli };
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli), CW_OPT_POLICIES(&r.local),
		CW_OPT_MODEL(&r.local),
	};
	const char *standard_input = "-";
	struct cw_strings args;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n == 0)
		args = (struct cw_strings){ &standard_input, 1 };
	if ((rc = cw_local_settings(cli, &r.local)) != CW_GO_ON ||
	    (rc = cw_local_policies(cli, &r.local)) != CW_GO_ON ||
	    (rc = cw_local_start(&r.local, NULL, 1)) != CW_GO_ON)
		return rc;
	r.model = *cw_clients_facts(r.local.clients);
	r.model.sha256 = cw_arena_strdup(cli->arena, r.model.sha256);
	cw_local_stop(&r.local);
	r.cos = cw_arena_floats(cli->arena, r.local.set.nprompts);
	r.cats = cw_arena_zalloc(cli->arena, r.local.set.ncategories,
	    sizeof(*r.cats));
	if (r.model.sha256 == NULL || r.cos == NULL || r.cats == NULL)
		return cw_complain("policy rescore: no room");
	for (size_t i = 0; i < args.n && rc == CW_GO_ON; i++)
		rc = rescore_file(&r, args.item[i]);
	if (rc != CW_GO_ON)
		return rc;
	summary(&r);
	return r.changed > 0 ? CW_EXIT_FLAGGED : 0;
}
