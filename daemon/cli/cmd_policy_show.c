/*
 * cmd_policy_show.c - clipward policy show: policies as they are understood,
 * and with --words what each prompt's words add.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/local.h"
#include "cli/verdict_print.h"

/* Which words of a prompt carry its own score against the contrast set. */
static int
ask_words(struct cw_cli *cli, struct cw_local *l, const struct cw_policy *p,
    const char *prompt, struct cw_text_done *out)
{
	const char *hole = strstr(p->templates[0], "{}");
	struct cw_err err;
	const char *text;

	text = cw_arena_printf(cli->arena, "%.*s%s%s",
	    (int)(hole - p->templates[0]), p->templates[0], prompt, hole + 2);
	if (text == NULL || cw_clients_text(l->clients, CW_TEXT_WORDS, text,
	    cli->arena, out, &err) != CW_OK)
		return cw_complain("%s", text ? err.text : "no room");
	return CW_GO_ON;
}

static int
print_words(struct cw_cli *cli, struct cw_local *l, const struct cw_policy *p,
    const char *prompt)
{
	struct cw_text_done t;
	const int rc = ask_words(cli, l, p, prompt, &t);

	if (rc != CW_GO_ON)
		return rc;
	fputs("       ", stdout);
	/* The first and the last are the marks. */
	for (uint32_t i = 1; t.values != NULL && i + 1 < t.nids; i++)
		printf(" %s%s%s(%+.2f)", cw_tint(cli, t.values[i] > 0.5f ?
		    CW_BAD : CW_PLAIN), cw_text_clean(t.tokens[i],
		    cli->arena), cw_tint(cli, CW_PLAIN),
		    (double)t.values[i]);
	printf("  %s+ %.2f = %.2f%s\n", cw_tint(cli, CW_FAINT),
	    (double)t.remainder, (double)t.total, cw_tint(cli, CW_PLAIN));
	return CW_GO_ON;
}

static int
print_category(struct cw_cli *cli, struct cw_local *l,
    const struct cw_policy *p, const struct cw_category *c, bool words)
{
	int rc = CW_GO_ON;

	printf("  %s (%s): %s\n    review at %g, block at %g%s%s\n", c->id,
	    cw_severity_name(c->severity), c->title,
	    (double)c->thresholds.review, (double)c->thresholds.block,
	    c->reason.code[0] != '\0' ? ", reason " : "", c->reason.code);
	if (c->calibration.present)
		printf("    calibrated: a %g, b %g, model %.12s, n %u %s\n",
		    c->calibration.a, c->calibration.b, c->calibration.model,
		    c->calibration.n, c->calibration.date);
	for (size_t i = 0; i < c->nprompts && rc == CW_GO_ON; i++) {
		printf("    + %s", c->prompts[i].text);
		if (c->prompts[i].weight < 1 || c->prompts[i].weight > 1)
			printf("  (weight %g)", (double)c->prompts[i].weight);
		putchar('\n');
		if (words)
			rc = print_words(cli, l, p, c->prompts[i].text);
	}
	return rc;
}

static int
print_policy(struct cw_cli *cli, struct cw_local *l,
    const struct cw_policy *p, bool words)
{
	int rc = CW_GO_ON;

	printf("%s%s%s version %u: %s\n  %s; %s%s\n", cw_tint(cli, CW_GOOD),
	    p->id, cw_tint(cli, CW_PLAIN), p->version, p->title, p->file,
	    cw_scoring_name(p->scoring), p->shadow ? ", shadow" : "");
	printf("  templates:");
	for (size_t i = 0; i < p->ntemplates; i++)
		printf(" \"%s\"", p->templates[i]);
	printf("\n  maps: %s, %u at most%s; on error: %s\n",
	    cw_when_name(p->explain_when), p->explain_top,
	    p->faithfulness ? ", measured" : "", cw_action_name(p->on_error));
	for (size_t i = 0; i < p->ncategories && rc == CW_GO_ON; i++)
		rc = print_category(cli, l, p, &p->categories[i], words);
	printf("  neutral:\n");
	for (size_t i = 0; i < p->nneutral; i++)
		printf("    - %s\n", p->neutral[i].text);
	if (p->ntests > 0)
		printf("  tests:\n");
	for (size_t i = 0; i < p->ntests; i++)
		printf("    %s: %s\n", cw_action_name(p->tests[i].expect),
		    p->tests[i].image);
	return rc;
}

/* ---- JSON -------------------------------------------------------------- */

static json_t *
prompts_json(const struct cw_prompt *p, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:s,s:f}", "text",
		    p[i].text, "weight", (double)p[i].weight));
	return list;
}

