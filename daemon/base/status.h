/*
 * status.h - how things fail: one enum, one line of text, one assertion.
 *
 * Runs in: everywhere.  Never: logs, allocates (CW_CHECK prints and aborts).
 *
 * Whose fault decides the answer.  Ours: CW_CHECK, which stops the process
 * with file and line, always on.  Anybody else's: a negative cw_status, with
 * one line in a struct cw_err made where the facts are known.
 */
#ifndef CW_STATUS_H
#define CW_STATUS_H

#include <stdarg.h>
#include <stdint.h>

#define CW_MUST_USE	__attribute__((warn_unused_result))
#define CW_PRINTF(f, a)	__attribute__((format(printf, f, a)))

enum cw_status {
	CW_OK = 0,
	CW_E_SYSTEM = -1,	/* the machine: errno is in the text */
	CW_E_FORMAT = -2,	/* bytes from outside break their format */
	CW_E_LIMIT = -3,	/* a configured or built-in bound is exceeded */
	CW_E_CONFIG = -4,	/* the operator's file or option is wrong */
	CW_E_MODEL = -5,	/* the model directory is wrong */
	CW_E_ABI = -6,		/* a plugin was built for another daemon */
	CW_E_NUMERIC = -7,	/* NaN or infinity where a number must be */
	CW_E_UNSUPPORTED = -8,	/* well-formed, but not something we read */
	CW_E_NOT_FOUND = -9,	/* no such id, file, key */
	CW_E_CLOSED = -10,	/* the peer has closed the channel */
	CW_E_BUSY = -11,	/* full for now; try again */
};

#define CW_ERR_MAX	512	/* bytes, with the NUL */

/* One line of explanation: no final stop, no newline. */
struct cw_err {
	char	text[CW_ERR_MAX];
};

/* "ok", "system", "format" ...: static storage, also the `code` of answers. */
const char *cw_status_name(enum cw_status st);

/*
 * Fill err (which may be NULL) and return st, so that a caller can write
 * `return cw_err_set(err, CW_E_FORMAT, "...")`.  Control characters in the
 * result are replaced by '?'.
 */
enum cw_status cw_err_set(struct cw_err *err, enum cw_status st,
    const char *fmt, ...) CW_PRINTF(3, 4);

/* Same, CW_E_SYSTEM, with ": strerror(errno)" appended; errno is kept. */
enum cw_status cw_err_sys(struct cw_err *err, const char *fmt, ...)
    CW_PRINTF(2, 3);

/* A promise of our own code: print "file:line: promise" and abort. */
#define CW_CHECK(x)	do {						\
	if (__builtin_expect(!(x), 0))					\
		cw_check_failed(__FILE__, __LINE__, #x);		\
} while (0)
#define CW_CHECK_OBJ(p, m)	CW_CHECK((p) != NULL && (p)->magic == (m))

_Noreturn void cw_check_failed(const char *file, int line, const char *what);

#define CW_COUNT(a)	(sizeof(a) / sizeof((a)[0]))

#endif /* CW_STATUS_H */
