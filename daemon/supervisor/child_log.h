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
 * What a child may say: 50 lines a second.  More are only counted, and after
 * 10,000 of those it is to be ended.  All zero when the child starts.
 */
struct cw_log_rate {
	uint64_t	 second;	/* monotonic, of `lines` */
	uint32_t	 lines;		/* in that second */
	uint32_t	 dropped, told;	/* ever, and of them reported */
};

/*
 * Body of a LOG frame: u8 level, str line.  The level must be real, the line
 * at most 8,192 bytes; it is logged as `what=number ...`, or `what ...` for
 * number 0, control characters replaced.  CW_E_FORMAT otherwise, and when it
 * floods.
 */
CW_MUST_USE enum cw_status cw_child_log(const char *what, uint32_t number,
    struct cw_log_rate *rate, struct cw_unpack *r, struct cw_arena *scratch,
    struct cw_err *err);

#endif /* CW_CHILD_LOG_H */
