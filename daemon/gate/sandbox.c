/*
 * sandbox.c - see sandbox.h.
 *
 * The list was measured with strace over a busy gate (clients coming and
 * going, CURVE, restarts of peers, the end) and is meant to be read: one call
 * a line, what needs it beside it.  Everything else kills the process, so
 * that a broken-into gate ends at its first step; the supervisor starts
 * another one.
 */
#include "gate/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MS	2000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED	true	/* its reports may go to a file */
#else
#define SANITIZED	false
#endif

static const struct {
	int		 call;
	const char	*why;
} always[] = {
	/* sockets that exist, and those they accept */
	{ SCMP_SYS(accept4),	"a peer comes" },
	{ SCMP_SYS(recvfrom),	"its bytes" },
	{ SCMP_SYS(sendto),	"our answers" },
	{ SCMP_SYS(setsockopt),	"keep-alive, no delay on an accepted one" },
	{ SCMP_SYS(getsockopt),	"did a connection fail" },
	{ SCMP_SYS(getsockname), "endpoint of a connection" },
	{ SCMP_SYS(getpeername), "address for the ZAP request" },
	{ SCMP_SYS(close),	"a peer goes" },
	{ SCMP_SYS(shutdown),	"a subscriber is shown out" },
	/* waiting */
	{ SCMP_SYS(epoll_wait),	"the I/O and reaper threads" },
	{ SCMP_SYS(epoll_ctl),	"they add and remove peers" },
	{ SCMP_SYS(poll),	"the main loop, and mailboxes" },
	{ SCMP_SYS(futex),	"locks between the threads" },
	{ SCMP_SYS(restart_syscall), "after a stop and go on" },
	{ SCMP_SYS(sched_yield), "the library's back-off" },
	{ SCMP_SYS(clock_gettime), "where the vdso can't" },
	{ SCMP_SYS(gettimeofday), "likewise" },
	/* the channel and eventfds */
	{ SCMP_SYS(read),	"frames from the supervisor, wake-ups" },
	{ SCMP_SYS(write),	"frames to it, wake-ups" },
	{ SCMP_SYS(writev),	"libc's last words before an abort" },
	{ SCMP_SYS(pread64),	"our own size, from a file open before" },
	{ SCMP_SYS(getpid),	"the library asks whether it was forked" },
	/* memory */
	{ SCMP_SYS(brk),	"malloc" },
	{ SCMP_SYS(munmap),	"large messages go back" },
	{ SCMP_SYS(mremap),	"realloc of the same" },
	{ SCMP_SYS(mlock),	"libsodium keeps keys out of swap" },
	{ SCMP_SYS(munlock),	"likewise" },
	{ SCMP_SYS(madvise),	"arenas give pages back" },
	/* randomness */
	{ SCMP_SYS(getrandom),	"job ids, CURVE nonces" },
	/* the end */
	{ SCMP_SYS(rt_sigprocmask), "a thread ends, abort" },
	{ SCMP_SYS(rt_sigreturn), "the same" },
	{ SCMP_SYS(rt_sigaction), "abort" },
	{ SCMP_SYS(gettid),	"abort" },
	{ SCMP_SYS(tgkill),	"abort" },
	{ SCMP_SYS(exit),	"a thread ends" },
	{ SCMP_SYS(exit_group),	"the gate ends" },
};

/* Refused without a word: libc and the library ask, and do without. */
static const struct {
	int		 call;
	int		 error;
	const char	*why;
} refused[] = {
	{ SCMP_SYS(unlink),	EACCES,	"ipc:// files at the end; the next "
	    "gate replaces them" },
	{ SCMP_SYS(rmdir),	EACCES,	"likewise" },
	{ SCMP_SYS(openat),	EACCES,	"malloc asks /proc about overcommitting "
	    "when it first shrinks a thread's heap" },
	{ SCMP_SYS(ioctl),	ENOTTY,	"stdio asks whether it is a terminal" },
	{ SCMP_SYS(newfstatat),	EACCES,	"stdio asks for a block size" },
};

