/*
 * failmalloc.c - LD_PRELOAD shim: memory that runs out.
 *
 * Test only.  In the program named $FAIL_PROGRAM every n-th request for memory
 * (malloc, calloc, realloc and their aligned kin, and anonymous mmap, which
 * arenas are made of) is refused, n being in the file $FAIL_FILE that test and
 * program share; 0 refuses none.  How the program ended is written there, too,
 * by the program itself, since it may be a child of the one that is tested; a
 * call that its sandbox forbids becomes a signal for that.  $FAIL_LATE: nothing
 * is refused before the program is in its sandbox.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FRAMES	24
#define TEXT	1024

struct shared {			/* allocations.py has it, too */
	volatile uint64_t every;	/* n */
	volatile uint64_t asked;	/* requests since every was set */
	volatile uint64_t refused;
	volatile uint64_t ended;	/* 1: by exit; 2: by abort; signal + 100;
					   the first that is not 1 stays */
	char		  where[TEXT];	/* of the last refusal, inside first */
	char		  died[TEXT];	/* of an abort or a signal, likewise */
};

void *seccomp_init(uint32_t action);
int seccomp_load(const void *ctx);
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static struct shared *shared;
static bool waiting;		/* until it is in its sandbox */
static __thread bool inside;	/* the shim's own requests are granted */

/* "libfoo.so.1+1f00 < clipwardd+2a0 ..." */
static void
trace(char *to)
{
	void *pc[FRAMES];
	const int n = backtrace(pc, FRAMES);
	size_t at = 0;

	for (int i = 2; i < n && at < TEXT - 64; i++) {
		Dl_info dl;
		const char *name = "?";
		uintptr_t base = 0;

		if (dladdr(pc[i], &dl) != 0 && dl.dli_fname != NULL) {
			const char *slash = strrchr(dl.dli_fname, '/');

			name = slash != NULL ? slash + 1 : dl.dli_fname;
			base = (uintptr_t)dl.dli_fbase;
		}
		at += (size_t)snprintf(to + at, TEXT - at, "%s%.40s+%lx",
		    at > 0 ? " < " : "", name,
		    (unsigned long)((uintptr_t)pc[i] - base));
	}
}

static bool
refuse(void)
{
	uint64_t every, k;

	if (shared == NULL || waiting || inside || (every = shared->every) == 0)
		return false;
	k = __atomic_add_fetch(&shared->asked, 1, __ATOMIC_RELAXED);
	if (k % every != 0)
		return false;
	inside = true;
	shared->refused++;
	trace(shared->where);
	inside = false;
	errno = ENOMEM;
	return true;
}

static void
note_end(uint64_t how)
{
	if (shared == NULL || shared->ended != 0)
		return;
	inside = true;
	shared->ended = how;
	if (how != 1)
		trace(shared->died);
}

static void
on_signal(int sig)
{
	note_end(100 + (uint64_t)sig);
	syscall(SYS_exit_group, 128 + sig);
}

__attribute__((constructor)) static void
begin(void)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
		SIGABRT, SIGSYS };
	const char *path = getenv("FAIL_FILE");
	const char *program = getenv("FAIL_PROGRAM");
	const int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *p, *warm[2];

	if (fd == -1 || program == NULL ||
	    strcmp(program, program_invocation_short_name) != 0)
		return;
	p = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	(void)backtrace(warm, 2);	/* loads what it needs now */
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		(void)signal(fatal[i], on_signal);
	waiting = getenv("FAIL_LATE") != NULL;
	shared = p;
	if (shared->ended == 1)
		shared->ended = 0;
}

/* ---- what is refused ---- */

void *
malloc(size_t n)
{
	return refuse() ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return refuse() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return refuse() ? NULL : __libc_realloc(p, n);
}

void *
memalign(size_t align, size_t n)
{
	return refuse() ? NULL : __libc_memalign(align, n);
}

void *
aligned_alloc(size_t align, size_t n)
{
	return refuse() ? NULL : __libc_memalign(align, n);
}

int
posix_memalign(void **out, size_t align, size_t n)
{
	void *p = refuse() ? NULL : __libc_memalign(align, n);

	if (p == NULL)
		return ENOMEM;
	*out = p;
	return 0;
}

void *
mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	if ((flags & MAP_ANONYMOUS) != 0 && refuse())
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, at, n, prot, flags, fd, offset);
}

/* ---- how it ends ---- */

#define KILL_PROCESS	0x80000000u	/* SCMP_ACT_KILL_PROCESS */
#define TRAP		0x00030000u	/* SCMP_ACT_TRAP */

void *
seccomp_init(uint32_t action)
{
	void *(*real)(uint32_t);

	*(void **)&real = dlsym(RTLD_NEXT, "seccomp_init");
	return real(action == KILL_PROCESS ? TRAP : action);
}

int
seccomp_load(const void *ctx)
{
	int (*real)(const void *), rc;

	*(void **)&real = dlsym(RTLD_NEXT, "seccomp_load");
	rc = real(ctx);
	waiting = false;
	return rc;
}

void
abort(void)
{
	note_end(2);
	syscall(SYS_exit_group, 134);
	__builtin_unreachable();
}

void
_exit(int code)
{
	note_end(1);
	for (;;)
		syscall(SYS_exit_group, code);
}

__attribute__((destructor)) static void
end(void)
{
	note_end(1);
}
