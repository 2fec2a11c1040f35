/*
 * trial.c - see trial.h.
 */
#include "supervisor/trial.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "conf/config.h"
#include "format/verdict.h"
#include "supervisor/reload.h"
#include "supervisor/timer.h"

#define PICTURES_BYTES	(256u << 20)	/* of all tests together */
#define TRIAL_MS	600000		/* encoding the prompts of a new set */

/* ---- who tries it ---- */

static void
begin_trial(struct cw_worker *w, struct cw_generation *g)
{
	w->trial = cw_generation_ref(g);
	cw_reload_on_trial(w->d);
	cw_worker_set_state(w, CW_W_BUSY, "trial of a policy set");
	cw_timer_set(w->timer, TRIAL_MS);
	w->awaits_policy = true;
	/* When it can't be sent the worker is retired, which ends the trial. */
	(void)cw_worker_give_set(w, g);
}

/* There is nothing to learn from it but that a worker takes it. */
static bool
takes_any(const struct cw_generation *g)
{
	return g->missing == 0 && !cw_generation_has_tests(g);
}

/* Is one without a job on its way?  One that has failed to start of itself is
 * not waited for: it may never come, and another's successor may. */
static bool
comes(const struct cw_worker *w)
{
	return w->successor || w->state == CW_W_STARTING ||
	    (w->state == CW_W_BUSY && !w->used);
}

/* None will come that can try it. */
static void
no_worker(struct cw_daemon *d)
{
	cw_reload_tried(d, CW_TRIAL_DIED, d->pool->changed ? "the model has "
	    "changed since the daemon started; restart the daemon" :
	    "a new worker can't start");
}

void
cw_trial_place(struct cw_daemon *d)
{
	struct cw_generation *g = cw_reload_wants_trial(d);
	struct cw_worker *used = NULL;
	bool waits = false;

	if (g == NULL)
		return;
	for (uint32_t i = 0; i < d->pool->n; i++) {
		struct cw_worker *w = &d->pool->workers[i];

		if (w->state == CW_W_IDLE && (!w->used || takes_any(g))) {
			begin_trial(w, g);
			return;
		}
		if (w->state == CW_W_IDLE)
			used = w;
		waits = waits || comes(w);
	}
	if (used == NULL || (waits && !d->pool->changed))
		return;
	/* Its successor would not be taken: better an old set than none. */
	if (d->pool->changed)
		no_worker(d);
	else
		cw_worker_make_room(used);
}

void
cw_trial_start_failed(struct cw_worker *w)
{
	struct cw_daemon *d = w->d;
	const struct cw_generation *g = cw_reload_wants_trial(d);
	bool serves = false;

	for (uint32_t i = 0; i < d->pool->n; i++)
		serves = serves || d->pool->workers[i].state == CW_W_IDLE ||
		    d->pool->workers[i].state == CW_W_BUSY;
	if (g != NULL && (!serves || (w->successor && !takes_any(g))))
		no_worker(d);
}

/* ---- the pictures ---- */

/* Test number i over all policies of the set. */
static const struct cw_policy_test *
test_at(const struct cw_policy_set *set, uint32_t i,
    const struct cw_policy **policy)
{
	for (size_t k = 0; k < set->npolicies; k++) {
		const struct cw_policy *p = &set->policies[k];

		if (i < p->ntests) {
			*policy = p;
			return &p->tests[i];
		}
		i -= (uint32_t)p->ntests;
	}
	return NULL;
}

/* Frame body of test i, in the arena. */
static enum cw_status
load_test(struct cw_worker *w, uint32_t i, struct cw_bytes *body,
    struct cw_err *err)
{
	struct cw_arena *a = w->d->pool->scratch;
	const struct cw_policy *p = NULL;
	const struct cw_policy_test *t = test_at(&w->trial->set, i, &p);
	const char *path = cw_policy_test_path(p, t, a), *only[1] = { p->id };
	struct cw_job j = {
		.id = "policy-test", .text = "", .surface = "",
		.uploader = "", .policies = only, .npolicies = 1,
		.explain = CW_WHEN_NEVER, .explain_set = true,
	};
	struct cw_pack pk;
	enum cw_status st;
	char *image;

	if (path == NULL)
		return cw_err_set(err, CW_E_LIMIT, "policy tests: no room");
	st = cw_read_file(AT_FDCWD, path, w->d->cfg->limits.bytes, a, &image,
	    &j.nimage, err);
	if (st != CW_OK)
		return st == CW_E_NOT_FOUND ? CW_E_CONFIG : st;
	j.image = (const uint8_t *)image;
	cw_pack_init(&pk, a, j.nimage + 4096);
	cw_job_pack(&j, &pk);
	if (!cw_pack_ok(&pk) || cw_arena_used(a) > PICTURES_BYTES)
		return cw_err_set(err, CW_E_LIMIT, "policy tests: more than "
		    "%u MB of pictures", PICTURES_BYTES >> 20);
	*body = (struct cw_bytes){ pk.p, pk.len };
	return CW_OK;
}

