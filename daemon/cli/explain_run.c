/*
 * explain_run.c - see explain_run.h.
 *
 * One worker and one image at a time: explaining is for looking at.
 */
#include "cli/explain_run.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/adhoc.h"
#include "cli/inputs.h"
#include "cli/verdict_print.h"
#include "format/verdict.h"

#define KEEP_BYTES	((size_t)1 << 30)	/* reserved for one image */

struct state {
	struct cw_explain_run	*run;
	struct cw_strings	 files;
	const char		*only;		/* policy id, or NULL */
	struct cw_arena		*keep;		/* the image at hand */
	const char		*image;
	size_t			 nimage;
	struct cw_picture	 pictures[CW_PICTURES_MAX];
	size_t			 npictures;
	int			 rc;
};

static enum cw_status
load(void *payload, size_t i, struct cw_arena *a, struct cw_job *job,
    const char **code, struct cw_err *err)
{
	struct state *s = payload;
	struct cw_explain_run *r = s->run;
	enum cw_status st;
	char *bytes;

	(void)code;
	cw_arena_reset(s->keep, (size_t)1 << 20);
	s->npictures = 0;
	s->image = NULL;
	s->nimage = 0;
	st = cw_read_file(AT_FDCWD, s->files.item[i],
	    r->local.init.limits.bytes, s->keep, &bytes, &s->nimage, err);
	if (st != CW_OK)
		return st;
	s->image = bytes;
	job->image = (const uint8_t *)bytes;
	job->nimage = s->nimage;
	job->artifacts = r->artifacts;
	job->faithfulness = r->faithfulness;
	if (r->always) {
		job->explain = CW_WHEN_ALWAYS;
		job->explain_set = true;
	}
	if (r->method != NULL)
		job->method = (enum cw_method)cw_method_parse(r->method);
	if (r->text != NULL)
		job->text = r->text;
	if (s->only != NULL) {
		job->policies = cw_arena_zalloc(a, 1,
		    sizeof(*job->policies));
		if (job->policies == NULL)
			return cw_err_set(err, CW_E_LIMIT,
			    "no room for a job");
		job->policies[0] = s->only;
		job->npolicies = 1;
	}
	return CW_OK;
}

static void
artifact(void *payload, size_t i, enum cw_artifact kind, const char *name,
    const void *bytes, size_t n)
{
	struct state *s = payload;
	struct cw_picture *p = &s->pictures[s->npictures];
	const char *dot = strrchr(name, '.');
	const size_t stem = dot == NULL ? strlen(name) : (size_t)(dot - name);

	(void)i;
	if (s->npictures == CW_PICTURES_MAX)
		return;
	*p = (struct cw_picture){ kind, cw_arena_strndup(s->keep, name, stem),
		cw_arena_strndup(s->keep, bytes, n), n };
	if (p->name != NULL && p->bytes != NULL)
		s->npictures++;
}

static bool
is_flagged(const struct cw_policy_set *set, const struct cw_result *res,
    uint32_t category)
{
	const struct cw_category *c;
	const struct cw_policy *p;

	cw_policy_set_category(set, category, &p, &c);
	return res->cats[category].source == CW_FROM_IMAGE &&
	    cw_thresholds_decide(&c->thresholds,
	    res->cats[category].score) != CW_ALLOW;
}

/* The maps of what the image is flagged for; if nothing is, of what came nearest. */
static void
choose_maps(struct cw_arena *a, const struct cw_policy_set *set,
    struct cw_result *res)
{
	struct cw_map *kept = cw_arena_zalloc(a, res->nmaps, sizeof(*kept));
	uint32_t n = 0;

	if (kept == NULL || res->nmaps < 2)
		return;
	for (uint32_t i = 0; i < res->nmaps; i++)
		if (is_flagged(set, res, res->maps[i].category))
			kept[n++] = res->maps[i];
	if (n == 0)
		kept[n++] = res->maps[0];
	res->maps = kept;
	res->nmaps = n;
}

/* Pictures of maps that are left out are left out too. */
static void
choose_pictures(struct state *s, const struct cw_policy_set *set,
    const struct cw_result *res)
{
	size_t n = 0;

	for (size_t i = 0; i < s->npictures; i++) {
		const struct cw_picture *p = &s->pictures[i];
		bool wanted = p->kind != CW_ART_OVERLAY &&
		    p->kind != CW_ART_CURVES;

		for (uint32_t k = 0; k < res->nmaps && !wanted; k++) {
			const struct cw_category *c;
			const struct cw_policy *pol;

			cw_policy_set_category(set, res->maps[k].category,
			    &pol, &c);
			wanted = strcmp(c->id, p->name) == 0;
		}
		if (wanted)
			s->pictures[n++] = *p;
	}
	s->npictures = n;
}

