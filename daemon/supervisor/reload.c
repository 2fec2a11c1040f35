/*
 * reload.c - see reload.h.
 */
#include "supervisor/reload.h"

#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "supervisor/control.h"
#include "supervisor/gates.h"
#include "supervisor/json_out.h"
#include "supervisor/notify.h"
#include "supervisor/pool.h"
#include "supervisor/turn.h"

#define EXIT_CONFIG	78

struct askers {
	struct cw_asker	 a[CW_ASKERS_MAX];
	uint32_t	 n;
};

struct cw_reload {
	struct cw_generation	*current;
	struct cw_generation	*candidate;	/* NULL: none under way */
	bool			 on_trial;	/* a worker has the candidate */
	bool			 again;		/* asked meanwhile */
	struct askers		 now, later;
	uint64_t		 number;	/* of the last set read */
	uint64_t		 started_ms;
	struct cw_err		 failed;	/* the first set was refused */
};

static void
log_warnings(const struct cw_generation *g, size_t from)
{
	for (size_t i = from; i < g->warnings.n; i++)
		cw_log(CW_LOG_WARNING, "policy %s", g->warnings.text[i]);
	if (g->warnings.dropped > 0)
		cw_log(CW_LOG_WARNING, "policy %zu more warnings",
		    g->warnings.dropped);
}

enum cw_status
cw_reload_open(struct cw_daemon *d, struct cw_err *err)
{
	struct cw_reload *r = cw_arena_zalloc(d->arena, 1, sizeof(*r));
	enum cw_status st;

	CW_CHECK(r != NULL);
	d->reload = r;
	st = cw_generation_read(d->cfg, ++r->number, &r->current, err);
	if (st == CW_OK)
		log_warnings(r->current, 0);
	return st;
}

void
cw_reload_close(struct cw_daemon *d)
{
	if (d->reload == NULL)
		return;
	cw_generation_unref(&d->reload->current);
	cw_generation_unref(&d->reload->candidate);
	d->reload = NULL;
}

struct cw_generation *
cw_reload_current(const struct cw_daemon *d)
{
	return d->reload->current;
}

bool
cw_reload_busy(const struct cw_daemon *d)
{
	return d->reload->candidate != NULL;
}

const char *
cw_reload_failed(const struct cw_daemon *d, int *exit_code)
{
	if (d->reload == NULL || d->reload->failed.text[0] == '\0')
		return NULL;
	*exit_code = EXIT_CONFIG;
	return d->reload->failed.text;
}

/* ---- the end of one ---- */

static void
answer(struct cw_daemon *d, const struct cw_asker *who, bool ok,
    const char *why)
{
	const struct cw_generation *g = d->reload->current;

	if (who->control != 0)
		cw_control_reloaded(d, who->control, ok, why);
	if (who->route == 0)
		return;
	if (ok)
		cw_turn_reply(d, who->route, CW_A_ACCEPTED, "",
		    cw_arena_printf(cw_turn_arena(d), "{\"reloaded\":true,"
		    "\"policies\":{\"hash\":\"%s\"},\"generation\":%ju}",
		    g->set.hash, (uintmax_t)g->set.generation), NULL, 0);
	else
		cw_turn_reply(d, who->route, CW_A_REJECTED, "",
		    cw_json_rejected(cw_turn_arena(d), "", "reload", why),
		    NULL, 0);
}

/* Does the service manager wait for it?  Before READY=1 and after STOPPING=1
 * a reload is no news: it would be told that we serve. */
static bool
is_news(const struct cw_daemon *d)
{
	return d->serving && (!d->stopping || d->draining);
}

static void begin(struct cw_daemon *d);

static void
finish(struct cw_daemon *d, bool ok, const char *why)
{
	struct cw_reload *r = d->reload;
	const struct cw_generation *g = r->current;
	const struct askers now = r->now;

	cw_generation_unref(&r->candidate);
	r->on_trial = false;
	r->now.n = 0;
	if (ok)
		d->stats.reloads++;
	else
		d->stats.reload_failures++;
	cw_log(ok ? CW_LOG_NOTICE : CW_LOG_ERR, "reload result=%s%s%s "
	    "generation=%ju policies=%zu prompts=%zu hash=%.12s ms=%ju",
	    ok ? "ok" : "refused", ok ? "" : " error=",
	    ok ? "" : cw_quote(why).text, (uintmax_t)g->set.generation,
	    g->set.npolicies, g->set.nprompts, g->set.hash,
	    (uintmax_t)(cw_now_ms() - r->started_ms));
	for (uint32_t i = 0; i < now.n; i++)
		answer(d, &now.a[i], ok, why);
	if (r->again) {
		r->again = false;
		r->now = r->later;
		r->later.n = 0;
		begin(d);
	} else if (is_news(d))
		cw_notify_ready(ok ? "serving" : "serving the policies from "
		    "before a failed reload");
}

