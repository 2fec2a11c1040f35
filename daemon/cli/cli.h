/*
 * cli.h - what the commands of clipward share.
 *
 * Runs in: cli.  Each command is one cmd_*.c with a row in main.c's table.
 *
 * A command returns the exit status: 0, 1 where its manual says so, and 2
 * for any error, after one line on stderr that begins with "clipward: ".
 */
#ifndef CW_CLI_H
#define CW_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "conf/config.h"

#define CW_EXIT_FLAGGED	1
#define CW_EXIT_ERROR	2

struct cw_cli;

struct cw_command {
	const char	*name;		/* one word, or two: "policy check" */
	const char	*args;		/* as the usage line shows them */
	const char	*summary;	/* half a line */
	int		(*run)(struct cw_cli *cli, int argc, char **argv);
};

struct cw_cli {
	const struct cw_command *command;
	struct cw_arena	*arena;		/* until exit */
	const char	*config;	/* -f, or NULL */
	const char	*socket;	/* --socket, or NULL */
	bool		 json;		/* --json */
	bool		 colour;	/* stdout is a terminal that wants it */
	bool		 progress;	/* stderr is a terminal */
};

/* ---- options ---------------------------------------------------------- */

enum cw_opt_type {
	OPT_FLAG,		/* bool */
	OPT_TEXT,		/* const char * */
	OPT_COUNT,		/* uint64_t, min..max */
	OPT_LIST,		/* struct cw_strings, once for each use */
};

struct cw_opt {
	const char		*name;	/* without the dashes */
	char			 letter;	/* or '\0' */
	enum cw_opt_type	 type;
	void			*out;	/* holds the default */
	const char		*arg;	/* what the help calls the value */
	const char		*help;
	uint64_t		 min, max;	/* OPT_COUNT */
};

#define CW_GO_ON	(-1)
/*
 * Read options wherever they stand, argv[1] on; what is left, in order, is
 * *rest.  -f, --socket and --help are known everywhere, --json too if the
 * command has a row for it.  Returns CW_GO_ON, or the exit status when help
 * was printed or something is wrong.
 */
int cw_options(struct cw_cli *cli, const struct cw_opt *opts, size_t nopts,
    int argc, char **argv, struct cw_strings *rest);

/*
 * -f and --socket before the command, in every form they have after it;
 * argv[*first] is what comes next.  Returns CW_GO_ON or an exit status.
 */
int cw_options_leading(struct cw_cli *cli, int argc, char **argv, int *first);

#define CW_OPT_JSON(cli)						\
	{ "json", 0, OPT_FLAG, &(cli)->json, NULL,			\
	    "print JSON, one object per line", 0, 0 }

/* "clipward: " text on stderr; returns CW_EXIT_ERROR. */
int cw_complain(const char *fmt, ...) CW_PRINTF(1, 2);
/* The same for a warning: "clipward: warning: "; nothing to return. */
void cw_warn(const char *fmt, ...) CW_PRINTF(1, 2);

/* Colours by meaning; "" where there are none. */
enum cw_tint { CW_PLAIN, CW_GOOD, CW_DOUBT, CW_BAD, CW_BROKEN, CW_FAINT };
const char *cw_tint(const struct cw_cli *cli, enum cw_tint t);
/* The tint of a decision's name. */
enum cw_tint cw_tint_of(const char *decision);

/* ---- settings ---------------------------------------------------------- */

/*
 * The configuration a command works with: -f; else the build tree's
 * config.yaml when this program runs from one; else the installed one if
 * there is any; else the defaults.
 */
CW_MUST_USE enum cw_status cw_cli_config(struct cw_cli *cli,
    struct cw_config *out, struct cw_err *err);

#endif /* CW_CLI_H */
