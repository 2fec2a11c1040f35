/*
 * gate_msg.c - see gate_msg.h.
 */
#include "format/gate_msg.h"

#include <string.h>

#include "format/frame.h"
#include "format/names.h"

#define ENDPOINT_BYTES	1024u
#define NAME_BYTES	256u
#define KEY_BYTES	40u
#define ANSWER_BYTES	(16u << 20)	/* a verdict's JSON */

static const char *const verbs[] = {
	"SUBMIT", "GET", "CANCEL", "PING", "RELOAD"
};
static const char *const answers[] = {
	"ACCEPTED", "VERDICT", "REJECTED", "BUSY", "PENDING", "UNKNOWN", "PONG"
};

CW_NAMES(cw_verb, enum cw_verb, verbs)
CW_NAMES(cw_answer, enum cw_answer, answers)

int
cw_verb_parse(const char *s, size_t n)
{
	for (size_t i = 0; i < CW_COUNT(verbs); i++)
		if (strlen(verbs[i]) == n && memcmp(verbs[i], s, n) == 0)
			return (int)i;
	return -1;
}

static enum cw_status
ended(const struct cw_unpack *r, const char *what, struct cw_err *err)
{
	if (cw_unpack_end(r))
		return CW_OK;
	return cw_err_set(err, CW_E_FORMAT, "%s: bad bytes", what);
}

static void
get_key(struct cw_unpack *r, struct cw_arena *a, char key[KEY_BYTES + 1])
{
	const char *s = cw_get_str(r, KEY_BYTES, a);

	memcpy(key, s, strlen(s) + 1);
	if (s[0] != '\0' && strlen(s) != KEY_BYTES)
		r->bad = true;
}

void
cw_gate_init_pack(const struct cw_gate_init *m, struct cw_pack *w)
{
	cw_put_u32(w, CW_FRAME_VERSION);
	cw_put_str(w, m->submit);
	cw_put_str(w, m->pull);
	cw_put_str(w, m->pub);
	cw_put_u32(w, m->nconnect);
	for (uint32_t i = 0; i < m->nconnect; i++)
		cw_put_str(w, m->connect[i]);
	cw_put_str(w, m->secret_key);
	cw_put_u32(w, m->nclients);
	for (uint32_t i = 0; i < m->nclients; i++) {
		cw_put_str(w, m->clients[i].key);
		cw_put_u32(w, m->clients[i].rights);
		cw_put_str(w, m->clients[i].name);
	}
	cw_put_u64(w, m->max_bytes);
	cw_put_u64(w, m->pending_bytes);
	cw_put_u64(w, m->reply_bytes);
	cw_put_u32(w, m->retry_ms);
}

enum cw_status
cw_gate_init_unpack(struct cw_unpack *r, struct cw_arena *a,
    struct cw_gate_init *out, struct cw_err *err)
{
	struct cw_gate_init m = { 0 };
	const uint32_t version = cw_get_u32(r);

	if (version != CW_FRAME_VERSION)
		return cw_err_set(err, CW_E_CONFIG, "GATE_INIT of frames version "
		    "%u; this program speaks %u: it is of another build",
		    version, CW_FRAME_VERSION);
	m.submit = cw_get_str(r, ENDPOINT_BYTES, a);
	m.pull = cw_get_str(r, ENDPOINT_BYTES, a);
	m.pub = cw_get_str(r, ENDPOINT_BYTES, a);
	m.nconnect = cw_get_below(r, CW_ENDPOINTS_MAX + 1);
	m.connect = cw_arena_zalloc(a, m.nconnect, sizeof(*m.connect));
	if (m.connect == NULL)
		r->bad = true;
	for (uint32_t i = 0; i < m.nconnect && !r->bad; i++)
		m.connect[i] = cw_get_str(r, ENDPOINT_BYTES, a);
	get_key(r, a, m.secret_key);
	m.nclients = cw_get_below(r, CW_CURVE_CLIENTS_MAX + 1);
	m.clients = cw_arena_zalloc(a, m.nclients, sizeof(*m.clients));
	if (m.clients == NULL)
		r->bad = true;
	for (uint32_t i = 0; i < m.nclients && !r->bad; i++) {
		get_key(r, a, m.clients[i].key);
		m.clients[i].rights = cw_get_u32(r);
		m.clients[i].name = cw_get_str(r, NAME_BYTES, a);
	}
	m.max_bytes = cw_get_u64(r);
	m.pending_bytes = cw_get_u64(r);
	m.reply_bytes = cw_get_u64(r);
	m.retry_ms = cw_get_u32(r);
	*out = m;
	return ended(r, "GATE_INIT", err);
}

