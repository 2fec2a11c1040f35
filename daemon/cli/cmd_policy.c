/*
 * cmd_policy.c - clipward policy check and lint: policies as files.
 */
#include <jansson.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/local.h"

int
cw_cmd_policy_check(struct cw_cli *cli, int argc, char **argv)
{
	struct cw_local l = { .model = NULL };
	const struct cw_opt opts[] = { CW_OPT_JSON(cli) };
	struct cw_err err;
	int rc;

	rc = cw_local_open_policies(cli, &l, opts, CW_COUNT(opts), argc, argv);
	if (rc != CW_GO_ON)
		return rc;
	if (cw_policy_set_find_tests(&l.set, cli->arena, &err) != CW_OK)
		return cw_complain("%s", err.text);
	if (cli->json)
		printf("{\"ok\":true,\"policies\":%zu,\"categories\":%zu,"
		    "\"prompts\":%zu,\"hash\":\"%s\"}\n", l.set.npolicies,
		    l.set.ncategories, l.set.nprompts, l.set.hash);
	else
		printf("good: %zu policies, %zu categories, %zu prompts, "
		    "hash %.12s\n", l.set.npolicies, l.set.ncategories,
		    l.set.nprompts, l.set.hash);
	return 0;
}

int
cw_cmd_policy_lint(struct cw_cli *cli, int argc, char **argv)
{
	struct cw_local l = { .lints = true };
	const struct cw_opt opts[] = { CW_OPT_JSON(cli), CW_OPT_MODEL(&l) };
	struct cw_err err;
	int rc;

	rc = cw_local_open_policies(cli, &l, opts, CW_COUNT(opts), argc, argv);
	if (rc != CW_GO_ON)
		return rc;
	if (cw_policy_set_find_tests(&l.set, cli->arena, &err) != CW_OK)
		return cw_complain("%s", err.text);
	/* The model says which calibrations are its own, and whether every
	 * prompt fits its context. */
	if ((rc = cw_local_start(&l, &l.set, 1)) != CW_GO_ON)
		return rc;
	cw_policy_set_lint_model(&l.set, cw_clients_facts(l.clients)->sha256,
	    cli->arena, &l.warnings);
	cw_local_stop(&l);
	for (size_t i = 0; i < l.warnings.n; i++) {
		if (cli->json) {
			json_t *o = json_pack("{s:s}", "warning",
			    l.warnings.text[i]);

			json_dumpf(o, stdout, JSON_COMPACT);
			putchar('\n');
			json_decref(o);
		} else
			printf("%s\n", l.warnings.text[i]);
	}
	if (l.warnings.dropped > 0)
		fprintf(stderr, "clipward: and %zu warnings more\n",
		    l.warnings.dropped);
	return l.warnings.n > 0 ? CW_EXIT_FLAGGED : 0;
}
