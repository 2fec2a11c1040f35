/*
 * syslog.c - see syslog.h.  The form of a line is RFC 3164's, as glibc sends
 * it: <facility*8+level>Mmm dd hh:mm:ss program[pid]: text
 */
#include "base/syslog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"

#define FACILITY_DAEMON	3
#define REOPEN_MS	1000	/* between tries to reach a log that is gone */
#define LINE_BYTES	1280	/* CW_LOG_MAX and what stands before it */

static struct {
	const char	*path, *program;
	int		 fd;
	uint64_t	 tried_ms;
	unsigned long	 dropped;
} sl = { CW_SYSLOG_PATH, "clipward", -1, 0, 0 };

static int
reach(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const uint64_t now = cw_now_ms();

	if (sl.fd >= 0)
		return 0;
	if (sl.tried_ms != 0 && now - sl.tried_ms < REOPEN_MS)
		return -1;
	sl.tried_ms = now;
	if (strlen(sl.path) >= sizeof(sun.sun_path))
		return -1;
	memcpy(sun.sun_path, sl.path, strlen(sl.path));
	sl.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sl.fd == -1)
		return -1;
	if (connect(sl.fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return 0;
	cw_close(&sl.fd);
	return -1;
}

void
cw_syslog_open(const char *path, const char *program)
{
	cw_syslog_close();
	sl.path = path;
	sl.program = program;
	sl.tried_ms = 0;
	(void)reach();
}

void
cw_syslog_close(void)
{
	cw_close(&sl.fd);
}

static int
put(int level, const char *line)
{
	char buf[LINE_BYTES], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	n = snprintf(buf, sizeof(buf), "<%d>%s %s[%ld]: %s",
	    FACILITY_DAEMON * 8 + level, when, sl.program, (long)getpid(),
	    line);
	if (n >= (int)sizeof(buf))
		n = sizeof(buf) - 1;
	/* Twice, for a log daemon that was restarted. */
	for (int i = 0; i < 2 && reach() == 0; i++) {
		if (send(sl.fd, buf, (size_t)n, MSG_DONTWAIT |
		    MSG_NOSIGNAL) != -1)
			return 0;
		if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
			return -1;
		cw_close(&sl.fd);
		if (i == 0)
			sl.tried_ms = 0;
	}
	return -1;
}

int
cw_syslog_send(int level, const char *line)
{
	char note[64];

	if (sl.dropped > 0) {
		snprintf(note, sizeof(note), "log dropped=%lu", sl.dropped);
		if (put(4, note) == 0)
			sl.dropped = 0;
	}
	if (put(level, line) == 0)
		return 0;
	sl.dropped++;
	return -1;
}
