/*
 * gates.c - see gates.h.
 */
#include "supervisor/gates.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/log.h"
#include "conf/config.h"
#include "conf/curve.h"
#include "supervisor/link.h"
#include "supervisor/child_log.h"
#include "supervisor/intake.h"
#include "supervisor/queue.h"
#include "supervisor/spool.h"
#include "supervisor/timer.h"

#define GATES_MAGIC	0x6a7e5001u
#define HEADER_BYTES	(64u << 10)	/* of a request beside its image */
#define OUT_BYTES	(256u << 20)	/* replies waiting; a gate that lets
					   them grow further is stuck */
#define PICTURES_BYTES	(96u << 20)	/* waiting, that still lets more in */
#define JOBS_BYTES	(160u << 20)	/* ... jobs; questions alone, which
					   cw_turn_takes_answer bounds, wait
					   in less and keep no job out */
#define SCRATCH_BYTES	(1u << 30)	/* address space for one message */
#define KEEP_BYTES	(1u << 20)
#define START_MS	10000		/* GATE_INIT to GATE_READY */
#define PULSE_MS	8000		/* its counts come four times a second */
#define START_TRIES	5		/* deaths before the first READY */
#define BACKOFF_MOST_MS	2000
#define STEADY_MS	5000		/* alive so long: no back-off next time */
#define RETRY_MS	250		/* in the gate's own BUSY answers */

struct cw_gates {
	uint32_t		 magic;
	const char		*program;
	struct cw_link	 ch;
	struct cw_arena		*scratch;	/* of one message */
	struct cw_arena		*names;		/* endpoints as bound */
	struct cw_gate_init	 init;
	struct cw_arena		*keys;		/* holds init's clients */
	struct event		*timer;
	pid_t			 pid;		/* 0: none */
	bool			 ready, paused, finishing;
	uint64_t		 heard_ms;	/* when a frame of it came */
	bool			 once_ready;	/* a first start has worked */
	uint32_t		 restarts, failures, deaths_unready;
	uint64_t		 started_ms;
	struct cw_log_rate	 log_rate;
	struct cw_gate_ready	 bound;
	struct cw_gate_stats	 stats;
	int			 exit_code;	/* of a FATAL */
	struct cw_err		 fatal;
};

static void on_timer(evutil_socket_t fd, short what, void *arg);
static void on_frame(void *owner, const struct cw_frame *f);
static void on_gone(void *owner, enum cw_status st,
    const struct cw_err *why);

/* What a gate is told first; *keys holds what is in it. */
static enum cw_status
read_init(const struct cw_config *cfg, struct cw_gate_init *init,
    struct cw_arena **keys, struct cw_err *err)
{
	enum cw_status st;

	*init = (struct cw_gate_init){
		.submit = cfg->queue.submit,
		.pull = cfg->queue.pull,
		.pub = cfg->verdicts.pub,
		.connect = cfg->queue.pull_connect.item,
		.nconnect = (uint32_t)cfg->queue.pull_connect.n,
		.max_bytes = cfg->limits.bytes,
		.pending_bytes = cfg->limits.pending_bytes,
		.reply_bytes = cfg->limits.reply_bytes,
		.retry_ms = RETRY_MS,
	};

	if ((st = cw_arena_open(16u << 20, keys, err)) != CW_OK)
		return st;
	if (cfg->curve.secret_key_file[0] != '\0')
		st = cw_curve_secret(cfg->curve.secret_key_file, *keys,
		    init->secret_key, err);
	if (st == CW_OK && cfg->curve.clients_file[0] != '\0')
		st = cw_curve_clients(cfg->curve.clients_file, *keys,
		    &init->clients, &init->nclients, err);
	if (st != CW_OK)
		cw_arena_close(keys);
	return st;
}

static enum cw_status
send_init(struct cw_gates *g, const struct cw_gate_init *init,
    struct cw_err *err)
{
	struct cw_pack w;

	cw_arena_reset(g->scratch, KEEP_BYTES);
	cw_pack_init(&w, g->scratch, 4096);
	cw_gate_init_pack(init, &w);
	CW_CHECK(cw_pack_ok(&w));
	return cw_link_send(&g->ch, CW_F_GATE_INIT, 0, 0, w.p, w.len, err);
}

