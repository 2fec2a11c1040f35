/*
 * jsonl.c - sink plugin: every verdict as one line of a file.
 *
 * Runs in: supervisor.  Options, one a line:
 *
 *	file=PATH	appended to, made when absent (mode 0640)
 *	sync=true	fsync after every run of lines
 *
 * The file may be moved away at any time (logrotate): the next run of lines
 * goes to a new one.  A line that was only half written, on a full disk, is taken back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "plugins/clipward_plugin.h"

#define PATH_BYTES	4096

static struct jsonl {
	const struct cw_host	*host;
	char			 path[PATH_BYTES];
	int			 fd;
	bool			 sync;
	bool			 running;	/* within a run of lines */
	struct stat		 is;	/* the file that fd is open on */
} jsonl = { .fd = -1 };

static void
complain(const struct jsonl *j, const char *what)
{
	char line[PATH_BYTES + 256];

	snprintf(line, sizeof(line), "plugin=jsonl file=%s %s: %s", j->path,
	    what, strerror(errno));
	j->host->log(3, line);
}

static int
open_file(struct jsonl *j)
{
	j->fd = open(j->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NOCTTY, 0640);
	if (j->fd == -1)
		return -1;
	return fstat(j->fd, &j->is);
}

static int
set_option(struct jsonl *j, const char *s, size_t n)
{
	if (n > 5 && strncmp(s, "file=", 5) == 0 && n - 5 < PATH_BYTES) {
		memcpy(j->path, s + 5, n - 5);
		j->path[n - 5] = '\0';
		return 0;
	}
	if (n > 5 && strncmp(s, "sync=", 5) == 0) {
		j->sync = n == 9 && strncmp(s + 5, "true", 4) == 0;
		return j->sync || (n == 10 &&
		    strncmp(s + 5, "false", 5) == 0) ? 0 : -1;
	}
	return n == 0 ? 0 : -1;
}

static int
jsonl_open(const struct cw_host *host, const char *options, void **self)
{
	struct jsonl *j = &jsonl;

	j->host = host;
	j->path[0] = '\0';
	for (const char *s = options; ; s++) {
		const size_t n = strcspn(s, "\n");

		if (set_option(j, s, n) == -1) {
			host->log(3, "plugin=jsonl: unknown option; want "
			    "file=PATH, sync=true or sync=false");
			return -1;
		}
		s += n;
		if (*s == '\0')
			break;
	}
	if (j->path[0] == '\0') {
		host->log(3, "plugin=jsonl: no file; want file=PATH");
		return -1;
	}
	if (open_file(j) == -1) {
		complain(j, "open");
		return -1;
	}
	*self = j;
	return 0;
}

static void
jsonl_close(void *self)
{
	struct jsonl *j = self;

	if (j->fd != -1)
		close(j->fd);
	j->fd = -1;
}

/* Has somebody moved or removed the file? */
static bool
moved(const struct jsonl *j)
{
	struct stat sb;

	return stat(j->path, &sb) == -1 || sb.st_ino != j->is.st_ino ||
	    sb.st_dev != j->is.st_dev;
}

static int
jsonl_deliver(void *self, const struct cw_sink_item *item)
{
	struct jsonl *j = self;
	struct iovec line[] = {
		{ (void *)(uintptr_t)item->json, item->njson },
		{ (void *)(uintptr_t)"\n", 1 },
	};
	struct stat before;
	ssize_t n;

	/* Between runs, so that one run is in one file. */
	if (!j->running && j->fd != -1 && moved(j))
		jsonl_close(j);
	j->running = true;
	if (j->fd == -1 && open_file(j) == -1)
		return CW_SINK_LATER;
	if (fstat(j->fd, &before) == -1)
		return CW_SINK_LATER;
	do
		n = writev(j->fd, line, 2);
	while (n == -1 && errno == EINTR);
	if (n == (ssize_t)(item->njson + 1))
		return CW_SINK_OK;
	if (n >= 0 && S_ISREG(before.st_mode) &&
	    ftruncate(j->fd, before.st_size) == -1)
		complain(j, "half a line stays");
	return CW_SINK_LATER;
}

static int
jsonl_flush(void *self)
{
	struct jsonl *j = self;

	j->running = false;
	if (j->fd == -1 || (j->sync && fsync(j->fd) == -1))
		return CW_SINK_LATER;
	return CW_SINK_OK;
}

extern CW_PLUGIN_EXPORT const struct cw_plugin_sink clipward_plugin;
const struct cw_plugin_sink clipward_plugin = {
	.head = {
		CW_PLUGIN_HEAD(struct cw_plugin_sink, CW_PLUGIN_SINK),
		.name = "jsonl",
		.version = "1",
		.open = jsonl_open,
		.close = jsonl_close,
	},
	.deliver = jsonl_deliver,
	.flush = jsonl_flush,
};
