/*
 * cmd_redact.c - clipward redact: the image with its flagged regions made
 * unreadable, or with --invert everything else.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/commands.h"
#include "cli/explain_run.h"
#include "cli/inputs.h"
#include "cli/verdict_print.h"

struct redact {
	struct cw_cli		*cli;
	struct cw_explain_run	 run;
	const char		*out;
	bool			 invert;
};

static int
each(void *payload, const struct cw_explained *e)
{
	struct redact *r = payload;
	const enum cw_artifact want =
	    r->invert ? CW_ART_INVERTED : CW_ART_REDACTED;
	json_t *verdict = json_loads(e->json, 0, NULL);
	struct cw_err err;

	cw_verdict_print(r->cli, stderr, e->path, verdict);
	json_decref(verdict);
	if (e->res->failed)
		return CW_GO_ON;
	for (size_t i = 0; i < e->npictures; i++) {
		if (e->pictures[i].kind != want)
			continue;
		if (cw_output_file(r->out, e->pictures[i].bytes,
		    e->pictures[i].n, &err) != CW_OK)
			return cw_complain("%s", err.text);
		return CW_GO_ON;
	}
	/* Nothing is written: a copy would keep metadata and thumbnails. */
	fprintf(stderr, "clipward: %s: no region to redact; nothing "
	    "written\n", e->path);
	return CW_GO_ON;
}

int
cw_cmd_redact(struct cw_cli *cli, int argc, char **argv)
{
	struct redact r = { .cli = cli };
	const struct cw_opt opts[] = {
		{ "output", 'o', OPT_TEXT, &r.out, "OUT",
		    "write the picture to OUT", 0, 0 },
		{ "invert", 0, OPT_FLAG, &r.invert, NULL,
		    "show only the regions", 0, 0 },
		CW_OPT_EXPLAIN(&r.run), CW_OPT_POLICIES(&r.run.local),
		CW_OPT_MODEL(&r.run.local), CW_OPT_VIEWS(&r.run.local),
	};
	struct cw_strings args;
	struct cw_err err;
	struct stat sb;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n != 1 || r.out == NULL)
		return cw_complain("redact: want one FILE and -o OUT");
	if (stat(args.item[0], &sb) == 0 && S_ISDIR(sb.st_mode))
		return cw_complain("%s: a directory; want one FILE",
		    args.item[0]);
	if (cw_output_check(r.out, &err) != CW_OK)
		return cw_complain("%s", err.text);
	r.run.cli = cli;
	r.run.artifacts = r.invert ? CW_ART_INVERTED : CW_ART_REDACTED;
	r.run.always = r.run.prompt != NULL;
	r.run.each = each;
	r.run.payload = &r;
	return cw_explain_files(&r.run, &args);
}
