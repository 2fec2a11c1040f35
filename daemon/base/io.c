/*
 * io.c - see io.h.
 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#ifndef CW_LIBEXECDIR
#define CW_LIBEXECDIR	"/usr/local/libexec/clipward"
#endif

extern char **environ;

void
cw_hold_standard(void)
{
	/* The lowest that is free is what open gives. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 && open("/dev/null",
		    fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(EX_OSERR);
}

void
cw_close(int *fd)
{
	const int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

enum cw_status
cw_read_full(int fd, void *buf, size_t len, struct cw_err *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return cw_err_sys(err, "read");
		if (n == 0)
			return done == 0 ?
			    cw_err_set(err, CW_E_CLOSED, "end of input") :
			    cw_err_set(err, CW_E_FORMAT,
			    "input ends after %zu of %zu bytes", done, len);
		done += (size_t)n;
	}
	return CW_OK;
}

enum cw_status
cw_write_full(int fd, const void *buf, size_t len, struct cw_err *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, (const char *)buf + done, len - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EPIPE)
			return cw_err_set(err, CW_E_CLOSED, "peer has gone");
		if (n == -1)
			return cw_err_sys(err, "write");
		done += (size_t)n;
	}
	return CW_OK;
}

enum cw_status
cw_read_file(int dirfd, const char *path, size_t max, struct cw_arena *a,
    char **out, size_t *len, struct cw_err *err)
{
	enum cw_status st = CW_OK;
	struct stat sb;
	char *buf;
	int fd;

	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 && errno == ENOENT)
		return cw_err_set(err, CW_E_NOT_FOUND, "%s: no such file",
		    path);
	if (fd == -1)
		return cw_err_sys(err, "%s", path);
	if (fstat(fd, &sb) == -1) {
		st = cw_err_sys(err, "%s", path);
		goto undo;
	}
	if (!S_ISREG(sb.st_mode)) {
		st = cw_err_set(err, CW_E_FORMAT, "%s: not a regular file",
		    path);
		goto undo;
	}
	if ((uintmax_t)sb.st_size > max) {
		st = cw_err_set(err, CW_E_LIMIT,
		    "%s: %jd bytes; want at most %zu", path,
		    (intmax_t)sb.st_size, max);
		goto undo;
	}
	buf = cw_arena_alloc(a, (size_t)sb.st_size + 1);
	if (buf == NULL) {
		st = cw_err_set(err, CW_E_LIMIT, "%s: no room for %jd bytes",
		    path, (intmax_t)sb.st_size);
		goto undo;
	}
	if (sb.st_size > 0)
		st = cw_read_full(fd, buf, (size_t)sb.st_size, err);
	buf[sb.st_size] = '\0';
	if (st == CW_OK) {
		*out = buf;
		*len = (size_t)sb.st_size;
	}
undo:
	cw_close(&fd);
	return st;
}

/* In the child, between fork and exec: async-signal-safe calls only. */
static void
become(char *const argv[], char **envp, int channel)
{
	sigset_t none;

	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			(void)signal(s, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		_exit(127);
	if (channel == CW_CHANNEL_FD) {
		if (fcntl(channel, F_SETFD, 0) == -1)
			_exit(127);
	} else if (dup2(channel, CW_CHANNEL_FD) == -1)
		_exit(127);
	if (close_range(CW_CHANNEL_FD + 1, ~0u, 0) == -1)
		_exit(127);
	execve(argv[0], argv, envp);
	_exit(127);
}

/* environ with the additions in front, so that they win in getenv(). */
static char **
merged_environ(char *const env[])
{
	size_t n = 0, m = 0;
	char **all;

	while (env != NULL && env[m] != NULL)
		m++;
	while (environ[n] != NULL)
		n++;
	all = calloc(n + m + 1, sizeof(*all));
	if (all == NULL)
		return NULL;
	for (size_t i = 0; i < m; i++)
		all[i] = env[i];
	for (size_t i = 0; i < n; i++)
		all[m + i] = environ[i];
	return all;
}

enum cw_status
cw_spawn(char *const argv[], char *const env[], pid_t *pid, int *channel,
    struct cw_err *err)
{
	char **envp;
	int sv[2];
	pid_t p;

	if (access(argv[0], X_OK) == -1)
		return cw_err_sys(err, "%s", argv[0]);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return cw_err_sys(err, "socketpair");
	envp = merged_environ(env);
	p = envp == NULL ? -1 : fork();
	if (p == 0)
		become(argv, envp, sv[1]);
	free(envp);
	cw_close(&sv[1]);
	if (p == -1) {
		enum cw_status st = cw_err_sys(err, "fork");

		cw_close(&sv[0]);
		return st;
	}
	*pid = p;
	*channel = sv[0];
	return CW_OK;
}

/* Where the running program lies, without the last slash. */
static bool
own_directory(char dir[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
	char *slash;

	if (n == -1)
		return false;
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	CW_CHECK(slash != NULL);
	*slash = '\0';
	return true;
}

const char *
cw_find_part(const char *name, struct cw_arena *a)
{
	static const char *const where[] = { "", "/../libexec/clipward" };
	char dir[PATH_MAX];
	const char *path;

	for (size_t i = 0; i < CW_COUNT(where) && own_directory(dir); i++) {
		path = cw_arena_printf(a, "%s%s/%s", dir, where[i], name);
		if (path != NULL && access(path, F_OK) == 0)
			return path;
	}
	return cw_arena_printf(a, "%s/%s", CW_LIBEXECDIR, name);
}

enum cw_status
cw_find_program(const char *name, struct cw_arena *a, const char **out,
    struct cw_err *err)
{
	const char *path = cw_find_part(name, a);

	if (path == NULL)
		return cw_err_set(err, CW_E_LIMIT, "%s: path too long", name);
	if (access(path, X_OK) == -1)
		return cw_err_set(err, CW_E_NOT_FOUND, "%s: not beside this "
		    "program, nor in its ../libexec/clipward, nor in %s",
		    name, CW_LIBEXECDIR);
	*out = path;
	return CW_OK;
}

uint64_t
cw_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t
cw_now_ms(void)
{
	return cw_now_us() / 1000u;
}

uint64_t
cw_cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

int64_t
cw_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void
cw_rfc3339(int64_t wall_us, char *buf)
{
	const time_t sec = (time_t)(wall_us / 1000000);
	struct tm tm;
	char day[24];

	gmtime_r(&sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, CW_RFC3339_MAX, "%s.%03dZ", day,
	    (int)(wall_us / 1000 % 1000));
}
