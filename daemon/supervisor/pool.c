/*
 * pool.c - see pool.h.  The life of a worker; how it gets ready is in ready.c,
 * its work in dispatch.c.
 */
#include "supervisor/pool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "conf/config.h"
#include "supervisor/reload.h"
#include "supervisor/timer.h"
#include "supervisor/trial.h"
#include "supervisor/worker.h"

#define BODY_BYTES	(96u << 20)	/* of a frame from a worker: the vectors
					   of the largest bank, or a picture */
#define OUT_BYTES	(1u << 30)	/* a batch is bounded where it is made */
#define SCRATCH_BYTES	(2ul << 30)	/* address space */
#define START_MS	1800000	/* hashing and preparing a large model, encoding
				   its prompts */
#define START_TRIES	3	/* of the first worker, when it just dies */
#define BACKOFF_FIRST_MS 50
#define BACKOFF_MOST_MS	5000
#define SWEEP_MS	100	/* how late an expired deadline may be said */
#define SCORED_MS	90000	/* three times as often a canary goes through
				   each idle worker */
#define EXIT_SOFTWARE	70

static const char *const state_names[] = {
	[CW_W_DEAD] = "dead",
	[CW_W_STARTING] = "starting",
	[CW_W_IDLE] = "idle",
	[CW_W_BUSY] = "busy",
	[CW_W_DYING] = "dying",
};

static void on_timer(evutil_socket_t fd, short what, void *arg);
static void on_wait(evutil_socket_t fd, short what, void *arg);
static void on_sweep(evutil_socket_t fd, short what, void *arg);
static void on_frame(void *owner, const struct cw_frame *f);
static void on_gone(void *owner, enum cw_status st,
    const struct cw_err *why);

const char *
cw_worker_state_name(enum cw_worker_state s)
{
	return s < CW_W_STATES ? state_names[s] : "?";
}

/* The one place where a worker's state changes. */
void
cw_worker_set_state(struct cw_worker *w, enum cw_worker_state to,
    const char *why)
{
	const bool work = to == CW_W_BUSY || (to == CW_W_IDLE &&
	    w->state == CW_W_BUSY);

	CW_CHECK_OBJ(w, WORKER_MAGIC);
	cw_log(to == CW_W_DYING && !w->makes_room ? CW_LOG_WARNING :
	    work ? CW_LOG_DEBUG : CW_LOG_NOTICE,
	    "worker=%u state=%s was=%s pid=%d%s%s",
	    w->number, cw_worker_state_name(to),
	    cw_worker_state_name(w->state), (int)w->pid,
	    why[0] != '\0' ? " reason=" : "",
	    why[0] != '\0' ? cw_quote(why).text : "");
	w->state = to;
}

/* ---- opening ---- */

static enum cw_status
open_worker(struct cw_daemon *d, struct cw_worker *w, uint32_t number,
    struct cw_err *err)
{
	enum cw_status st;

	w->magic = WORKER_MAGIC;
	w->number = number;
	w->d = d;
	w->state = CW_W_DEAD;
	w->sent = cw_arena_zalloc(d->arena, d->cfg->workers.batch,
	    sizeof(*w->sent));
	CW_CHECK(w->sent != NULL);
	if ((st = cw_arena_open(ARTS_BYTES, &w->art_arena, err)) != CW_OK)
		return st;
	w->timer = evtimer_new(d->base, on_timer, w);
	if (w->timer == NULL)
		return cw_err_set(err, CW_E_SYSTEM, "worker: no memory");
	return cw_link_init(&w->link, d->base, BODY_BYTES, OUT_BYTES,
	    on_frame, on_gone, w, err);
}

