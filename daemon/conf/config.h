/*
 * config.h - config.yaml, read once and const ever after.
 *
 * Runs in: supervisor, cli.  Never: logs, exits.
 *
 * One table in config.c names every setting with its type, bounds, default
 * and one line of help; the reader, `clipward config`, the config.yaml in the
 * tree and a test all follow it.  Numbers are uint64_t whatever their kind:
 * bytes, milliseconds, counts, switches (0, 1) and the enums named beside.
 */
#ifndef CW_CONFIG_H
#define CW_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "format/worker_msg.h"

#define CW_CONFIG_BYTES		(1u << 20)	/* of config.yaml */
#define CW_CONFIG_LIST_MAX	64u		/* items of any list */
#define CW_EXIT_CONFIG		78		/* EX_CONFIG of sysexits.h */

struct cw_strings {
	const char	**item;		/* [n] */
	size_t		 n;
};

/* One entry of `plugins`: a name or path, or a mapping with options. */
struct cw_plugin_conf {
	const char	*path;		/* of the .so, resolved */
	struct cw_strings options;	/* "key=value", all keys but path */
};

struct cw_config {
	const char	*file;		/* "" when there was none */
	const char	*dir;		/* its directory: relative paths start here */

	struct {
		const char	*path;		/* Hugging Face directory */
		uint64_t	 precision;	/* enum cw_precision */
		const char	*kernel;	/* "" : the best of this CPU */
		const char	*cache;		/* prepared weights; "" : none */
	} model;
	struct cw_strings policies;		/* directories and files */
	struct {
		const char	*submit, *pull;	/* endpoints; "" : none */
		struct cw_strings pull_connect;
	} queue;
	struct {
		const char	*pub;		/* endpoint; "" : none */
	} verdicts;
	struct {				/* conf/curve.h reads these */
		const char	*secret_key_file, *clients_file; /* "" : none */
	} curve;
	struct {
		uint64_t	 count;		/* 0: auto, one per core */
		uint64_t	 batch;		/* jobs */
		uint64_t	 batch_wait_ms;
		uint64_t	 deadline_ms;	/* of one job in a worker */
		uint64_t	 threads;	/* BLAS threads of each */
		uint64_t	 sandbox;	/* bool */
	} workers;
	struct {
		uint64_t	 bytes;		/* encoded image */
		uint64_t	 decoded_bytes;
		uint64_t	 pixels;
		uint64_t	 scans, frames;
		uint64_t	 cpu_ms;	/* decoding one image */
		uint64_t	 pending;	/* jobs accepted, not yet scored */
		uint64_t	 pending_bytes;
		uint64_t	 reply_bytes;
	} limits;
	uint64_t	 views;			/* enum cw_views */
	struct {
		uint64_t	 when;		/* enum cw_when, for policies
						   that do not say */
		uint64_t	 layers;	/* last so many; 0: all */
		uint64_t	 top;		/* maps per image, likewise */
	} explain;
	struct {
		const char	*path;		/* directory */
		uint64_t	 retain_ms;	/* verdicts older than this go */
		uint64_t	 retain_bytes;
		uint64_t	 embeddings;	/* bool: keep them */
	} spool;
	struct {
		const char	*socket;
	} control;
	struct {
		const char	*listen;	/* host:port; "" : no HTTP */
		const char	*token_file;	/* "" : none */
	} http;
	struct {
		uint64_t	 to;		/* enum cw_log_to */
		uint64_t	 level;		/* enum cw_level */
	} log;
	struct cw_plugin_conf *plugins;		/* [nplugins] */
	size_t		 nplugins;
};

/*
 * Read path; settings it leaves out get their defaults.  Everything lands in
 * the arena (4 MB is plenty), relative paths are made absolute or relative to
 * the current directory through the file's own.  CW_E_CONFIG with
 * "file:line:col: what; want what", CW_E_NOT_FOUND, CW_E_SYSTEM, CW_E_LIMIT.
 */
CW_MUST_USE enum cw_status cw_config_read(const char *path,
    struct cw_arena *a, struct cw_config *out, struct cw_err *err);

/* Every default; relative paths start at dir ("." for the current one). */
CW_MUST_USE enum cw_status cw_config_defaults(const char *dir,
    struct cw_arena *a, struct cw_config *out, struct cw_err *err);

/*
 * The settings as a YAML file with a comment above each, arena; NULL when it
 * overflows.  cfg NULL gives the defaults: the config.yaml of the tree.
 */
const char *cw_config_yaml(const struct cw_config *cfg, struct cw_arena *a);

/* limits.* as a worker wants them. */
struct cw_limits cw_config_limits(const struct cw_config *cfg);

/* workers.count with auto resolved: usable CPUs / threads, at least one. */
uint32_t cw_config_workers(const struct cw_config *cfg);

/*
 * Where a plugin named without a slash lies: DIR/plugins/NAME.so beside the
 * program, else in the installed libexec directory.  arena; never NULL but
 * on overflow, the file need not exist.
 */
const char *cw_config_plugin_path(const char *name, struct cw_arena *a);

#endif /* CW_CONFIG_H */
