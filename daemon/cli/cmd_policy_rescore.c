/*
 * cmd_policy_rescore.c - clipward policy rescore: what other policies would
 * have said of images that are long gone.
 *
 * A verdict holds the cosine of every prompt at the view that its category was
 * harshest in, and those of the neutral ones there, so thresholds, weights,
 * calibrations and the choice among its prompts can be changed and decided
 * anew.  A category with a cosine that the verdict does not hold, or that the
 * accompanying text decided, can not, and is counted.
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

#define UNKNOWN	(-1)		/* view */

struct rescore {
	struct cw_cli		*cli;
	struct cw_local		 local;
	struct cw_model_facts	 model;
	float			*cos;		/* [nprompts] NaN: not known */
	float			*neutral;	/* [CW_VIEWS_MAX][nprompts] only the
						   neutral ones, likewise */
	int			*view;		/* [ncategories] that cos is of */
	bool			*by_text;	/* [ncategories] and not by cos */
	bool			 texted;	/* and may say other things now */
	struct cw_cat_result	*cats;		/* [ncategories] */
	size_t			 lines, changed, unknown, errors, foreign;
	/* from (row) to (column), CW_ALLOW .. CW_BLOCK */
	size_t			 moved[3][3];
};

/* The number of the category that an object names, or -1. */
static long
find_category(const struct cw_policy_set *set, const json_t *o)
{
	const char *policy = cw_json_text(o, "policy");
	const char *id = cw_json_text(o, "category");
	long at = 0;

	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];

		for (size_t j = 0; j < p->ncategories; j++, at++)
			if (strcmp(p->id, policy) == 0 &&
			    strcmp(p->categories[j].id, id) == 0)
				return at;
	}
	return -1;
}

/* The place of a text in a list of prompts, or n. */
static size_t
find_prompt(const struct cw_prompt *list, size_t n, const char *text)
{
	size_t k = 0;

	while (k < n && strcmp(list[k].text, text) != 0)
		k++;
	return k;
}

/* The view that an object is of, the first where it names none. */
static int
view_of(const json_t *o)
{
	const json_int_t v = json_integer_value(json_object_get(o, "view"));

	return v >= 0 && v < CW_VIEWS_MAX ? (int)v : UNKNOWN;
}

static void
take_scores(struct rescore *r, const json_t *verdict)
{
	const struct cw_policy_set *set = &r->local.set;
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(verdict, "scores"), i, s) {
		const long at = find_category(set, s);
		const struct cw_category *c;
		const struct cw_policy *p;
		size_t k;

		if (at == -1 || !json_is_true(json_object_get(s, "applied")))
			continue;
		cw_policy_set_category(set, (uint32_t)at, &p, &c);
		k = find_prompt(c->prompts, c->nprompts,
		    cw_json_text(s, "prompt"));
		if (k == c->nprompts)
			continue;
		r->cos[c->bank + k] = (float)json_number_value(
		    json_object_get(s, "cosine"));
		r->view[at] = view_of(s);
	}
}

static void
take_neutral_one(struct rescore *r, const struct cw_policy *p, const json_t *s)
{
	const size_t T = r->local.set.nprompts;
	const size_t k = find_prompt(p->neutral, p->nneutral,
	    cw_json_text(s, "prompt"));
	float *at = r->neutral + p->neutral_bank + k;	/* at the first view */
	const int view = view_of(s);
	const json_t *cosine;
	const char *key;

	if (k == p->nneutral)
		return;
	if (view != UNKNOWN)
		at[(size_t)view * T] = (float)json_number_value(
		    json_object_get(s, "cosine"));
	json_object_foreach(json_object_get(s, "also"), key, cosine) {
		const unsigned long v = strtoul(key, NULL, 10);

		if (v < CW_VIEWS_MAX)
			at[v * T] = (float)json_number_value(cosine);
	}
}

static void
take_neutral(struct rescore *r, const json_t *verdict)
{
	const struct cw_policy_set *set = &r->local.set;
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(verdict, "neutral"), i, s)
		for (size_t k = 0; k < set->npolicies; k++)
			if (strcmp(set->policies[k].id,
			    cw_json_text(s, "policy")) == 0)
				take_neutral_one(r, &set->policies[k], s);
}

