/*
 * log.c - see log.h.
 */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/syslog.h"

static struct {
	const char	*program;
	enum cw_log_to	 to;
	enum cw_level	 most;
	cw_log_hook_fn	*hook;
	void		*payload;
	char		 last[CW_LOG_MAX];
	enum cw_level	 last_level;
	unsigned	 repeats;
} lg = { "clipward", CW_LOG_STDERR, CW_LOG_INFO, NULL, NULL, "", 0, 0 };

static const char *const level_names[] = {
	[CW_LOG_ERR] = "err",
	[CW_LOG_WARNING] = "warning",
	[CW_LOG_NOTICE] = "notice",
	[CW_LOG_INFO] = "info",
	[CW_LOG_DEBUG] = "debug",
};

const char *
cw_level_name(enum cw_level level)
{
	return level >= CW_LOG_ERR && level <= CW_LOG_DEBUG ?
	    level_names[level] : "unknown";
}

void
cw_log_open(const char *program, enum cw_log_to to, enum cw_level most)
{
	lg.program = program;
	lg.to = to;
	lg.most = most;
	tzset();
	if (to == CW_LOG_SYSLOG)
		cw_syslog_open(CW_SYSLOG_PATH, program);
}

void
cw_log_hook(cw_log_hook_fn *fn, void *payload)
{
	lg.hook = fn;
	lg.payload = payload;
}

static void
emit(enum cw_level level, const char *line)
{
	struct timespec ts;
	struct tm tm;
	char when[32];

	if (lg.hook != NULL) {
		lg.hook(lg.payload, level, line);
		return;
	}
	if (lg.to == CW_LOG_SYSLOG) {
		(void)cw_syslog_send((int)level, line);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	fprintf(stderr, "%s.%03ld %s %s: %s\n", when, ts.tv_nsec / 1000000,
	    lg.program, cw_level_name(level), line);
}

struct cw_quoted
cw_quote(const char *s)
{
	struct cw_quoted q;
	size_t n = 0;

	q.text[n++] = '"';
	/* Room for two, the last quote and the NUL. */
	for (; *s != '\0' && n + 4 <= sizeof(q.text); s++) {
		if (*s == '"' || *s == '\\')
			q.text[n++] = '\\';
		q.text[n++] = *s;
	}
	q.text[n++] = '"';
	q.text[n] = '\0';
	return q;
}

void
cw_log_flush(void)
{
	char line[CW_LOG_MAX + 32];

	if (lg.repeats == 0)
		return;
	snprintf(line, sizeof(line), "%.*s ... (%u more)", CW_LOG_MAX - 1,
	    lg.last, lg.repeats);
	lg.repeats = 0;
	emit(lg.last_level, line);
}

void
cw_log(enum cw_level level, const char *fmt, ...)
{
	const int saved = errno;
	char line[CW_LOG_MAX];
	va_list ap;

	if (level > lg.most)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	if (level == lg.last_level && strcmp(line, lg.last) == 0) {
		lg.repeats++;
		errno = saved;
		return;
	}
	cw_log_flush();
	memcpy(lg.last, line, sizeof(line));
	lg.last_level = level;
	emit(level, line);
	errno = saved;
}
