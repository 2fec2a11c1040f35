/*
 * turn.c - see turn.h.
 */
#include "supervisor/turn.h"

#include <event2/event.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "conf/config.h"
#include "supervisor/control.h"
#include "supervisor/gates.h"
#include "supervisor/plugin_sink.h"
#include "supervisor/pool.h"
#include "supervisor/spool.h"
#include "supervisor/timer.h"

#define TURN_MAGIC	0x70a4e11du
#define TURN_BYTES	(1u << 30)	/* address space; pages come with use */
#define ANSWER_BYTES	(64u << 20)	/* used: no more answers this turn, */
#define VERDICT_BYTES	(640u << 20)	/* ... no more verdicts */
#define NOTES_BYTES	(256u << 20)	/* effects and short answers: more than
					   a turn's bounded reads can ask for */
#define KEEP_BYTES	(4u << 20)	/* kept between turns */
#define PROBE_FIRST_MS	50		/* a sick spool is tried again, */
#define PROBE_MOST_MS	2000		/* at last this often */
#define WELL_MS		10000		/* well so long: begin with the first */

enum effect_kind { REPLY, ACCEPTED, VERDICT };

struct effect {
	enum effect_kind	 kind;
	bool			 promise;	/* not to be said when undone */
	uint64_t		 route;
	const char		*id;
	struct cw_slot		*slot;
	struct cw_reply		 reply;
	const struct cw_told	*told;
	struct effect		*next;
};

struct cw_turn {
	uint32_t	 magic;
	struct cw_arena	*arena;		/* verdicts, pictures */
	struct cw_arena	*notes;		/* effects, never short of room */
	struct effect	*first, **last;
	struct event	*probe;
	uint32_t	 probe_ms;
	uint64_t	 well_ms;	/* when it was well again */
};

static void
on_probe(evutil_socket_t fd, short what, void *arg);

enum cw_status
cw_turn_open(struct cw_daemon *d, struct cw_err *err)
{
	struct cw_turn *t = cw_arena_zalloc(d->arena, 1, sizeof(*t));
	enum cw_status st;

	CW_CHECK(t != NULL);
	t->magic = TURN_MAGIC;
	t->last = &t->first;
	t->probe_ms = PROBE_FIRST_MS;
	if ((st = cw_arena_open(TURN_BYTES, &t->arena, err)) != CW_OK ||
	    (st = cw_arena_open(NOTES_BYTES, &t->notes, err)) != CW_OK)
		return st;
	t->probe = evtimer_new(d->base, on_probe, d);
	if (t->probe == NULL)
		return cw_err_set(err, CW_E_SYSTEM, "turn: no memory");
	d->turn = t;
	return CW_OK;
}

void
cw_turn_close(struct cw_daemon *d)
{
	if (d->turn == NULL)
		return;
	event_free(d->turn->probe);
	cw_arena_close(&d->turn->arena);
	cw_arena_close(&d->turn->notes);
	d->turn->magic = 0;
	d->turn = NULL;
}

struct cw_arena *
cw_turn_notes(const struct cw_daemon *d)
{
	return d->turn->notes;
}

struct cw_arena *
cw_turn_arena(const struct cw_daemon *d)
{
	return d->turn->arena;
}

bool
cw_turn_takes_answer(const struct cw_daemon *d)
{
	return cw_arena_used(d->turn->arena) < ANSWER_BYTES &&
	    cw_gates_waiting(d) < ANSWER_BYTES;
}

bool
cw_turn_takes_verdict(const struct cw_daemon *d)
{
	return cw_arena_used(d->turn->arena) < VERDICT_BYTES;
}

/* ---- noting ---- */

static struct effect *
note(struct cw_daemon *d, enum effect_kind kind)
{
	struct cw_turn *t = d->turn;
	struct effect *e;

	CW_CHECK_OBJ(t, TURN_MAGIC);
	e = cw_arena_zalloc(t->notes, 1, sizeof(*e));
	CW_CHECK(e != NULL);
	e->kind = kind;
	*t->last = e;
	t->last = &e->next;
	return e;
}

