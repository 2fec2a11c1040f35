/*
 * child_log.h - a line that a child process wants logged.
 *
 * Runs in: supervisor.
 */
#ifndef CW_CHILD_LOG_H
#define CW_CHILD_LOG_H

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "format/pack.h"

/*
 * Body of a LOG frame: u8 level, str line.  The level must be real, the line
 * at most 8,192 bytes; it is logged as `what=number ...`, or `what ...` for
 * number 0, control characters replaced.  CW_E_FORMAT otherwise.
 */
CW_MUST_USE enum cw_status cw_child_log(const char *what, uint32_t number,
    struct cw_unpack *r, struct cw_arena *scratch, struct cw_err *err);

#endif /* CW_CHILD_LOG_H */
