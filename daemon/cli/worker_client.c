/*
 * worker_client.c - see worker_client.h: the workers' lives.
 *
 * worker_loop.c feeds them.
 */
#include "cli/worker_client.h"

#include <string.h>

#include "base/io.h"
#include "cli/worker_loop.h"

#define LASTING	((size_t)512 << 20)	/* vectors of a full bank, twice */
/* Workers that were ended while they started, in a row, before it is no
 * accident any more. */
#define STARTS_MAX	8u

/* READY: what the model is.  Only the first worker's facts are kept. */
static enum cw_status
await_ready(struct cw_clients *c, struct cw_seat *s, struct cw_err *err)
{
	struct cw_model_facts facts;
	struct cw_unpack r;
	struct cw_frame f;
	enum cw_status st;

	st = cw_peer_expect(&s->peer, CW_F_READY, &f, err);
	if (st != CW_OK)
		return st;
	cw_unpack_init(&r, f.body, f.len);
	st = cw_model_facts_unpack(&r, c->arena, &facts, err);
	if (st == CW_OK && c->facts.name == NULL)
		c->facts = facts;
	return st;
}

/* Keep the vectors a worker made, so that the next need not. */
static enum cw_status
keep_rows(struct cw_clients *c, const struct cw_policy_done *d,
    struct cw_err *err)
{
	const size_t n = c->nrows + d->nrows;
	struct cw_bank_row *all;

	if (d->nrows == 0)
		return CW_OK;
	all = cw_arena_zalloc(c->arena, n, sizeof(*all));
	if (all == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for the prompts");
	if (c->nrows > 0)
		memcpy(all, c->rows, c->nrows * sizeof(*all));
	memcpy(all + c->nrows, d->rows, d->nrows * sizeof(*all));
	c->rows = all;
	c->nrows = (uint32_t)n;
	c->embed = d->embed;
	return CW_OK;
}

static enum cw_status
give_policies(struct cw_clients *c, struct cw_seat *s, struct cw_err *err)
{
	struct cw_policy_msg m = { .set = *c->opts.set, .rows = c->rows,
		.nrows = c->nrows, .embed = c->embed };
	struct cw_policy_done d;
	struct cw_unpack r;
	struct cw_frame f;
	struct cw_pack w;
	enum cw_status st;

	cw_pack_init(&w, s->peer.arena, 65536);
	cw_policy_msg_pack(&m, &w);
	st = cw_peer_send(&s->peer, CW_F_POLICY, 0, 1, &w, err);
	if (st == CW_OK)
		st = cw_peer_expect(&s->peer, CW_F_POLICY_DONE, &f, err);
	if (st != CW_OK)
		return st;
	cw_unpack_init(&r, f.body, f.len);
	st = cw_policy_done_unpack(&r, c->opts.set->nprompts, c->arena, &d,
	    err);
	if (st == CW_OK && !d.ok)
		return cw_err_set(err, CW_E_CONFIG, "%s", d.message);
	if (st == CW_OK && !c->first.ok)
		c->first = d;
	return st != CW_OK ? st : keep_rows(c, &d, err);
}

/* One try: a worker that has the model and the policies, or none. */
static enum cw_status
seat_start(struct cw_clients *c, struct cw_seat *s, struct cw_err *err)
{
	enum cw_status st = CW_OK;

	if (s->state == CW_SEAT_EMPTY)
		st = cw_peer_start(&s->peer, c->opts.init, err);
	if (st == CW_OK)
		st = await_ready(c, s, err);
	if (st == CW_OK && c->opts.set != NULL)
		st = give_policies(c, s, err);
	s->state = st == CW_OK ? CW_SEAT_IDLE : CW_SEAT_EMPTY;
	if (st != CW_OK)
		cw_peer_kill(&s->peer);
	cw_arena_reset(s->peer.arena, 0);
	return st;
}

enum cw_status
cw_seat_ready(struct cw_clients *c, struct cw_seat *s, struct cw_err *err)
{
	enum cw_status st = CW_E_CLOSED;

	/* Without a word of its own, it was killed: another may live. */
	for (uint32_t i = 0; i < STARTS_MAX; i++)
		if ((st = seat_start(c, s, err)) != CW_E_CLOSED)
			return st;
	return st;
}

enum cw_status
cw_clients_open(const struct cw_clients_opts *opts, struct cw_clients **out,
    struct cw_err *err)
{
	struct cw_arena *a;
	struct cw_clients *c;
	enum cw_status st;

