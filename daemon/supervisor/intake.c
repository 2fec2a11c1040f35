/*
 * intake.c - see intake.h.
 */
#include "supervisor/intake.h"

#include <string.h>

#include "base/io.h"
#include "conf/config.h"
#include "supervisor/gates.h"
#include "supervisor/generation.h"
#include "supervisor/json_out.h"
#include "supervisor/queue.h"
#include "supervisor/reload.h"
#include "supervisor/sink.h"
#include "supervisor/spool.h"
#include "supervisor/turn.h"

static void
say(struct cw_daemon *d, uint64_t route, enum cw_answer answer,
    const char *id, const char *json)
{
	cw_turn_reply(d, route, answer, id, json, NULL, 0);
}

static void
busy(struct cw_daemon *d, uint64_t route, const char *id)
{
	/* The gate hands it over again, unless there is no later. */
	if (!cw_route_pushed(route))
		d->stats.busy++;
	else if (cw_gates_finishing(d))
		d->stats.pushed_lost++;
	say(d, route, CW_A_BUSY, id, cw_turn_busy_json(d, id));
}

static void
reject(struct cw_daemon *d, uint64_t route, const char *id, const char *code,
    const char *message)
{
	d->stats.rejected++;
	say(d, route, CW_A_REJECTED, id,
	    cw_json_rejected(cw_turn_notes(d), id, code, message));
}

static void
id_in_use(struct cw_daemon *d, uint64_t route, const char *id)
{
	reject(d, route, id, "id_in_use",
	    "this id was given to another image before");
}

/*
 * May the sender know of a job, or end it?  Its own, any with the right to
 * watch; without CURVE nobody can be told from another, and what was stored
 * without a key is everybody's.
 */
static bool
may_touch(const struct cw_request *who, const char *owner)
{
	return who->key[0] == '\0' || owner[0] == '\0' ||
	    strcmp(who->key, owner) == 0 || (who->rights & CW_R_WATCH) != 0;
}

static void
others_id(struct cw_daemon *d, uint64_t route, const char *id)
{
	reject(d, route, id, "id_in_use",
	    "this id was given to a job of another client before");
}

static void
accepted(struct cw_daemon *d, uint64_t route, const char *id, bool duplicate)
{
	say(d, route, CW_A_ACCEPTED, id, cw_arena_printf(cw_turn_notes(d),
	    "{\"id\":\"%s\",\"duplicate\":%s}", id,
	    duplicate ? "true" : "false"));
}

/*
 * The stored verdict goes out at once; false when there is none, or not now.
 * An id stands for one picture: with sha256 (not NULL) of another one the
 * answer is a refusal, for it would be taken for that picture's verdict.
 * Who may not know of it is refused, too, or, asking, finds none.
 */
static bool
answer_stored(struct cw_daemon *d, uint64_t route,
    const struct cw_request *who, const char *sha256, enum cw_status *st)
{
	const char *id = who->job.id;
	struct cw_bytes parts[CW_PARTS_MAX];
	struct cw_stored v;
	struct cw_err err;
	uint32_t n;

	if (!cw_turn_takes_answer(d)) {
		*st = cw_spool_has_verdict(d->spool, id, &err);
		*st = *st == CW_OK ? CW_E_BUSY : *st;
		return false;
	}
	*st = cw_spool_get_verdict(d->spool, id, cw_turn_arena(d), &v, &err);
	if (*st != CW_OK)
		return false;
	if (!may_touch(who, v.owner)) {
		*st = CW_E_NOT_FOUND;
		if (sha256 != NULL)
			others_id(d, route, id);
		return sha256 != NULL;
	}
	if (sha256 != NULL && strcmp(sha256, v.sha256) != 0) {
		id_in_use(d, route, id);
		return true;
	}
	if (cw_route_pushed(route)) {
		accepted(d, route, id, true);
		return true;
	}
	if (cw_spool_get_artifacts(d->spool, id, cw_turn_arena(d), parts,
	    CW_PARTS_MAX, &n, &err) != CW_OK)
		n = 0;
	cw_turn_reply(d, route, CW_A_VERDICT, id, v.json, parts, n);
	return true;
}

/* ---- SUBMIT ---- */

/* Why a job can't be taken whatever happens, as a code, or NULL. */
static const char *
refusal(const struct cw_daemon *d, const struct cw_job *j,
    const char *sha256, const char **message)
{
	const struct cw_generation *g = cw_reload_current(d);

	if (j->nimage == 0) {
		*message = "the image frame is empty";
		return "no_image";
	}
	if (j->nimage > d->cfg->limits.bytes) {
		*message = "the image is longer than limits.bytes";
		return "too_large";
	}
	if (j->sha256[0] != '\0' && strcmp(j->sha256, sha256) != 0) {
		*message = "sha256 is not that of the image frame";
		return "sha256";
	}
	for (size_t i = 0; i < j->npolicies; i++)
		if (!cw_generation_has_policy(g, j->policies[i])) {
			*message = cw_arena_printf(cw_turn_arena(d),
			    "policies names \"%s\", which is not loaded",
			    j->policies[i]);
			if (*message == NULL)
				*message = "no such policy";
			return "unknown_policy";
		}
	return NULL;
}

/*
 * Room for one more?  Who can't be told BUSY gets the whole table: the gate
 * is paused by then, and has read a few of its jobs already.
 */
static bool
room_for(const struct cw_daemon *d, uint64_t route, const struct cw_job *j)
{
	if (cw_queue_full(d->queue))
		return false;
	if (cw_route_pushed(route))
		return true;
	return cw_queue_count(d->queue) < d->cfg->limits.pending &&
	    cw_queue_bytes(d->queue) + j->nimage <=
	    d->cfg->limits.pending_bytes;
}