static int
allow_memory(scmp_filter_ctx ctx)
{
	int r;

	/* No page is ever both written and run, and no file is mapped. */
	r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
	    SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
	return r != 0 ? r : seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
	    SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int
allow_fcntl(scmp_filter_ctx ctx)
{
	static const int commands[] = { F_GETFL, F_SETFL, F_GETFD, F_SETFD };
	int r = 0;

	for (size_t i = 0; i < CW_COUNT(commands) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
		    SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
	return r;
}

/* A ventilator that comes back is connected to again. */
static int
allow_connect(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);

	for (size_t i = 0; i < CW_COUNT(families) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
		    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]),
		    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
	return r;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static int
allow_sanitizer(scmp_filter_ctx ctx)
{
	static const int calls[] = { SCMP_SYS(openat), SCMP_SYS(readlink),
	    SCMP_SYS(sigaltstack), SCMP_SYS(mmap), SCMP_SYS(mprotect),
	    SCMP_SYS(sched_getaffinity), SCMP_SYS(prctl), SCMP_SYS(fstat) };
	int r = 0;

	for (size_t i = 0; i < CW_COUNT(calls) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}
#else
static int
allow_sanitizer(scmp_filter_ctx ctx)
{
	(void)ctx;
	return 0;
}
#endif

static enum cw_status
enter_filter(bool connects, struct cw_err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (ctx == NULL)
		return cw_err_set(err, CW_E_SYSTEM, "seccomp: no memory");
	/* The library's threads run already: the list is for them too. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < CW_COUNT(always) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, always[i].call, 0);
	for (size_t i = 0; i < CW_COUNT(refused) && r == 0; i++)
		r = seccomp_rule_add(ctx,
		    SCMP_ACT_ERRNO((uint32_t)refused[i].error),
		    refused[i].call, 0);
	if (r == 0)
		r = allow_memory(ctx);
	if (r == 0)
		r = allow_fcntl(ctx);
	if (r == 0 && connects)
		r = allow_connect(ctx);
	if (r == 0)
		r = allow_sanitizer(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r == 0 ? CW_OK :
	    cw_err_set(err, CW_E_SYSTEM, "seccomp: %s", strerror(-r));
}

/* Has the thread of /proc/self/task/ID a name other than the process's? */
static bool
thread_named(const char *id)
{
	char path[64], name[32] = "", mine[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", id);
	f = fopen(path, "re");
	if (f == NULL)
		return true;	/* it has ended */
	if (fgets(name, sizeof(name), f) == NULL)
		name[0] = '\0';
	fclose(f);
	if (prctl(PR_GET_NAME, mine) == -1 || name[0] == '\0')
		return false;
	return strncmp(name, mine, strlen(mine)) != 0;
}

/*
 * Wait until the library's threads run.  A thread's first calls (rseq,
 * priority, name) are not on the list, and giving itself a name is the last.
 */
static enum cw_status
wait_for_threads(struct cw_err *err)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	const int self = (int)getpid();

	for (int i = 0; i < THREADS_MS; i++) {
		DIR *d = opendir("/proc/self/task");
		bool all = d != NULL;
		struct dirent *e;

		while (d != NULL && (e = readdir(d)) != NULL)
			if (e->d_name[0] != '.' && atoi(e->d_name) != self &&
			    !thread_named(e->d_name))
				all = false;
		if (d != NULL)
			closedir(d);
		if (all)
			return CW_OK;
		(void)nanosleep(&pause, NULL);
	}
	return cw_err_set(err, CW_E_SYSTEM, "the library's threads did not "
	    "start in %d ms", THREADS_MS);
}

static bool
limit(int what, rlim_t value)
{
	const struct rlimit rl = { value, value };

	return setrlimit(what, &rl) == 0;
}

enum cw_status
cw_gate_sandbox(bool connects, struct cw_err *err)
{
	enum cw_status st;

	if ((st = wait_for_threads(err)) != CW_OK)
		return st;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return cw_err_sys(err, "prctl");
	if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_NPROC, 0))
		return cw_err_sys(err, "setrlimit");
	if (!SANITIZED && !limit(RLIMIT_FSIZE, 0))
		return cw_err_sys(err, "setrlimit");
	return enter_filter(connects, err);
}