void
cw_turn_reply(struct cw_daemon *d, uint64_t route, enum cw_answer answer,
    const char *id, const char *json, const struct cw_bytes *parts,
    uint32_t nparts)
{
	struct effect *e;

	if (route == 0 || json == NULL)
		return;
	e = note(d, REPLY);
	e->route = route;
	e->promise = cw_spool_dirty(d->spool) && (answer == CW_A_ACCEPTED ||
	    answer == CW_A_VERDICT);
	e->id = cw_arena_strdup(d->turn->notes, id == NULL ? "" : id);
	e->reply.answer = answer;
	e->reply.json = json;
	for (uint32_t i = 0; i < nparts && i < CW_PARTS_MAX; i++)
		e->reply.parts[e->reply.nparts++] = parts[i];
}

void
cw_turn_accepted(struct cw_daemon *d, struct cw_slot *s)
{
	note(d, ACCEPTED)->slot = s;
}

void
cw_turn_verdict(struct cw_daemon *d, struct cw_slot *s, uint64_t route,
    const struct cw_told *told)
{
	struct effect *e = note(d, VERDICT);

	e->slot = s;
	e->route = route;
	e->told = told;
}

const char *
cw_turn_busy_json(const struct cw_daemon *d, const char *id)
{
	return cw_arena_printf(d->turn->notes,
	    "{\"id\":\"%s\",\"retry_after_ms\":%u}", id,
	    cw_pool_retry_ms(d));
}

/* ---- acting ---- */

static void
log_verdict(const struct cw_told *v)
{
	if (v->category == NULL)
		cw_log(CW_LOG_INFO, "verdict job=%s action=%s policy=%s "
		    "cached=true ms=%.1f", v->id, cw_action_name(v->action),
		    v->policy, (double)v->total_us / 1e3);
	else
		cw_log(CW_LOG_INFO, "verdict job=%s action=%s policy=%s "
		    "category=%s score=%.3f ms=%.1f", v->id,
		    cw_action_name(v->action), v->policy, v->category,
		    (double)v->score, (double)v->total_us / 1e3);
}

static void
tell(struct cw_daemon *d, const struct effect *e)
{
	const struct cw_told *v = e->told;
	struct cw_reply r = { .answer = CW_A_VERDICT, .json = v->json,
		.nparts = v->nparts };

	memcpy(r.parts, v->parts, sizeof(r.parts));
	if (e->slot != NULL)
		for (uint32_t i = 0; i < e->slot->nroutes; i++)
			cw_gates_reply(d, e->slot->routes[i], &r);
	else if (e->route != 0)
		cw_gates_reply(d, e->route, &r);
	cw_gates_publish(d, v);
	cw_control_watch(d, v);
	d->stats.verdicts[v->action]++;
	if (v->count != NULL)
		++*v->count;
	cw_histogram_add(&d->stats.total, v->total_us);
	log_verdict(v);
	if (e->slot != NULL)
		cw_queue_remove(d->queue, e->slot);
}

static void
act(struct cw_daemon *d, const struct effect *e)
{
	switch (e->kind) {
	case REPLY:
		cw_gates_reply(d, e->route, &e->reply);
		break;
	case ACCEPTED:
		d->stats.accepted++;
		if (e->slot->state == CW_SLOT_NEW)	/* not yet cancelled */
			cw_queue_ready(d->queue, e->slot);
		break;
	case VERDICT:
		tell(d, e);
		break;
	}
}

/* Does the route hear BUSY of that job anyway, for a promise to it? */
static bool
was_promised(const struct cw_turn *t, uint64_t route, const char *id)
{
	for (const struct effect *e = t->first; e != NULL; e = e->next)
		if (e->kind == REPLY && e->promise && e->route == route &&
		    strcmp(e->id, id) == 0)
			return true;
	return false;
}

