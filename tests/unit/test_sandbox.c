/*
 * test_sandbox.c - behind the sandbox every door is shut.
 *
 * Each attempt runs in a child of its own, which must die of SIGSYS: a call
 * that merely fails got through.  Only with a sanitizer some are answered, with
 * EPERM and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "worker/sandbox.h"

#define GOT_THROUGH	254	/* no errno has these numbers */
#define NO_SANDBOX	255

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED	true
#else
#define SANITIZED	false
#endif

static pid_t parent;	/* getppid is a forbidden call itself */

/* Each returns true when it got what it should not get, or leaves an errno. */
static bool
opens_a_file(void)
{
	return open("/etc/passwd", O_RDONLY) != -1;
}

static bool
creates_a_file(void)
{
	return open("/tmp/clipward-sandbox-test", O_CREAT | O_WRONLY,
	    0600) != -1;
}

static bool
makes_a_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) != -1;
}

static bool
connects(void)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = 80, .sin_addr = { 0x0100007f } };

	return connect(CW_CHANNEL_FD, (const struct sockaddr *)&to,
	    sizeof(to)) == 0;
}

static bool
executes(void)
{
	char *const argv[] = { (char[]){ "none" }, NULL };

	/* A program that ran would end well, and look like a shut door. */
	return execve("/no such program", argv, NULL) == 0;
}

static bool
forks(void)
{
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0) != -1;
}

static bool
starts_a_thread(void)
{
	return syscall(SYS_clone3, NULL, 0) != -1;
}

static bool
is_traced(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool
kills_its_parent(void)
{
	/* Signal 0 asks only whether it might. */
	return syscall(SYS_kill, parent, 0) == 0;
}

static bool
maps_executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool
makes_memory_executable(void)
{
	static char page[8192];
	char *p = (char *)(((uintptr_t)page + 4095) & ~(uintptr_t)4095);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool
maps_a_descriptor(void)
{
	return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, CW_CHANNEL_FD, 0) !=
	    MAP_FAILED;
}

static bool
reads_another_descriptor(void)
{
	char c;

	return read(STDERR_FILENO, &c, 1) != -1;
}

static bool
passes_a_descriptor(void)
{
	struct msghdr m = { 0 };

	return recvmsg(CW_CHANNEL_FD, &m, MSG_DONTWAIT) != -1;
}

static bool
raises_a_limit(void)
{
	const struct rlimit r = { 64, 64 };

	return setrlimit(RLIMIT_NOFILE, &r) == 0;
}

static bool
asks_for_root(void)
{
	return setuid(0) == 0;
}

static bool
runs_a_ring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) != -1;
}

static const struct attempt {
	const char	*what;
	bool		(*does)(void);
	bool		 refused;	/* by a sanitizer's list, with EPERM */
} attempts[] = {
	{ "open a file", opens_a_file, true },
	{ "create a file", creates_a_file, true },
	{ "make a socket", makes_a_socket, false },
	{ "connect", connects, false },
	{ "execve", executes, false },
	{ "fork", forks, true },
	{ "start a thread", starts_a_thread, false },
	{ "ptrace", is_traced, false },
	{ "kill", kills_its_parent, false },
	{ "mmap executable memory", maps_executable_memory, false },
	{ "mprotect to executable", makes_memory_executable, false },
	{ "mmap a descriptor", maps_a_descriptor, false },
	{ "read another descriptor", reads_another_descriptor, false },
	{ "receive a descriptor", passes_a_descriptor, false },
	{ "raise a limit", raises_a_limit, false },
	{ "become root", asks_for_root, false },
	{ "io_uring", runs_a_ring, false },
};

/* Fork, enter, do; the wait status. */
static int
behind(bool (*does)(void))
{
	int sv[2], status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    sv), 0);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		struct cw_sandbox *sb;
		struct cw_err err;
		const char *what;

		if (sv[1] != CW_CHANNEL_FD &&
		    dup2(sv[1], CW_CHANNEL_FD) == -1)
			_exit(NO_SANDBOX);
		if (cw_sandbox_prepare(CW_CHANNEL_FD, 1, &sb, &err) != CW_OK ||
		    cw_sandbox_enter(&sb, &what, &err) != CW_OK)
			_exit(NO_SANDBOX);
		errno = 0;
		_exit(does() ? GOT_THROUGH : errno);
	}
	close(sv[0]);
	close(sv[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
test_every_attempt_dies_of_it(void **state)
{
	size_t killed = 0;

	(void)state;
	parent = getpid();
	for (size_t i = 0; i < CW_COUNT(attempts); i++) {
		const struct attempt *a = &attempts[i];
		const int status = behind(a->does);
		const int said = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
			killed++;
			continue;
		}
		if (WIFSIGNALED(status))
			fail_msg("%s: signal %d, want SIGSYS", a->what,
			    WTERMSIG(status));
		if (said == NO_SANDBOX)
			fail_msg("the sandbox can't be entered");
		if (said == GOT_THROUGH)
			fail_msg("%s: got through", a->what);
		if (!SANITIZED || !a->refused || said != EPERM)
			fail_msg("%s: errno %d, want SIGSYS", a->what, said);
	}
	print_message("%zu attempts, %zu killed by SIGSYS\n",
	    CW_COUNT(attempts), killed);
}

static bool
cannot_do_its_work(void)
{
	static char buffer[1 << 20];
	struct timespec ts;
	char *large = malloc(sizeof(buffer) * 8), *more;
	void *page;

	if (large == NULL || (more = realloc(large, sizeof(buffer) * 64)) ==
	    NULL)
		return true;
	memset(more, 1, sizeof(buffer) * 64);
	free(more);
	page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return page == MAP_FAILED ||
	    madvise(page, 1 << 20, MADV_DONTNEED) == -1 ||
	    munmap(page, 1 << 20) == -1 ||
	    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == -1 ||
	    write(STDERR_FILENO, "", 0) == -1;
}

static void
test_memory_clocks_and_the_parent_remain(void **state)
{
	const int status = behind(cannot_do_its_work);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_attempt_dies_of_it),
		cmocka_unit_test(test_memory_clocks_and_the_parent_remain),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
