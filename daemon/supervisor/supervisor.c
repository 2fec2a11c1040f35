/*
 * supervisor.c - see supervisor.h.
 */
#include "supervisor/supervisor.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/log.h"
#include "supervisor/canary.h"
#include "supervisor/control.h"
#include "supervisor/gates.h"
#include "supervisor/http.h"
#include "supervisor/notify.h"
#include "supervisor/plugin_sink.h"
#include "supervisor/pool.h"
#include "supervisor/queue.h"
#include "supervisor/reload.h"
#include "supervisor/spool.h"
#include "supervisor/timer.h"
#include "supervisor/turn.h"

#define SPARE_SLOTS	(2 * CW_PUSHED_MAX)	/* of a gate and the next */
#define STOP_JOBS_MS	3500	/* for the batches in hand, on SIGTERM */
#define STOP_GATE_MS	1000	/* then for the gate to send what it has, or */
#define STOP_LAST_MS	5000	/* as long as something comes of it */
#define STOP_TICK_MS	10
#define TICK_MS		1000	/* housekeeping */
#define RETAIN_TICKS	60	/* look for what is too old this often */
#define RETAIN_ROWS	500	/* deleted in one turn at most */
#define EXIT_OSERR	71
#define EXIT_IOERR	74

enum phase { STARTING, SERVING, STOPPING, LEAVING, GONE };

static struct {
	struct cw_daemon	 d;
	enum phase		 phase;
	struct event		*signals[4], *tick, *watchdog, *stop, *retain;
	uint64_t		 stop_by_ms;	/* the phase ends then */
	uint32_t		 ticks;
	int			 exit_code;
	cw_serving_fn		*serving;
	void			*payload;
	struct cw_err		*err;		/* of the caller */
} sup;

static void on_signal(evutil_socket_t sig, short what, void *arg);
static void on_tick(evutil_socket_t fd, short what, void *arg);
static void on_watchdog(evutil_socket_t fd, short what, void *arg);
static void on_stop(evutil_socket_t fd, short what, void *arg);
static void on_retain(evutil_socket_t fd, short what, void *arg);

/* ---- start ---- */

static void
on_libevent_line(int severity, const char *line)
{
	cw_log(severity >= EVENT_LOG_ERR ? CW_LOG_ERR :
	    severity >= EVENT_LOG_WARN ? CW_LOG_WARNING : CW_LOG_DEBUG,
	    "libevent %s", line);
}

static enum cw_status
open_events(struct cw_daemon *d, struct cw_err *err)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	const uint64_t alive_ms = cw_notify_interval_ms();

	event_set_log_callback(on_libevent_line);
	if ((d->base = event_base_new()) == NULL)
		return cw_err_set(err, CW_E_SYSTEM, "libevent: no base");
	for (size_t i = 0; i < CW_COUNT(sigs); i++) {
		sup.signals[i] = evsignal_new(d->base, sigs[i], on_signal, d);
		if (sup.signals[i] == NULL ||
		    event_add(sup.signals[i], NULL) == -1)
			return cw_err_sys(err, "signal %d", sigs[i]);
	}
	sup.tick = event_new(d->base, -1, EV_PERSIST, on_tick, d);
	sup.watchdog = event_new(d->base, -1, EV_PERSIST, on_watchdog, d);
	sup.stop = event_new(d->base, -1, EV_PERSIST, on_stop, d);
	sup.retain = evtimer_new(d->base, on_retain, d);
	if (sup.tick == NULL || sup.watchdog == NULL || sup.stop == NULL ||
	    sup.retain == NULL)
		return cw_err_set(err, CW_E_SYSTEM, "libevent: no memory");
	cw_timer_set(sup.tick, TICK_MS);
	if (alive_ms > 0)
		cw_timer_set(sup.watchdog, alive_ms);
	return CW_OK;
}