/* To each prompt of the list what print_words prints. */
static int
add_words(struct cw_cli *cli, struct cw_local *l, const struct cw_policy *p,
    const struct cw_category *c, json_t *list)
{
	for (size_t i = 0; i < c->nprompts; i++) {
		json_t *tokens, *values;
		struct cw_text_done t;
		const int rc = ask_words(cli, l, p, c->prompts[i].text, &t);

		if (rc != CW_GO_ON)
			return rc;
		tokens = json_array();
		values = json_array();
		for (uint32_t k = 1; t.values && k + 1 < t.nids; k++) {
			json_array_append_new(tokens, json_string(
			    cw_text_clean(t.tokens[k], cli->arena)));
			json_array_append_new(values,
			    json_real((double)t.values[k]));
		}
		json_object_set_new(json_array_get(list, i), "words",
		    json_pack("{s:o,s:o,s:f,s:f}", "tokens", tokens,
		    "values", values, "remainder", (double)t.remainder,
		    "total", (double)t.total));
	}
	return CW_GO_ON;
}

static json_t *
calibration_json(struct cw_cli *cli, const struct cw_calibration *c)
{
	json_t *o = json_pack("{s:s,s:f,s:f,s:s,s:i}", "kind", "platt", "a",
	    c->a, "b", c->b, "model", cw_arena_printf(cli->arena,
	    "sha256:%s", c->model), "n", (int)c->n);

	if (c->date[0] != '\0')
		json_object_set_new(o, "date", json_string(c->date));
	return o;
}

static json_t *
category_json(struct cw_cli *cli, const struct cw_category *c)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:o,s:{s:s,s:s,s:s},"
	    "s:{s:f,s:f}}", "id", c->id, "title", c->title, "severity",
	    cw_severity_name(c->severity), "prompts",
	    prompts_json(c->prompts, c->nprompts), "reason", "code",
	    c->reason.code, "dsa", c->reason.dsa, "text", c->reason.text,
	    "thresholds", "review", (double)c->thresholds.review, "block",
	    (double)c->thresholds.block);

	if (c->calibration.present)
		json_object_set_new(o, "calibration",
		    calibration_json(cli, &c->calibration));
	return o;
}

static json_t *
tests_json(const struct cw_policy *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->ntests; i++)
		json_array_append_new(list, json_pack("{s:s,s:s}", "image",
		    p->tests[i].image, "expect",
		    cw_action_name(p->tests[i].expect)));
	return list;
}

static int
print_policy_json(struct cw_cli *cli, struct cw_local *l,
    const struct cw_policy *p, bool words)
{
	json_t *templates = json_array(), *categories = json_array(), *o;
	int rc = CW_GO_ON;

	for (size_t i = 0; i < p->ntemplates; i++)
		json_array_append_new(templates,
		    json_string(p->templates[i]));
	for (size_t i = 0; i < p->ncategories && rc == CW_GO_ON; i++) {
		json_t *c = category_json(cli, &p->categories[i]);

		json_array_append_new(categories, c);
		if (words)
			rc = add_words(cli, l, p, &p->categories[i],
			    json_object_get(c, "prompts"));
	}
	o = json_pack("{s:s,s:i,s:s,s:s,s:o,s:o,s:o,s:s,s:{s:s,s:i,s:b},"
	    "s:s,s:b,s:o}", "id", p->id, "version", (int)p->version, "title",
	    p->title, "file", cw_text_clean(p->file, cli->arena),
	    "templates", templates, "categories", categories, "neutral",
	    prompts_json(p->neutral, p->nneutral), "score",
	    cw_scoring_name(p->scoring), "explain", "when",
	    cw_when_name(p->explain_when), "top", (int)p->explain_top,
	    "faithfulness", p->faithfulness, "on_error",
	    cw_action_name(p->on_error), "shadow", p->shadow, "tests",
	    tests_json(p));
	if (rc == CW_GO_ON) {
		json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
		putchar('\n');
	}
	json_decref(o);
	return rc;
}

int
cw_cmd_policy_show(struct cw_cli *cli, int argc, char **argv)
{
	struct cw_local l = { .model = NULL };
	bool words = false;
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli),
		{ "words", 0, OPT_FLAG, &words, NULL,
		    "which words carry each prompt's score", 0, 0 },
		CW_OPT_MODEL(&l),
	};
	int rc;

	rc = cw_local_open_policies(cli, &l, opts, CW_COUNT(opts), argc, argv);
	if (rc != CW_GO_ON)
		return rc;
	if (words && (rc = cw_local_start(&l, &l.set, 1)) != CW_GO_ON)
		return rc;
	for (size_t i = 0; i < l.set.npolicies && rc == CW_GO_ON; i++) {
		if (cli->json)
			rc = print_policy_json(cli, &l, &l.set.policies[i],
			    words);
		else
			rc = print_policy(cli, &l, &l.set.policies[i], words);
	}
	cw_local_stop(&l);
	return rc == CW_GO_ON ? 0 : rc;
}
