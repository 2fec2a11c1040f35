/*
 * worker_loop.c - see worker_client.h: images to idle workers, results out.
 *
 *	next --.                       .--> done(), in any order
 *	        >-- batch --> worker --+
 *	again -'                       '--> died: each job to `again`, alone
 */
#include "cli/worker_loop.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"

#define ATTEMPTS_MAX	2u			/* workers one job may cost */
#define BATCH_BYTES	((size_t)128 << 20)	/* read before a batch is sent */

struct run {
	struct cw_clients		*c;
	const struct cw_client_work	*work;
	size_t				 n, next;
	struct cw_job			*jobs;	/* [CW_HELD_MAX] being sent */
	size_t				*again;	/* jobs to be tried alone */
	size_t				 nagain;
	size_t				 answered;
	bool				 stop;	/* done() said so */
};

static void
answer(struct run *r, const struct cw_held *h, const struct cw_result *res)
{
	const struct cw_client_done d = {
		.index = h->index, .res = res, .sha256 = h->sha256,
		.bytes = h->bytes, .received_us = h->received_us,
		.attempt = h->attempt,
	};

	r->answered++;
	if (!r->work->done(r->work->payload, &d))
		r->stop = true;
}

static void
answer_error(struct run *r, const struct cw_held *h, enum cw_stage stage,
    const char *code, const char *message)
{
	const struct cw_result res = { .failed = true, .stage = stage,
		.code = code, .message = message, .format = "" };

	answer(r, h, &res);
}

/* ---- giving ------------------------------------------------------------ */

/* Read one job into the seat; one that can't be read is answered at once. */
static bool
load_job(struct run *r, struct cw_seat *s, size_t index, uint32_t attempt,
    struct cw_job *job)
{
	struct cw_held *h = &s->held[s->nheld];
	const char *code = "unreadable";
	struct cw_bytes part;
	struct cw_err err;

	*h = (struct cw_held){ .index = index, .attempt = attempt,
		.received_us = cw_wall_us() };
	*job = (struct cw_job){ .text = "", .surface = "", .uploader = "" };
	if (r->work->load(r->work->payload, index, s->peer.arena, job, &code,
	    &err) != CW_OK) {
		answer_error(r, h, CW_ST_QUEUE, code, err.text);
		return false;
	}
	job->id = cw_arena_printf(s->peer.arena, "file-%zu", index + 1);
	part = (struct cw_bytes){ job->image, job->nimage };
	cw_sha256(&part, 1, h->sha256);
	h->bytes = job->nimage;
	s->nheld++;
	return true;
}

/* Fill the seat with a batch, or with one job that must go alone. */
static void
load_batch(struct run *r, struct cw_seat *s)
{
	const size_t share = (r->n - r->next + r->c->opts.count - 1) /
	    r->c->opts.count;
	size_t most = r->c->opts.init->batch;

	s->nheld = 0;
	while (r->nagain > 0 && s->nheld == 0 && !r->stop)
		(void)load_job(r, s, r->again[--r->nagain], ATTEMPTS_MAX,
		    &r->jobs[0]);
	if (s->nheld > 0)
		return;
	if (most > share)
		most = share;
	if (most > CW_HELD_MAX)
		most = CW_HELD_MAX;
	while (s->nheld < most && r->next < r->n && !r->stop &&
	    cw_arena_used(s->peer.arena) < BATCH_BYTES)
		(void)load_job(r, s, r->next++, 1,
		    &r->jobs[s->nheld]);
}

static enum cw_status
send_batch(struct cw_seat *s, const struct cw_job *jobs, struct cw_err *err)
{
	enum cw_status st = CW_OK;

	for (size_t i = 0; i < s->nheld && st == CW_OK; i++) {
		const size_t mark = cw_arena_mark(s->peer.arena);
		struct cw_pack w;

		cw_pack_init(&w, s->peer.arena, jobs[i].nimage + 65536);
		cw_job_pack(&jobs[i], &w);
		st = cw_peer_send(&s->peer, CW_F_JOB,
		    i + 1 < s->nheld ? CW_F_MORE : 0, s->held[i].index + 1,
		    &w, err);
		cw_arena_release(s->peer.arena, mark);
	}
	return st;
}

/* ---- taking ------------------------------------------------------------ */

/* A worker has died or been killed: what it held is tried again, alone. */
static void
lose_worker(struct run *r, struct cw_seat *s, const char *code,
    const char *how)
{
	char message[128];

	snprintf(message, sizeof(message), "%s", how);
	cw_peer_kill(&s->peer);
	s->state = CW_SEAT_EMPTY;
	for (size_t i = 0; i < s->nheld; i++) {
		if (s->held[i].attempt < ATTEMPTS_MAX)
			r->again[r->nagain++] = s->held[i].index;
		else
			answer_error(r, &s->held[i], CW_ST_WORKER, code,
			    message);
	}
	s->nheld = 0;
}

static struct cw_held *
find_held(struct cw_seat *s, uint64_t id)
{
	for (size_t i = 0; i < s->nheld; i++)
		if (s->held[i].index + 1 == id)
			return &s->held[i];
	return NULL;
}