enum cw_status
cw_pool_open(struct cw_daemon *d, struct cw_err *err)
{
	struct cw_pool *p = cw_arena_zalloc(d->arena, 1, sizeof(*p));
	enum cw_status st;

	CW_CHECK(p != NULL);
	p->magic = POOL_MAGIC;
	p->next_ticket = 1;
	d->pool = p;
	st = cw_find_program("clipward-worker", d->arena, &p->program, err);
	if (st != CW_OK ||
	    (st = cw_arena_open(SCRATCH_BYTES, &p->scratch, err)) != CW_OK ||
	    (st = cw_arena_open(1u << 20, &p->facts_arena, err)) != CW_OK)
		return st;
	p->wait = evtimer_new(d->base, on_wait, d);
	p->sweep = event_new(d->base, -1, EV_PERSIST, on_sweep, d);
	if (p->wait == NULL || p->sweep == NULL)
		return cw_err_set(err, CW_E_SYSTEM, "pool: no memory");
	(void)event_add(p->sweep,
	    &(struct timeval){ .tv_usec = SWEEP_MS * 1000 });
	p->workers = cw_arena_zalloc(d->arena, cw_config_workers(d->cfg),
	    sizeof(*p->workers));
	CW_CHECK(p->workers != NULL);
	while (p->n < cw_config_workers(d->cfg)) {
		st = open_worker(d, &p->workers[p->n], p->n + 1, err);
		p->n++;
		if (st != CW_OK)
			return st;
	}
	cw_timer_set(p->workers[0].timer, 0);
	return CW_OK;
}

static void
close_worker(struct cw_worker *w)
{
	cw_link_fini(&w->link);
	if (w->pid > 0) {
		(void)kill(w->pid, SIGKILL);
		(void)waitpid(w->pid, NULL, 0);
	}
	if (w->timer != NULL)
		event_free(w->timer);
	cw_generation_unref(&w->gen);
	cw_generation_unref(&w->trial);
	cw_arena_close(&w->art_arena);
	w->magic = 0;
}

void
cw_pool_close(struct cw_daemon *d)
{
	struct cw_pool *p = d->pool;

	if (p == NULL)
		return;
	CW_CHECK_OBJ(p, POOL_MAGIC);
	for (uint32_t i = 0; i < p->n; i++)
		close_worker(&p->workers[i]);
	if (p->wait != NULL)
		event_free(p->wait);
	if (p->sweep != NULL)
		event_free(p->sweep);
	cw_arena_close(&p->scratch);
	cw_arena_close(&p->facts_arena);
	p->magic = 0;
	d->pool = NULL;
}

/* ---- spawning ---- */

/* INIT from the configuration; also used by `clipwardd -n`. */
static enum cw_status
send_init(struct cw_worker *w, struct cw_err *err)
{
	const struct cw_pool *p = w->d->pool;
	struct cw_pack pk;
	struct cw_init m;

	cw_arena_reset(p->scratch, 1u << 20);
	cw_worker_init(w->d->cfg, p->scratch, &m);
	cw_pack_init(&pk, p->scratch, 4096);
	cw_init_pack(&m, &pk);
	CW_CHECK(cw_pack_ok(&pk));
	return cw_link_send(&w->link, CW_F_INIT, 0, 0, pk.p, pk.len, err);
}

static void
spawn(struct cw_worker *w)
{
	char threads[48], *env[] = { threads, NULL };
	char *argv[] = { (char *)w->d->pool->program, NULL };
	struct cw_err err;
	int fd;

	if (w->d->stopping && !w->d->draining)
		return;
	snprintf(threads, sizeof(threads), "OPENBLAS_NUM_THREADS=%u",
	    (unsigned)w->d->cfg->workers.threads);
	if (cw_spawn(argv, env, &w->pid, &fd, &err) != CW_OK) {
		cw_worker_set_state(w, CW_W_DEAD, err.text);
		cw_timer_set(w->timer, BACKOFF_MOST_MS);
		cw_trial_start_failed(w);
		return;
	}
	w->blamed = w->innocent = w->hung = w->awaits_policy = false;
	w->used = w->makes_room = w->tried = false;
	w->canary_ticket = w->canary_ms = 0;
	w->started_ms = cw_now_ms();
	w->log_rate = (struct cw_log_rate){ 0 };
	cw_worker_set_state(w, CW_W_STARTING, "");
	cw_timer_set(w->timer, START_MS);
	if (cw_link_open(&w->link, fd, &err) != CW_OK ||
	    send_init(w, &err) != CW_OK)
		cw_worker_retire(w, true, err.text);
}

/* ---- dying ---- */

static void
ended(struct cw_worker *w);