static void
enqueue(struct cw_daemon *d, uint64_t route, const struct cw_request *req,
    const char *sha256, const char *key)
{
	const struct cw_job *j = &req->job;
	const uint64_t now_ms = cw_now_ms();
	const struct cw_spool_job meta = {
		.received_us = cw_wall_us(),
		.priority = j->priority,
		.deadline_ms = j->deadline_ms,
		.sha256 = sha256,
		.cache_key = key,
		.owner = req->key,
	};
	struct cw_slot *s;
	struct cw_err err;
	int64_t seq;

	if (cw_spool_put_job(d->spool, j, &meta, &seq, &err) != CW_OK) {
		busy(d, route, j->id);
		return;
	}
	s = cw_queue_add(d->queue, j->id, j->nimage);
	CW_CHECK(s != NULL);
	s->seq = seq;
	s->received_us = meta.received_us;
	s->received_ms = now_ms;
	s->deadline_ms = j->deadline_ms == 0 ? 0 : now_ms + j->deadline_ms;
	s->priority = j->priority;
	s->alone = j->artifacts != 0;	/* drawing is slow: nobody waits */
	memcpy(s->sha256, sha256, sizeof(s->sha256));
	memcpy(s->cache_key, key, sizeof(s->cache_key));
	memcpy(s->owner, req->key, sizeof(s->owner));
	cw_slot_route(s, route);
	cw_turn_accepted(d, s);
	accepted(d, route, j->id, false);
}

static void
submit(struct cw_daemon *d, uint64_t route, const struct cw_request *req)
{
	const struct cw_job *j = &req->job;
	const struct cw_bytes image = { j->image, j->nimage };
	char sha256[CW_SHA256_HEX], key[CW_SHA256_HEX];
	struct cw_slot *s = cw_queue_find(d->queue, j->id);
	const char *code, *message;
	enum cw_status st;
	struct cw_err err;

	cw_sha256(&image, 1, sha256);
	if (s != NULL && !may_touch(req, s->owner)) {
		others_id(d, route, j->id);
		return;
	}
	if (s != NULL && strcmp(s->sha256, sha256) != 0) {
		id_in_use(d, route, j->id);
		return;
	}
	if (s != NULL) {
		d->stats.duplicates++;
		cw_slot_route(s, route);
		/* Scored in this very turn: its verdict is on its way. */
		if (s->state != CW_SLOT_DONE || cw_route_pushed(route))
			accepted(d, route, j->id, true);
		return;
	}
	if (answer_stored(d, route, req, sha256, &st)) {
		d->stats.duplicates++;
		return;
	}
	/* An id that can't be looked up might have its verdict.  Nothing new
	 * while stopping, but of who can't be told so: it is stored. */
	if (st != CW_E_NOT_FOUND || (d->stopping && !cw_route_pushed(route)) ||
	    cw_spool_sick(d->spool)) {
		busy(d, route, j->id);
		return;
	}
	if ((code = refusal(d, j, sha256, &message)) != NULL) {
		reject(d, route, j->id, code, message);
		return;
	}
	cw_options_key(j, sha256, key);
	st = cw_sink_cached(d, j, sha256, key, req->key, route, &err);
	if (st == CW_OK)
		return;
	/* Who can't be told BUSY gets a verdict of its own, later. */
	if ((st != CW_E_BUSY || cw_route_pushed(route)) && room_for(d, route, j))
		enqueue(d, route, req, sha256, key);
	else
		busy(d, route, j->id);
}

/* ---- the others ---- */

static void
get(struct cw_daemon *d, uint64_t route, const struct cw_request *req)
{
	const char *id = req->job.id;
	const char *json = cw_arena_printf(cw_turn_notes(d),
	    "{\"id\":\"%s\"}", id);
	const struct cw_slot *s = cw_queue_find(d->queue, id);
	enum cw_status st;

	if (s != NULL)
		say(d, route, may_touch(req, s->owner) ? CW_A_PENDING :
		    CW_A_UNKNOWN, id, json);
	else if (answer_stored(d, route, req, NULL, &st))
		return;
	else if (st == CW_E_NOT_FOUND)
		say(d, route, CW_A_UNKNOWN, id, json);
	else
		busy(d, route, id);
}

/* A job that still waits, and be it for this turn's commit, ends with a
 * verdict that says so. */
static void
cancel(struct cw_daemon *d, uint64_t route, const struct cw_request *req)
{
	struct cw_slot *s = cw_queue_find(d->queue, req->job.id);

	if (s == NULL || (s->state != CW_SLOT_NEW &&
	    s->state != CW_SLOT_READY) || !may_touch(req, s->owner)) {
		get(d, route, req);
		return;
	}
	cw_slot_route(s, route);
	cw_sink_error(d, s, CW_ST_QUEUE, "cancelled",
	    "cancelled before it was scored", &d->stats.cancelled);
}

void
cw_intake(struct cw_daemon *d, uint64_t route, const struct cw_request *req)
{
	switch (req->verb) {
	case CW_V_SUBMIT:
		submit(d, route, req);
		break;
	case CW_V_GET:
		get(d, route, req);
		break;
	case CW_V_CANCEL:
		cancel(d, route, req);
		break;
	case CW_V_PING:
		say(d, route, CW_A_PONG, "", "{}");
		break;
	case CW_V_RELOAD:
		cw_reload_start(d, (struct cw_asker){ .route = route });
		break;
	case CW_VERBS:
		break;
	}
}
