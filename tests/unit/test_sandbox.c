/*
 * test_sandbox.c - behind the sandbox every door is shut.
 *
 * Each attempt runs in a child of its own, which must die of SIGSYS or see
 * its call fail.  A child that gets through says so with its exit status.
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

#define GOT_THROUGH	42
#define NO_SANDBOX	43

/* Each returns true when it got what it should not get. */
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
	char *const argv[] = { (char[]){ "true" }, NULL };

	return execve("/bin/true", argv, NULL) == 0;
}

static bool
forks(void)
{
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0) != -1;
}

static bool
starts_a_thread(void)
{
	return syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS;
}

static bool
traces_its_parent(void)
{
	return ptrace(PTRACE_ATTACH, 1, NULL, NULL) == 0;
}

static bool
kills_its_parent(void)
{
	/* Signal 0 asks only whether it might. */
	return syscall(SYS_kill, 1, 0) == 0;
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
} attempts[] = {
	{ "open a file", opens_a_file },
	{ "create a file", creates_a_file },
	{ "make a socket", makes_a_socket },
	{ "connect", connects },
	{ "execve", executes },
	{ "fork", forks },
	{ "start a thread", starts_a_thread },
	{ "ptrace", traces_its_parent },
	{ "kill", kills_its_parent },
	{ "mmap executable memory", maps_executable_memory },
	{ "mprotect to executable", makes_memory_executable },
	{ "mmap a descriptor", maps_a_descriptor },
	{ "read another descriptor", reads_another_descriptor },
	{ "receive a descriptor", passes_a_descriptor },
	{ "raise a limit", raises_a_limit },
	{ "become root", asks_for_root },
	{ "io_uring", runs_a_ring },
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
		_exit(does() ? GOT_THROUGH : 0);
	}
	close(sv[0]);
	close(sv[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
test_every_attempt_dies_or_fails(void **state)
{
	size_t killed = 0;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(attempts); i++) {
		const int status = behind(attempts[i].does);

		if (WIFEXITED(status) && WEXITSTATUS(status) == NO_SANDBOX)
			fail_msg("the sandbox can't be entered");
		if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
			fail_msg("%s: got through", attempts[i].what);
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGSYS)
			fail_msg("%s: signal %d, want SIGSYS",
			    attempts[i].what, WTERMSIG(status));
		killed += WIFSIGNALED(status);
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
		cmocka_unit_test(test_every_attempt_dies_or_fails),
		cmocka_unit_test(test_memory_clocks_and_the_parent_remain),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
