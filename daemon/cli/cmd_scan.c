/*
 * cmd_scan.c - clipward scan: score files here, without a daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "cli/commands.h"
#include "cli/inputs.h"
#include "cli/local.h"
#include "cli/ordered.h"
#include "cli/progress.h"
#include "cli/verdict_print.h"
#include "format/verdict.h"

#define SCRATCH	((size_t)256 << 20)
#define KEPT	((size_t)4 << 20)	/* of it: a verdict of 8,192 prompts */

struct scan {
	struct cw_cli		*cli;
	struct cw_local		 local;
	const char		*maps;		/* DIR or NULL */
	const char		*text;		/* beside every image, or NULL */
	const char		*explain;	/* "flagged" ... or NULL */
	struct cw_strings	 files;
	bool			 full_names;	/* two files share a name */
	struct cw_ordered	 out;
	struct cw_progress	 bar;
	struct cw_arena		*scratch;
	size_t			 count[CW_ACTIONS];
	bool			 broken;	/* could not go on */
};

static enum cw_status
load(void *payload, size_t i, struct cw_arena *a, struct cw_job *job,
    const char **code, struct cw_err *err)
{
	struct scan *s = payload;
	const char *path = s->files.item[i];
	enum cw_status st;
	char *bytes;
	size_t n;

	st = cw_read_file(AT_FDCWD, path, s->local.init.limits.bytes, a,
	    &bytes, &n, err);
	if (st == CW_E_LIMIT)
		*code = "too_large";
	if (st != CW_OK)
		return st;
	job->image = (const uint8_t *)bytes;
	job->nimage = n;
	if (s->text != NULL)
		job->text = s->text;
	if (s->explain != NULL) {
		job->explain = (enum cw_when)cw_when_parse(s->explain);
		job->explain_set = true;
	}
	if (s->maps != NULL)
		job->artifacts = CW_ART_OVERLAY;
	return CW_OK;
}

/* DIR/photo.jpg.violence.weapon.png */
static void
save_map(void *payload, size_t i, enum cw_artifact kind, const char *name,
    const void *bytes, size_t n)
{
	struct scan *s = payload;
	struct cw_err err;
	const char *path;

	if (kind != CW_ART_OVERLAY)
		return;
	cw_arena_reset(s->scratch, 0);
	path = cw_arena_printf(s->scratch, "%s/%s.%s", s->maps,
	    cw_inputs_stem(s->files.item[i], s->full_names, s->scratch),
	    cw_inputs_base(name, s->scratch));
	if (path == NULL || cw_output_file(path, bytes, n, &err) != CW_OK) {
		cw_progress_hide(&s->bar);
		cw_complain("%s", path == NULL ? "no room for a file name" :
		    err.text);
		s->count[CW_ERROR]++;
	}
}

/* The verdict's line as it is printed. */
static const char *
make_line(struct scan *s, const struct cw_client_done *d, size_t *len)
{
	const char *id = cw_text_clean(s->files.item[d->index], s->scratch);
	const struct cw_model_facts *m = cw_clients_facts(s->local.clients);
	const struct cw_verdict_facts facts = {
		.id = id, .sha256 = d->sha256, .bytes = d->bytes,
		.received_us = d->received_us, .scored_us = cw_wall_us(),
		.model_name = m->name, .model_sha256 = m->sha256,
		.attempt = d->attempt, .surface = "",
	};
	const char *json, *line = NULL;
	char *text = NULL;
	json_t *verdict;
	FILE *f;

	json = cw_verdict_json(&facts, &s->local.set, d->res, s->scratch,
	    len);
	if (json == NULL)
		return NULL;
	if (s->cli->json) {
		line = text = cw_arena_alloc(s->scratch, *len + 1);
		if (line == NULL)
			return NULL;
		memcpy(text, json, *len);
		text[(*len)++] = '\n';
		return line;
	}
	f = open_memstream(&text, len);
	verdict = json_loadb(json, *len, 0, NULL);
	if (f != NULL && verdict != NULL)
		cw_verdict_print(s->cli, f, id, verdict);
	json_decref(verdict);
	if (f != NULL && fclose(f) == 0)
		line = cw_arena_strndup(s->scratch, text, *len);
	free(text);
	return line;
}

