/*
 * sandbox.c - see sandbox.h.
 *
 * The list was measured: a warmed worker under strace, scoring, explaining,
 * drawing and answering texts.  Whatever is not below kills the process, so
 * a decoder that is taken over can compute, write to its parent, and die.
 */
#include "worker/sandbox.h"

#include <errno.h>
#include <linux/close_range.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"

#define SANDBOX_MAGIC	0x5a4db0c5u
#define LAST_WORDS	(64u << 10)	/* bytes, to a stderr that is a file */

struct cw_sandbox {
	uint32_t	 magic;
	int		 channel;
	scmp_filter_ctx	 filter;
};

/* ---- seccomp ---- */

#define ANY(call)	{ SCMP_SYS(call), 0, { { 0 } } }
#define FD(call, fd)	{ SCMP_SYS(call), 1, { SCMP_A0_64(SCMP_CMP_EQ, (fd)) } }
#define NOEXEC		SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)
#define ANON		SCMP_A3_64(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)

struct rule {
	int			 call;
	unsigned		 n;
	struct scmp_arg_cmp	 arg[2];
};

static const struct rule allowed[] = {
	/* the parent: frames in, frames out */
	FD(read, CW_CHANNEL_FD),
	FD(write, CW_CHANNEL_FD),
	FD(write, STDERR_FILENO),	/* last words of a failed CW_CHECK */
	/* memory: anonymous, never executable */
	ANY(brk),			/* malloc in the decoders' libraries */
	{ SCMP_SYS(mmap), 2, { NOEXEC, ANON } },
	ANY(munmap),
	ANY(mremap),			/* realloc of large blocks (giflib) */
	ANY(madvise),			/* arenas give pages back */
	/* time: a virtual machine's clock, and the CPU time a decoder spends,
	 * which the vDSO can't answer */
	ANY(clock_gettime),
	/* the end; no handler runs here, so no rt_sigreturn */
	ANY(exit_group),
};

#if defined(__SANITIZE_ADDRESS__)
/* A sanitizer's own: to end, and to print its report.  Never in a release. */
static const struct rule sanitized[] = {
	ANY(sigaltstack), ANY(getpid), ANY(gettid), ANY(futex),
	ANY(sched_yield), ANY(rt_sigprocmask), ANY(rt_sigaction),
};
/* Refused rather than fatal: without them the report has only addresses. */
static const struct rule refused[] = {
	ANY(openat), ANY(readlink), ANY(pipe2), ANY(clone), ANY(prctl),
	ANY(ioctl), ANY(open),
};
#endif

/* Only with more than one thread (workers.threads): waiting for each other. */
static const struct rule threaded[] = {
	ANY(futex),
	ANY(sched_yield),		/* OpenBLAS spins before it sleeps */
};

static enum cw_status
add_rules(scmp_filter_ctx f, uint32_t action, const struct rule *rules,
    size_t n, struct cw_err *err)
{
	for (size_t i = 0; i < n; i++) {
		const int rc = seccomp_rule_add_array(f, action,
		    rules[i].call, rules[i].n, rules[i].arg);

		if (rc < 0) {
			errno = -rc;
			return cw_err_sys(err, "seccomp rule %zu", i);
		}
	}
	return CW_OK;
}

enum cw_status
cw_sandbox_prepare(int channel, int threads, struct cw_sandbox **out,
    struct cw_err *err)
{
	struct cw_sandbox *sb = cw_zalloc(1, sizeof(*sb));
	enum cw_status st;

	CW_CHECK(channel == CW_CHANNEL_FD);
	if (sb == NULL)
		return cw_err_sys(err, "sandbox");
	sb->magic = SANDBOX_MAGIC;
	sb->channel = channel;
	sb->filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (sb->filter == NULL)
		return cw_err_set(err, CW_E_SYSTEM, "seccomp is not there");
	st = add_rules(sb->filter, SCMP_ACT_ALLOW, allowed,
	    CW_COUNT(allowed), err);
	if (st == CW_OK && threads > 1)
		st = add_rules(sb->filter, SCMP_ACT_ALLOW, threaded,
		    CW_COUNT(threaded), err);
#if defined(__SANITIZE_ADDRESS__)
	if (st == CW_OK)
		st = add_rules(sb->filter, SCMP_ACT_ALLOW, sanitized,
		    CW_COUNT(sanitized), err);
	if (st == CW_OK)
		st = add_rules(sb->filter, SCMP_ACT_ERRNO(EPERM), refused,
		    CW_COUNT(refused), err);
#endif
	/* Threads that a library has started are shut in as well. */
	if (st == CW_OK && seccomp_attr_set(sb->filter,
	    SCMP_FLTATR_CTL_TSYNC, 1) < 0)
		st = cw_err_set(err, CW_E_SYSTEM, "seccomp without TSYNC");
	if (st == CW_OK)
		*out = sb;
	return st;
}