/* A job of a former life: its age is by the wall clock, never negative. */
static bool
load_job(void *payload, const struct cw_spool_job *j)
{
	struct cw_daemon *d = payload;
	const uint64_t now_ms = cw_now_ms();
	const int64_t age_us = cw_wall_us() - j->received_us;
	const uint64_t age_ms = age_us < 0 ? 0 : (uint64_t)age_us / 1000;
	struct cw_slot *s;

	if (!cw_job_id_valid(j->id)) {
		cw_log(CW_LOG_ERR, "spool job seq=%jd has no valid id",
		    (intmax_t)j->seq);
		return true;
	}
	s = cw_queue_add(d->queue, j->id, j->bytes);
	CW_CHECK(s != NULL);
	s->seq = j->seq;
	s->received_us = j->received_us;
	s->former = true;
	/* The machine may have been restarted since. */
	s->received_ms = age_ms < now_ms ? now_ms - age_ms : 0;
	if (j->deadline_ms != 0)
		s->deadline_ms = age_ms >= j->deadline_ms ? now_ms :
		    now_ms + j->deadline_ms - age_ms;
	s->priority = j->priority;
	s->attempt = j->attempt;
	s->blame = j->blame;
	/* Without a key: it wants pictures, see cw_options_key. */
	s->alone = j->blame > 0 || j->cache_key[0] == '\0';
	strncpy(s->sha256, j->sha256, sizeof(s->sha256) - 1);
	strncpy(s->cache_key, j->cache_key, sizeof(s->cache_key) - 1);
	strncpy(s->owner, j->owner, sizeof(s->owner) - 1);
	cw_queue_ready(d->queue, s);
	return true;
}

static enum cw_status
open_spool(struct cw_daemon *d, struct cw_err *err)
{
	struct cw_spool_use use;
	enum cw_status st;
	size_t slots;

	st = cw_spool_open(d->cfg->spool.path, d->arena, &d->spool, err);
	if (st != CW_OK || (st = cw_spool_use(d->spool, &use, err)) != CW_OK)
		return st;
	slots = d->cfg->limits.pending > use.jobs ? d->cfg->limits.pending :
	    use.jobs;
	if ((st = cw_queue_open(slots + SPARE_SLOTS, &d->queue, err)) !=
	    CW_OK ||
	    (st = cw_spool_each_job(d->spool, 0, load_job, d, err)) != CW_OK)
		return st;
	cw_log(CW_LOG_NOTICE, "spool path=%s jobs=%ju quarantined=%ju "
	    "bytes=%ju", d->cfg->spool.path, (uintmax_t)use.jobs,
	    (uintmax_t)use.quarantined, (uintmax_t)use.bytes);
	return CW_OK;
}

static enum cw_status
open_parts(struct cw_daemon *d, struct cw_err *err)
{
	enum cw_status st;

	if ((st = open_events(d, err)) != CW_OK ||
	    (st = cw_reload_open(d, err)) != CW_OK ||
	    (st = open_spool(d, err)) != CW_OK ||
	    (st = cw_turn_open(d, err)) != CW_OK ||
	    (st = cw_sinks_open(d, err)) != CW_OK ||
	    (st = cw_control_open(d, err)) != CW_OK)
		return st;
	return cw_pool_open(d, err);
}

static void
leave(int exit_code, const char *why)
{
	if (why[0] != '\0') {
		cw_log(CW_LOG_ERR, "%s", why);
		if (sup.err->text != why)
			(void)cw_err_set(sup.err, CW_E_SYSTEM, "%s", why);
	}
	sup.exit_code = exit_code;
	sup.phase = GONE;
}

static int
exit_code_of(enum cw_status st)
{
	switch (st) {
	case CW_E_CONFIG:
	case CW_E_NOT_FOUND:
	case CW_E_ABI:
	case CW_E_MODEL:
	case CW_E_LIMIT:
	case CW_E_FORMAT:
		return CW_EXIT_CONFIG;
	default:
		return EXIT_IOERR;	/* another daemon may have it: try again */
	}
}

