/*
 * fetch.h - a stored job becomes the frame a worker gets.
 *
 * Runs in: supervisor.
 *
 * The picture, or the stored embeddings of the same bytes where they do; a row
 * that can't be read is tried again and in the end set aside.
 */
#ifndef CW_FETCH_H
#define CW_FETCH_H

#include <stdbool.h>

#include "base/sha256.h"
#include "supervisor/daemon.h"
#include "supervisor/generation.h"
#include "supervisor/queue.h"

/*
 * The frame of a job, in the pool's scratch arena.  false: it has got a
 * verdict instead, or (*stop) it can't be read now.
 */
bool cw_fetch_job(struct cw_daemon *d, const struct cw_generation *g,
    struct cw_slot *s, struct cw_bytes *body, bool *stop);

#endif /* CW_FETCH_H */
