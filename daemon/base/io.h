/*
 * io.h - descriptors and clocks.
 *
 * Runs in: everywhere.  Never: logs.
 *
 * Every descriptor made here is O_CLOEXEC.  io.c has the project's only
 * dup2: a child gets stdin, stdout, stderr, its channel at 3 and nothing else.
 */
#ifndef CW_IO_H
#define CW_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/status.h"

#define CW_CHANNEL_FD	3	/* a child's stream socket to its parent */

/*
 * First thing in main: a standard descriptor that is closed becomes
 * /dev/null, opened the wrong way round so that using it is still an error,
 * and no file or socket of ours is taken for it.
 */
void cw_hold_standard(void);

/* Close *fd if it is >= 0 and set it to -1; errno is kept. */
void cw_close(int *fd);

/*
 * Read or write exactly len bytes, through interruptions and short counts.
 * Read: CW_E_CLOSED at end of file before the first byte, CW_E_FORMAT after.
 */
CW_MUST_USE enum cw_status cw_read_full(int fd, void *buf, size_t len,
    struct cw_err *err);
CW_MUST_USE enum cw_status cw_write_full(int fd, const void *buf, size_t len,
    struct cw_err *err);

/*
 * Whole file, relative to dirfd (AT_FDCWD), NUL-terminated into the arena.
 * CW_E_LIMIT when it is longer than max bytes, CW_E_NOT_FOUND when absent.
 */
CW_MUST_USE enum cw_status cw_read_file(int dirfd, const char *path,
    size_t max, struct cw_arena *a, char **out, size_t *len,
    struct cw_err *err);

/*
 * Start `argv[0]` with a stream socket at CW_CHANNEL_FD, the given
 * environment additions ("NAME=value", NULL-terminated list, may be NULL),
 * every other descriptor above 2 closed, signals at their defaults and
 * SIGKILL on the parent's death.  *channel (owned) is the parent's end.
 */
CW_MUST_USE enum cw_status cw_spawn(char *const argv[], char *const env[],
    pid_t *pid, int *channel, struct cw_err *err);

/*
 * Path of a part of ours, "clipward-worker" or "plugins/png.so": beside the
 * running program (a build tree), in its ../libexec/clipward (installed
 * under any prefix), else in the directory this was built for, where it need
 * not exist.  arena; NULL when that overflows.
 */
const char *cw_find_part(const char *name, struct cw_arena *a);

/* The same for a program that must be there: CW_E_NOT_FOUND says where not. */
CW_MUST_USE enum cw_status cw_find_program(const char *name,
    struct cw_arena *a, const char **out, struct cw_err *err);

/* Monotonic time, never goes back when the clock is set. */
uint64_t cw_now_us(void);
uint64_t cw_now_ms(void);
/* CPU time that this process has spent. */
uint64_t cw_cpu_us(void);
/* Wall clock, microseconds since the epoch. */
int64_t cw_wall_us(void);
/* "2026-11-23T20:30:00.123Z"; buf of at least CW_RFC3339_MAX bytes. */
#define CW_RFC3339_MAX	32
void cw_rfc3339(int64_t wall_us, char *buf);

#endif /* CW_IO_H */
