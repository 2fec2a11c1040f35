/*
 * report.h - JSON in and out of the control socket.
 *
 * Runs in: supervisor.  Never: logs.
 */
#ifndef CW_REPORT_H
#define CW_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"
#include "supervisor/daemon.h"

enum cw_command {
	CW_C_STATUS, CW_C_RELOAD, CW_C_DRAIN, CW_C_GET, CW_C_WATCH, CW_COMMANDS
};

struct cw_command_line {
	enum cw_command	 cmd;
	const char	*id;		/* GET; arena */
	bool		 flagged;	/* WATCH: only what is not allowed */
};

/* One line -> command.  CW_E_FORMAT says what was wrong. */
CW_MUST_USE enum cw_status cw_command_parse(const char *line, size_t len,
    struct cw_arena *a, struct cw_command_line *out, struct cw_err *err);

/* Everything there is to know, one line, in the arena; NULL on overflow
 * and when memory ends. */
const char *cw_report_status(struct cw_daemon *d, struct cw_arena *a);

#endif /* CW_REPORT_H */