/* Of several views, none of which is said to be used: from an older build. */
static bool
hides_its_views(const json_t *verdict)
{
	const json_t *views = json_object_get(verdict, "views"), *v;
	size_t i;

	json_array_foreach(views, i, v)
		if (json_is_true(json_object_get(v, "used")))
			return false;
	return json_array_size(views) > 1;
}

/*
 * Did the text flag a category?  In a verdict that hides its views, only a
 * flag names the one of its category.
 */
static void
take_flags(struct rescore *r, const json_t *verdict, const char *list,
    bool hides)
{
	const json_t *f;
	size_t i;

	json_array_foreach(json_object_get(verdict, list), i, f) {
		const long at = find_category(&r->local.set, f);

		if (at == -1)
			continue;
		r->by_text[at] = strcmp(cw_json_text(f, "source"),
		    cw_source_name(CW_FROM_TEXT)) == 0;
		if (hides)
			r->view[at] = view_of(f);
	}
}

/* Everything of the verdict that the new policies have, too. */
static void
take(struct rescore *r, const json_t *verdict)
{
	const struct cw_policy_set *set = &r->local.set;
	const bool hides = hides_its_views(verdict);
	const json_t *said = json_object_get(verdict, "text");
	/* What the text said most of; a flag says when the image said more. */
	const long text = find_category(set, said);

	/* Under the same policies the flags tell of all the others. */
	r->texted = said != NULL && strcmp(cw_json_text(json_object_get(verdict,
	    "policies"), "hash"), set->hash) != 0;
	for (size_t i = 0; i < set->nprompts; i++)
		r->cos[i] = NAN;
	for (size_t i = 0; i < CW_VIEWS_MAX * set->nprompts; i++)
		r->neutral[i] = NAN;
	take_scores(r, verdict);
	take_neutral(r, verdict);
	for (size_t i = 0; i < set->ncategories; i++) {
		r->by_text[i] = (long)i == text;
		if (hides)
			r->view[i] = UNKNOWN;
	}
	take_flags(r, verdict, "flags", hides);
	take_flags(r, verdict, "shadow", hides);
}

/* Is every cosine there that category i needs?  Its view's neutral ones are
 * put in their places. */
static bool
knows_all(struct rescore *r, uint32_t i, const struct cw_policy *p,
    const struct cw_category *c)
{
	const float *row = r->view[i] == UNKNOWN ? NULL :
	    r->neutral + (size_t)r->view[i] * r->local.set.nprompts;
	bool all = true;

	for (size_t k = 0; k < c->nprompts; k++)
		all &= !isnan(r->cos[c->bank + k]);
	for (size_t k = p->neutral_bank; k < p->neutral_bank + p->nneutral;
	    k++) {
		/* A plain cosine is compared with nothing. */
		r->cos[k] = p->scoring == CW_COSINE ? 0 :
		    row == NULL ? NAN : row[k];
		all &= !isnan(r->cos[k]);
	}
	return all;
}

/* *undecided: categories that this verdict does not hold all cosines of. */
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
		if (r->by_text[i] || !knows_all(r, i, p, c) ||
		    cw_policy_contrast(p, r->cos,
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
		/* Of what the text says elsewhere there is no score at all. */
		*undecided += r->texted && cw_thresholds_decide(
		    &c->thresholds, score.score) != CW_BLOCK;
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
	take(r, verdict);
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
		fprintf(stderr, "; %zu categories are undecided", r->unknown);
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
	r.neutral = cw_arena_floats(cli->arena,
	    CW_VIEWS_MAX * r.local.set.nprompts);
	r.view = cw_arena_zalloc(cli->arena, r.local.set.ncategories,
	    sizeof(*r.view));
	r.by_text = cw_arena_zalloc(cli->arena, r.local.set.ncategories,
	    sizeof(*r.by_text));
	if (r.model.sha256 == NULL || cw_arena_overflowed(cli->arena))
		return cw_complain("policy rescore: no room");
	for (size_t i = 0; i < args.n && rc == CW_GO_ON; i++)
		rc = rescore_file(&r, args.item[i]);
	if (rc != CW_GO_ON)
		return rc;
	summary(&r);
	return r.changed > 0 ? CW_EXIT_FLAGGED : 0;
}