/*
 * Send the pictures.  CW_E_NOT_FOUND: the set has none.  CW_E_CLOSED: the
 * worker can't be reached.  Others say which test can't be made.
 */
static enum cw_status
send_tests(struct cw_worker *w, struct cw_err *err)
{
	const struct cw_policy_set *set = &w->trial->set;
	const uint32_t batch = (uint32_t)w->d->cfg->workers.batch;
	struct cw_arena *a = w->d->pool->scratch;
	struct cw_bytes *bodies;
	enum cw_status st;
	uint32_t n = 0;

	for (size_t k = 0; k < set->npolicies; k++)
		n += (uint32_t)set->policies[k].ntests;
	if (n == 0)
		return cw_err_set(err, CW_E_NOT_FOUND, "no tests");
	cw_arena_reset(a, 0);
	bodies = cw_arena_zalloc(a, n, sizeof(*bodies));
	CW_CHECK(bodies != NULL);
	for (uint32_t i = 0; i < n; i++)
		if ((st = load_test(w, i, &bodies[i], err)) != CW_OK)
			return st;
	w->test_ticket = w->d->pool->next_ticket;
	w->d->pool->next_ticket += n;
	w->tests = w->tests_left = n;
	w->tests_failed = 0;
	for (uint32_t i = 0; i < n; i++) {
		const bool last = i + 1 == n || (i + 1) % batch == 0;

		if (cw_link_send(&w->link, CW_F_JOB, last ? 0 : CW_F_MORE,
		    w->test_ticket + i, bodies[i].p, bodies[i].n, err) !=
		    CW_OK)
			return CW_E_CLOSED;
	}
	return CW_OK;
}

/* The trial is over, one way or the other. */
static void
end_trial(struct cw_worker *w, bool taken, const char *why)
{
	struct cw_generation *g = w->trial;

	w->trial = NULL;
	w->tried = true;
	w->awaits_policy = false;
	cw_reload_tried(w->d, taken ? CW_TRIAL_TAKEN : CW_TRIAL_REFUSED, why);
	/* Refused: it gets the current set again before its next batch. */
	cw_generation_unref(&w->gen);
	if (taken)
		w->gen = cw_generation_ref(g);
	cw_generation_unref(&g);
	cw_worker_has_set(w);
}

enum cw_status
cw_trial_done(struct cw_worker *w, struct cw_unpack *r, struct cw_err *err)
{
	struct cw_policy_done done;
	enum cw_status st;
	struct cw_err why;

	st = cw_policy_done_unpack(r, w->trial->set.nprompts,
	    w->d->pool->scratch, &done, err);
	if (st != CW_OK)
		return st;
	if (!done.ok) {
		end_trial(w, false, done.message);
		return CW_OK;
	}
	if ((st = cw_reload_learn(w->d, &done, err)) != CW_OK)
		return st;
	st = cw_reload_wants_tests(w->d) ? send_tests(w, &why) :
	    CW_E_NOT_FOUND;
	if (st == CW_E_CLOSED) {
		*err = why;
		return st;
	}
	if (st == CW_E_NOT_FOUND)
		end_trial(w, true, "");
	else if (st != CW_OK)
		end_trial(w, false, why.text);
	return CW_OK;
}

/* Does it decide as its policy wants?  The first that does not is kept. */
static void
judge(struct cw_worker *w, uint32_t i, const struct cw_result *res)
{
	const struct cw_policy_set *set = &w->trial->set;
	const struct cw_decision dec = cw_verdict_decide(set, res);
	const struct cw_policy *p = NULL;
	const struct cw_policy_test *t = test_at(set, i, &p);

	if (dec.action == t->expect || w->tests_failed++ > 0)
		return;
	(void)cw_err_set(&w->test_why, CW_E_CONFIG,
	    "%s: test %s gives %s%s%s; want %s", p->file, t->image,
	    cw_action_name(dec.action), res->failed ? ": " : "",
	    res->failed ? res->message : "", cw_action_name(t->expect));
}

enum cw_status
cw_trial_result(struct cw_worker *w, uint64_t ticket, struct cw_unpack *r,
    struct cw_err *err)
{
	struct cw_result res;
	struct cw_err why;
	enum cw_status st;

	if (ticket < w->test_ticket || ticket - w->test_ticket >= w->tests)
		return cw_err_set(err, CW_E_FORMAT,
		    "RESULT for a job it does not have");
	st = cw_result_unpack(r, &w->trial->set, w->d->pool->scratch, &res,
	    err);
	if (st != CW_OK)
		return st;
	judge(w, (uint32_t)(ticket - w->test_ticket), &res);
	if (--w->tests_left > 0)
		return CW_OK;
	if (w->tests_failed == 0)
		end_trial(w, true, "");
	else {
		(void)cw_err_set(&why, CW_E_CONFIG, w->tests_failed == 1 ?
		    "%s" : "%s (and %u more)", w->test_why.text,
		    w->tests_failed - 1);
		end_trial(w, false, why.text);
	}
	return CW_OK;
}