static void
die(struct cw_worker *w, const char *why)
{
	(void)evtimer_del(w->timer);
	cw_link_close(&w->link);
	cw_worker_set_state(w, CW_W_DYING, why);
	if (w->pid > 0)
		(void)kill(w->pid, SIGKILL);
	else
		ended(w);
}

void
cw_worker_retire(struct cw_worker *w, bool innocent, const char *why)
{
	if (w->state == CW_W_DYING || w->state == CW_W_DEAD)
		return;
	w->blamed = true;
	w->innocent = innocent;
	die(w, why);
}

void
cw_worker_make_room(struct cw_worker *w)
{
	CW_CHECK(w->state == CW_W_IDLE);
	w->makes_room = w->successor = true;
	cw_worker_retire(w, true, "another is to try a policy set");
}

static void
on_gone(void *owner, enum cw_status st, const struct cw_err *why)
{
	struct cw_worker *w = owner;

	CW_CHECK_OBJ(w, WORKER_MAGIC);
	/* Bytes that are no frame are its own doing, whatever kills it. */
	w->blamed = w->blamed || st == CW_E_FORMAT || st == CW_E_LIMIT;
	die(w, why->text);
}

/* Killed from outside (operator, memory shortage), or by its own doing? */
static uint32_t
blame_of(const struct cw_worker *w)
{
	const int sig = WIFSIGNALED(w->status) ? WTERMSIG(w->status) : 0;

	if (w->innocent)
		return 0;
	if (!w->blamed && (sig == SIGKILL || sig == SIGTERM ||
	    sig == SIGINT || sig == SIGHUP))
		return CW_BLAME_KILLED;
	return CW_BLAME_CRASH;
}

/* A first worker that only dies says nothing: a few tries, then give up. */
static void
count_start_failure(struct cw_worker *w, const char *how)
{
	struct cw_pool *p = w->d->pool;

	if (p->ready || ++p->start_failures < START_TRIES ||
	    p->failed.text[0] != '\0')
		return;
	p->exit_code = EXIT_SOFTWARE;
	(void)cw_err_set(&p->failed, CW_E_SYSTEM,
	    "clipward-worker: ended while starting (%s)", how);
}

/* The set that it tried, or that waits for it, is refused. */
static void
end_its_trial(struct cw_worker *w)
{
	if (w->trial != NULL) {
		cw_generation_unref(&w->trial);
		w->tests_left = 0;
		cw_reload_tried(w->d, CW_TRIAL_DIED,
		    "the worker on trial died");
	} else if (w->gen == NULL)
		cw_trial_start_failed(w);
}

/* Both its channel and its process are gone. */
static void
ended(struct cw_worker *w)
{
	const bool signaled = WIFSIGNALED(w->status);
	uint64_t wait_ms = 0;
	char how[64];

	snprintf(how, sizeof(how), "%s %d", signaled ? "signal" : "exit",
	    signaled ? WTERMSIG(w->status) : WEXITSTATUS(w->status));
	cw_worker_lost_jobs(w, blame_of(w));
	end_its_trial(w);
	cw_generation_unref(&w->gen);
	count_start_failure(w, how);
	w->d->stats.worker_deaths += !w->makes_room;
	w->restarts++;
	w->narts = 0;
	if (!w->makes_room && w->failures++ > 0)
		wait_ms = (uint64_t)BACKOFF_FIRST_MS <<
		    (w->failures > 8 ? 8 : w->failures - 1);
	cw_worker_set_state(w, CW_W_DEAD, how);
	cw_timer_set(w->timer, wait_ms > BACKOFF_MOST_MS ? BACKOFF_MOST_MS :
	    wait_ms);
}

bool
cw_pool_reap(struct cw_daemon *d, pid_t pid, int status)
{
	struct cw_pool *p = d->pool;

	for (uint32_t i = 0; p != NULL && i < p->n; i++) {
		struct cw_worker *w = &p->workers[i];

		if (w->pid != pid)
			continue;
		w->pid = 0;
		w->status = status;
		/* Else its last words are read first: on_gone follows. */
		if (w->state == CW_W_DYING)
			ended(w);
		return true;
	}
	return false;
}

