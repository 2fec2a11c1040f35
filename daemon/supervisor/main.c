/*
 * main.c - clipwardd: options, configuration, detaching, and the supervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "conf/config.h"
#include "supervisor/check.h"
#include "supervisor/supervisor.h"

#define EXIT_USAGE	64
#define EXIT_OSERR	71
#define ARENA_BYTES	(64u << 20)	/* process lifetime */
#define DESCRIPTORS	4096

struct options {
	bool		 foreground, check, verbose;
	const char	*file;
};

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: clipwardd [-dnvV] [-f config.yaml]\n");
	exit(EXIT_USAGE);
}

static void
parse_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "df:nvV")) != -1)
		switch (c) {
		case 'd':
			o->foreground = true;
			break;
		case 'f':
			o->file = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'V':
			printf("clipwardd %s\n", CW_VERSION);
			exit(0);
		default:
			usage();
		}
	if (optind != argc)
		usage();
}

/* TREE/build/clipwardd has TREE/config.yaml; installed, there is a fixed place. */
static const char *
default_file(struct cw_arena *a)
{
	static const char installed[] = CW_SYSCONFDIR "/clipward/config.yaml";
	char self[PATH_MAX];
	const char *file;
	ssize_t n;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		file = cw_arena_printf(a, "%s/config.yaml",
		    dirname(dirname(self)));
		if (file != NULL && access(file, R_OK) == 0)
			return file;
	}
	return installed;
}

static enum cw_status
read_config(const struct options *o, struct cw_arena *a,
    struct cw_config *cfg, struct cw_err *err)
{
	const char *file = o->file != NULL ? o->file : default_file(a);

	if (o->file == NULL && access(file, F_OK) == -1)
		return cw_config_defaults(".", a, cfg, err);
	return cw_config_read(file, a, cfg, err);
}

static void
prepare_process(void)
{
	struct rlimit rl;

	(void)signal(SIGPIPE, SIG_IGN);
	/* Whole images come and go: give their memory back at once. */
	(void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < DESCRIPTORS) {
		rl.rlim_cur = rl.rlim_max < DESCRIPTORS ? rl.rlim_max :
		    DESCRIPTORS;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
}

/* ---- detaching ---- */

/*
 * In the parent: the daemon says a NUL when it serves, or why it will not;
 * its exit code becomes ours.
 */
static _Noreturn void
await_child(pid_t pid, int fd)
{
	char why[CW_ERR_MAX + 1];
	struct cw_err err;
	int status;

	if (cw_read_full(fd, why, 1, &err) == CW_OK) {
		ssize_t n = 0;

		if (why[0] != '\0')
			n = read(fd, why + 1, sizeof(why) - 2);
		why[n < 0 ? 1 : n + 1] = '\0';
		if (why[0] == '\0')
			_exit(0);
		fprintf(stderr, "clipwardd: %s\n", why);
	}
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_OSERR);
}

/* Go to the background, away from the terminal; *told goes to the parent. */
static enum cw_status
detach(int *told, struct cw_err *err)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return cw_err_sys(err, "pipe");
	if ((pid = fork()) == -1)
		return cw_err_sys(err, "fork");
	if (pid > 0) {
		cw_close(&fds[1]);
		await_child(pid, fds[0]);
	}
	cw_close(&fds[0]);
	*told = fds[1];
	if (setsid() == -1 || freopen("/dev/null", "r", stdin) == NULL ||
	    freopen("/dev/null", "w", stdout) == NULL ||
	    freopen("/dev/null", "w", stderr) == NULL)
		return cw_err_sys(err, "detach");
	return CW_OK;
}

static void
tell_parent(int *told, const void *what, size_t n)
{
	struct cw_err err;

	if (*told != -1 && cw_write_full(*told, what, n, &err) != CW_OK)
		cw_log(CW_LOG_NOTICE, "who started us has gone");
	cw_close(told);
}

/* The daemon serves: let the parent go. */
static void
serving(void *payload)
{
	tell_parent(payload, "", 1);
}

static int
run(const struct options *o, const struct cw_config *cfg, struct cw_arena *a)
{
	const enum cw_level level = o->verbose ? CW_LOG_DEBUG :
	    (enum cw_level)cfg->log.level;
	const bool stay = o->foreground || getenv("NOTIFY_SOCKET") != NULL;
	struct cw_err err = { "" };
	int told = -1, code = EXIT_OSERR;

	cw_log_open("clipwardd", o->foreground ? CW_LOG_STDERR :
	    (enum cw_log_to)cfg->log.to, level);
	if (stay || detach(&told, &err) == CW_OK)
		code = cw_supervisor_run(cfg, a, serving, &told, &err);
	if (err.text[0] != '\0' && told != -1)
		tell_parent(&told, err.text, strlen(err.text));
	else if (err.text[0] != '\0' && !o->foreground)
		fprintf(stderr, "clipwardd: %s\n", err.text);
	return code;
}

int
main(int argc, char **argv)
{
	struct options o = { 0 };
	struct cw_config cfg;
	struct cw_arena *a;
	struct cw_err err = { "" };
	int code;

	cw_hold_standard();
	parse_options(argc, argv, &o);
	prepare_process();
	if (cw_arena_open(ARENA_BYTES, &a, &err) != CW_OK) {
		fprintf(stderr, "clipwardd: %s\n", err.text);
		return EXIT_OSERR;
	}
	if (read_config(&o, a, &cfg, &err) != CW_OK) {
		fprintf(stderr, "clipwardd: %s\n", err.text);
		cw_arena_close(&a);
		return CW_EXIT_CONFIG;
	}
	code = o.check ? cw_check_all(&cfg) : run(&o, &cfg, a);
	cw_arena_close(&a);
	return code;
}
