/*
 * canary.h - one known picture, now and then, through each worker.
 *
 * Runs in: supervisor.  Private to the pool.
 *
 * *Ready* means more than that processes exist: a small picture is scored in
 * time and with the cosines of its known embedding to the prompts.  A worker
 * that has had no job yet makes that known, before its first; one that differs
 * later (memory that went bad, a file that changed under its map, a stranger's
 * doing) is replaced.
 */
#ifndef CW_CANARY_H
#define CW_CANARY_H

#include "base/status.h"
#include "supervisor/worker.h"

/* This worker, which is idle and has had no job, makes the embedding known,
 * unless it is. */
void cw_canary_first(struct cw_worker *w);
/*
 * Give it to every idle worker that is due: every half minute, and under each
 * new set.  Call about once a second.
 */
void cw_canary_tick(struct cw_daemon *d);
/* The RESULT of w->canary_ticket.  CW_E_FORMAT, CW_E_NUMERIC: replace it. */
CW_MUST_USE enum cw_status cw_canary_result(struct cw_worker *w,
    struct cw_unpack *r, struct cw_err *err);

#endif /* CW_CANARY_H */
