/*
 * dispatch.c - see pool.h.  Batches out, results in.
 */
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "conf/config.h"
#include "format/verdict.h"
#include "supervisor/canary.h"
#include "supervisor/child_log.h"
#include "supervisor/fetch.h"
#include "supervisor/reload.h"
#include "supervisor/spool.h"
#include "supervisor/timer.h"
#include "supervisor/trial.h"
#include "supervisor/turn.h"
#include "supervisor/worker.h"

#define BATCH_BYTES	(64u << 20)	/* of images in one batch; one alone may
					   be larger */
#define KEEP_BYTES	(4u << 20)
#define NAMES_BYTES	(1u << 20)	/* room beside a job's pictures */
#define MEAN_WEIGHT	0.1		/* of the newest batch in job_us */

/* ---- choosing ---- */

static size_t
idle_workers(const struct cw_pool *p)
{
	size_t n = 0;

	for (uint32_t i = 0; i < p->n; i++)
		n += p->workers[i].state == CW_W_IDLE;
	return n;
}

/*
 * How many jobs the next batch gets, 0: wait for more.  A batch goes when it
 * is full or its first job has waited batch_wait; what there is, is shared
 * between the workers that are idle.
 */
static size_t
batch_due(struct cw_daemon *d)
{
	const size_t waiting = cw_queue_waiting(d->queue);
	const size_t most = d->cfg->workers.batch;
	const size_t idle = idle_workers(d->pool);
	const struct cw_slot *first = cw_queue_first(d->queue);
	const uint64_t now = cw_now_ms();
	uint64_t due;
	size_t share;

	if (first == NULL || idle == 0)
		return 0;
	due = first->received_ms + d->cfg->workers.batch_wait_ms;
	if (waiting < most && !first->alone && now < due) {
		cw_timer_set(d->pool->wait, due - now);
		return 0;
	}
	if (first->alone)
		return 1;
	share = (waiting + idle - 1) / idle;
	return share < most ? share : most;
}

static bool
expired(const struct cw_slot *s, uint64_t now)
{
	return s->deadline_ms != 0 && now >= s->deadline_ms;
}

static void
answer_expired(struct cw_daemon *d, struct cw_slot *s)
{
	cw_sink_error(d, s, CW_ST_QUEUE, "deadline",
	    "deadline_ms had passed before a worker was free",
	    &d->stats.expired);
}

static void
sweep_one(void *payload, struct cw_slot *s)
{
	struct cw_daemon *d = payload;

	if (s->state == CW_SLOT_READY && expired(s, cw_now_ms()))
		answer_expired(d, s);
}

void
cw_pool_sweep(struct cw_daemon *d)
{
	/* Without a model there is nothing a verdict could name; while the
	 * spool is sick it would be made, counted and undone. */
	if (cw_pool_ready(d) && !cw_spool_sick(d->spool) &&
	    cw_queue_waiting(d->queue) > 0)
		cw_queue_each(d->queue, sweep_one, d);
}

/* ---- sending ---- */

/* Take up to most jobs off the queue for w; their frames to bodies. */
static void
fill_batch(struct cw_worker *w, struct cw_bytes *bodies, size_t most)
{
	struct cw_daemon *d = w->d;
	struct cw_slot *s = cw_queue_first(d->queue), *next;
	const uint64_t now = cw_now_ms();
	uint64_t bytes = 0;
	bool stop = false;

	w->nsent = 0;
	for (; s != NULL && w->nsent < most && !stop; s = next) {
		next = cw_queue_next(d->queue, s);
		if (expired(s, now)) {
			answer_expired(d, s);
			continue;
		}
		if (now < s->again_ms)
			continue;
		if (w->nsent > 0 && (s->alone || bytes + s->bytes >
		    BATCH_BYTES))
			break;
		if (!cw_fetch_job(d, w->gen, s, &bodies[w->nsent], &stop))
			continue;
		bytes += s->bytes;
		cw_queue_take(d->queue, s, CW_SLOT_SENT);
		s->sent_ms = now;
		cw_histogram_add(&d->stats.queue,
		    (now - s->received_ms) * 1000);
		w->sent[w->nsent++] = (struct cw_sent){ s,
			d->pool->next_ticket++ };
		if (s->alone)
			break;
	}
	w->left = w->nsent;
}

