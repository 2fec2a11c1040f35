/*
 * cmd_policy_test.c - clipward policy test: the images that policies bring,
 * each scored against its own policy alone.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/local.h"
#include "cli/verdict_print.h"
#include "format/verdict.h"

/* One test and its policy. */
struct item {
	const struct cw_policy		*policy;
	const struct cw_policy_test	*test;
	const char			*path;
	struct cw_decision		 got;
	const char			*why;	/* of an error */
};

struct test {
	struct cw_cli	*cli;
	struct cw_local	 local;
	struct item	*items;		/* [n] */
	size_t		 n;
};

static enum cw_status
load(void *payload, size_t i, struct cw_arena *a, struct cw_job *job,
    const char **code, struct cw_err *err)
{
	struct test *t = payload;
	enum cw_status st;

	(void)code;
	st = cw_local_job(&t->local, t->items[i].path, a, job, err);
	if (st != CW_OK)
		return st;
	job->policies = cw_arena_zalloc(a, 1, sizeof(*job->policies));
	if (job->policies == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for a job");
	job->policies[0] = t->items[i].policy->id;
	job->npolicies = 1;
	return CW_OK;
}

static bool
done(void *payload, const struct cw_client_done *d)
{
	struct test *t = payload;
	struct item *it = &t->items[d->index];

	it->got = cw_verdict_decide(&t->local.set, d->res);
	if (d->res->failed)
		it->why = cw_arena_strdup(t->cli->arena, d->res->message);
	return true;
}

/* A shadow policy decides nothing, so its tests take it as if it did. */
static enum cw_status
collect(struct test *t, struct cw_err *err)
{
	for (size_t i = 0; i < t->local.set.npolicies; i++)
		t->n += t->local.set.policies[i].ntests;
	t->items = cw_arena_zalloc(t->cli->arena, t->n, sizeof(*t->items));
	if (t->items == NULL)
		return cw_err_set(err, CW_E_LIMIT, "too many tests");
	t->n = 0;
	for (size_t i = 0; i < t->local.set.npolicies; i++) {
		struct cw_policy *p = &t->local.set.policies[i];

		p->shadow = false;
		for (size_t k = 0; k < p->ntests; k++) {
			struct item *it = &t->items[t->n++];

			it->policy = p;
			it->test = &p->tests[k];
			it->path = cw_policy_test_path(p, it->test,
			    t->cli->arena);
			if (it->path == NULL)
				return cw_err_set(err, CW_E_LIMIT,
				    "too many tests");
		}
	}
	return CW_OK;
}

static void
print_item(const struct test *t, const struct item *it, bool good)
{
	printf("%s%s%s %s: %s: want %s, got %s%s%s\n",
	    cw_tint(t->cli, good ? CW_GOOD : CW_BAD),
	    good ? "pass" : "FAIL", cw_tint(t->cli, CW_PLAIN),
	    it->policy->id, it->path, cw_action_name(it->test->expect),
	    cw_action_name(it->got.action), it->why != NULL ? ": " : "",
	    it->why != NULL ? it->why : "");
}

static void
print_item_json(const struct test *t, const struct item *it, bool good)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:b}", "policy",
	    it->policy->id, "image", cw_text_clean(it->path, t->cli->arena),
	    "expect", cw_action_name(it->test->expect), "got",
	    cw_action_name(it->got.action), "pass", good);

	if (it->why != NULL)
		json_object_set_new(o, "error", json_string(
		    cw_text_clean(it->why, t->cli->arena)));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static int
report(const struct test *t)
{
	size_t failed = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct item *it = &t->items[i];
		const bool good = it->got.action == it->test->expect;

		failed += !good;
		if (t->cli->json)
			print_item_json(t, it, good);
		else
			print_item(t, it, good);
	}
	if (!t->cli->json)
		printf("%zu passed, %zu failed\n", t->n - failed, failed);
	return failed > 0 ? CW_EXIT_FLAGGED : 0;
}

int
cw_cmd_policy_test(struct cw_cli *cli, int argc, char **argv)
{
	struct test t = { .cli = cli };
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli), CW_OPT_MODEL(&t.local),
		CW_OPT_VIEWS(&t.local), CW_OPT_WORKERS(&t.local),
	};
	const struct cw_client_work work = { .payload = &t, .load = load,
		.done = done };
	struct cw_strings args;
	struct cw_err err;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n > 0)
		t.local.policies = args;
	if ((rc = cw_local_settings(cli, &t.local)) != CW_GO_ON ||
	    (rc = cw_local_policies(cli, &t.local)) != CW_GO_ON)
		return rc;
	if (collect(&t, &err) != CW_OK)
		return cw_complain("%s", err.text);
	if (t.n == 0) {
		fprintf(stderr, "clipward: these policies bring no tests\n");
		return 0;
	}
	rc = cw_local_start(&t.local, &t.local.set, 1);
	if (rc == CW_GO_ON && cw_clients_run(t.local.clients, t.n, &work,
	    &err) != CW_OK)
		rc = cw_complain("%s", err.text);
	cw_local_stop(&t.local);
	return rc == CW_GO_ON ? report(&t) : rc;
}
