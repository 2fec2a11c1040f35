/*
 * scratch.h - a folder of the fuzzer's own, for parsers that open files.
 */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char scratch_path[64];
static int scratch_fd = -1;

static void
scratch_remove(void)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", scratch_path);
	if (system(cmd) != 0)
		perror(scratch_path);
}

/* The folder's descriptor; made at the first call, removed at exit. */
static inline int
scratch(void)
{
	if (scratch_fd == -1) {
		snprintf(scratch_path, sizeof(scratch_path),
		    "/dev/shm/cw-fuzz-XXXXXX");
		if (mkdtemp(scratch_path) == NULL)
			abort();
		scratch_fd = open(scratch_path, O_RDONLY | O_DIRECTORY);
		if (scratch_fd == -1)
			abort();
		atexit(scratch_remove);
	}
	return scratch_fd;
}

static inline void
scratch_write(const char *name, const uint8_t *data, size_t size)
{
	int fd = openat(scratch(), name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd == -1 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

#endif /* SCRATCH_H */