static void
send_batch(struct cw_worker *w, size_t most)
{
	struct cw_daemon *d = w->d;
	struct cw_arena *a = d->pool->scratch;
	struct cw_bytes *bodies;
	struct cw_err err;

	cw_arena_reset(a, KEEP_BYTES);
	bodies = cw_arena_zalloc(a, most, sizeof(*bodies));
	CW_CHECK(bodies != NULL);
	fill_batch(w, bodies, most);
	if (w->nsent == 0)
		return;
	w->narts = 0;
	w->sent_us = cw_now_us();
	w->used = true;
	w->tried = false;
	cw_worker_set_state(w, CW_W_BUSY, "");
	cw_timer_set(w->timer, d->cfg->workers.deadline_ms);
	for (uint32_t i = 0; i < w->nsent; i++)
		if (cw_link_send(&w->link, CW_F_JOB,
		    i + 1 < w->nsent ? CW_F_MORE : 0, w->sent[i].ticket,
		    bodies[i].p, bodies[i].n, &err) != CW_OK) {
			cw_worker_retire(w, true, err.text);
			return;
		}
	w->batches++;
	d->stats.batches++;
	d->stats.batch_jobs += w->nsent;
}

/* Bring an idle worker up to the current set; false when it failed. */
static bool
update_set(struct cw_worker *w)
{
	struct cw_generation *g = cw_reload_current(w->d);

	if (w->gen == g)
		return true;
	cw_generation_unref(&w->gen);
	w->gen = cw_generation_ref(g);
	w->awaits_policy = true;
	return cw_worker_give_set(w, g);
}

/* What waits, to the idle workers; to those only that just tried a set. */
static void
send_batches(struct cw_daemon *d, bool only_tried)
{
	struct cw_pool *p = d->pool;

	for (uint32_t i = 0; i < p->n; i++) {
		struct cw_worker *w = &p->workers[i];
		size_t n;

		if (w->state != CW_W_IDLE || (only_tried && !w->tried))
			continue;
		/* What can't be stored need not be scored. */
		if (cw_spool_sick(d->spool) || (n = batch_due(d)) == 0)
			return;
		if (update_set(w))
			send_batch(w, n);
	}
}

void
cw_pool_dispatch(struct cw_daemon *d)
{
	struct cw_pool *p = d->pool;

	CW_CHECK_OBJ(p, POOL_MAGIC);
	if (!p->ready || (d->stopping && !d->draining))
		return;
	/* Between two trials a batch: reloads at any rate stop no jobs. */
	send_batches(d, true);
	cw_trial_place(d);
	send_batches(d, false);
}

/* ---- results ---- */

static struct cw_sent *
find_ticket(struct cw_worker *w, uint64_t ticket)
{
	for (uint32_t i = 0; i < w->nsent; i++)
		if (w->sent[i].ticket == ticket && w->sent[i].slot != NULL)
			return &w->sent[i];
	return NULL;
}

static void
batch_done(struct cw_worker *w)
{
	struct cw_pool *p = w->d->pool;
	const double us = (double)(cw_now_us() - w->sent_us) / w->nsent;

	p->job_us = p->job_us > 0 ? p->job_us + MEAN_WEIGHT *
	    (us - p->job_us) : us;
	p->scored_ms = cw_now_ms();
	(void)evtimer_del(w->timer);
	cw_worker_set_state(w, CW_W_IDLE, "");
}

/* A worker knows only vectors; what they are of stands in the spool. */
static enum cw_status
restore_views(struct cw_worker *w, const struct cw_slot *s,
    struct cw_result *res, struct cw_err *err)
{
	struct cw_spool_embeds e;
	enum cw_status st;

	st = cw_spool_get_embeds(w->d->spool, s->sha256,
	    cw_pool_model_key(w->d), w->d->pool->scratch, &e, err);
	if (st != CW_OK)
		return st;
	if (res->nviews != e.nviews)
		return cw_err_set(err, CW_E_FORMAT, "RESULT: %u views of %u",
		    res->nviews, e.nviews);
	res->views = e.views;
	res->format = e.format;
	res->width = e.width;
	res->height = e.height;
	res->frames = e.frames;
	return CW_OK;
}

/* A flag wants its map, and the map wants the picture: once more. */
static bool
wants_image_after_all(const struct cw_slot *s, const struct cw_generation *g,
    const struct cw_result *res)
{
	if (res->failed)
		return true;
	for (uint32_t i = 0; i < g->set.ncategories; i++) {
		const struct cw_category *c;
		const struct cw_policy *p;

		cw_policy_set_category(&g->set, i, &p, &c);
		if (res->cats[i].source != CW_FROM_NONE &&
		    (s->explain_set ? s->explain : p->explain_when) !=
		    CW_WHEN_NEVER && p->explain_top > 0 &&
		    cw_thresholds_decide(&c->thresholds,
		    res->cats[i].score) != CW_ALLOW)
			return true;
	}
	return false;
}

