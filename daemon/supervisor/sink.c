/*
 * sink.c - see sink.h.
 */
#include "supervisor/sink.h"

#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "conf/config.h"
#include "format/verdict.h"
#include "supervisor/plugin_sink.h"
#include "supervisor/pool.h"
#include "supervisor/reissue.h"
#include "supervisor/reload.h"
#include "supervisor/spool.h"
#include "supervisor/turn.h"

static struct cw_bytes
text(const char *s)
{
	/* With its NUL, so that no two lists of strings look alike. */
	return (struct cw_bytes){ s, strlen(s) + 1 };
}

void
cw_options_key(const struct cw_job *job, const char *sha256,
    char key[CW_SHA256_HEX])
{
	const char flags[2] = { (char)('0' + (int)job->explain),
		job->explain_set ? '1' : '0' };
	struct cw_bytes parts[CW_POLICIES_MAX + 4];
	size_t n = 0;

	key[0] = '\0';
	if (job->artifacts != 0)
		return;
	parts[n++] = text(sha256);
	parts[n++] = text(job->text);
	parts[n++] = text(job->surface);
	parts[n++] = (struct cw_bytes){ flags, sizeof(flags) };
	for (size_t i = 0; i < job->npolicies; i++)
		parts[n++] = text(job->policies[i]);
	cw_sha256(parts, n, key);
}

static void
verdict_key(const struct cw_daemon *d, const char *options_key,
    const char *policies_hash, char key[CW_SHA256_HEX])
{
	const struct cw_bytes parts[] = {
		text(options_key), text(policies_hash),
		text(cw_pool_verdict_key(d)),
	};

	key[0] = '\0';
	if (options_key[0] != '\0')
		cw_sha256(parts, CW_COUNT(parts), key);
}

/* Verdict row and outbox rows; the turn fails when one can't be written. */
static void
store(struct cw_daemon *d, const struct cw_stored *v, int64_t seq)
{
	struct cw_err err;

	if (cw_spool_put_verdict(d->spool, v, seq, &err) == CW_OK)
		cw_sinks_enqueue(d, v->id);
}

static struct cw_told *
told_of(struct cw_daemon *d, const char *id, const char *json,
    const struct cw_policy_set *set, const struct cw_decision *dec)
{
	struct cw_told *t;

	t = cw_arena_zalloc(cw_turn_arena(d), 1, sizeof(*t));
	CW_CHECK(t != NULL);
	t->id = cw_arena_strdup(cw_turn_arena(d), id);
	t->json = json;
	t->action = dec->action;
	t->score = dec->score;
	t->policy = dec->policy;
	t->category = "none";
	if (dec->action == CW_REVIEW || dec->action == CW_BLOCK) {
		const struct cw_category *c;
		const struct cw_policy *p;

		cw_policy_set_category(set, dec->category, &p, &c);
		t->category = c->id;
	}
	/* The set may be gone before the turn ends. */
	t->policy = cw_arena_strdup(cw_turn_arena(d), t->policy);
	t->category = cw_arena_strdup(cw_turn_arena(d), t->category);
	CW_CHECK(t->category != NULL);
	return t;
}

static void
keep_artifacts(struct cw_daemon *d, const struct cw_slot *s,
    const struct cw_artifact_data *arts, uint32_t narts, struct cw_told *t)
{
	struct cw_err err;

	for (uint32_t i = 0; i < narts && i < CW_PARTS_MAX; i++) {
		void *copy = cw_arena_alloc(cw_turn_arena(d),
		    arts[i].data.n + 1);

		if (copy == NULL || cw_spool_put_artifact(d->spool, s->id, i,
		    arts[i].kind, arts[i].name, &arts[i].data, &err) != CW_OK)
			return;
		memcpy(copy, arts[i].data.p, arts[i].data.n);
		t->parts[t->nparts++] = (struct cw_bytes){ copy,
			arts[i].data.n };
	}
}

/* This turn has no room for its verdict: a later one makes it again. */
static void
later(struct cw_daemon *d, struct cw_slot *s)
{
	s->from_embeds = false;
	if (s->state == CW_SLOT_SENT)
		cw_queue_put_back(d->queue, s);
}

/*
 * Reception and verdict by one clock that never jumps; only for a job of a
 * former life there is none but the wall's.
 */
static int64_t
age_us(const struct cw_slot *s, uint64_t now_ms)
{
	const int64_t us = cw_wall_us() - s->received_us;

	if (!s->former)
		return (int64_t)(now_ms - s->received_ms) * 1000;
	return us > 0 ? us : 0;
}

