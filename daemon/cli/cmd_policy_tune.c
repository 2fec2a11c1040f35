/*
 * cmd_policy_tune.c - clipward policy tune: labelled images in, calibrations
 * and thresholds out, as YAML to paste.
 *
 * LABELS has a line for each image: its path, a tab, and the ids of the
 * categories it shows, separated by spaces (none: harmless).  An image that
 * can't be scored is left out and told, and makes the exit status 2.
 */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/commands.h"
#include "cli/local.h"
#include "cli/platt.h"
#include "cli/progress.h"
#include "cli/verdict_print.h"
#include "format/verdict.h"

#define LABELS_BYTES	((size_t)64 << 20)

struct tune {
	struct cw_cli		*cli;
	struct cw_local		 local;
	const char		**path;		/* [n] as the file says */
	const char		**labels;	/* [n] words with spaces round */
	double			*x;		/* [n][ncategories] NaN: none */
	size_t			 n;
	uint64_t		 recall, precision;	/* percent */
	struct cw_progress	 bar;
	bool			 failed;	/* an image could not be scored */
};

static enum cw_status
load(void *payload, size_t i, struct cw_arena *a, struct cw_job *job,
    const char **code, struct cw_err *err)
{
	struct tune *t = payload;

	(void)code;
	return cw_local_job(&t->local, t->path[i], a, job, err);
}

static void
warn(const struct tune *t, const char *path, const struct cw_result *res)
{
	/* What could not be read names its file already. */
	if (res->stage == CW_ST_QUEUE)
		cw_warn("%s", cw_text_clean(res->message, t->cli->arena));
	else
		cw_warn("%s: %s: %s", cw_text_clean(path, t->cli->arena),
		    res->code, cw_text_clean(res->message, t->cli->arena));
}

static bool
done(void *payload, const struct cw_client_done *d)
{
	struct tune *t = payload;
	double *x = t->x + d->index * t->local.set.ncategories;

	for (size_t c = 0; c < t->local.set.ncategories; c++)
		x[c] = d->res->failed ? NAN : (double)d->res->cats[c].margin;
	cw_progress_hide(&t->bar);
	t->failed |= d->res->failed;
	if (d->res->failed)
		warn(t, t->path[d->index], d->res);
	cw_progress_step(&t->bar);
	return true;
}

static bool
is_category(const struct cw_policy_set *set, const char *id, size_t len)
{
	for (uint32_t i = 0; i < set->ncategories; i++) {
		const struct cw_category *c;
		const struct cw_policy *p;

		cw_policy_set_category(set, i, &p, &c);
		if (strlen(c->id) == len && strncmp(c->id, id, len) == 0)
			return true;
	}
	return false;
}

static int
read_words(struct tune *t, const char *file, size_t number, const char *line,
    const char *words)
{
	for (const char *w = words; *w != '\0'; ) {
		const size_t len = strcspn(w, " ");

		if (len > 0 && !is_category(&t->local.set, w, len))
			return cw_complain("%s:%zu:%zu: no category \"%.*s\"",
			    file, number, (size_t)(w - line) + 1, (int)len,
			    w);
		w += len + strspn(w + len, " ");
	}
	return CW_GO_ON;
}

/* A line without a tab is a harmless image, if it is the name of one. */
static int
read_line(struct tune *t, const char *file, size_t number, char *line)
{
	const size_t len = strlen(line);
	char *tab;

	if (len > 0 && line[len - 1] == '\r')
		line[len - 1] = '\0';
	if (line[0] == '\0')
		return CW_GO_ON;
	tab = strchr(line, '\t');
	if (tab == NULL && strchr(line, ' ') != NULL &&
	    access(line, F_OK) == -1)
		return cw_complain("%s:%zu:%zu: no tab; want PATH, a tab, and "
		    "categories", file, number, strcspn(line, " ") + 1);
	if (tab != NULL)
		*tab++ = '\0';
	t->path[t->n] = line;
	t->labels[t->n] = cw_arena_printf(t->cli->arena, " %s ",
	    tab != NULL ? tab : "");
	if (t->labels[t->n++] == NULL)
		return cw_complain("%s: too long", file);
	return tab == NULL ? CW_GO_ON :
	    read_words(t, file, number, line, tab);
}

static int
read_labels(struct tune *t, const char *file)
{
	size_t len, lines = 1;
	char *text, *end;
	struct cw_err err;
	int rc = CW_GO_ON;

	if (cw_read_file(AT_FDCWD, file, LABELS_BYTES, t->cli->arena, &text,
	    &len, &err) != CW_OK)
		return cw_complain("%s", err.text);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	t->path = cw_arena_zalloc(t->cli->arena, lines, sizeof(*t->path));
	t->labels = cw_arena_zalloc(t->cli->arena, lines,
	    sizeof(*t->labels));
	t->x = cw_arena_zalloc(t->cli->arena, lines *
	    t->local.set.ncategories, sizeof(*t->x));
	if (t->path == NULL || t->labels == NULL || t->x == NULL)
		return cw_complain("%s: too many lines", file);
	for (size_t i = 1; text != NULL && rc == CW_GO_ON; text = end, i++) {
		end = strchr(text, '\n');
		if (end != NULL)
			*end++ = '\0';
		rc = read_line(t, file, i, text);
	}
	if (rc == CW_GO_ON && t->n == 0)
		return cw_complain("%s: no labels; want PATH, a tab, and "
		    "categories", file);
	return rc;
}

