/*
 * status.c - see status.h.
 */
#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	enum cw_status	 st;
	const char	*name;
} names[] = {
	{ CW_OK,		"ok" },
	{ CW_E_SYSTEM,		"system" },
	{ CW_E_FORMAT,		"format" },
	{ CW_E_LIMIT,		"limit" },
	{ CW_E_CONFIG,		"config" },
	{ CW_E_MODEL,		"model" },
	{ CW_E_ABI,		"abi" },
	{ CW_E_NUMERIC,		"numeric" },
	{ CW_E_UNSUPPORTED,	"unsupported" },
	{ CW_E_NOT_FOUND,	"not_found" },
	{ CW_E_CLOSED,		"closed" },
	{ CW_E_BUSY,		"busy" },
};

const char *
cw_status_name(enum cw_status st)
{
	for (size_t i = 0; i < CW_COUNT(names); i++)
		if (names[i].st == st)
			return names[i].name;
	return "unknown";
}

static void
strip_controls(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

enum cw_status
cw_err_set(struct cw_err *err, enum cw_status st, const char *fmt, ...)
{
	va_list ap;

	if (err != NULL) {
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		strip_controls(err->text);
	}
	return st;
}

enum cw_status
cw_err_sys(struct cw_err *err, const char *fmt, ...)
{
	const int saved = errno;
	size_t n;
	va_list ap;

	if (err != NULL) {
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		n = strlen(err->text);
		snprintf(err->text + n, sizeof(err->text) - n, ": %s",
		    strerror(saved));
		strip_controls(err->text);
	}
	errno = saved;
	return CW_E_SYSTEM;
}

_Noreturn void
cw_check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "clipward: %s:%d: broken promise: %s\n", file, line,
	    what);
	abort();
}
