/*
 * daemon.h - the wiring of the supervisor: who can be reached, nothing more.
 *
 * Runs in: supervisor.
 *
 * Every part owns its state in its own .c file; this struct only holds the
 * handles, so that a part can call another.  cfg never changes after start.
 *
 *	gates ==REQUEST==> intake --> spool + queue
 *	                                 |  one commit a turn (turn.h)
 *	workers <==JOB== pool <----------'
 *	        ==RESULT==> sink --> spool --commit--> replies, PUB, sinks, log
 */
#ifndef CW_DAEMON_H
#define CW_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/stats.h"

struct event_base;

struct cw_daemon {
	uint32_t		 magic;		/* CW_DAEMON_MAGIC */
	const struct cw_config	*cfg;
	struct cw_arena		*arena;		/* process lifetime */
	struct event_base	*base;
	struct cw_spool		*spool;
	struct cw_queue		*queue;
	struct cw_turn		*turn;
	struct cw_gates		*gates;
	struct cw_pool		*pool;
	struct cw_reload	*reload;
	struct cw_sinks		*sinks;
	struct cw_control	*control;
	struct cw_http		*http;
	struct cw_stats		 stats;
	uint64_t		 started_ms;	/* monotonic */
	int64_t			 started_us;	/* wall clock */
	bool			 serving;	/* has been ready */
	bool			 stopping;	/* takes no jobs any more */
	bool			 draining;	/* ... but works its queue off */
};

#define CW_DAEMON_MAGIC	0xdae30117u

#endif /* CW_DAEMON_H */