/* ---- Landlock ---- */

/*
 * What each version of Landlock can forbid; the kernel's header may be older
 * than the kernel.  Fields that a version does not know must stay 0.
 */
struct ruleset {
	uint64_t	 fs;		/* 1: 13 rights; 2, 3, 5: one more */
	uint64_t	 net;		/* 4: bind and connect over TCP */
	uint64_t	 scoped;	/* 6: abstract sockets and signals */
};

/* Everything that this kernel can forbid, forbidden: no rule allows any. */
static bool
enter_landlock(void)
{
	struct ruleset attr = { .fs = (1u << 13) - 1 };
	int abi, fd;
	bool done;

	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return false;
	attr.fs |= (abi >= 2 ? 1u << 13 : 0) |	/* REFER */
	    (abi >= 3 ? 1u << 14 : 0) |		/* TRUNCATE */
	    (abi >= 5 ? 1u << 15 : 0);		/* IOCTL_DEV */
	attr.net = abi >= 4 ? 3 : 0;
	attr.scoped = abi >= 6 ? 3 : 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr),
	    0);
	if (fd == -1)
		return false;
	done = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
	cw_close(&fd);
	return done;
}

/* ---- limits ---- */

static enum cw_status
set_limits(struct cw_err *err)
{
	static const struct {
		int		 what;
		const char	*name;
	} zero[] = {
		{ RLIMIT_NOFILE, "NOFILE" },	/* those held stay open */
		{ RLIMIT_CORE, "CORE" },	/* a core holds users' images */
		{ RLIMIT_NPROC, "NPROC" },	/* without effect for root */
		{ RLIMIT_MSGQUEUE, "MSGQUEUE" },
	};
	const struct rlimit none = { 0, 0 };
	struct rlimit file = none;
	struct stat sb;

	/* Where stderr is a file, the last words of a CW_CHECK may go in. */
	if (fstat(STDERR_FILENO, &sb) == 0 && S_ISREG(sb.st_mode))
		file.rlim_cur = file.rlim_max =
		    (rlim_t)sb.st_size + LAST_WORDS;
	if (setrlimit(RLIMIT_FSIZE, &file) == -1)
		return cw_err_sys(err, "rlimit FSIZE");
	for (size_t i = 0; i < CW_COUNT(zero); i++)
		if (setrlimit(zero[i].what, &none) == -1)
			return cw_err_sys(err, "rlimit %s", zero[i].name);
	return CW_OK;
}

enum cw_status
cw_sandbox_enter(struct cw_sandbox **box, const char **what,
    struct cw_err *err)
{
	struct cw_sandbox *sb = *box;
	bool landlock;
	enum cw_status st;
	int rc;

	CW_CHECK_OBJ(sb, SANDBOX_MAGIC);
	*box = NULL;
	if (close_range(STDIN_FILENO, STDOUT_FILENO, 0) == -1 ||
	    close_range((unsigned)sb->channel + 1, ~0u, 0) == -1)
		return cw_err_sys(err, "close_range");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return cw_err_sys(err, "no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return cw_err_sys(err, "not dumpable");
	landlock = enter_landlock();
	if ((st = set_limits(err)) != CW_OK)
		return st;
	if ((rc = seccomp_load(sb->filter)) < 0) {
		errno = -rc;
		return cw_err_sys(err, "seccomp");
	}
	/* Not released: freeing it has its own calls, and it is small. */
	sb->magic = 0;
	*what = landlock ? "seccomp+landlock" : "seccomp";
	return CW_OK;
}