/* The job was never there; who waits for its verdict has to ask again. */
static void
take_job_back(struct cw_daemon *d, struct cw_slot *s)
{
	const struct cw_reply busy = { .answer = CW_A_BUSY,
		.json = cw_turn_busy_json(d, s->id) };

	for (uint32_t i = 0; i < s->nroutes; i++)
		if (busy.json != NULL && !was_promised(d->turn, s->routes[i],
		    s->id))
			cw_gates_reply(d, s->routes[i], &busy);
	cw_queue_remove(d->queue, s);
}

static void
take_back(struct cw_daemon *d, const struct effect *e)
{
	const struct cw_reply busy = { .answer = CW_A_BUSY,
		.json = e->kind == REPLY ? cw_turn_busy_json(d, e->id) : "" };

	switch (e->kind) {
	case REPLY:
		cw_gates_reply(d, e->route, e->promise && busy.json != NULL ?
		    &busy : &e->reply);
		break;
	case ACCEPTED:
		take_job_back(d, e->slot);
		break;
	case VERDICT:
		/* One of a job of this very turn is forgotten with it. */
		if (e->slot != NULL && e->slot->state == CW_SLOT_DONE) {
			e->slot->from_embeds = false;
			cw_queue_put_back(d->queue, e->slot);
		}
		break;
	}
}

/* The state changed: say it once, then keep trying on a timer. */
static void
fall_sick(struct cw_daemon *d, const struct cw_err *why)
{
	d->stats.spool_failures++;
	/* A disk that is nearly full takes little things: not each is news. */
	if (cw_now_ms() - d->turn->well_ms > WELL_MS)
		d->turn->probe_ms = PROBE_FIRST_MS;
	cw_log(CW_LOG_ERR, "spool state=sick error=%s",
	    cw_quote(why->text).text);
	cw_timer_set(d->turn->probe, d->turn->probe_ms);
}

void
cw_turn_end(struct cw_daemon *d)
{
	struct cw_turn *t = d->turn;
	const bool wrote = cw_spool_dirty(d->spool);
	const bool was_sick = cw_spool_sick(d->spool);
	struct effect *e;
	struct cw_err err;
	bool ok;

	CW_CHECK_OBJ(t, TURN_MAGIC);
	if (wrote)
		cw_sinks_confirm(d);
	ok = cw_spool_commit(d->spool, &err) == CW_OK;
	if (wrote && ok)
		d->stats.commits++;
	if (!ok && !was_sick)
		fall_sick(d, &err);
	/* Acting may note nothing new: what it calls only sends. */
	for (e = t->first; e != NULL; e = e->next)
		if (ok)
			act(d, e);
		else
			take_back(d, e);
	t->first = NULL;
	t->last = &t->first;
	cw_arena_reset(t->arena, KEEP_BYTES);
	cw_arena_reset(t->notes, KEEP_BYTES);
}

static void
probe(struct cw_daemon *d)
{
	struct cw_turn *t = d->turn;
	struct cw_err err;

	if (!cw_spool_sick(d->spool))
		return;
	t->probe_ms = t->probe_ms * 2 > PROBE_MOST_MS ? PROBE_MOST_MS :
	    t->probe_ms * 2;
	/* What was written in this turn before us is decided first. */
	cw_turn_end(d);
	if (cw_spool_probe(d->spool, &err) == CW_OK) {
		cw_log(CW_LOG_NOTICE, "spool state=well");
		t->well_ms = cw_now_ms();
		return;
	}
	cw_timer_set(t->probe, t->probe_ms);
}

static void
on_probe(evutil_socket_t fd, short what, void *arg)
{
	struct cw_daemon *d = arg;

	(void)fd;
	(void)what;
	CW_CHECK_OBJ(d, CW_DAEMON_MAGIC);
	probe(d);
}
