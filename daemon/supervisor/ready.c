/*
 * ready.c - see pool.h.  A worker that has started gets its policy set.
 */
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "conf/config.h"
#include "supervisor/canary.h"
#include "supervisor/reload.h"
#include "supervisor/timer.h"
#include "supervisor/worker.h"

bool
cw_worker_give_set(struct cw_worker *w, const struct cw_generation *g)
{
	struct cw_arena *a = w->d->pool->scratch;
	const size_t mark = cw_arena_mark(a);
	struct cw_bytes body;
	enum cw_status st;
	struct cw_err err;

	st = cw_generation_pack(g, a, &body, &err);
	if (st == CW_OK)
		st = cw_link_send(&w->link, CW_F_POLICY, 0,
		    g->set.generation, body.p, body.n, &err);
	cw_arena_release(a, mark);
	if (st != CW_OK)
		cw_worker_retire(w, true, err.text);
	return st == CW_OK;
}

/* The first READY: everything that depends on the model is known now. */
static enum cw_status
learn_model(struct cw_daemon *d, const struct cw_model_facts *f,
    struct cw_err *err)
{
	struct cw_pool *p = d->pool;
	struct cw_generation *g = cw_reload_current(d);
	struct cw_arena *a = p->facts_arena;

	p->facts = *f;
	p->text_key = cw_arena_printf(a, "%s/%.32s/%s", f->sha256,
	    f->config_sha256, f->precision);
	p->model_key = cw_arena_printf(a, "%s/%s/%s/%ju/%s", p->text_key,
	    CW_VERSION, cw_views_name((enum cw_views)d->cfg->views),
	    (uintmax_t)d->cfg->limits.frames, f->plugins);
	p->verdict_key = cw_arena_printf(a, "%s/%ju", p->model_key,
	    (uintmax_t)d->cfg->explain.layers);
	CW_CHECK(!cw_arena_overflowed(a));
	p->ready = true;
	p->scored_ms = cw_now_ms();
	cw_log(CW_LOG_NOTICE, "model name=%s sha256=%.12s tower=%s "
	    "precision=%s kernel=%s sandbox=%s start_ms=%u", f->name,
	    f->sha256, f->tower, f->precision, f->kernel, f->sandbox,
	    f->start_ms);
	return g->vecs != NULL ? CW_OK : cw_generation_recall(g, f->embed,
	    p->text_key, d->spool, err);
}

/*
 * A later worker has read the files again, which somebody may have changed:
 * its scores would not be those that the model's name and hash promise.
 */
static enum cw_status
same_model(struct cw_pool *p, const struct cw_model_facts *f,
    struct cw_err *err)
{
	const bool same = f->embed == p->facts.embed &&
	    strcmp(f->sha256, p->facts.sha256) == 0 &&
	    strcmp(f->config_sha256, p->facts.config_sha256) == 0;

	if (!same && !p->changed)
		cw_log(CW_LOG_ERR, "model state=changed name=%s "
		    "sha256=%.12s was=%.12s config=%.12s config_was=%.12s",
		    f->name, f->sha256, p->facts.sha256, f->config_sha256,
		    p->facts.config_sha256);
	p->changed = !same;
	return same ? CW_OK : cw_err_set(err, CW_E_MODEL, "the model has "
	    "changed since the daemon started; restart the daemon");
}

enum cw_status
cw_worker_is_ready(struct cw_worker *w, struct cw_unpack *r,
    struct cw_err *err)
{
	struct cw_pool *p = w->d->pool;
	struct cw_generation *g = cw_reload_current(w->d);
	struct cw_arena *a = p->ready ? p->scratch : p->facts_arena;
	struct cw_model_facts f;
	enum cw_status st;

	if (w->gen != NULL || w->trial != NULL)
		return cw_err_set(err, CW_E_FORMAT, "READY twice");
	if ((st = cw_model_facts_unpack(r, a, &f, err)) != CW_OK)
		return st;
	if (f.embed == 0 || f.embed > CW_EMBED_MAX ||
	    !cw_sha256_valid(f.sha256))
		return cw_err_set(err, CW_E_FORMAT, "READY: bad facts");
	st = p->ready ? same_model(p, &f, err) : learn_model(w->d, &f, err);
	if (st != CW_OK)
		return st;
	if (g->missing > 0)
		w->trial = cw_generation_ref(g);
	else
		w->gen = cw_generation_ref(g);
	w->awaits_policy = true;
	(void)cw_worker_give_set(w, g);
	return CW_OK;
}

void
cw_worker_has_set(struct cw_worker *w)
{
	struct cw_pool *p = w->d->pool;

	(void)evtimer_del(w->timer);
	w->successor = false;
	cw_worker_set_state(w, CW_W_IDLE, "");
	cw_canary_first(w);
	/* The first has proved model and policies: the others may come. */
	for (uint32_t i = 0; i < p->n; i++)
		if (p->workers[i].state == CW_W_DEAD &&
		    p->workers[i].restarts == 0)
			cw_timer_set(p->workers[i].timer, 0);
}
