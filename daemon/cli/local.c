/*
 * local.c - see local.h.
 */
#include "cli/local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "format/utf8.h"

#ifndef CW_SYSCONFDIR
#define CW_SYSCONFDIR	"/etc"
#endif

/* TREE/build/clipward -> TREE, if TREE holds a config.yaml. */
static const char *
build_tree(struct cw_cli *cli)
{
	char self[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *file;

	if (n <= 0)
		return NULL;
	self[n] = '\0';
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(self, '/');

		if (slash == NULL)
			return NULL;
		*slash = '\0';
	}
	file = cw_arena_printf(cli->arena, "%s/config.yaml", self);
	return file != NULL && access(file, R_OK) == 0 ? file : NULL;
}

enum cw_status
cw_cli_config(struct cw_cli *cli, struct cw_config *out, struct cw_err *err)
{
	static const char installed[] = CW_SYSCONFDIR "/clipward/config.yaml";
	const char *file = cli->config;

	if (file == NULL)
		file = build_tree(cli);
	if (file == NULL && access(installed, R_OK) == 0)
		file = installed;
	if (file == NULL)
		return cw_config_defaults(".", cli->arena, out, err);
	return cw_config_read(file, cli->arena, out, err);
}

/*
 * Decoders are the plugins without options: a sink needs some, and a worker
 * loads none.  One that is not there is done without: see say_missing.
 */
static int
choose_plugins(struct cw_cli *cli, struct cw_local *l)
{
	const struct cw_config *cfg = &l->cfg;

	l->init.plugins = cw_arena_zalloc(cli->arena, cfg->nplugins + 1,
	    sizeof(*l->init.plugins));
	if (l->init.plugins == NULL)
		return cw_complain("too many plugins");
	for (size_t i = 0; i < cfg->nplugins; i++) {
		const struct cw_plugin_conf *p = &cfg->plugins[i];

		if (p->options.n == 0 && l->init.nplugins < CW_PLUGINS_MAX &&
		    access(p->path, R_OK) == 0)
			l->init.plugins[l->init.nplugins++] = p->path;
	}
	return CW_GO_ON;
}

/* The words of the command line over those of the configuration. */
static int
override(struct cw_cli *cli, struct cw_local *l)
{
	int v;

	if (l->model != NULL)
		l->cfg.model.path = l->model;
	if (l->kernel != NULL)
		l->cfg.model.kernel = l->kernel;
	if (l->policies.n > 0)
		l->cfg.policies = l->policies;
	if (l->precision != NULL) {
		if ((v = cw_precision_parse(l->precision)) == -1)
			return cw_complain("%s: --precision is \"%s\"; want "
			    "auto, fp32 or int8", cli->command->name,
			    l->precision);
		l->cfg.model.precision = (uint64_t)v;
	}
	if (l->views != NULL) {
		if ((v = cw_views_parse(l->views)) == -1)
			return cw_complain("%s: --views is \"%s\"; want auto, "
			    "center, whole or cover", cli->command->name,
			    l->views);
		l->cfg.views = (uint64_t)v;
	}
	if (l->workers > 0)
		l->cfg.workers.count = l->workers;
	if (l->batch > 0)
		l->cfg.workers.batch = l->batch;
	if (l->threads > 0)
		l->cfg.workers.threads = l->threads;
	return CW_GO_ON;
}

/*
 * Packed weights lie where the daemon keeps them, if we may write there; else
 * in the user's own cache.
 */
static const char *
cache_directory(struct cw_cli *cli, const struct cw_config *cfg)
{
	const char *home = getenv("XDG_CACHE_HOME"), *own;

	if (cfg->model.cache[0] == '\0' ||
	    access(cfg->model.cache, W_OK) == 0)
		return cfg->model.cache;
	if (home == NULL || home[0] != '/') {
		home = getenv("HOME");
		if (home == NULL || home[0] != '/')
			return "";
		home = cw_arena_printf(cli->arena, "%s/.cache", home);
		if (home != NULL)
			(void)mkdir(home, 0700);
	}
	own = home == NULL ? NULL :
	    cw_arena_printf(cli->arena, "%s/clipward", home);
	return own != NULL ? own : "";
}

int
cw_local_text(const struct cw_cli *cli, const char *option,
    const char *text, size_t most, bool may_be_empty)
{
	const char *name = cli->command->name;
	const size_t n = text != NULL ? strlen(text) : 0;

	if (text == NULL)
		return CW_GO_ON;
	if (n == 0 && !may_be_empty)
		return cw_complain("%s: %s is empty; want a text", name,
		    option);
	if (n > most)
		return cw_complain("%s: %s has %zu bytes; want at most %zu",
		    name, option, n, most);
	if (!cw_utf8_valid(text, n))
		return cw_complain("%s: %s is not UTF-8; want UTF-8 text",
		    name, option);
	return CW_GO_ON;
}