/* Once the model and the policies are proved, the doors are opened. */
static void
go_on_starting(struct cw_daemon *d)
{
	const char *why;
	enum cw_status st;
	struct cw_err err;
	int code;

	if ((why = cw_pool_failed(d, &code)) != NULL ||
	    (why = cw_reload_failed(d, &code)) != NULL ||
	    (why = cw_gates_failed(d, &code)) != NULL) {
		leave(code, why);
		return;
	}
	if (!cw_pool_ready(d) || cw_reload_current(d)->missing > 0)
		return;
	if (d->gates == NULL) {
		if ((st = cw_http_open(d, &err)) != CW_OK ||
		    (st = cw_gates_open(d, &err)) != CW_OK)
			leave(exit_code_of(st), err.text);
		return;
	}
	if (!cw_gates_ready(d))
		return;
	sup.phase = SERVING;
	d->serving = true;
	cw_log(CW_LOG_NOTICE, "ready version=%s workers=%u policies=%zu "
	    "ms=%ju", CW_VERSION, cw_pool_size(d),
	    cw_reload_current(d)->set.npolicies,
	    (uintmax_t)(cw_now_ms() - d->started_ms));
	cw_notify_ready("serving");
	if (sup.serving != NULL)
		sup.serving(sup.payload);
}

/* ---- stop ---- */

static void
begin_stop(struct cw_daemon *d, bool drain)
{
	if (sup.phase > STOPPING)
		return;
	if (sup.phase == STARTING) {
		leave(0, "");
		return;
	}
	if (sup.phase != STOPPING)
		cw_log(CW_LOG_NOTICE, "stopping pending=%zu drain=%s",
		    cw_queue_count(d->queue), drain ? "yes" : "no");
	sup.phase = STOPPING;
	sup.stop_by_ms = drain ? UINT64_MAX : cw_now_ms() + STOP_JOBS_MS;
	d->stopping = true;
	d->draining = drain;
	cw_gates_pace(d);
	if (!drain)
		cw_notify_stopping();
	cw_timer_set(sup.stop, STOP_TICK_MS);
}

void
cw_supervisor_drain(struct cw_daemon *d)
{
	if (!d->stopping)
		begin_stop(d, true);
}

/* Called after each turn: is this phase of stopping over? */
static void
go_on_stopping(struct cw_daemon *d)
{
	const uint64_t now = cw_now_ms();
	bool late = now >= sup.stop_by_ms;

	if (sup.phase == LEAVING && late && now < sup.stop_by_ms +
	    STOP_LAST_MS - STOP_GATE_MS)
		late = now >= cw_gates_heard_ms(d) + STOP_GATE_MS;
	if (sup.phase == STOPPING && (late || (cw_pool_busy(d) == 0 &&
	    (!d->draining || cw_queue_count(d->queue) == 0)))) {
		sup.phase = LEAVING;
		sup.stop_by_ms = now + STOP_GATE_MS;
		cw_gates_finish(d);
	} else if (sup.phase == LEAVING && (late || cw_gates_finished(d))) {
		if (d->stats.pushed_lost > 0)
			cw_log(CW_LOG_ERR, "pull state=lost jobs=%ju "
			    "error=\"they could not be stored\"",
			    (uintmax_t)d->stats.pushed_lost);
		cw_log(CW_LOG_NOTICE, "stopped pending=%zu",
		    cw_queue_count(d->queue));
		leave(0, "");
	}
}

static void
close_parts(struct cw_daemon *d)
{
	cw_http_close(d);
	cw_control_close(d);
	cw_gates_close(d);
	cw_pool_close(d);
	if (d->turn != NULL)
		cw_turn_end(d);
	cw_sinks_close(d);
	cw_turn_close(d);
	cw_reload_close(d);
	cw_queue_close(&d->queue);
	cw_spool_close(&d->spool);
	for (size_t i = 0; i < CW_COUNT(sup.signals); i++)
		if (sup.signals[i] != NULL)
			event_free(sup.signals[i]);
	if (sup.tick != NULL)
		event_free(sup.tick);
	if (sup.watchdog != NULL)
		event_free(sup.watchdog);
	if (sup.stop != NULL)
		event_free(sup.stop);
	if (sup.retain != NULL)
		event_free(sup.retain);
	if (d->base != NULL)
		event_base_free(d->base);
}

/* ---- events ---- */