static enum cw_status
take_artifact(struct run *r, const struct cw_held *h,
    const struct cw_frame *f, struct cw_arena *a, struct cw_err *err)
{
	struct cw_unpack u;
	const char *name;
	const void *bytes;
	uint32_t kind;
	size_t n;

	cw_unpack_init(&u, f->body, f->len);
	kind = cw_get_u32(&u);
	name = cw_get_str(&u, CW_ID_BYTES * 2, a);
	bytes = cw_get_blob(&u, CW_FRAME_MAX, &n);
	if (!cw_unpack_end(&u))
		return cw_err_set(err, CW_E_FORMAT,
		    "worker: bad ARTIFACT message");
	if (r->work->artifact != NULL)
		r->work->artifact(r->work->payload, h->index,
		    (enum cw_artifact)kind, name, bytes, n);
	return CW_OK;
}

static enum cw_status
take_result(struct run *r, struct cw_seat *s, struct cw_held *h,
    const struct cw_frame *f, struct cw_err *err)
{
	struct cw_result res;
	struct cw_unpack u;
	enum cw_status st;

	cw_unpack_init(&u, f->body, f->len);
	st = cw_result_unpack(&u, r->c->opts.set, s->peer.arena, &res, err);
	if (st != CW_OK)
		return st;
	answer(r, h, &res);
	*h = s->held[--s->nheld];
	if (s->nheld == 0)
		s->state = CW_SEAT_IDLE;
	return CW_OK;
}

/* One frame of a busy worker; whatever is wrong with it ends the worker. */
static void
take_frame(struct run *r, struct cw_seat *s)
{
	struct cw_frame f;
	struct cw_held *h;
	enum cw_status st;
	struct cw_err err;

	st = cw_peer_read(&s->peer, &f, &err);
	if (st == CW_OK) {
		h = find_held(s, f.id);
		if (h != NULL && f.type == CW_F_RESULT)
			st = take_result(r, s, h, &f, &err);
		else if (h != NULL && f.type == CW_F_ARTIFACT)
			st = take_artifact(r, h, &f, s->peer.arena, &err);
		else
			st = cw_err_set(&err, CW_E_FORMAT,
			    "worker: unasked-for %s message",
			    cw_frame_name(f.type));
	}
	cw_arena_reset(s->peer.arena, (size_t)1 << 20);
	if (st != CW_OK)
		lose_worker(r, s, "worker_died", err.text);
}

/* ---- the loop ---------------------------------------------------------- */

/* Give every worker that can take one a batch. */
static enum cw_status
give(struct run *r, struct cw_err *err)
{
	for (uint32_t i = 0; i < r->c->opts.count && !r->stop; i++) {
		struct cw_seat *s = &r->c->seats[i];
		enum cw_status st;

		if (s->state == CW_SEAT_BUSY)
			continue;
		if (r->nagain == 0 && r->next == r->n)
			return CW_OK;
		if (s->state != CW_SEAT_IDLE &&
		    (st = cw_seat_ready(r->c, s, err)) != CW_OK)
			return st;
		cw_arena_reset(s->peer.arena, (size_t)1 << 20);
		load_batch(r, s);
		if (s->nheld == 0)
			continue;
		s->state = CW_SEAT_BUSY;
		s->until_ms = cw_now_ms() + r->c->opts.deadline_ms;
		if (send_batch(s, r->jobs, err) != CW_OK)
			lose_worker(r, s, "worker_died",
			    cw_peer_reap(&s->peer));
	}
	return CW_OK;
}

/* Wait for a busy worker to say something, or for a deadline. */
static void
take(struct run *r)
{
	struct pollfd fds[CW_CLIENTS_MAX];
	struct cw_seat *seats[CW_CLIENTS_MAX];
	uint64_t now = cw_now_ms(), until = now + 60000;
	nfds_t n = 0;

	for (uint32_t i = 0; i < r->c->opts.count; i++) {
		struct cw_seat *s = &r->c->seats[i];

		if (s->state != CW_SEAT_BUSY)
			continue;
		seats[n] = s;
		fds[n++] = (struct pollfd){ .fd = s->peer.fd,
			.events = POLLIN };
		if (s->until_ms < until)
			until = s->until_ms;
	}
	if (n == 0)
		return;
	if (poll(fds, n, until > now ? (int)(until - now) : 0) == -1)
		return;		/* interrupted: look again */
	now = cw_now_ms();
	for (nfds_t i = 0; i < n; i++) {
		if (fds[i].revents != 0)
			take_frame(r, seats[i]);
		else if (seats[i]->until_ms <= now)
			lose_worker(r, seats[i], "deadline",
			    "no answer before workers.deadline");
	}
}

enum cw_status
cw_clients_run(struct cw_clients *c, size_t n,
    const struct cw_client_work *work, struct cw_err *err)
{
	struct run r = { .c = c, .work = work, .n = n };
	enum cw_status st = CW_OK;

	r.again = cw_arena_zalloc(c->arena, (size_t)c->opts.count *
	    CW_HELD_MAX, sizeof(*r.again));
	r.jobs = cw_arena_zalloc(c->arena, CW_HELD_MAX, sizeof(*r.jobs));
	if (r.again == NULL || r.jobs == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for the jobs");
	while (r.answered < n && !r.stop && st == CW_OK) {
		st = give(&r, err);
		if (st == CW_OK && r.answered < n && !r.stop)
			take(&r);
	}
	return st;
}