void
cw_local_no_files(const struct cw_cli *cli)
{
	fprintf(stderr, "clipward: note: %s: no files there, so nothing was "
	    "looked at\n", cli->command->name);
}

int
cw_local_settings(struct cw_cli *cli, struct cw_local *l)
{
	const struct cw_config *cfg = &l->cfg;
	struct cw_err err = { "" };
	int rc;

	if (cw_cli_config(cli, &l->cfg, &err) != CW_OK)
		return cw_complain("%s", err.text);
	if ((rc = override(cli, l)) != CW_GO_ON)
		return rc;
	l->arena = cli->arena;
	l->init = (struct cw_init){
		.model_dir = cfg->model.path,
		.cache_dir = cache_directory(cli, cfg),
		.precision = (enum cw_precision)cfg->model.precision,
		.kernel = cfg->model.kernel,
		.batch = (uint32_t)cfg->workers.batch,
		.threads = (uint32_t)cfg->workers.threads,
		.views = (enum cw_views)cfg->views,
		.explain_layers = (uint32_t)cfg->explain.layers,
		.exact_decode = l->exact,
		.sandbox = cfg->workers.sandbox != 0,
		.limits = cw_config_limits(cfg),
	};
	return choose_plugins(cli, l);
}

int
cw_local_policies(struct cw_cli *cli, struct cw_local *l)
{
	const struct cw_policy_defaults defaults = {
		.explain_when = (enum cw_when)l->cfg.explain.when,
		.explain_top = (uint32_t)l->cfg.explain.top,
	};
	struct cw_err err;

	if (cw_policy_files_read(&l->cfg.policies, &defaults, cli->arena,
	    &l->set, &l->warnings, &err) != CW_OK)
		return cw_complain("%s", err.text);
	return CW_GO_ON;
}

int
cw_local_open_policies(struct cw_cli *cli, struct cw_local *l,
    const struct cw_opt *opts, size_t nopts, int argc, char **argv)
{
	struct cw_strings args;
	int rc;

	rc = cw_options(cli, opts, nopts, argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n > 0)
		l->policies = args;
	if ((rc = cw_local_settings(cli, l)) != CW_GO_ON)
		return rc;
	return cw_local_policies(cli, l);
}

static void
worker_said(int level, const char *line)
{
	if (level <= CW_LOG_WARNING)
		cw_warn("worker: %s", line);
}

/* Where the daemon would refuse to start, images are only read less well. */
static void
say_missing(const struct cw_config *cfg)
{
	for (size_t i = 0; i < cfg->nplugins; i++)
		if (cfg->plugins[i].options.n == 0 &&
		    access(cfg->plugins[i].path, R_OK) == -1)
			cw_warn("plugin %s: %s; done without",
			    cfg->plugins[i].path, strerror(errno));
}

static void
say_long(struct cw_local *l, const struct cw_policy_set *set)
{
	struct cw_warnings own = { .n = 0 };
	struct cw_warnings *w = l->lints ? &l->warnings : &own;

	cw_policy_set_lint_long(set, !l->own_neutral,
	    cw_clients_policies(l->clients), l->arena, w);
	for (size_t i = 0; i < own.n; i++)
		cw_warn("%s", own.text[i]);
	if (own.dropped > 0)
		cw_warn("and %zu such prompts more", own.dropped);
}

int
cw_local_start(struct cw_local *l, const struct cw_policy_set *set,
    uint32_t count)
{
	const struct cw_clients_opts opts = { .init = &l->init, .set = set,
		.count = count,
		.deadline_ms = (uint32_t)l->cfg.workers.deadline_ms,
		.log = worker_said };
	struct cw_err err;

	say_missing(&l->cfg);
	if (cw_clients_open(&opts, &l->clients, &err) != CW_OK)
		return cw_complain("%s", err.text);
	if (set != NULL && !l->own_prompts)
		say_long(l, set);
	if (set != NULL &&
	    strcmp(cw_clients_facts(l->clients)->name, "starter") == 0)
		fprintf(stderr, "clipward: note: the starter model knows "
		    "drawings of a small world only; use --model for "
		    "photographs\n");
	return CW_GO_ON;
}

void
cw_local_stop(struct cw_local *l)
{
	cw_clients_close(&l->clients);
}

enum cw_status
cw_local_job(const struct cw_local *l, const char *path, struct cw_arena *a,
    struct cw_job *job, struct cw_err *err)
{
	enum cw_status st;
	char *bytes;
	size_t n;

	st = cw_read_file(AT_FDCWD, path, l->init.limits.bytes, a, &bytes, &n,
	    err);
	if (st != CW_OK)
		return st;
	job->image = (const uint8_t *)bytes;
	job->nimage = n;
	job->explain = CW_WHEN_NEVER;
	job->explain_set = true;
	return CW_OK;
}
