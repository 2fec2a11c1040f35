/*
 * turn.h - what may be told only after this turn's commit.
 *
 * Runs in: supervisor.
 *
 * Within one turn of the event loop everything that was decided is written
 * to the spool and noted here; cw_turn_end commits once and then acts:
 *
 *			committed		undone
 *	reply		sent			BUSY, when it promised something
 *	accepted	job becomes READY	job is forgotten, with its
 *			if no verdict follows	verdict if one follows
 *	verdict		replies, PUB, sinks,	job goes back to READY
 *			log, counters; job
 *			is forgotten
 */
#ifndef CW_TURN_H
#define CW_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "format/gate_msg.h"
#include "format/policy.h"
#include "supervisor/daemon.h"
#include "supervisor/queue.h"

struct cw_turn;				/* opaque */

/* A verdict that was written, for everybody who hears of it. */
struct cw_told {
	const char	*id, *json, *policy;
	const char	*category;	/* NULL: one from the store, which says it */
	enum cw_action	 action;
	float		 score;			/* of category */
	struct cw_bytes	 parts[CW_PARTS_MAX];	/* pictures */
	uint32_t	 nparts;
	uint64_t	 total_us;		/* reception to verdict */
	uint64_t	*count;			/* one more when it is told, or
						   NULL */
};

CW_MUST_USE enum cw_status cw_turn_open(struct cw_daemon *d,
    struct cw_err *err);
void cw_turn_close(struct cw_daemon *d);

/* Memory that dies with the turn: everything below points into it. */
struct cw_arena *cw_turn_arena(const struct cw_daemon *d);
struct cw_arena *cw_turn_notes(const struct cw_daemon *d);	/* short ones */
/*
 * Is there room for another answer with a verdict in it, or (much more) for
 * another verdict?  A flood of questions must not crowd the results out.
 */
bool cw_turn_takes_answer(const struct cw_daemon *d);
bool cw_turn_takes_verdict(const struct cw_daemon *d);

/* Answer a route (0: nobody) about the job of that id. */
void cw_turn_reply(struct cw_daemon *d, uint64_t route, enum cw_answer answer,
    const char *id, const char *json, const struct cw_bytes *parts,
    uint32_t nparts);
void cw_turn_accepted(struct cw_daemon *d, struct cw_slot *s);
/* s is DONE, or NULL for a verdict made without a job; then route hears it. */
void cw_turn_verdict(struct cw_daemon *d, struct cw_slot *s, uint64_t route,
    const struct cw_told *told);

/* Commit and act.  Call once after every turn of the loop. */
void cw_turn_end(struct cw_daemon *d);

/* {"id":...,"retry_after_ms":...} for a BUSY answer, in the turn's arena. */
const char *cw_turn_busy_json(const struct cw_daemon *d, const char *id);

#endif /* CW_TURN_H */
