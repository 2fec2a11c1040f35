/*
 * worker.h - one worker process, as pool.c, ready.c and dispatch.c share it.
 *
 * Runs in: supervisor.  Private to the three.
 *
 * pool.c	its life: spawn, death, back-off; every change of state
 * ready.c	its READY and its first set
 * dispatch.c	its work: batches out, results in
 */
#ifndef CW_SUPERVISOR_WORKER_H
#define CW_SUPERVISOR_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "format/gate_msg.h"
#include "supervisor/child_log.h"
#include "supervisor/generation.h"
#include "supervisor/link.h"
#include "supervisor/pool.h"
#include "supervisor/queue.h"
#include "supervisor/sink.h"

#define WORKER_MAGIC	0x3092e41du
#define POOL_MAGIC	0xb00100a1u
#define ARTS_BYTES	(64u << 20)	/* pictures of one job, and their names */

struct cw_sent {
	struct cw_slot	*slot;		/* NULL: answered */
	uint64_t	 ticket;	/* the frame's id, never used twice */
};

struct cw_worker {
	uint32_t		 magic;
	uint32_t		 number;	/* from 1 */
	struct cw_daemon	*d;
	enum cw_worker_state	 state;
	pid_t			 pid;		/* 0: none, or reaped */
	int			 status;	/* of waitpid, when reaped */
	bool			 blamed;	/* we ended it, for its doing */
	bool			 innocent;	/* its jobs have no part in it */
	bool			 hung;		/* no answer in time */
	bool			 used;		/* has had a job since its spawn */
	bool			 makes_room;	/* goes for a successor on trial */
	bool			 successor;	/* of one that made room, not up yet */
	bool			 tried;		/* a trial was the last it did */
	struct cw_link		 link;
	struct cw_log_rate	 log_rate;
	struct event		*timer;		/* meaning depends on state */
	struct cw_generation	*gen;		/* the set it holds or is given */
	struct cw_generation	*trial;		/* the set it tries */
	uint32_t		 tests, tests_left;	/* of the trial, under way */
	uint32_t		 tests_failed;
	uint64_t		 test_ticket;	/* of the first */
	uint64_t		 canary_ticket;	/* under way, or 0 */
	uint64_t		 canary_ms;	/* when it was last sent, 0: never */
	uint64_t		 canary_set;	/* under which generation */
	struct cw_err		 test_why;	/* of the first that failed */
	bool			 awaits_policy;	/* POLICY_DONE for gen comes first */
	struct cw_sent		*sent;		/* [batch] */
	uint32_t		 nsent, left;
	uint64_t		 sent_us;	/* monotonic */
	struct cw_arena		*art_arena;
	struct cw_artifact_data	 arts[CW_PARTS_MAX];	/* of art_ticket */
	uint32_t		 narts;
	uint64_t		 art_ticket;
	uint64_t		 started_ms;
	uint64_t		 jobs, batches;
	uint32_t		 restarts, failures;
};

struct cw_pool {
	uint32_t		 magic;
	const char		*program;
	struct cw_worker	*workers;	/* [n] */
	uint32_t		 n;
	bool			 ready;		/* facts are known */
	bool			 changed;	/* the newest worker's are others */
	struct cw_arena		*facts_arena;
	struct cw_model_facts	 facts;
	const char		*model_key, *text_key, *verdict_key;
	float			*canary;	/* [embed] of canary.c's picture */
	bool			 canary_known;
	uint32_t		 canary_doubts;	/* new workers that denied it */
	uint32_t		 start_failures;	/* before any was ready */
	int			 exit_code;
	struct cw_err		 failed;
	uint64_t		 next_ticket;
	struct cw_arena		*scratch;	/* one frame, or one batch */
	struct event		*wait;		/* a batch that fills */
	struct event		*sweep;		/* deadlines of waiting jobs */
	double			 job_us;	/* moving mean, per worker */
	uint64_t		 scored_ms;	/* when anything last was */
};

/* worker_init.c: INIT as the configuration wants it, in the arena. */
void cw_worker_init(const struct cw_config *cfg, struct cw_arena *a,
    struct cw_init *out);

/* pool.c */
void cw_worker_set_state(struct cw_worker *w, enum cw_worker_state to,
    const char *why);
/* Kill it for what it did; innocent: its jobs are not to blame. */
void cw_worker_retire(struct cw_worker *w, bool innocent, const char *why);
/* It has done nothing wrong; its successor is to try a policy set. */
void cw_worker_make_room(struct cw_worker *w);

/* ready.c */
/* Send it a set; false: the worker is being retired. */
bool cw_worker_give_set(struct cw_worker *w, const struct cw_generation *g);

/* Its READY frame; and: it holds a set, so it may work. */
CW_MUST_USE enum cw_status cw_worker_is_ready(struct cw_worker *w,
    struct cw_unpack *r, struct cw_err *err);
void cw_worker_has_set(struct cw_worker *w);

/* dispatch.c */
void cw_worker_take(struct cw_worker *w, const struct cw_frame *f);
/* Its process is gone: every job it had is tried again, or given up. */
void cw_worker_lost_jobs(struct cw_worker *w, uint32_t blame);
void cw_pool_sweep(struct cw_daemon *d);

#endif /* CW_SUPERVISOR_WORKER_H */
