/*
 * log.h - one event, one line.
 *
 * Runs in: everywhere; only mains, the supervisor's pool, control and signal
 * code, and the gate's loop call it.
 *
 * Lines are `event key=value ...`.  Levels mean an action: err a person must
 * act; warning may have to; notice state changed; info one line per verdict;
 * debug one per stage.  A line equal to the one before it is counted, and
 * the count printed when another comes.  A child process does not log: it
 * sends lines up its channel (cw_log_hook), and its parent bounds, strips
 * and tags them.
 */
#ifndef CW_LOG_H
#define CW_LOG_H

#include <stddef.h>

#include "base/status.h"

#define CW_LOG_MAX	1024	/* bytes of a line, with the NUL */
#define CW_QUOTED_MAX	640	/* ... of a value in quotes */

enum cw_level {			/* the numbers are syslog's */
	CW_LOG_ERR = 3,
	CW_LOG_WARNING = 4,
	CW_LOG_NOTICE = 5,
	CW_LOG_INFO = 6,
	CW_LOG_DEBUG = 7,
};

enum cw_log_to { CW_LOG_STDERR, CW_LOG_SYSLOG };

typedef void cw_log_hook_fn(void *payload, enum cw_level level,
    const char *line);

/* Open the log now, so that it works after any sandbox; see syslog.h. */
void cw_log_open(const char *program, enum cw_log_to to, enum cw_level most);
/* Send lines to fn instead; NULL ends that. */
void cw_log_hook(cw_log_hook_fn *fn, void *payload);
void cw_log(enum cw_level level, const char *fmt, ...) CW_PRINTF(2, 3);
/*
 * Text as the value of a key: in quotes, with " and \ behind a \, its end cut
 * off if need be.  Valid for the call that it is an argument of.
 */
struct cw_quoted {
	char	text[CW_QUOTED_MAX];
};
struct cw_quoted cw_quote(const char *s);
/* Print a pending "... (N more)" line. */
void cw_log_flush(void);

/* "err" ... "debug" */
const char *cw_level_name(enum cw_level level);

#endif /* CW_LOG_H */