static enum cw_status
start(struct cw_daemon *d, struct cw_err *err)
{
	struct cw_gates *g = d->gates;
	char *argv[] = { (char *)g->program, NULL };
	enum cw_status st;
	int fd;

	if ((st = cw_spawn(argv, NULL, &g->pid, &fd, err)) != CW_OK)
		return st;
	g->ready = g->paused = false;
	g->started_ms = cw_now_ms();
	g->log_rate = (struct cw_log_rate){ 0 };
	if ((st = cw_link_open(&g->ch, fd, err)) != CW_OK ||
	    (st = send_init(g, &g->init, err)) != CW_OK) {
		(void)kill(g->pid, SIGKILL);
		return st;
	}
	cw_timer_set(g->timer, START_MS);
	return CW_OK;
}

enum cw_status
cw_gates_open(struct cw_daemon *d, struct cw_err *err)
{
	struct cw_gates *g = cw_arena_zalloc(d->arena, 1, sizeof(*g));
	enum cw_status st;

	CW_CHECK(g != NULL);
	g->magic = GATES_MAGIC;
	g->bound = (struct cw_gate_ready){ "", "", "" };
	d->gates = g;
	st = cw_find_program("clipward-gate", d->arena, &g->program, err);
	if (st != CW_OK || (st = read_init(d->cfg, &g->init, &g->keys,
	    err)) != CW_OK ||
	    (st = cw_arena_open(SCRATCH_BYTES, &g->scratch, err)) != CW_OK ||
	    (st = cw_arena_open(1u << 20, &g->names, err)) != CW_OK ||
	    (st = cw_link_init(&g->ch, d->base, d->cfg->limits.bytes +
	    HEADER_BYTES, OUT_BYTES, on_frame, on_gone, d, err)) != CW_OK)
		return st;
	g->timer = evtimer_new(d->base, on_timer, d);
	if (g->timer == NULL)
		return cw_err_set(err, CW_E_SYSTEM, "gate: no memory");
	return start(d, err);
}

void
cw_gates_close(struct cw_daemon *d)
{
	struct cw_gates *g = d->gates;

	if (g == NULL)
		return;
	CW_CHECK_OBJ(g, GATES_MAGIC);
	cw_link_fini(&g->ch);
	if (g->pid > 0) {
		(void)kill(g->pid, SIGKILL);
		(void)waitpid(g->pid, NULL, 0);
	}
	if (g->timer != NULL)
		event_free(g->timer);
	cw_arena_close(&g->scratch);
	cw_arena_close(&g->names);
	cw_arena_close(&g->keys);
	g->magic = 0;
	d->gates = NULL;
}

/* ---- its death ---- */

static void
forget_routes(void *payload, struct cw_slot *s)
{
	(void)payload;
	s->nroutes = 0;
}

/* Ends it now; the rest happens when the process is reaped. */
static void
retire(struct cw_daemon *d, const char *why)
{
	struct cw_gates *g = d->gates;

	cw_log(CW_LOG_WARNING, "gate state=dying pid=%d reason=%s",
	    (int)g->pid, cw_quote(why).text);
	cw_link_close(&g->ch);
	g->ready = false;
	if (g->pid > 0)
		(void)kill(g->pid, SIGKILL);
}

static void
on_gone(void *owner, enum cw_status st, const struct cw_err *why)
{
	struct cw_daemon *d = owner;

	(void)st;
	d->gates->ready = false;
	if (!d->gates->finishing && d->gates->pid > 0)
		retire(d, why->text);
}

