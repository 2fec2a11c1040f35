/*
 * inputs.c - see inputs.h.
 */
#include "cli/inputs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define DEPTH_MAX	64	/* of directories */

/* A list that doubles; the lists before it stay in the arena. */
struct list {
	struct cw_arena		*arena;
	struct cw_strings	 s;
	size_t			 room;
	struct cw_err		*err;
};

static enum cw_status
add(struct list *l, const char *path)
{
	if (l->s.n == CW_INPUTS_MAX)
		return cw_err_set(l->err, CW_E_LIMIT,
		    "more than %u files", CW_INPUTS_MAX);
	if (l->s.n == l->room) {
		const size_t room = l->room == 0 ? 64 : l->room * 2;
		const char **item = cw_arena_zalloc(l->arena, room,
		    sizeof(*item));

		if (item == NULL)
			return cw_err_set(l->err, CW_E_LIMIT,
			    "no room for %zu file names", room);
		if (l->s.n > 0)
			memcpy(item, l->s.item, l->s.n * sizeof(*item));
		l->s.item = item;
		l->room = room;
	}
	l->s.item[l->s.n++] = path;
	return CW_OK;
}

static int
is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static enum cw_status walk(struct list *l, const char *path, int depth);

static enum cw_status
enter(struct list *l, const char *dir, const char *name, int depth)
{
	const char *slash = dir[strlen(dir) - 1] == '/' ? "" : "/";
	const char *path = cw_arena_printf(l->arena, "%s%s%s", dir, slash,
	    name);
	struct stat sb;

	if (path == NULL)
		return cw_err_set(l->err, CW_E_LIMIT,
		    "no room for the file names");
	if (lstat(path, &sb) == 0 && S_ISLNK(sb.st_mode) &&
	    stat(path, &sb) == 0 && S_ISDIR(sb.st_mode))
		return CW_OK;	/* a link to a directory may be a loop */
	return walk(l, path, depth + 1);
}

static enum cw_status
walk(struct list *l, const char *path, int depth)
{
	enum cw_status st = CW_OK;
	struct dirent **names;
	struct stat sb;
	int n;

	if (stat(path, &sb) == -1 || !S_ISDIR(sb.st_mode))
		return add(l, path);
	if (depth > DEPTH_MAX)
		return cw_err_set(l->err, CW_E_LIMIT,
		    "%s: directories deeper than %d", path, DEPTH_MAX);
	n = scandir(path, &names, is_visible, by_bytes);
	if (n == -1)
		return cw_err_sys(l->err, "%s", path);
	for (int i = 0; i < n; i++) {
		if (st == CW_OK)
			st = enter(l, path, names[i]->d_name, depth);
		free(names[i]);
	}
	free(names);
	return st;
}

enum cw_status
cw_inputs_list(const struct cw_strings *args, struct cw_arena *a,
    struct cw_strings *out, struct cw_err *err)
{
	struct list l = { .arena = a, .err = err };
	enum cw_status st = CW_OK;

	for (size_t i = 0; i < args->n && st == CW_OK; i++)
		st = args->item[i][0] == '\0' ?
		    cw_err_set(err, CW_E_CONFIG, "an empty file name") :
		    walk(&l, args->item[i], 0);
	*out = l.s;
	return st;
}