void
cw_gate_ready_pack(const struct cw_gate_ready *m, struct cw_pack *w)
{
	cw_put_str(w, m->submit);
	cw_put_str(w, m->pull);
	cw_put_str(w, m->pub);
}

enum cw_status
cw_gate_ready_unpack(struct cw_unpack *r, struct cw_arena *a,
    struct cw_gate_ready *out, struct cw_err *err)
{
	out->submit = cw_get_str(r, ENDPOINT_BYTES, a);
	out->pull = cw_get_str(r, ENDPOINT_BYTES, a);
	out->pub = cw_get_str(r, ENDPOINT_BYTES, a);
	return ended(r, "GATE_READY", err);
}

void
cw_request_pack(const struct cw_request *m, struct cw_pack *w)
{
	cw_put_u32(w, m->verb);
	cw_put_str(w, m->key);
	cw_put_u32(w, m->rights);
	cw_put_u8(w, m->has_job);
	if (m->has_job)
		cw_job_pack(&m->job, w);
}

enum cw_status
cw_request_unpack(struct cw_unpack *r, struct cw_arena *a,
    struct cw_request *out, struct cw_err *err)
{
	struct cw_request m = { 0 };
	enum cw_status st;

	m.verb = cw_get_below(r, CW_VERBS);
	get_key(r, a, m.key);
	m.rights = cw_get_u32(r);
	m.has_job = cw_get_u8(r) != 0;
	if (m.has_job &&
	    (st = cw_job_unpack(r, a, &m.job, err)) != CW_OK)
		return st;
	if (!m.has_job && m.verb <= CW_V_CANCEL)
		r->bad = true;
	*out = m;
	return ended(r, "GATE_REQUEST", err);
}

void
cw_reply_pack(const struct cw_reply *m, struct cw_pack *w)
{
	cw_put_u32(w, m->answer);
	cw_put_str(w, m->json);
	cw_put_u32(w, m->nparts);
	for (uint32_t i = 0; i < m->nparts; i++)
		cw_put_blob(w, m->parts[i].p, m->parts[i].n);
}

enum cw_status
cw_reply_unpack(struct cw_unpack *r, struct cw_arena *a,
    struct cw_reply *out, struct cw_err *err)
{
	struct cw_reply m = { 0 };

	m.answer = cw_get_below(r, CW_ANSWERS);
	m.json = cw_get_str(r, ANSWER_BYTES, a);
	m.nparts = cw_get_below(r, CW_PARTS_MAX + 1);
	for (uint32_t i = 0; i < m.nparts && !r->bad; i++)
		m.parts[i].p = cw_get_blob(r, CW_FRAME_MAX, &m.parts[i].n);
	*out = m;
	return ended(r, "GATE_REPLY", err);
}

void
cw_publish_pack(const struct cw_publish *m, struct cw_pack *w)
{
	cw_put_str(w, m->topic);
	cw_put_str(w, m->json);
}

enum cw_status
cw_publish_unpack(struct cw_unpack *r, struct cw_arena *a,
    struct cw_publish *out, struct cw_err *err)
{
	out->topic = cw_get_str(r, NAME_BYTES, a);
	out->json = cw_get_str(r, ANSWER_BYTES, a);
	return ended(r, "GATE_PUBLISH", err);
}

void
cw_gate_stats_pack(const struct cw_gate_stats *m, struct cw_pack *w)
{
	cw_put_u64(w, m->messages);
	cw_put_u64(w, m->malformed);
	cw_put_u64(w, m->rejected);
	cw_put_u64(w, m->busy);
	cw_put_u64(w, m->replies);
	cw_put_u64(w, m->dropped_replies);
	cw_put_u64(w, m->published);
	cw_put_u64(w, m->auth_refused);
	cw_put_u64(w, m->clients);
	cw_put_u64(w, m->slow_replies);
	cw_put_u64(w, m->held_bytes);
}

enum cw_status
cw_gate_stats_unpack(struct cw_unpack *r, struct cw_gate_stats *out,
    struct cw_err *err)
{
	out->messages = cw_get_u64(r);
	out->malformed = cw_get_u64(r);
	out->rejected = cw_get_u64(r);
	out->busy = cw_get_u64(r);
	out->replies = cw_get_u64(r);
	out->dropped_replies = cw_get_u64(r);
	out->published = cw_get_u64(r);
	out->auth_refused = cw_get_u64(r);
	out->clients = cw_get_u64(r);
	out->slow_replies = cw_get_u64(r);
	out->held_bytes = cw_get_u64(r);
	return ended(r, "GATE_STATS", err);
}
