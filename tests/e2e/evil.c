/*
 * evil.c - a decoder plugin that does what a taken-over decoder would try.
 *
 * Test only.  An image "EVIL:WORD ARGUMENT" makes the worker that decodes it
 * try WORD.  What the sandbox lets pass comes back as the message of an
 * error verdict that begins with SURVIVED.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugins/clipward_plugin.h"

#define CHANNEL	3

static long
try_open(long arg)
{
	(void)arg;
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static long
try_create(long arg)
{
	(void)arg;
	return syscall(SYS_openat, AT_FDCWD, "/tmp/evil", O_CREAT | O_WRONLY,
	    0600);
}

static long
try_socket(long arg)
{
	(void)arg;
	return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static long
try_connect(long arg)
{
	const struct sockaddr sa = { .sa_family = AF_INET };

	(void)arg;
	return syscall(SYS_connect, CHANNEL, &sa, sizeof(sa));
}

static long
try_execve(long arg)
{
	char *const argv[] = { (char *)"none", NULL };

	/* Where one ran, its end would look like that of a killed worker. */
	(void)arg;
	return syscall(SYS_execve, "/no such program", argv, NULL);
}

static long
try_fork(long arg)
{
	(void)arg;
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long
try_ptrace(long arg)
{
	return syscall(SYS_ptrace, PTRACE_ATTACH, arg, 0, 0);
}

static long
try_kill(long arg)
{
	return syscall(SYS_kill, arg, SIGKILL);
}

static long
try_mmap_exec(long arg)
{
	(void)arg;
	return syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long
try_mprotect_exec(long arg)
{
	static char page[8192];

	(void)arg;
	return syscall(SYS_mprotect, ((unsigned long)page + 4095) & ~4095UL,
	    4096, PROT_READ | PROT_EXEC);
}

static long
try_dumpable(long arg)
{
	(void)arg;
	return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long
try_vm_read(long arg)
{
	return syscall(SYS_process_vm_readv, arg, 0, 0, 0, 0, 0);
}

/* ---- not forbidden, but not nice ---- */

static long
try_crash(long arg)
{
	volatile int *p = (volatile int *)arg;

	*p = 1;
	return 0;
}

static long
try_spin(long arg)
{
	for (volatile long n = arg; ; n++)
		;
	return 0;
}

static long
try_memory(long arg)
{
	for (long i = 0; i < arg; i++) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			abort();
		memset(p, 1, 1 << 20);
	}
	return 0;
}

/* ---- lies to the parent ---- */

struct head {
	char		 magic[4];
	uint16_t	 type, flags;
	uint64_t	 id;
	uint32_t	 len;
} __attribute__((packed));

static void
lie(uint16_t type, uint64_t id, uint32_t len, const void *body, size_t n)
{
	struct head h = { "CWF1", type, 0, id, len };

	memcpy(h.magic, "CWF1", 4);
	if (write(CHANNEL, &h, sizeof(h)) == -1 ||
	    (n > 0 && write(CHANNEL, body, n) == -1))
		abort();
}

static long
try_noise(long arg)
{
	unsigned char b[4096];
	unsigned x = (unsigned)arg;

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (unsigned char)((x = x * 1103515245u + 12345u) >> 16);
	return write(CHANNEL, b, sizeof(b));
}

/* A result for everybody's job but its own. */
static long
try_wrong_id(long arg)
{
	static const unsigned char zeros[4096];

	for (uint64_t id = 0; id < 2000; id += 1)
		lie(18, (uint64_t)arg + id, sizeof(zeros), zeros,
		    sizeof(zeros));
	return 0;
}

static long
try_huge(long arg)
{
	lie(18, (uint64_t)arg, 0xfffffff0u, "x", 1);
	return 0;
}

static long
try_wrong_type(long arg)
{
	lie(50, (uint64_t)arg, 0, "", 0);	/* a gate's request */
	return 0;
}

static long
try_log_flood(long arg)
{
	unsigned char b[1029] = { 3, 0, 4, 0, 0 };	/* err, 1024 bytes */

	memset(b + 5, 'A', 1024);
	b[20] = '\n';
	b[30] = '\033';
	for (long i = 0; i < arg; i++) {
		/* Each another one: repeated lines are folded by the log. */
		b[40] = (unsigned char)('a' + i % 26);
		lie(32, 0, sizeof(b), b, sizeof(b));
	}
	return 0;
}

static const struct {
	const char	*word;
	long		(*run)(long arg);
} tricks[] = {
	{ "open", try_open },
	{ "create", try_create },
	{ "socket", try_socket },
	{ "connect", try_connect },
	{ "execve", try_execve },
	{ "fork", try_fork },
	{ "ptrace", try_ptrace },
	{ "kill", try_kill },
	{ "mmap-exec", try_mmap_exec },
	{ "mprotect-exec", try_mprotect_exec },
	{ "dumpable", try_dumpable },
	{ "vm-read", try_vm_read },
	{ "crash", try_crash },
	{ "spin", try_spin },
	{ "memory", try_memory },
	{ "noise", try_noise },
	{ "wrong-id", try_wrong_id },
	{ "huge", try_huge },
	{ "wrong-type", try_wrong_type },
	{ "log-flood", try_log_flood },
};

static int
evil_open(const struct cw_host *host, const char *options, void **self)
{
	(void)host;
	(void)options;
	*self = NULL;
	return 0;
}

static void
evil_close(void *self)
{
	(void)self;
}

static int
evil_probe(const uint8_t *bytes, size_t n)
{
	return n >= 5 && memcmp(bytes, "EVIL:", 5) == 0;
}

static int
evil_decode(void *self, const struct cw_decode_in *in,
    struct cw_decode_out *out)
{
	char line[128], word[64];
	size_t n = in->n < sizeof(line) - 1 ? in->n : sizeof(line) - 1;
	long arg = 0, r;

	(void)self;
	memcpy(line, in->bytes, n);
	line[n] = '\0';
	if (sscanf(line + 5, "%63s %ld", word, &arg) < 1)
		return CW_DECODE_CORRUPT;
	for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++)
		if (strcmp(tricks[i].word, word) == 0) {
			r = tricks[i].run(arg);
			snprintf(out->message, sizeof(out->message),
			    "SURVIVED %s: %ld", word, r);
			return CW_DECODE_CORRUPT;
		}
	snprintf(out->message, sizeof(out->message), "no trick %s", word);
	return CW_DECODE_UNSUPPORTED;
}

extern CW_PLUGIN_EXPORT const struct cw_plugin_decoder clipward_plugin;
const struct cw_plugin_decoder clipward_plugin = {
	.head = {
		CW_PLUGIN_HEAD(struct cw_plugin_decoder, CW_PLUGIN_DECODER),
		.name = "evil",
		.version = "1",
		.open = evil_open,
		.close = evil_close,
	},
	.probe = evil_probe,
	.decode = evil_decode,
};
