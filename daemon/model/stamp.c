/*
 * stamp.c - see stamp.h.
 */
#include "model/stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define SETTLED_NS	INT64_C(2000000000)	/* coarser than any clock here */
#define STAMP_NAME	64	/* bytes of its file name */

/* HASH-OF-THE-IDENTITIES.sha256 */
static void
stamp_name(const struct cw_stamp_id *ids, size_t n, char name[STAMP_NAME])
{
	const struct cw_bytes part = { ids, n * sizeof(*ids) };
	char hex[CW_SHA256_HEX];

	cw_sha256(&part, 1, hex);
	snprintf(name, STAMP_NAME, "%.32s.sha256", hex);
}

/* 64 digits and a newline, nothing else. */
static bool
stamp_read(int dir, const char *name, char hex[CW_SHA256_HEX])
{
	char got[CW_SHA256_HEX + 1] = "";
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd == -1)
		return false;
	n = read(fd, got, sizeof(got));
	cw_close(&fd);
	if (n != CW_SHA256_HEX || got[CW_SHA256_HEX - 1] != '\n')
		return false;
	got[CW_SHA256_HEX - 1] = '\0';
	if (!cw_sha256_valid(got))
		return false;
	memcpy(hex, got, CW_SHA256_HEX);
	return true;
}

/* Under a temporary name, then under its own; a stamp less is no loss. */
static void
stamp_write(int dir, const char *name, const char *hex)
{
	char temporary[STAMP_NAME + 16], line[CW_SHA256_HEX + 1];
	struct cw_err err;
	bool good;
	int fd;

	snprintf(temporary, sizeof(temporary), "%s.%ld", name, (long)getpid());
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
	    O_NOFOLLOW, 0644);
	if (fd == -1)
		return;
	snprintf(line, sizeof(line), "%s\n", hex);
	good = cw_write_full(fd, line, strlen(line), &err) == CW_OK;
	cw_close(&fd);
	if (!good || renameat(dir, temporary, dir, name) == -1)
		(void)unlinkat(dir, temporary, 0);
}

static bool
settled(const struct cw_stamp_id *ids, size_t n, int64_t now_ns)
{
	for (size_t i = 0; i < n; i++)
		if (now_ns - ids[i].ctime_ns < SETTLED_NS)
			return false;
	return true;
}

void
cw_stamp_sha256(const struct cw_bytes *files, const struct cw_stamp_id *ids,
    size_t n, const char *dir, int64_t now_ns, char hex[CW_SHA256_HEX])
{
	char name[STAMP_NAME];
	int fd = -1;

	if (dir[0] != '\0' && (mkdir(dir, 0755) == 0 || errno == EEXIST))
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	stamp_name(ids, n, name);
	if (fd == -1 || !stamp_read(fd, name, hex)) {
		cw_sha256(files, n, hex);
		if (fd != -1 && settled(ids, n, now_ns))
			stamp_write(fd, name, hex);
	}
	cw_close(&fd);
}