static bool
done(void *payload, const struct cw_client_done *d)
{
	struct state *s = payload;
	struct cw_explain_run *r = s->run;
	const struct cw_model_facts *m = cw_clients_facts(r->local.clients);
	const struct cw_decision what = cw_verdict_decide(&r->local.set,
	    d->res);
	const char *path = cw_text_clean(s->files.item[d->index], s->keep);
	const struct cw_verdict_facts facts = {
		.id = path, .sha256 = d->sha256, .bytes = d->bytes,
		.received_us = d->received_us, .scored_us = cw_wall_us(),
		.model_name = m->name, .model_sha256 = m->sha256,
		.attempt = d->attempt, .surface = "",
	};
	struct cw_explained e = {
		.index = d->index, .total = s->files.n, .path = path,
		.image = s->image, .nimage = s->nimage,
		.set = &r->local.set, .res = d->res,
		.pictures = s->pictures,
	};
	struct cw_result clean = *d->res;
	size_t len;
	int rc;

	if (clean.failed)
		clean.message = cw_text_clean(clean.message, s->keep);
	if (!clean.failed && !r->all) {
		choose_maps(s->keep, e.set, &clean);
		choose_pictures(s, e.set, &clean);
	}
	e.npictures = s->npictures;
	e.res = &clean;
	e.json = cw_verdict_json(&facts, e.set, e.res, s->keep, &len);
	rc = e.json == NULL ? cw_complain("%s: no room for its verdict",
	    path) : r->each(r->payload, &e);
	if (rc != CW_GO_ON) {
		s->rc = rc;
		return false;
	}
	if (what.action == CW_ERROR)
		s->rc = CW_EXIT_ERROR;
	else if (what.action != CW_ALLOW && s->rc == 0)
		s->rc = CW_EXIT_FLAGGED;
	return true;
}

/* --policy names none: these are there. */
static int
no_policy(const struct state *s)
{
	const struct cw_policy_set *set = &s->run->local.set;
	const char *ids = "";

	for (size_t i = 0; i < set->npolicies && ids != NULL; i++)
		ids = cw_arena_printf(s->run->cli->arena, "%s%s%s", ids,
		    i > 0 ? ", " : "", set->policies[i].id);
	return cw_complain("%s: no file, and no policy's id; want one of %s",
	    s->only, ids != NULL ? ids : "those of the configuration");
}

/* --prompt, --policy FILE, --policy ID, or every policy there is. */
static int
choose_policies(struct state *s)
{
	struct cw_explain_run *r = s->run;
	struct cw_err err;
	int rc;

	if (r->prompt != NULL && r->policy != NULL)
		return cw_complain("%s: --prompt and --policy; want one",
		    r->cli->command->name);
	r->local.own_neutral = r->prompt != NULL && r->neutral.n == 0;
	if (r->prompt != NULL)
		return cw_adhoc_policy(r->prompt, &r->neutral, r->cli->arena,
		    &r->local.set, &err) == CW_OK ? CW_GO_ON :
		    cw_complain("%s", err.text);
	if (r->policy != NULL && access(r->policy, F_OK) == 0)
		r->local.cfg.policies = (struct cw_strings){ &r->policy, 1 };
	else
		s->only = r->policy;
	if ((rc = cw_local_policies(r->cli, &r->local)) != CW_GO_ON ||
	    s->only == NULL)
		return rc;
	for (size_t i = 0; i < r->local.set.npolicies; i++)
		if (strcmp(r->local.set.policies[i].id, s->only) == 0)
			return CW_GO_ON;
	return no_policy(s);
}

static int
check_texts(const struct cw_explain_run *r)
{
	int rc;

	if ((rc = cw_local_text(r->cli, "--prompt", r->prompt,
	    CW_PROMPT_BYTES, false)) != CW_GO_ON ||
	    (rc = cw_local_text(r->cli, "--text", r->text, CW_JOB_TEXT_BYTES,
	    true)) != CW_GO_ON)
		return rc;
	for (size_t i = 0; i < r->neutral.n && rc == CW_GO_ON; i++)
		rc = cw_local_text(r->cli, "--neutral", r->neutral.item[i],
		    CW_PROMPT_BYTES, false);
	return rc;
}

static int
check(struct cw_explain_run *r, const struct cw_strings *args)
{
	if (args->n == 0)
		return cw_complain("%s: no files; want FILE",
		    r->cli->command->name);
	if (r->method != NULL && cw_method_parse(r->method) == -1)
		return cw_complain("%s: --method is \"%s\"; want additive, "
		    "raw, rollout or similarity", r->cli->command->name,
		    r->method);
	if (r->neutral.n > 0 && r->prompt == NULL)
		return cw_complain("%s: --neutral without --prompt; want both",
		    r->cli->command->name);
	return check_texts(r);
}

int
cw_explain_files(struct cw_explain_run *r, const struct cw_strings *args)
{
	struct state s = { .run = r };
	const struct cw_client_work work = { .payload = &s, .load = load,
		.artifact = artifact, .done = done };
	struct cw_err err;
	int rc;

	r->local.batch = 1;
	if ((rc = check(r, args)) != CW_GO_ON ||
	    (rc = cw_local_settings(r->cli, &r->local)) != CW_GO_ON ||
	    (rc = choose_policies(&s)) != CW_GO_ON)
		return rc;
	if (cw_inputs_list(args, r->cli->arena, &s.files, &err) != CW_OK ||
	    cw_arena_open(KEEP_BYTES, &s.keep, &err) != CW_OK)
		return cw_complain("%s", err.text);
	if (s.files.n == 0) {
		cw_local_no_files(r->cli);
		cw_arena_close(&s.keep);
		return 0;
	}
	rc = cw_local_start(&r->local, &r->local.set, 1);
	if (rc == CW_GO_ON && cw_clients_run(r->local.clients, s.files.n,
	    &work, &err) != CW_OK)
		rc = cw_complain("%s", err.text);
	cw_local_stop(&r->local);
	cw_arena_close(&s.keep);
	return rc == CW_GO_ON ? s.rc : rc;
}