	CW_CHECK(opts->count >= 1 && opts->count <= CW_CLIENTS_MAX);
	if ((st = cw_arena_open(LASTING, &a, err)) != CW_OK)
		return st;
	c = cw_arena_zalloc(a, 1, sizeof(*c));
	CW_CHECK(c != NULL);
	c->arena = a;
	c->opts = *opts;
	c->seats = cw_arena_zalloc(a, opts->count, sizeof(*c->seats));
	CW_CHECK(c->seats != NULL);
	for (uint32_t i = 0; i < opts->count; i++) {
		c->seats[i].peer.fd = -1;
		c->seats[i].peer.log = opts->log;
	}
	/* All load at once; the first alone is waited for. */
	for (uint32_t i = 0; i < opts->count && st == CW_OK; i++) {
		st = cw_peer_start(&c->seats[i].peer, opts->init, err);
		c->seats[i].state = CW_SEAT_STARTING;
		/* Killed by now: it is found so when it is waited for. */
		if (st == CW_E_CLOSED)
			st = CW_OK;
	}
	if (st == CW_OK)
		st = cw_seat_ready(c, &c->seats[0], err);
	*out = c;
	if (st != CW_OK)
		cw_clients_close(out);
	return st;
}

void
cw_clients_close(struct cw_clients **cp)
{
	struct cw_clients *c = *cp;
	struct cw_arena *a;

	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->opts.count; i++) {
		if (c->seats[i].state == CW_SEAT_IDLE)
			cw_peer_stop(&c->seats[i].peer);
		else
			cw_peer_kill(&c->seats[i].peer);
		cw_arena_close(&c->seats[i].peer.arena);
	}
	a = c->arena;
	cw_arena_close(&a);
	*cp = NULL;
}

const struct cw_model_facts *
cw_clients_facts(const struct cw_clients *c)
{
	return &c->facts;
}

const struct cw_policy_done *
cw_clients_policies(const struct cw_clients *c)
{
	return &c->first;
}

enum cw_status
cw_clients_text(struct cw_clients *c, enum cw_text_want want,
    const char *text, struct cw_arena *a, struct cw_text_done *out,
    struct cw_err *err)
{
	const struct cw_text_msg m = { .want = want, .text = text };
	struct cw_peer *p = &c->seats[0].peer;
	struct cw_unpack r;
	struct cw_frame f;
	struct cw_pack w;
	enum cw_status st;

	if (strlen(text) > CW_TEXT_BYTES)
		return cw_err_set(err, CW_E_FORMAT, "a text of %zu bytes; "
		    "want at most %u", strlen(text), CW_TEXT_BYTES);
	cw_arena_reset(p->arena, 0);
	cw_pack_init(&w, p->arena, 4096);
	cw_text_msg_pack(&m, &w);
	st = cw_peer_send(p, CW_F_TEXT, 0, 1, &w, err);
	if (st == CW_OK)
		st = cw_peer_expect(p, CW_F_TEXT_DONE, &f, err);
	if (st != CW_OK)
		return st;
	cw_unpack_init(&r, f.body, f.len);
	st = cw_text_done_unpack(&r, a, out, err);
	if (st == CW_OK && !out->ok)
		return cw_err_set(err, CW_E_FORMAT, "%s", out->message);
	return st;
}

enum cw_status
cw_clients_bench(struct cw_clients *c, const struct cw_bench_msg *m,
    struct cw_arena *a, const char **json, struct cw_err *err)
{
	struct cw_peer *p = &c->seats[0].peer;
	struct cw_frame f;
	struct cw_pack w;
	enum cw_status st;

	cw_arena_reset(p->arena, 0);
	cw_pack_init(&w, p->arena, 256);
	cw_bench_msg_pack(m, &w);
	st = cw_peer_send(p, CW_F_BENCH, 0, 1, &w, err);
	if (st == CW_OK)
		st = cw_peer_expect(p, CW_F_BENCH_DONE, &f, err);
	if (st != CW_OK)
		return st;
	*json = cw_arena_strndup(a, f.body, f.len);
	return *json != NULL ? CW_OK :
	    cw_err_set(err, CW_E_LIMIT, "no room for the answer");
}