/* ---- its beginning ---- */

static void
begin(struct cw_daemon *d)
{
	struct cw_reload *r = d->reload;
	struct cw_generation *g = NULL;
	enum cw_status st;
	struct cw_err err;

	r->started_ms = cw_now_ms();
	if (is_news(d))
		cw_notify_reloading();
	if (!cw_pool_ready(d) || r->current->missing > 0) {
		finish(d, false, "the first policies are not in force yet");
		return;
	}
	st = cw_generation_read(d->cfg, r->number + 1, &g, &err);
	/* Tests are not part of the hash, but who adds one wants it tried. */
	if (st == CW_OK && !cw_generation_has_tests(g) &&
	    strcmp(g->set.hash, r->current->set.hash) == 0) {
		/* No policy has changed. */
		cw_generation_unref(&g);
		st = cw_gates_reload(d, &err);
		finish(d, st == CW_OK, st == CW_OK ? "" : err.text);
		return;
	}
	if (st == CW_OK)
		st = cw_policy_set_find_tests(&g->set, g->arena, &err);
	if (st == CW_OK)
		st = cw_generation_recall(g, cw_pool_facts(d)->embed,
		    cw_pool_text_key(d), d->spool, &err);
	if (st != CW_OK) {
		cw_generation_unref(&g);
		finish(d, false, err.text);
		return;
	}
	log_warnings(g, 0);
	r->number++;
	r->candidate = g;
}

/* false: no room for one more who waits. */
static bool
remember(struct askers *to, struct cw_asker who)
{
	if (who.route == 0 && who.control == 0)
		return true;
	if (to->n == CW_ASKERS_MAX)
		return false;
	to->a[to->n++] = who;
	return true;
}

void
cw_reload_start(struct cw_daemon *d, struct cw_asker asker)
{
	struct cw_reload *r = d->reload;

	if (r->candidate != NULL) {
		/* The files may have changed since they were read. */
		r->again = true;
		if (!remember(&r->later, asker))
			answer(d, &asker, false, "too many reloads wait; one "
			    "begins after this");
		return;
	}
	CW_CHECK(r->now.n == 0);
	(void)remember(&r->now, asker);
	begin(d);
}

/* ---- the trial ---- */

struct cw_generation *
cw_reload_wants_trial(const struct cw_daemon *d)
{
	const struct cw_reload *r = d->reload;

	return r->on_trial ? NULL : r->candidate;
}

void
cw_reload_on_trial(struct cw_daemon *d)
{
	CW_CHECK(d->reload->candidate != NULL && !d->reload->on_trial);
	d->reload->on_trial = true;
}

enum cw_status
cw_reload_learn(struct cw_daemon *d, const struct cw_policy_done *done,
    struct cw_err *err)
{
	struct cw_reload *r = d->reload;
	struct cw_generation *g = r->candidate != NULL ? r->candidate :
	    r->current;
	enum cw_status st;

	st = cw_generation_learn(g, done, cw_pool_text_key(d), d->spool,
	    err);
	if (st == CW_OK)
		cw_log(CW_LOG_NOTICE, "policies generation=%ju policies=%zu "
		    "prompts=%zu hash=%.12s encoded=%u encode_ms=%u",
		    (uintmax_t)g->set.generation, g->set.npolicies,
		    g->set.nprompts, g->set.hash, done->nrows,
		    done->encode_ms);
	if (st == CW_OK)
		cw_reload_measured(g, done);
	return st;
}

void
cw_reload_measured(struct cw_generation *g,
    const struct cw_policy_done *done)
{
	const size_t before = g->warnings.n;

	if (g->measured)
		return;
	g->measured = true;
	cw_policy_set_lint_long(&g->set, true, done, g->arena, &g->warnings);
	if (g->warnings.n > before)
		log_warnings(g, before);
}

bool
cw_reload_wants_tests(const struct cw_daemon *d)
{
	return d->reload->candidate != NULL;
}

void
cw_reload_tried(struct cw_daemon *d, enum cw_trial how, const char *why)
{
	struct cw_reload *r = d->reload;
	struct cw_err err;

	if (r->candidate == NULL) {
		/* The set that the daemon starts with: refused, it does not
		 * start.  After a death the pool tries again, or gives up. */
		if (how == CW_TRIAL_REFUSED)
			(void)cw_err_set(&r->failed, CW_E_CONFIG, "%s", why);
		return;
	}
	/* Policies and clients together, or neither. */
	if (how == CW_TRIAL_TAKEN && cw_gates_reload(d, &err) != CW_OK) {
		finish(d, false, err.text);
		return;
	}
	if (how == CW_TRIAL_TAKEN) {
		cw_generation_unref(&r->current);
		r->current = cw_generation_ref(r->candidate);
	}
	finish(d, how == CW_TRIAL_TAKEN, why);
}