bool
cw_gates_reap(struct cw_daemon *d, pid_t pid, int status)
{
	struct cw_gates *g = d->gates;
	uint32_t wait_ms = 0;

	if (g == NULL || pid != g->pid)
		return false;
	g->pid = 0;
	/* Its last words, and jobs whose senders took them for delivered. */
	cw_link_drain(&g->ch);
	g->ready = false;
	cw_link_close(&g->ch);
	cw_queue_each(d->queue, forget_routes, NULL);
	if (g->finishing) {
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			cw_log(CW_LOG_ERR, "gate state=gone %s=%d error=\"not "
			    "all that it had read came through\"",
			    WIFSIGNALED(status) ? "signal" : "exit",
			    WIFSIGNALED(status) ? WTERMSIG(status) :
			    WEXITSTATUS(status));
		return true;
	}
	d->stats.gate_deaths++;
	g->restarts++;
	if (!g->once_ready && g->fatal.text[0] == '\0' &&
	    ++g->deaths_unready >= START_TRIES) {
		g->exit_code = 1;
		(void)cw_err_set(&g->fatal, CW_E_SYSTEM, "clipward-gate: died "
		    "%d times before it was ready", START_TRIES);
	}
	g->failures = cw_now_ms() - g->started_ms > STEADY_MS ? 0 :
	    g->failures + 1;
	if (g->failures > 1)
		wait_ms = 10u << (g->failures > 9 ? 9 : g->failures);
	if (wait_ms > BACKOFF_MOST_MS)
		wait_ms = BACKOFF_MOST_MS;
	cw_log(CW_LOG_WARNING, "gate state=dead pid=%d %s=%d restart_ms=%u",
	    (int)pid, WIFSIGNALED(status) ? "signal" : "exit",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
	    wait_ms);
	cw_timer_set(g->timer, wait_ms);
	return true;
}

