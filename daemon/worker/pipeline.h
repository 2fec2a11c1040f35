/*
 * pipeline.h - a batch of jobs becomes a batch of results.
 *
 * Runs in: worker, inside its sandbox.
 */
#ifndef CW_PIPELINE_H
#define CW_PIPELINE_H

#include "base/status.h"
#include "format/frame.h"
#include "worker/image.h"
#include "worker/worker.h"

/*
 * Take JOB frames from the channel, beginning with the one given, until one
 * comes without CW_F_MORE; score them together; send each its ARTIFACTs and
 * its RESULT.  Jobs that ask for scores and maps alone are answered first, the
 * others after them, both in the order they came.
 *
 * What is wrong with a job is in its result and never touches a neighbour.
 * Returns an error only when the channel is unusable: CW_E_CLOSED, or
 * CW_E_FORMAT when the parent breaks the protocol.
 */
CW_MUST_USE enum cw_status cw_pipeline_batch(struct cw_worker *w,
    const struct cw_frame *first, struct cw_err *err);

/* The task ends with an error verdict; only the first error counts. */
void cw_task_fail(struct cw_worker *w, struct cw_task *t,
    enum cw_stage stage, const char *code, const char *message);

/*
 * One line up to the parent: the task goes on without something ("map",
 * "overlay").  The only place where the stages speak.
 */
void cw_task_without(const struct cw_task *t, const char *what,
    const struct cw_err *why);

/* Microseconds since t0, into *total. */
void cw_task_spent(uint32_t *total, uint64_t t0);

/* The CPU time (cw_cpu_us) at which what begins now has had init.extras_ms. */
uint64_t cw_task_cpu_end(const struct cw_worker *w);

/*
 * Decode a task's image into w->picture, which it empties first; the frames
 * are those that t->frame_of counts.  It takes no longer than to cpu_end_us
 * (cw_cpu_us).  Errors and code as of cw_decode.
 */
CW_MUST_USE enum cw_status cw_task_open_picture(struct cw_worker *w,
    const struct cw_task *t, int side, uint64_t cpu_end_us,
    struct cw_image **frames, int *n, const char **code, struct cw_err *err);

/* Short side that decoding must keep for this worker's views; 0: all. */
int cw_pipeline_decode_side(const struct cw_worker *w);

#endif /* CW_PIPELINE_H */