static enum cw_status
take_result(struct cw_worker *w, uint64_t ticket, struct cw_unpack *r,
    struct cw_err *err)
{
	struct cw_sent *sent = find_ticket(w, ticket);
	const bool own_arts = w->narts > 0 && w->art_ticket == ticket;
	struct cw_result res;
	struct cw_slot *s;
	enum cw_status st;

	if (sent == NULL || w->awaits_policy)
		return cw_err_set(err, CW_E_FORMAT,
		    "RESULT for a job it does not have");
	st = cw_result_unpack(r, &w->gen->set, w->d->pool->scratch, &res,
	    err);
	if (st != CW_OK)
		return st;
	s = sent->slot;
	if (s->from_embeds && (wants_image_after_all(s, w->gen, &res) ||
	    restore_views(w, s, &res, err) != CW_OK)) {
		s->from_embeds = false;
		s->no_embeds = true;
		cw_queue_put_back(w->d->queue, s);
	} else
		cw_sink_result(w->d, s, w->gen, &res, w->arts,
		    own_arts ? w->narts : 0);
	sent->slot = NULL;
	w->narts = 0;
	w->jobs++;
	w->failures = 0;
	if (--w->left == 0)
		batch_done(w);
	else
		cw_timer_set(w->timer, w->d->cfg->workers.deadline_ms);
	return CW_OK;
}

/* Kept in the worker's arena, or left out when there is no room for it. */
static enum cw_status
keep_artifact(struct cw_worker *w, struct cw_unpack *r, struct cw_err *err)
{
	struct cw_arena *a = w->art_arena;
	const size_t mark = cw_arena_mark(a);
	struct cw_artifact_data *art = &w->arts[w->narts];
	const void *p;
	void *copy;

	art->kind = cw_get_u32(r);
	art->name = cw_get_str(r, CW_ID_BYTES, a);
	p = cw_get_blob(r, CW_FRAME_MAX, &art->data.n);
	if (!cw_unpack_end(r) || cw_artifact_name(art->kind) == NULL)
		return cw_err_set(err, CW_E_FORMAT, "ARTIFACT: bad bytes");
	if (art->data.n > CW_ARTIFACT_BYTES ||
	    cw_arena_used(a) + art->data.n > ARTS_BYTES - NAMES_BYTES) {
		cw_arena_release(a, mark);
		return CW_OK;
	}
	copy = cw_arena_alloc(a, art->data.n + 1);
	CW_CHECK(copy != NULL);
	memcpy(copy, p, art->data.n);
	art->data.p = copy;
	w->narts++;
	return CW_OK;
}

static enum cw_status
take_artifact(struct cw_worker *w, uint64_t ticket, struct cw_unpack *r,
    struct cw_err *err)
{
	if (w->narts == 0) {
		cw_arena_reset(w->art_arena, KEEP_BYTES);
		w->art_ticket = ticket;
	}
	if (find_ticket(w, ticket) == NULL || w->art_ticket != ticket)
		return cw_err_set(err, CW_E_FORMAT,
		    "ARTIFACT that nobody asked for");
	/* A picture per category can be more than one answer carries. */
	return w->narts == CW_PARTS_MAX ? CW_OK : keep_artifact(w, r, err);
}

/* ---- policy sets ---- */

static enum cw_status
take_policy_done(struct cw_worker *w, uint64_t id, struct cw_unpack *r,
    struct cw_err *err)
{
	struct cw_policy_done done;
	enum cw_status st;

	if (w->trial != NULL && w->tests_left == 0 &&
	    id == w->trial->set.generation)
		return cw_trial_done(w, r, err);
	if (!w->awaits_policy || w->gen == NULL ||
	    id != w->gen->set.generation)
		return cw_err_set(err, CW_E_FORMAT,
		    "POLICY_DONE for a set it was not given");
	st = cw_policy_done_unpack(r, w->gen->set.nprompts,
	    w->d->pool->scratch, &done, err);
	if (st != CW_OK)
		return st;
	if (!done.ok)
		return cw_err_set(err, CW_E_FORMAT,
		    "refused a set that another took: %s", done.message);
	cw_reload_measured(w->gen, &done);
	w->awaits_policy = false;
	if (w->state == CW_W_STARTING)
		cw_worker_has_set(w);
	return CW_OK;
}

/* ---- every frame ---- */