static void
finish(struct cw_daemon *d, struct cw_slot *s, const struct cw_policy_set *set,
    const struct cw_result *res, const struct cw_artifact_data *arts,
    uint32_t narts, uint64_t *count)
{
	const struct cw_model_facts *m = cw_pool_facts(d);
	const struct cw_decision dec = cw_verdict_decide(set, res);
	const uint64_t now_ms = cw_now_ms();
	const uint64_t sent_ms = s->sent_ms != 0 ? s->sent_ms : now_ms;
	uint32_t kinds[CW_PARTS_MAX];
	char key[CW_SHA256_HEX];
	struct cw_verdict_facts f = {
		.id = s->id,
		.sha256 = s->sha256,
		.bytes = s->bytes,
		.received_us = s->received_us,
		.scored_us = s->received_us + age_us(s, now_ms),
		.model_name = m->name,
		.model_sha256 = m->sha256,
		.attempt = s->attempt + 1,
		.cached = s->from_embeds,
		.queue_us = (sent_ms - s->received_ms) * 1000,
		.surface = s->surface,
		.evidence = kinds,
		.nevidence = narts < CW_PARTS_MAX ? narts : CW_PARTS_MAX,
	};
	struct cw_stored v = {
		.id = s->id,
		.decision = cw_action_name(dec.action),
		.policy = dec.policy,
		.received_us = f.received_us,
		.scored_us = f.scored_us,
		.sha256 = s->sha256,
		.policies_hash = set->hash,
		.owner = s->owner,
	};
	struct cw_told *t;
	size_t len;

	if (!cw_turn_takes_verdict(d)) {
		later(d, s);
		return;
	}
	for (uint32_t i = 0; i < f.nevidence; i++)
		kinds[i] = arts[i].kind;
	v.json = cw_verdict_json(&f, set, res, cw_turn_arena(d), &len);
	if (v.json == NULL) {
		later(d, s);	/* short of memory: of room there was enough */
		return;
	}
	verdict_key(d, res->failed ? "" : s->cache_key, set->hash, key);
	v.cache_key = key;
	t = told_of(d, s->id, v.json, set, &dec);
	t->total_us = (uint64_t)(v.scored_us - v.received_us);
	t->count = count;
	store(d, &v, s->seq);
	keep_artifacts(d, s, arts, narts, t);
	cw_queue_take(d->queue, s, CW_SLOT_DONE);
	cw_turn_verdict(d, s, 0, t);
}

void
cw_sink_result(struct cw_daemon *d, struct cw_slot *s,
    const struct cw_generation *g, struct cw_result *res,
    const struct cw_artifact_data *arts, uint32_t narts)
{
	struct cw_err err;

	if (!s->from_embeds && !res->failed &&
	    d->cfg->spool.embeddings != 0 && res->nviews > 0 && res->embed > 0 &&
	    cw_spool_put_embeds(d->spool, s->sha256, cw_pool_model_key(d),
	    res, s->received_us, &err) != CW_OK)
		CW_CHECK(cw_spool_dirty(d->spool));	/* the turn fails */
	finish(d, s, &g->set, res, arts, narts,
	    s->from_embeds ? &d->stats.embeds_reused : NULL);
}

void
cw_sink_error(struct cw_daemon *d, struct cw_slot *s, enum cw_stage stage,
    const char *code, const char *message, uint64_t *count)
{
	const struct cw_result res = {
		.failed = true,
		.stage = stage,
		.code = code,
		.message = message,
		.format = "",
	};

	s->from_embeds = false;
	finish(d, s, &cw_reload_current(d)->set, &res, NULL, 0, count);
}

enum cw_status
cw_sink_cached(struct cw_daemon *d, const struct cw_job *job,
    const char *sha256, const char *options_key, const char *owner,
    uint64_t route, struct cw_err *err)
{
	const struct cw_generation *g = cw_reload_current(d);
	struct cw_arena *a = cw_turn_arena(d);
	const size_t mark = cw_arena_mark(a);
	const int64_t now_us = cw_wall_us();
	char key[CW_SHA256_HEX];
	struct cw_stored v;
	struct cw_told *t;
	enum cw_status st;

	verdict_key(d, options_key, g->set.hash, key);
	if (key[0] == '\0')
		return cw_err_set(err, CW_E_NOT_FOUND, "not for others");
	if ((st = cw_spool_find_same(d->spool, key, a, &v, err)) != CW_OK)
		return st;
	if (!cw_turn_takes_answer(d)) {
		cw_arena_release(a, mark);
		return cw_err_set(err, CW_E_BUSY, "too much to tell already");
	}
	v.json = cw_verdict_reissue(v.json, job->id, now_us, a);
	t = cw_arena_zalloc(a, 1, sizeof(*t));
	if (v.json == NULL || t == NULL)
		return cw_err_set(err, CW_E_NOT_FOUND, "can't be reissued");
	v.id = cw_arena_strdup(a, job->id);
	v.received_us = v.scored_us = now_us;
	v.sha256 = sha256;
	v.owner = owner;
	v.cache_key = "";	/* the first one keeps answering */
	*t = (struct cw_told){
		.id = v.id,
		.json = v.json,
		.policy = v.policy,
		.count = &d->stats.cached,
		.action = (enum cw_action)cw_action_parse(v.decision),
	};
	store(d, &v, 0);
	cw_turn_reply(d, route, CW_A_ACCEPTED, job->id, cw_arena_printf(a,
	    "{\"id\":\"%s\",\"duplicate\":false}", job->id), NULL, 0);
	cw_turn_verdict(d, NULL, cw_route_pushed(route) ? 0 : route, t);
	return CW_OK;
}
