/*
 * policy_file.c - see policy_file.h: files and directories become a set.
 */
#include "conf/policy_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/policy_read.h"
#include "conf/yaml.h"

/* The set while it grows. */
struct gather {
	struct cw_policy_read	 read;
	struct cw_policy	*policies;	/* [CW_POLICIES_MAX] */
	size_t			 n;
};

static enum cw_status
add_tree(struct gather *g, const struct cw_yaml *root)
{
	struct cw_policy *p = &g->policies[g->n];
	enum cw_status st;

	if (g->n == CW_POLICIES_MAX)
		return cw_yaml_err(g->read.err, &root->at,
		    "one policy too many; want at most %u", CW_POLICIES_MAX);
	st = cw_policy_read_tree(&g->read, root, p);
	if (st != CW_OK)
		return st;
	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->policies[i].id, p->id) == 0)
			return cw_yaml_err(g->read.err,
			    &cw_yaml_get(root, "id")->at,
			    "policy \"%s\" again; %s has it too", p->id,
			    g->policies[i].file);
	g->n++;
	return CW_OK;
}

static enum cw_status
add_file(struct gather *g, const char *path)
{
	struct cw_yaml *root;
	enum cw_status st;

	st = cw_yaml_read(path, CW_POLICY_FILE_BYTES, g->read.arena, &root,
	    g->read.err);
	return st != CW_OK ? st : add_tree(g, root);
}

static int
is_policy_name(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return d->d_name[0] != '.' && dot != NULL &&
	    (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static enum cw_status
add_directory(struct gather *g, const char *path)
{
	struct cw_policy_read *r = &g->read;
	const bool slash = path[strlen(path) - 1] == '/';
	enum cw_status st = CW_OK;
	struct dirent **list;
	int n;

	n = scandir(path, &list, is_policy_name, by_bytes);
	if (n == -1)
		return cw_err_sys(r->err, "%s", path);
	if (n == 0)
		st = cw_err_set(r->err, CW_E_CONFIG,
		    "%s: no policy in it; want *.yaml", path);
	for (int i = 0; i < n; i++) {
		const char *file = cw_arena_printf(r->arena, "%s%s%s", path,
		    slash ? "" : "/", list[i]->d_name);

		if (st == CW_OK)
			st = file == NULL ? cw_policy_no_room(r) :
			    add_file(g, file);
		free(list[i]);
	}
	free(list);
	return st;
}

static enum cw_status
add_path(struct gather *g, const char *path)
{
	struct stat sb;

	if (path[0] == '\0' || (stat(path, &sb) == -1 && errno == ENOENT))
		return cw_err_set(g->read.err, CW_E_NOT_FOUND,
		    "%s: no such policy file or directory", path);
	if (stat(path, &sb) == -1)
		return cw_err_sys(g->read.err, "%s", path);
	return S_ISDIR(sb.st_mode) ? add_directory(g, path) :
	    add_file(g, path);
}

static enum cw_status
gather_open(struct gather *g, const struct cw_policy_defaults *defaults,
    struct cw_arena *a, struct cw_warnings *warnings, struct cw_err *err)
{
	if (warnings != NULL)
		*warnings = (struct cw_warnings){ 0 };
	*g = (struct gather){ .read = { a, defaults, warnings, err, 0 } };
	g->policies = cw_arena_zalloc(a, CW_POLICIES_MAX,
	    sizeof(*g->policies));
	return g->policies != NULL ? CW_OK : cw_policy_no_room(&g->read);
}

static enum cw_status
gather_close(struct gather *g, struct cw_policy_set *out)
{
	struct cw_policy_set set = { .policies = g->policies,
		.npolicies = g->n };
	enum cw_status st;

	st = cw_policy_set_finish(&set, g->read.arena, g->read.err);
	if (st == CW_OK)
		*out = set;
	return st;
}

enum cw_status
cw_policy_files_read(const struct cw_strings *paths,
    const struct cw_policy_defaults *defaults, struct cw_arena *a,
    struct cw_policy_set *out, struct cw_warnings *warnings,
    struct cw_err *err)
{
	enum cw_status st;
	struct gather g;

	st = gather_open(&g, defaults, a, warnings, err);
	for (size_t i = 0; i < paths->n && st == CW_OK; i++) {
		const char *path = cw_arena_strdup(a, paths->item[i]);

		st = path == NULL ? cw_policy_no_room(&g.read) :
		    add_path(&g, path);
	}
	return st == CW_OK ? gather_close(&g, out) : st;
}

enum cw_status
cw_policy_bytes_read(const char *name, const char *bytes, size_t len,
    const struct cw_policy_defaults *defaults, struct cw_arena *a,
    struct cw_policy_set *out, struct cw_warnings *warnings,
    struct cw_err *err)
{
	struct cw_yaml *root;
	enum cw_status st;
	struct gather g;

	st = gather_open(&g, defaults, a, warnings, err);
	if (st == CW_OK && (name = cw_arena_strdup(a, name)) == NULL)
		st = cw_policy_no_room(&g.read);
	if (st == CW_OK)
		st = cw_yaml_parse(name, bytes, len, a, &root, err);
	if (st == CW_OK)
		st = add_tree(&g, root);
	return st == CW_OK ? gather_close(&g, out) : st;
}

/* ---- images of tests ---------------------------------------------------- */

const char *
cw_policy_test_path(const struct cw_policy *p, const struct cw_policy_test *t,
    struct cw_arena *a)
{
	const char *slash = strrchr(p->file, '/');

	if (t->image[0] == '/' || slash == NULL)
		return t->image;
	return cw_arena_printf(a, "%.*s/%s", (int)(slash - p->file), p->file,
	    t->image);
}

static enum cw_status
find_test(const struct cw_policy *p, const struct cw_policy_test *t,
    struct cw_arena *a, struct cw_err *err)
{
	const struct cw_yaml_place at = { p->file, t->line, t->column };
	const char *path = cw_policy_test_path(p, t, a);
	struct stat sb;

	if (path == NULL)
		return cw_err_set(err, CW_E_LIMIT, "too many tests");
	if (stat(path, &sb) == 0 && !S_ISREG(sb.st_mode))
		return cw_yaml_err(err, &at,
		    "test image %s is no file; want one to score", path);
	if (access(path, R_OK) == -1)
		return cw_yaml_err(err, &at,
		    "test image %s: %s; want a file beside this one", path,
		    strerror(errno));
	return CW_OK;
}

enum cw_status
cw_policy_set_find_tests(const struct cw_policy_set *set, struct cw_arena *a,
    struct cw_err *err)
{
	enum cw_status st = CW_OK;

	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];

		for (size_t k = 0; k < p->ntests && st == CW_OK; k++)
			st = find_test(p, &p->tests[k], a, err);
	}
	return st;
}
