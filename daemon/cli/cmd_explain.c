/*
 * cmd_explain.c - clipward explain: which parts of an image made its score,
 * as a table, a picture, curves, or a page of several images.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/explain_run.h"
#include "cli/inputs.h"
#include "cli/map_print.h"
#include "cli/report_html.h"
#include "cli/verdict_print.h"

struct explain {
	struct cw_cli		*cli;
	struct cw_explain_run	 run;
	const char		*overlay, *curves, *html;
	FILE			*page;
};

/*
 * The name for picture number i of a kind: OUT.png itself if there is only
 * one, else OUT.CATEGORY.png, and OUT.FILE.CATEGORY.png for several files.
 */
static const char *
picture_name(const struct explain *x, const struct cw_explained *e,
    const char *out, const struct cw_picture *p, bool alone)
{
	struct cw_arena *a = x->cli->arena;
	const size_t n = strlen(out);
	const bool png = n > 4 && strcmp(out + n - 4, ".png") == 0;
	const int stem = (int)(png ? n - 4 : n);

	if (alone && e->total == 1)
		return out;
	if (e->total == 1)
		return cw_arena_printf(a, "%.*s.%s.png", stem, out,
		    cw_inputs_base(p->name, a));
	return cw_arena_printf(a, "%.*s.%s.%s.png", stem, out,
	    cw_inputs_base(e->path, a), cw_inputs_base(p->name, a));
}

static int
save(const struct explain *x, const struct cw_explained *e,
    enum cw_artifact kind, const char *out)
{
	size_t count = 0;
	struct cw_err err;

	if (out == NULL)
		return CW_GO_ON;
	for (size_t i = 0; i < e->npictures; i++)
		count += e->pictures[i].kind == kind;
	for (size_t i = 0; i < e->npictures; i++) {
		const struct cw_picture *p = &e->pictures[i];
		const char *path;

		if (p->kind != kind)
			continue;
		path = picture_name(x, e, out, p, count == 1);
		if (path == NULL || cw_output_file(path, p->bytes, p->n,
		    &err) != CW_OK)
			return cw_complain("%s", path ? err.text : "no room");
		if (!x->cli->json)
			printf("  wrote %s\n", path);
	}
	if (count == 0 && !e->res->failed)
		fprintf(stderr, "clipward: %s: no map, so no picture\n",
		    e->path);
	return CW_GO_ON;
}

static int
each(void *payload, const struct cw_explained *e)
{
	struct explain *x = payload;
	int rc;

	if (x->cli->json)
		puts(e->json);
	else {
		json_t *verdict = json_loads(e->json, 0, NULL);

		cw_verdict_print(x->cli, stdout, e->path, verdict);
		json_decref(verdict);
		if (!e->res->failed)
			cw_maps_print(x->cli, e);
	}
	rc = save(x, e, CW_ART_OVERLAY, x->overlay);
	if (rc == CW_GO_ON)
		rc = save(x, e, CW_ART_CURVES, x->curves);
	if (rc == CW_GO_ON && x->page != NULL) {
		if (e->index == 0)
			cw_html_open(x->page,
			    cw_clients_facts(x->run.local.clients), e->total);
		cw_html_add(x->page, e);
	}
	fflush(stdout);
	return rc;
}

static int
close_page(struct explain *x, int rc)
{
	if (x->page == NULL)
		return rc;
	cw_html_close(x->page);
	if (ferror(x->page) != 0 || fclose(x->page) != 0)
		return cw_complain("%s: %s", x->html, strerror(errno));
	if (!x->cli->json)
		printf("wrote %s\n", x->html);
	return rc;
}

int
cw_cmd_explain(struct cw_cli *cli, int argc, char **argv)
{
	struct explain x = { .cli = cli };
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli),
		{ "output", 'o', OPT_TEXT, &x.overlay, "OUT.png",
		    "write the map, laid over the image", 0, 0 },
		CW_OPT_EXPLAIN(&x.run),
		{ "text", 0, OPT_TEXT, &x.run.text, "TEXT",
		    "explain TEXT beside the image", 0, 0 },
		{ "all", 0, OPT_FLAG, &x.run.all, NULL,
		    "explain every category, flagged or not", 0, 0 },
		{ "method", 0, OPT_TEXT, &x.run.method, "M",
		    "additive, raw, rollout or similarity", 0, 0 },
		{ "faithfulness", 0, OPT_FLAG, &x.run.faithfulness, NULL,
		    "measure each map by masking patches", 0, 0 },
		{ "curves", 0, OPT_TEXT, &x.curves, "OUT.png",
		    "write insertion and deletion curves", 0, 0 },
		{ "html", 0, OPT_TEXT, &x.html, "OUT.html",
		    "write a page with everything on it", 0, 0 },
		CW_OPT_POLICIES(&x.run.local), CW_OPT_MODEL(&x.run.local),
		CW_OPT_VIEWS(&x.run.local),
	};
	struct cw_strings args;
	struct cw_err err;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if ((x.overlay != NULL && cw_output_check(x.overlay, &err) != CW_OK) ||
	    (x.curves != NULL && cw_output_check(x.curves, &err) != CW_OK))
		return cw_complain("%s", err.text);
	if (x.html != NULL && (x.page = fopen(x.html, "we")) == NULL)
		return cw_complain("%s: %s", x.html, strerror(errno));
	x.run.cli = cli;
	x.run.always = true;
	x.run.artifacts = (x.overlay || x.html ? CW_ART_OVERLAY : 0u) |
	    (x.curves ? CW_ART_CURVES : 0u);
	x.run.each = each;
	x.run.payload = &x;
	return close_page(&x, cw_explain_files(&x.run, &args));
}
