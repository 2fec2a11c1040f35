/*
 * local.h - what commands that start workers themselves have in common.
 *
 * Runs in: cli.
 */
#ifndef CW_LOCAL_H
#define CW_LOCAL_H

#include "cli/cli.h"
#include "cli/worker_client.h"
#include "conf/policy_file.h"
#include "format/job.h"
#include "format/policy.h"

struct cw_local {
	/* from the command line; NULL, 0, false: as configured */
	const char		*model;
	struct cw_strings	 policies;
	const char		*precision, *kernel, *views;
	uint64_t		 workers, batch, threads;
	bool			 exact;		/* decode at full size */
	bool			 lints;		/* warnings are its output */
	/* of the set: prompts that nobody wrote, all or the neutral ones */
	bool			 own_prompts, own_neutral;

	/* filled by cw_local_settings, then by cw_local_start */
	struct cw_config	 cfg;
	struct cw_init		 init;
	struct cw_policy_set	 set;
	struct cw_warnings	 warnings;	/* of a policy that is right */
	struct cw_arena		*arena;		/* until exit */
	struct cw_clients	*clients;
};

/* Rows for a command's table of options. */
#define CW_OPT_MODEL(l)							\
	CW_OPT_WEIGHTS(l),						\
	{ "precision", 0, OPT_TEXT, &(l)->precision, "P",		\
	    "auto, fp32 or int8", 0, 0 }
#define CW_OPT_WEIGHTS(l)						\
	{ "model", 'm', OPT_TEXT, &(l)->model, "DIR",			\
	    "the CLIP model in DIR", 0, 0 },				\
	{ "kernel", 0, OPT_TEXT, &(l)->kernel, "NAME",			\
	    "force the CPU kernels NAME", 0, 0 },			\
	{ "threads", 0, OPT_COUNT, &(l)->threads, "N",			\
	    "threads of a worker", 1, 64 }
#define CW_OPT_POLICIES(l)						\
	{ "policies", 'p', OPT_LIST, &(l)->policies, "PATH",		\
	    "policies of a file or directory; may be repeated", 0, 0 }
#define CW_OPT_VIEWS(l)							\
	{ "views", 0, OPT_TEXT, &(l)->views, "V",			\
	    "auto, center, whole or cover", 0, 0 },			\
	{ "exact", 0, OPT_FLAG, &(l)->exact, NULL,			\
	    "decode at full size, pixels as the reference's", 0, 0 }
#define CW_OPT_WORKERS(l)						\
	{ "workers", 'w', OPT_COUNT, &(l)->workers, "N",		\
	    "worker processes (default: one per core)", 1,		\
	    CW_CLIENTS_MAX },						\
	{ "batch", 0, OPT_COUNT, &(l)->batch, "N",			\
	    "most images scored together", 1, 256 }

/*
 * Is the text of an option one that a worker takes: UTF-8 of at most `most`
 * bytes, and not empty unless may_be_empty?  Returns CW_GO_ON or the exit
 * status.  NULL is no text, and right.
 */
int cw_local_text(const struct cw_cli *cli, const char *option,
    const char *text, size_t most, bool may_be_empty);
/* Says so when a directory had no files in it. */
void cw_local_no_files(const struct cw_cli *cli);
/* Configuration and init; returns CW_GO_ON or an exit status. */
int cw_local_settings(struct cw_cli *cli, struct cw_local *l);
/* Read the policies into l->set. */
int cw_local_policies(struct cw_cli *cli, struct cw_local *l);
/*
 * Both, for a command of these options and PATH..., which are the policies;
 * returns CW_GO_ON or an exit status.
 */
int cw_local_open_policies(struct cw_cli *cli, struct cw_local *l,
    const struct cw_opt *opts, size_t nopts, int argc, char **argv);
/*
 * Start count workers with l->set (or none); says once what starter knows.
 * Prompts that are cut off are warned of, or with l->lints added to
 * l->warnings; not those that are our own.
 */
int cw_local_start(struct cw_local *l, const struct cw_policy_set *set,
    uint32_t count);
void cw_local_stop(struct cw_local *l);
/* The picture of a file as a job without maps; its bytes live in a. */
CW_MUST_USE enum cw_status cw_local_job(const struct cw_local *l,
    const char *path, struct cw_arena *a, struct cw_job *job,
    struct cw_err *err);

#endif /* CW_LOCAL_H */