/* What the category's images say; false when they say nothing. */
static bool
tune_category(struct tune *t, uint32_t index, const struct cw_category *c,
    struct cw_labelled *v)
{
	const char *model = cw_clients_facts(t->local.clients)->sha256;
	const char *word = cw_arena_printf(t->cli->arena, " %s ", c->id);
	const size_t ncat = t->local.set.ncategories;
	double a, b, review, block, average;
	size_t n = 0, positive = 0;
	char date[16];
	time_t now = time(NULL);
	struct cw_err err;
	struct tm tm;

	for (size_t i = 0; i < t->n; i++) {
		const double x = t->x[i * ncat + index];

		if (isnan(x) || word == NULL)
			continue;
		v[n].x = x;
		v[n].yes = strstr(t->labels[i], word) != NULL;
		positive += v[n++].yes;
	}
	if (cw_platt_fit(v, n, &a, &b, &err) != CW_OK) {
		printf("# %s: %s\n", c->id, err.text);
		return false;
	}
	average = cw_platt_thresholds(v, n, (double)t->recall / 100,
	    (double)t->precision / 100, &review, &block);
	strftime(date, sizeof(date), "%Y-%m-%d", gmtime_r(&now, &tm));
	review = 1 / (1 + exp(-(a * review + b)));
	block = isinf(block) ? 1 : 1 / (1 + exp(-(a * block + b)));
	printf("# %s: %zu of %zu images show it, average precision %.3f%s\n"
	    "    calibration: {kind: platt, a: %.6g, b: %.6g,\n"
	    "      model: \"sha256:%s\", n: %zu, date: %s}\n"
	    "    thresholds: {review: %.3f, block: %.3f}\n", c->id, positive,
	    n, average, a > 0 ? "" : "; higher scores mean less, its prompts "
	    "are wrong", a, b, model, n, date, floor(review * 1e3) / 1e3,
	    fmax(floor(review * 1e3), ceil(block * 1e3)) / 1e3);
	return true;
}

static int
run(struct tune *t)
{
	const struct cw_client_work work = { .payload = t, .load = load,
		.done = done };
	struct cw_labelled *v = cw_arena_zalloc(t->cli->arena, t->n,
	    sizeof(*v));
	struct cw_err err;
	size_t tuned = 0;
	int rc;

	if (v == NULL)
		return cw_complain("policy tune: too many images");
	rc = cw_local_start(&t->local, &t->local.set,
	    cw_config_workers(&t->local.cfg));
	if (rc != CW_GO_ON)
		return rc;
	cw_progress_open(&t->bar, t->cli->progress, t->n);
	if (cw_clients_run(t->local.clients, t->n, &work, &err) != CW_OK)
		return cw_complain("%s", err.text);
	cw_progress_hide(&t->bar);
	for (uint32_t i = 0; i < t->local.set.ncategories; i++) {
		const struct cw_category *c;
		const struct cw_policy *p;

		cw_policy_set_category(&t->local.set, i, &p, &c);
		tuned += tune_category(t, i, c, v);
	}
	if (tuned == 0)
		return cw_complain("policy tune: no category has images of "
		    "both kinds");
	return t->failed ? CW_EXIT_ERROR : 0;
}

int
cw_cmd_policy_tune(struct cw_cli *cli, int argc, char **argv)
{
	struct tune t = { .cli = cli, .recall = 95, .precision = 95 };
	const struct cw_opt opts[] = {
		CW_OPT_POLICIES(&t.local), CW_OPT_WEIGHTS(&t.local),
		CW_OPT_VIEWS(&t.local), CW_OPT_WORKERS(&t.local),
		{ "recall", 0, OPT_COUNT, &t.recall, "PERCENT",
		    "of the labelled that review should catch (95)", 1, 100 },
		{ "precision", 0, OPT_COUNT, &t.precision, "PERCENT",
		    "of the blocked that should be right (95)", 1, 100 },
	};
	struct cw_strings args;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n != 1)
		return cw_complain("policy tune: want one LABELS file");
	if ((rc = cw_local_settings(cli, &t.local)) != CW_GO_ON ||
	    (rc = cw_local_policies(cli, &t.local)) != CW_GO_ON ||
	    (rc = read_labels(&t, args.item[0])) != CW_GO_ON)
		return rc;
	rc = run(&t);
	cw_local_stop(&t.local);
	return rc;
}