static void
reap(struct cw_daemon *d)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!cw_pool_reap(d, pid, status))
			(void)cw_gates_reap(d, pid, status);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct cw_daemon *d = arg;

	(void)what;
	CW_CHECK_OBJ(d, CW_DAEMON_MAGIC);
	if (sig == SIGCHLD)
		reap(d);
	else if (sig == SIGHUP)
		cw_reload_start(d, (struct cw_asker){ 0 });
	else
		begin_stop(d, false);
}

/*
 * The wall clock, but never ahead of the time that has passed since the
 * start: a clock that jumps a year must not make every verdict too old.
 */
static int64_t
steady_wall_us(const struct cw_daemon *d)
{
	const int64_t now_us = cw_wall_us();
	const int64_t passed_us = d->started_us +
	    (int64_t)(cw_now_ms() - d->started_ms) * 1000;

	return now_us < passed_us ? now_us : passed_us;
}

static void
retain(struct cw_daemon *d)
{
	const uint64_t keep_us = d->cfg->spool.retain_ms * 1000;
	const int64_t now_us = steady_wall_us(d);
	uint64_t deleted = 0;
	struct cw_err err;

	if (sup.phase != SERVING || cw_spool_sick(d->spool))
		return;
	if (cw_spool_retain(d->spool, keep_us > (uint64_t)now_us ? 0 :
	    now_us - (int64_t)keep_us, d->cfg->spool.retain_bytes,
	    RETAIN_ROWS, &deleted, &err) != CW_OK)
		deleted = 0;
	d->stats.deleted += deleted;
	/* There may be more: in the next turn, with what else that has to do. */
	if (deleted >= RETAIN_ROWS)
		cw_timer_set(sup.retain, 0);
}

static void
tick(struct cw_daemon *d)
{
	cw_sinks_confirm(d);
	cw_control_tick(d);
	cw_http_tick(d);
	if (sup.phase == SERVING)
		cw_canary_tick(d);
	if (sup.phase == SERVING && sup.ticks++ % RETAIN_TICKS == 0)
		retain(d);
	cw_log_flush();
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct cw_daemon *d = arg;

	(void)fd;
	(void)what;
	CW_CHECK_OBJ(d, CW_DAEMON_MAGIC);
	tick(d);
}

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	cw_notify_alive();
}

static void
on_stop(evutil_socket_t fd, short what, void *arg)
{
	/* Nothing: the turn that this ends looks whether it is time. */
	(void)fd;
	(void)what;
	(void)arg;
}

static void
on_retain(evutil_socket_t fd, short what, void *arg)
{
	struct cw_daemon *d = arg;

	(void)fd;
	(void)what;
	CW_CHECK_OBJ(d, CW_DAEMON_MAGIC);
	retain(d);
}

/* ---- the loop ---- */

static void
turn(struct cw_daemon *d)
{
	cw_turn_end(d);
	cw_pool_dispatch(d);
	/* What was answered instead of sent: expired, unreadable. */
	if (cw_spool_dirty(d->spool))
		cw_turn_end(d);
	cw_sinks_deliver(d);
	cw_gates_pace(d);
	if (sup.phase == STARTING)
		go_on_starting(d);
	else
		go_on_stopping(d);
}

int
cw_supervisor_run(const struct cw_config *cfg, struct cw_arena *a,
    cw_serving_fn *serving, void *payload, struct cw_err *err)
{
	struct cw_daemon *d = &sup.d;
	enum cw_status st;

	*d = (struct cw_daemon){
		.magic = CW_DAEMON_MAGIC,
		.cfg = cfg,
		.arena = a,
		.started_ms = cw_now_ms(),
		.started_us = cw_wall_us(),
	};
	sup.serving = serving;
	sup.payload = payload;
	sup.err = err;
	if ((st = open_parts(d, err)) != CW_OK)
		leave(exit_code_of(st), err->text);
	while (sup.phase != GONE) {
		if (event_base_loop(d->base, EVLOOP_ONCE) == -1) {
			leave(EXIT_OSERR, "the event loop has failed");
			break;
		}
		turn(d);
	}
	close_parts(d);
	cw_log_flush();
	return sup.exit_code;
}