static bool
done(void *payload, const struct cw_client_done *d)
{
	struct scan *s = payload;
	struct cw_result res = *d->res;
	struct cw_client_done clean = *d;
	struct cw_err err = { "no room for a verdict" };
	const char *line;
	size_t len;

	cw_arena_reset(s->scratch, KEPT);
	if (res.failed)
		res.message = cw_text_clean(res.message, s->scratch);
	clean.res = &res;
	s->count[cw_verdict_decide(&s->local.set, &res).action]++;
	line = make_line(s, &clean, &len);
	cw_progress_hide(&s->bar);
	if (line == NULL ||
	    cw_ordered_put(&s->out, d->index, line, len, &err) != CW_OK) {
		cw_complain("%s", err.text);
		s->broken = true;
	}
	cw_progress_step(&s->bar);
	return !s->broken && !ferror(stdout);
}

static int
run(struct scan *s)
{
	const struct cw_client_work work = { .payload = s, .load = load,
		.artifact = save_map, .done = done };
	uint32_t workers = cw_config_workers(&s->local.cfg);
	struct cw_err err;
	int rc;

	if (workers > s->files.n)
		workers = (uint32_t)s->files.n;
	rc = cw_local_start(&s->local, &s->local.set, workers);
	if (rc != CW_GO_ON)
		return rc;
	cw_progress_open(&s->bar, s->cli->progress, s->files.n);
	if (cw_clients_run(s->local.clients, s->files.n, &work, &err) !=
	    CW_OK) {
		cw_progress_hide(&s->bar);
		return cw_complain("%s", err.text);
	}
	cw_progress_hide(&s->bar);
	if (s->cli->progress && s->files.n > 1)
		fprintf(stderr, "%zu files: %zu allow, %zu review, %zu "
		    "block, %zu error\n", s->files.n, s->count[CW_ALLOW],
		    s->count[CW_REVIEW], s->count[CW_BLOCK],
		    s->count[CW_ERROR]);
	if (s->broken || s->count[CW_ERROR] > 0)
		return CW_EXIT_ERROR;
	return s->count[CW_REVIEW] + s->count[CW_BLOCK] > 0 ?
	    CW_EXIT_FLAGGED : 0;
}

int
cw_cmd_scan(struct cw_cli *cli, int argc, char **argv)
{
	struct scan s = { .cli = cli };
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli),
		{ "maps", 0, OPT_TEXT, &s.maps, "DIR",
		    "write a heat map of each flag to DIR", 0, 0 },
		{ "explain", 0, OPT_TEXT, &s.explain, "WHEN",
		    "make maps: flagged, always or never", 0, 0 },
		{ "text", 0, OPT_TEXT, &s.text, "TEXT",
		    "score TEXT beside every image", 0, 0 },
		CW_OPT_POLICIES(&s.local), CW_OPT_MODEL(&s.local),
		CW_OPT_VIEWS(&s.local), CW_OPT_WORKERS(&s.local),
	};
	struct cw_strings args;
	struct cw_err err;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n == 0)
		return cw_complain("scan: no files; want FILE or DIR");
	if (s.explain != NULL && cw_when_parse(s.explain) == -1)
		return cw_complain("scan: --explain is \"%s\"; want flagged, "
		    "always or never", s.explain);
	if ((rc = cw_local_text(cli, "--text", s.text, CW_JOB_TEXT_BYTES,
	    true)) != CW_GO_ON ||
	    (rc = cw_local_settings(cli, &s.local)) != CW_GO_ON ||
	    (rc = cw_local_policies(cli, &s.local)) != CW_GO_ON)
		return rc;
	if (cw_inputs_list(&args, cli->arena, &s.files, &err) != CW_OK ||
	    (s.maps != NULL && cw_output_dir(s.maps, &err) != CW_OK))
		return cw_complain("%s", err.text);
	if (s.files.n == 0) {
		cw_local_no_files(cli);
		return 0;
	}
	s.full_names = s.maps != NULL &&
	    cw_inputs_clash(&s.files, cli->arena);
	if (cw_arena_open(SCRATCH, &s.scratch, &err) != CW_OK ||
	    cw_ordered_open(&s.out, stdout, s.files.n, cli->arena, &err) !=
	    CW_OK)
		return cw_complain("%s", err.text);
	rc = run(&s);
	cw_local_stop(&s.local);
	cw_ordered_close(&s.out);
	cw_arena_close(&s.scratch);
	return rc;
}