const char *
cw_inputs_base(const char *path, struct cw_arena *a)
{
	const char *slash = strrchr(path, '/');
	char *base = cw_arena_strdup(a, slash == NULL ? path : slash + 1);

	if (base == NULL || base[0] == '\0')
		return "image";
	for (char *c = base; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '_';
	return base;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool
cw_inputs_clash(const struct cw_strings *paths, struct cw_arena *a)
{
	const char **names = cw_arena_zalloc(a, paths->n, sizeof(*names));

	if (names == NULL)
		return true;
	for (size_t i = 0; i < paths->n; i++) {
		const char *slash = strrchr(paths->item[i], '/');

		names[i] = slash == NULL ? paths->item[i] : slash + 1;
	}
	qsort(names, paths->n, sizeof(*names), by_name);
	for (size_t i = 1; i < paths->n; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return true;
	return false;
}

const char *
cw_inputs_stem(const char *path, bool full, struct cw_arena *a)
{
	char *name;

	if (!full)
		return cw_inputs_base(path, a);
	while (path[0] == '/' || strncmp(path, "./", 2) == 0)
		path++;
	name = cw_arena_strdup(a, path);
	for (char *c = name; c != NULL && *c != '\0'; c++)
		if (*c == '/')
			*c = '_';
	return name == NULL ? "image" : cw_inputs_base(name, a);
}

enum cw_status
cw_output_dir(const char *path, struct cw_err *err)
{
	struct stat sb;

	if (mkdir(path, 0777) == -1 && errno != EEXIST)
		return cw_err_sys(err, "%s", path);
	if (stat(path, &sb) == -1)
		return cw_err_sys(err, "%s", path);
	return S_ISDIR(sb.st_mode) ? CW_OK : cw_err_set(err, CW_E_CONFIG,
	    "%s: no directory; want one to write to", path);
}

enum cw_status
cw_output_check(const char *path, struct cw_err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";
	struct stat sb;

	if (stat(path, &sb) == 0 && S_ISDIR(sb.st_mode))
		return cw_err_set(err, CW_E_CONFIG,
		    "%s: a directory; want a file to write to", path);
	if (slash != NULL && snprintf(dir, sizeof(dir), "%.*s",
	    (int)(slash - path) + 1, path) >= (int)sizeof(dir))
		return cw_err_set(err, CW_E_CONFIG, "%s: name too long", path);
	if (stat(dir, &sb) == -1)
		return cw_err_sys(err, "%s", path);
	return S_ISDIR(sb.st_mode) ? CW_OK : cw_err_set(err, CW_E_CONFIG,
	    "%s: no directory; want one to write to", dir);
}

static enum cw_status
write_to(int fd, const char *path, const void *bytes, size_t n,
    struct cw_err *err)
{
	struct cw_err why;
	enum cw_status st = cw_write_full(fd, bytes, n, &why);

	return st == CW_OK ? st : cw_err_set(err, st, "%s: %s", path,
	    why.text);
}

/* file is another name of path, what was typed and messages are to say. */
static enum cw_status
replace(const char *file, const char *path, const void *bytes, size_t n,
    struct cw_err *err)
{
	enum cw_status st;
	char temp[PATH_MAX];
	int fd;

	if (snprintf(temp, sizeof(temp), "%s.part", file) >=
	    (int)sizeof(temp))
		return cw_err_set(err, CW_E_CONFIG, "%s: name too long", path);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd == -1)
		return cw_err_sys(err, "%s", path);
	st = write_to(fd, path, bytes, n, err);
	cw_close(&fd);
	if (st == CW_OK && rename(temp, file) == -1)
		st = cw_err_sys(err, "%s", path);
	if (st != CW_OK)
		(void)unlink(temp);
	return st;
}

/* A device, a pipe, or what a link names that is not there yet. */
static enum cw_status
write_in_place(const char *path, const void *bytes, size_t n,
    struct cw_err *err)
{
	enum cw_status st;
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY,
	    0666);
	if (fd == -1)
		return cw_err_sys(err, "%s", path);
	st = write_to(fd, path, bytes, n, err);
	cw_close(&fd);
	return st;
}

/* Is it what we write to already, as /dev/stdout is? */
static bool
is_stdout(const struct stat *sb)
{
	const int flags = fcntl(STDOUT_FILENO, F_GETFL);
	struct stat out;

	return flags != -1 && (flags & O_ACCMODE) != O_RDONLY &&
	    fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == sb->st_dev &&
	    out.st_ino == sb->st_ino;
}

enum cw_status
cw_output_file(const char *path, const void *bytes, size_t n,
    struct cw_err *err)
{
	char file[PATH_MAX];
	struct stat sb;

	if (stat(path, &sb) == -1)
		return lstat(path, &sb) == 0 ?
		    write_in_place(path, bytes, n, err) :
		    replace(path, path, bytes, n, err);
	if (is_stdout(&sb)) {
		fflush(stdout);
		return write_to(STDOUT_FILENO, path, bytes, n, err);
	}
	if (!S_ISREG(sb.st_mode))
		return write_in_place(path, bytes, n, err);
	if (realpath(path, file) == NULL)
		return cw_err_sys(err, "%s", path);
	return replace(file, path, bytes, n, err);
}
