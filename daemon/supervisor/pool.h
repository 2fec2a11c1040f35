/*
 * pool.h - the workers: started, given batches, watched, replaced.
 *
 * Runs in: supervisor.
 *
 *	        spawn            READY, set taken         batch sent
 *	DEAD ----------> STARTING ---------------> IDLE ------------> BUSY
 *	  ^                  |                      ^                  |
 *	  | reaped,          | timeout, FATAL,      '--- all results --|
 *	  | back-off         v bad frame, death                        |
 *	  '------------- DYING <---------------------------------------'
 *
 * A worker has read hostile bytes: what it sends is bounded, checked for
 * being allowed now, and unpacked with distrust; on any doubt it is killed.
 * The jobs of a worker that dies go back to the queue, each alone from then
 * on; the one that was there too often ends in quarantine (see queue.h).
 */
#ifndef CW_POOL_H
#define CW_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"
#include "format/worker_msg.h"
#include "supervisor/daemon.h"

struct cw_pool;			/* opaque */

enum cw_worker_state {
	CW_W_DEAD, CW_W_STARTING, CW_W_IDLE, CW_W_BUSY, CW_W_DYING,
	CW_W_STATES
};
const char *cw_worker_state_name(enum cw_worker_state s);

/* Start the first worker; the others follow once it has proved the model. */
CW_MUST_USE enum cw_status cw_pool_open(struct cw_daemon *d,
    struct cw_err *err);
void cw_pool_close(struct cw_daemon *d);	/* kills what is left */

/* Has any worker been ready?  Only then facts and keys say anything. */
bool cw_pool_ready(const struct cw_daemon *d);
const struct cw_model_facts *cw_pool_facts(const struct cw_daemon *d);
/* What, of model and settings, an image's embedding depends on; what a text
 * vector does; what a verdict does, besides its policies and options. */
const char *cw_pool_model_key(const struct cw_daemon *d);
const char *cw_pool_text_key(const struct cw_daemon *d);
const char *cw_pool_verdict_key(const struct cw_daemon *d);
/* The first worker could not start: why, or NULL. */
const char *cw_pool_failed(const struct cw_daemon *d, int *exit_code);

/* A child of that process id has ended; false when it is not ours. */
bool cw_pool_reap(struct cw_daemon *d, pid_t pid, int status);

/* After each turn: give idle workers what waits, if it is time. */
void cw_pool_dispatch(struct cw_daemon *d);

/* Has a picture come back lately, a job's or the canary? */
bool cw_pool_scores(const struct cw_daemon *d);
size_t cw_pool_busy(const struct cw_daemon *d);	/* workers with a batch */
/* When a sender may try again, from what waits and how fast it goes. */
uint32_t cw_pool_retry_ms(const struct cw_daemon *d);

struct cw_worker_view {			/* for the status report */
	uint32_t		 number;	/* from 1 */
	enum cw_worker_state	 state;
	pid_t			 pid;
	uint64_t		 jobs, batches;
	uint32_t		 restarts;
	uint64_t		 generation;	/* of the set it holds */
	uint64_t		 rss;		/* bytes, 0 unknown */
};
uint32_t cw_pool_size(const struct cw_daemon *d);
void cw_pool_view(const struct cw_daemon *d, uint32_t i,
    struct cw_worker_view *out);

#endif /* CW_POOL_H */
