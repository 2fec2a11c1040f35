/*
 * reissue.h - a stored verdict becomes the verdict of another job.
 *
 * Runs in: supervisor.  Never: logs.
 *
 * The same bytes under the same options, model and policies have the same
 * verdict; only who asked and when differ.  The line is not parsed into a
 * tree but copied value by value, which is some thirty times faster.
 */
#ifndef CW_REISSUE_H
#define CW_REISSUE_H

#include <stdint.h>

#include "base/arena.h"

/*
 * Copy of json with "id", "received_at", "scored_at", "cached", "attempt"
 * and "timing_ms" replaced, in the arena; NULL when json is not one object
 * as cw_verdict_json writes it, or memory ends.
 */
const char *cw_verdict_reissue(const char *json, const char *id,
    int64_t now_us, struct cw_arena *a);

#endif /* CW_REISSUE_H */
