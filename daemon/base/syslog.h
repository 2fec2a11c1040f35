/*
 * syslog.h - lines to the system's log, never waiting for it.
 *
 * Runs in: everywhere.
 *
 * syslog(3) sends on a blocking socket: a log daemon that hangs would stop
 * the loop that serves everybody.  Here a line that does not go at once is
 * dropped and counted, and the count is sent when the log takes lines again.
 */
#ifndef CW_SYSLOG_H
#define CW_SYSLOG_H

#define CW_SYSLOG_PATH	"/dev/log"

/* program is borrowed for good.  The socket is opened now if it can be. */
void cw_syslog_open(const char *path, const char *program);
/* level is syslog's number, 0 to 7.  Nonzero when the line was dropped. */
int cw_syslog_send(int level, const char *line);
void cw_syslog_close(void);

#endif /* CW_SYSLOG_H */