static void
timed(struct cw_worker *w)
{
	switch (w->state) {
	case CW_W_DEAD:
		spawn(w);
		break;
	case CW_W_STARTING:
		cw_worker_retire(w, true, "not ready in time");
		break;
	case CW_W_BUSY:
		w->hung = true;
		cw_worker_retire(w, false, "deadline");
		break;
	case CW_W_IDLE:
	case CW_W_DYING:
	case CW_W_STATES:
		break;
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct cw_worker *w = arg;

	(void)fd;
	(void)what;
	CW_CHECK_OBJ(w, WORKER_MAGIC);
	timed(w);
}

/* ---- libevent ---- */

static void
on_frame(void *owner, const struct cw_frame *f)
{
	struct cw_worker *w = owner;

	CW_CHECK_OBJ(w, WORKER_MAGIC);
	cw_worker_take(w, f);
}

static void
on_wait(evutil_socket_t fd, short what, void *arg)
{
	struct cw_daemon *d = arg;

	/* Nothing: the turn that this ends dispatches. */
	(void)fd;
	(void)what;
	CW_CHECK_OBJ(d, CW_DAEMON_MAGIC);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct cw_daemon *d = arg;

	(void)fd;
	(void)what;
	CW_CHECK_OBJ(d, CW_DAEMON_MAGIC);
	cw_pool_sweep(d);
}

/* ---- questions ---- */

bool
cw_pool_ready(const struct cw_daemon *d)
{
	return d->pool != NULL && d->pool->ready;
}

const struct cw_model_facts *
cw_pool_facts(const struct cw_daemon *d)
{
	CW_CHECK_OBJ(d->pool, POOL_MAGIC);
	return &d->pool->facts;
}

const char *
cw_pool_model_key(const struct cw_daemon *d)
{
	return d->pool->model_key;
}

const char *
cw_pool_text_key(const struct cw_daemon *d)
{
	return d->pool->text_key;
}

const char *
cw_pool_verdict_key(const struct cw_daemon *d)
{
	return d->pool->verdict_key;
}

const char *
cw_pool_failed(const struct cw_daemon *d, int *exit_code)
{
	if (d->pool == NULL || d->pool->failed.text[0] == '\0')
		return NULL;
	*exit_code = d->pool->exit_code;
	return d->pool->failed.text;
}

bool
cw_pool_scores(const struct cw_daemon *d)
{
	return d->pool != NULL && d->pool->ready &&
	    cw_now_ms() - d->pool->scored_ms < SCORED_MS;
}

size_t
cw_pool_busy(const struct cw_daemon *d)
{
	size_t n = 0;

	for (uint32_t i = 0; i < d->pool->n; i++)
		n += d->pool->workers[i].left > 0;
	return n;
}

uint32_t
cw_pool_retry_ms(const struct cw_daemon *d)
{
	const struct cw_pool *p = d->pool;
	double ms = 100;

	if (p != NULL && p->job_us > 0)
		ms = (double)cw_queue_count(d->queue) * p->job_us /
		    (p->n * 2e3);
	return ms < 50 ? 50 : ms > 5000 ? 5000 : (uint32_t)ms;
}

uint32_t
cw_pool_size(const struct cw_daemon *d)
{
	return d->pool == NULL ? 0 : d->pool->n;
}

/* Second number of /proc/PID/statm, in pages. */
static uint64_t
resident_bytes(pid_t pid)
{
	unsigned long all, resident;
	char path[64];
	uint64_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if (pid <= 0 || (f = fopen(path, "re")) == NULL)
		return 0;
	if (fscanf(f, "%lu %lu", &all, &resident) == 2)
		n = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
	fclose(f);
	return n;
}

void
cw_pool_view(const struct cw_daemon *d, uint32_t i,
    struct cw_worker_view *out)
{
	const struct cw_worker *w = &d->pool->workers[i];

	CW_CHECK(i < d->pool->n);
	*out = (struct cw_worker_view){
		.number = w->number,
		.state = w->state,
		.pid = w->pid,
		.jobs = w->jobs,
		.batches = w->batches,
		.restarts = w->restarts,
		.generation = w->gen == NULL ? 0 : w->gen->set.generation,
		.rss = resident_bytes(w->pid),
	};
}