static void
timed(struct cw_daemon *d)
{
	struct cw_gates *g = d->gates;
	struct cw_err err;

	if (g->finishing)
		return;
	if (g->pid > 0) {
		retire(d, g->ready ? "silent" : "not ready in time");
		return;
	}
	if (start(d, &err) != CW_OK) {
		cw_log(CW_LOG_ERR, "gate state=dead error=%s",
		    cw_quote(err.text).text);
		if (g->pid == 0)
			cw_timer_set(g->timer, 1000);
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct cw_daemon *d = arg;

	(void)fd;
	(void)what;
	CW_CHECK_OBJ(d, CW_DAEMON_MAGIC);
	timed(d);
}

/* ---- what it says ---- */

/* The endpoint as bound; a new string only where it is another. */
static void
keep_end(struct cw_arena *a, const char **end, const char *bound)
{
	if (bound[0] == '\0' || strcmp(*end, bound) == 0)
		return;
	*end = cw_arena_strdup(a, bound);
	CW_CHECK(*end != NULL);
}

static enum cw_status
take_ready(struct cw_daemon *d, struct cw_unpack *r, struct cw_err *err)
{
	struct cw_gates *g = d->gates;
	enum cw_status st;

	cw_arena_reset(g->names, 0);
	st = cw_gate_ready_unpack(r, g->names, &g->bound, err);
	if (st != CW_OK) {
		g->bound = (struct cw_gate_ready){ "", "", "" };
		return st;
	}
	/* A port left to the system is kept for the next gate's life. */
	keep_end(g->keys, &g->init.submit, g->bound.submit);
	keep_end(g->keys, &g->init.pull, g->bound.pull);
	keep_end(g->keys, &g->init.pub, g->bound.pub);
	g->ready = g->once_ready = true;
	g->deaths_unready = 0;
	cw_log(CW_LOG_NOTICE, "gate state=ready pid=%d submit=%s pull=%s "
	    "pub=%s ms=%d", (int)g->pid, g->bound.submit, g->bound.pull,
	    g->bound.pub, (int)(cw_now_ms() - g->started_ms));
	cw_gates_pace(d);
	return CW_OK;
}

static enum cw_status
take_fatal(struct cw_gates *g, struct cw_unpack *r, struct cw_err *err)
{
	const uint32_t code = cw_get_u32(r);
	const char *text = cw_get_str(r, CW_ERR_MAX, g->scratch);

	if (!cw_unpack_end(r))
		return cw_err_set(err, CW_E_FORMAT, "FATAL: bad bytes");
	g->exit_code = code > 0 && code < 128 ? (int)code : 1;
	(void)cw_err_set(&g->fatal, CW_E_CONFIG, "%s", text);
	cw_log(CW_LOG_ERR, "gate state=failed error=%s",
	    cw_quote(g->fatal.text).text);
	return CW_OK;
}

static enum cw_status
take_request(struct cw_daemon *d, const struct cw_frame *f,
    struct cw_unpack *r, struct cw_err *err)
{
	struct cw_request req;
	enum cw_status st;

	st = cw_request_unpack(r, d->gates->scratch, &req, err);
	if (st == CW_OK)
		cw_intake(d, f->id, &req);
	return st;
}

static void
take(struct cw_daemon *d, const struct cw_frame *f)
{
	struct cw_gates *g = d->gates;
	struct cw_unpack r;
	struct cw_err err;
	enum cw_status st;

	cw_arena_reset(g->scratch, KEEP_BYTES);
	cw_unpack_init(&r, f->body, f->len);
	if (f->type == CW_F_LOG)
		st = cw_child_log("gate", 0, &g->log_rate, &r, g->scratch, &err);
	else if (f->type == CW_F_GATE_READY && !g->ready)
		st = take_ready(d, &r, &err);
	else if (f->type == CW_F_FATAL && !g->ready)
		st = take_fatal(g, &r, &err);
	else if (f->type == CW_F_GATE_REQUEST && g->ready)
		st = take_request(d, f, &r, &err);
	else if (f->type == CW_F_GATE_STATS && g->ready)
		st = cw_gate_stats_unpack(&r, &g->stats, &err);
	else
		st = cw_err_set(&err, CW_E_FORMAT, "frame %s is not allowed "
		    "now", cw_frame_name(f->type));
	if (st != CW_OK)
		retire(d, err.text);
	else if (g->ready && g->pid > 0)
		cw_timer_set(g->timer, PULSE_MS);
}

static void
on_frame(void *owner, const struct cw_frame *f)
{
	struct cw_daemon *d = owner;

	CW_CHECK_OBJ(d, CW_DAEMON_MAGIC);
	d->gates->heard_ms = cw_now_ms();
	take(d, f);
}

/* ---- what it is told ---- */

static void
tell(struct cw_daemon *d, uint16_t type, uint64_t id, const struct cw_pack *w)
{
	struct cw_gates *g = d->gates;
	struct cw_err err;
	enum cw_status st;

	if (!cw_link_is_open(&g->ch) || !g->ready)
		return;
	CW_CHECK(cw_pack_ok(w));
	st = cw_link_send(&g->ch, type, 0, id, w->p, w->len, &err);
	if (st != CW_OK && !g->finishing)
		retire(d, err.text);
}

void
cw_gates_reply(struct cw_daemon *d, uint64_t route, const struct cw_reply *r)
{
	struct cw_reply fitting = *r;
	struct cw_pack w;

	if (route == 0 || d->gates == NULL)
		return;
	/* A slow gate gets the verdict; its pictures can be asked for. */
	if (cw_link_waiting(&d->gates->ch) > PICTURES_BYTES)
		fitting.nparts = 0;
	cw_arena_reset(d->gates->scratch, KEEP_BYTES);
	cw_pack_init(&w, d->gates->scratch, strlen(r->json) + 256);
	cw_reply_pack(&fitting, &w);
	tell(d, CW_F_GATE_REPLY, route, &w);
}

void
cw_gates_publish(struct cw_daemon *d, const struct cw_told *v)
{
	struct cw_publish m = { .json = v->json };
	char topic[CW_ID_BYTES + 32];
	struct cw_pack w;

	if (d->gates == NULL || d->cfg->verdicts.pub[0] == '\0')
		return;
	snprintf(topic, sizeof(topic), "verdict.%s.%s",
	    cw_action_name(v->action), v->policy);
	m.topic = topic;
	cw_arena_reset(d->gates->scratch, KEEP_BYTES);
	cw_pack_init(&w, d->gates->scratch, strlen(v->json) + 256);
	cw_publish_pack(&m, &w);
	tell(d, CW_F_GATE_PUBLISH, 0, &w);
}

/*
 * Paused when full, unable to store, or when what is to be read by the gate
 * piles up; again below nine tenths of it.
 */
void
cw_gates_pace(struct cw_daemon *d)
{
	struct cw_gates *g = d->gates;
	const uint64_t most = d->cfg->limits.pending;
	const uint64_t most_bytes = d->cfg->limits.pending_bytes;
	uint64_t n, bytes, waiting;
	struct cw_pack w;
	bool pause;

	if (g == NULL || !g->ready)
		return;
	n = cw_queue_count(d->queue);
	bytes = cw_queue_bytes(d->queue);
	waiting = cw_link_waiting(&g->ch);
	if (g->paused) {
		n += most / 10;
		bytes += most_bytes / 10;
		waiting += JOBS_BYTES / 10;
	}
	pause = d->stopping || cw_spool_sick(d->spool) || n >= most ||
	    bytes >= most_bytes || waiting >= JOBS_BYTES;
	if (pause == g->paused)
		return;
	g->paused = pause;
	cw_arena_reset(g->scratch, KEEP_BYTES);
	cw_pack_init(&w, g->scratch, 64);
	cw_put_u8(&w, pause);
	tell(d, CW_F_GATE_PAUSE, 0, &w);
}

enum cw_status
cw_gates_reload(struct cw_daemon *d, struct cw_err *err)
{
	struct cw_gates *g = d->gates;
	struct cw_gate_init init;
	struct cw_arena *keys = NULL;
	enum cw_status st;

	if (g == NULL || d->cfg->curve.clients_file[0] == '\0')
		return CW_OK;
	if ((st = read_init(d->cfg, &init, &keys, err)) != CW_OK)
		return st;
	keep_end(keys, &init.submit, g->bound.submit);
	keep_end(keys, &init.pull, g->bound.pull);
	keep_end(keys, &init.pub, g->bound.pub);
	/* One that is not ready yet was started with the former list. */
	if (cw_link_is_open(&g->ch) && (st = send_init(g, &init, err)) !=
	    CW_OK) {
		cw_arena_close(&keys);
		return st;
	}
	cw_arena_close(&g->keys);
	g->keys = keys;
	g->init = init;
	return CW_OK;
}

/* ---- its end ---- */

void
cw_gates_finish(struct cw_daemon *d)
{
	struct cw_gates *g = d->gates;

	if (g == NULL || g->finishing)
		return;
	g->finishing = true;
	(void)evtimer_del(g->timer);
	cw_link_finish(&g->ch);
}

bool
cw_gates_finishing(const struct cw_daemon *d)
{
	return d->gates != NULL && d->gates->finishing;
}

uint64_t
cw_gates_heard_ms(const struct cw_daemon *d)
{
	return d->gates == NULL ? 0 : d->gates->heard_ms;
}

bool
cw_gates_finished(const struct cw_daemon *d)
{
	return d->gates == NULL || d->gates->pid == 0;
}

size_t
cw_gates_waiting(const struct cw_daemon *d)
{
	return d->gates == NULL ? 0 : cw_link_waiting(&d->gates->ch);
}

bool
cw_gates_ready(const struct cw_daemon *d)
{
	return d->gates != NULL && d->gates->ready;
}

const char *
cw_gates_failed(const struct cw_daemon *d, int *exit_code)
{
	const struct cw_gates *g = d->gates;

	if (g == NULL || g->once_ready || g->fatal.text[0] == '\0')
		return NULL;
	*exit_code = g->exit_code;
	return g->fatal.text;
}

void
cw_gates_view(const struct cw_daemon *d, struct cw_gate_view *out)
{
	const struct cw_gates *g = d->gates;

	*out = (struct cw_gate_view){ .submit = "", .pull = "", .pub = "" };
	if (g == NULL)
		return;
	*out = (struct cw_gate_view){
		.pid = g->pid,
		.ready = g->ready,
		.restarts = g->restarts,
		.waiting = cw_link_waiting(&g->ch),
		.submit = g->bound.submit,
		.pull = g->bound.pull,
		.pub = g->bound.pub,
		.stats = g->stats,
	};
}