static enum cw_status
take_fatal(struct cw_worker *w, struct cw_unpack *r, struct cw_err *err)
{
	struct cw_pool *p = w->d->pool;
	const uint32_t code = cw_get_u32(r);
	const char *text = cw_get_str(r, CW_ERR_MAX, p->scratch);

	if (!cw_unpack_end(r))
		return cw_err_set(err, CW_E_FORMAT, "FATAL: bad bytes");
	if (!p->ready) {
		p->exit_code = code > 0 && code < 128 ? (int)code : 1;
		(void)cw_err_set(&p->failed, CW_E_MODEL, "%s", text);
	} else
		cw_log(CW_LOG_ERR, "worker=%u can't start error=%s",
		    w->number, cw_quote(text).text);
	return CW_OK;
}

void
cw_worker_take(struct cw_worker *w, const struct cw_frame *f)
{
	struct cw_arena *a = w->d->pool->scratch;
	const bool starting = w->state == CW_W_STARTING;
	struct cw_unpack r;
	struct cw_err err;
	enum cw_status st;

	cw_arena_reset(a, KEEP_BYTES);
	cw_unpack_init(&r, f->body, f->len);
	if (f->type == CW_F_LOG)
		st = cw_child_log("worker", w->number, &w->log_rate, &r, a,
		    &err);
	else if (f->type == CW_F_READY && starting)
		st = cw_worker_is_ready(w, &r, &err);
	else if (f->type == CW_F_FATAL && starting)
		st = take_fatal(w, &r, &err);
	else if (f->type == CW_F_POLICY_DONE)
		st = take_policy_done(w, f->id, &r, &err);
	else if (f->type == CW_F_RESULT && w->canary_ticket != 0 &&
	    f->id == w->canary_ticket)
		st = cw_canary_result(w, &r, &err);
	else if (f->type == CW_F_RESULT && w->tests_left > 0)
		st = cw_trial_result(w, f->id, &r, &err);
	else if (f->type == CW_F_RESULT && w->state == CW_W_BUSY)
		st = take_result(w, f->id, &r, &err);
	else if (f->type == CW_F_ARTIFACT && w->state == CW_W_BUSY)
		st = take_artifact(w, f->id, &r, &err);
	else
		st = cw_err_set(&err, CW_E_FORMAT, "frame %s is not allowed "
		    "now", cw_frame_name(f->type));
	if (st != CW_OK)
		cw_worker_retire(w, false, err.text);
}

/* ---- after a death ---- */

static void
try_again(struct cw_daemon *d, struct cw_slot *s, uint32_t blame)
{
	struct cw_err err;

	s->attempt++;
	s->blame += blame;
	s->alone = true;
	s->from_embeds = false;
	if (s->blame < CW_BLAME_MAX) {
		d->stats.retries++;
		/* A failed write fails the turn; the job itself is safe. */
		if (cw_spool_note_attempt(d->spool, s->seq, s->attempt,
		    s->blame, &err) != CW_OK)
			CW_CHECK(cw_spool_dirty(d->spool));
		cw_queue_put_back(d->queue, s);
		return;
	}
	cw_log(CW_LOG_WARNING, "quarantine job=%s attempts=%u", s->id,
	    s->attempt);
	if (cw_spool_quarantine(d->spool, s->seq, "worker_died",
	    cw_wall_us(), &err) != CW_OK)
		CW_CHECK(cw_spool_dirty(d->spool));
	s->attempt--;		/* the verdict counts the one that ends it */
	cw_sink_error(d, s, CW_ST_WORKER, "worker_died",
	    "its worker died each time it was tried",
	    &d->stats.quarantined);
}

/*
 * Of a batch that hung, which jobs may have done it?  Answers come in order
 * once all pictures are read: with the first answer there, the next job is
 * the one; before it, each may be.
 */
static bool
suspect(const struct cw_worker *w, uint32_t i)
{
	uint32_t first = 0;

	if (!w->hung || w->left == w->nsent)
		return true;
	while (first < i && w->sent[first].slot == NULL)
		first++;
	return i == first;
}

void
cw_worker_lost_jobs(struct cw_worker *w, uint32_t blame)
{
	/* Backwards: each goes to the front, so their order stays. */
	for (uint32_t i = w->nsent; i-- > 0;)
		if (w->sent[i].slot != NULL) {
			try_again(w->d, w->sent[i].slot,
			    suspect(w, i) ? blame : 0);
			w->sent[i].slot = NULL;
		}
	w->nsent = w->left = 0;
}
