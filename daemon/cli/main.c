/*
 * main.c - clipward: what an operator types.
 *
 * The table of commands and the way to them.  A command that scores images
 * starts clipward-worker itself; one that asks the daemon talks to its
 * control socket or, to submit, to its queue.  Nothing is decoded here.
 */
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "conf/value.h"

#ifndef CW_VERSION
#define CW_VERSION	"0"
#endif

#define ARENA_BYTES	((size_t)4 << 30)	/* reserved, not used */

/* In the order of the manual. */
static const struct cw_command commands[] = {
	{ "scan", "FILE|DIR...", "Score files here, without a daemon.",
	    cw_cmd_scan },
	{ "submit", "FILE|DIR...", "Send files to the daemon's queue.",
	    cw_cmd_submit },
	{ "get", "ID", "Print one stored verdict.", cw_cmd_get },
	{ "watch", "", "Print verdicts as they come.", cw_cmd_watch },
	{ "explain", "FILE...", "Show which parts of an image made its score.",
	    cw_cmd_explain },
	{ "redact", "FILE", "Make the flagged regions unreadable.",
	    cw_cmd_redact },
	{ "embed", "", "Print the embedding of an image or a text.",
	    cw_cmd_embed },
	{ "tokenize", "TEXT", "Print the token ids of a text.",
	    cw_cmd_tokenize },
	{ "policy check", "[PATH...]", "Are these policies right?",
	    cw_cmd_policy_check },
	{ "policy lint", "[PATH...]", "Are they wise too?",
	    cw_cmd_policy_lint },
	{ "policy show", "[PATH...]", "Print policies as they are understood.",
	    cw_cmd_policy_show },
	{ "policy test", "[PATH...]", "Run the tests that policies bring.",
	    cw_cmd_policy_test },
	{ "policy diff", "OLD NEW", "What a new set of policies changes.",
	    cw_cmd_policy_diff },
	{ "policy rescore", "[VERDICTS...]", "Decide stored verdicts anew.",
	    cw_cmd_policy_rescore },
	{ "policy tune", "LABELS", "Fit calibrations and thresholds to images.",
	    cw_cmd_policy_tune },
	{ "model info", "[DIR]", "What a model is.", cw_cmd_model_info },
	{ "model verify", "[DIR]", "Does a model load and answer?",
	    cw_cmd_model_verify },
	{ "model prepare", "[DIR]", "Pack a model's weights for speed.",
	    cw_cmd_model_prepare },
	{ "status", "", "How the daemon is.", cw_cmd_status },
	{ "top", "", "The same, again and again.", cw_cmd_top },
	{ "drain", "", "Finish what was accepted, take nothing new.",
	    cw_cmd_drain },
	{ "reload", "", "Read policies and client keys again.",
	    cw_cmd_reload },
	{ "bench", "", "Measure a model on this machine.", cw_cmd_bench },
	{ "config", "", "Print the settings in force.", cw_cmd_config },
	{ "keygen", "NAME", "Make a pair of CURVE keys.", cw_cmd_keygen },
};

static void
say(const char *kind, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "clipward: %s", kind);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int
cw_complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
	return CW_EXIT_ERROR;
}

void
cw_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("warning: ", fmt, ap);
	va_end(ap);
}

const char *
cw_tint(const struct cw_cli *cli, enum cw_tint t)
{
	static const char *const codes[] = { "\033[0m", "\033[32m",
		"\033[33m", "\033[31m", "\033[35m", "\033[2m" };

	return cli->colour ? codes[t] : "";
}

enum cw_tint
cw_tint_of(const char *decision)
{
	return strcmp(decision, "allow") == 0 ? CW_GOOD :
	    strcmp(decision, "review") == 0 ? CW_DOUBT :
	    strcmp(decision, "block") == 0 ? CW_BAD : CW_BROKEN;
}

/* The commands that begin with the word group; "" is all of them. */
static int
usage(FILE *f, const char *group)
{
	static const char before[] = "\nBefore the command, or after it:\n"
	    "  -f, --config FILE    read FILE instead of the usual "
	    "config.yaml\n"
	    "      --socket PATH    control socket of the daemon\n"
	    "In its place: help [COMMAND] or --help, --version, "
	    "--commands.\n";
	const size_t n = strlen(group);

	fprintf(f, "usage: clipward %s [options] [arguments]\n\n",
	    n == 0 ? "[-f FILE] [--socket PATH] COMMAND" : group);
	for (size_t i = 0; i < CW_COUNT(commands); i++)
		if (n == 0 || (strncmp(commands[i].name, group, n) == 0 &&
		    commands[i].name[n] == ' '))
			fprintf(f, "  %-16s %s\n", commands[i].name,
			    commands[i].summary);
	if (n == 0)
		fputs(before, f);
	fprintf(f, "\nclipward COMMAND --help says more; the manual is "
	    "clipward(1).\n");
	return f == stdout ? 0 : CW_EXIT_ERROR;
}

/* For completion and the documents' lint. */
static int
list_commands(void)
{
	for (size_t i = 0; i < CW_COUNT(commands); i++)
		puts(commands[i].name);
	return 0;
}

/* How many words of argv (from 0) the command's name takes; 0: not it. */
static int
matches(const struct cw_command *c, int argc, char **argv)
{
	const char *space = strchr(c->name, ' ');
	const size_t len = space == NULL ? strlen(c->name) :
	    (size_t)(space - c->name);

	if (strlen(argv[0]) != len || strncmp(argv[0], c->name, len) != 0)
		return 0;
	if (space == NULL)
		return 1;
	return argc > 1 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

static bool
asks_for_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	    strcmp(word, "help") == 0;
}

/* "policy" alone, or with a wrong second word: these are there. */
static int
wrong_second(const char *first, const char *second)
{
	const size_t n = strlen(first);
	char list[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < CW_COUNT(commands); i++)
		if (strncmp(commands[i].name, first, n) == 0 &&
		    commands[i].name[n] == ' ' && len < sizeof(list))
			len += (size_t)snprintf(list + len,
			    sizeof(list) - len, "%s%s", len > 0 ? ", " : "",
			    commands[i].name + n + 1);
	if (second == NULL)
		return cw_complain("%s needs another word; want one of %s",
		    first, list);
	if (asks_for_help(second))
		return usage(stdout, first);
	return cw_complain("unknown command \"%s %s\"; want one of %s",
	    first, second, list);
}

static int
unknown_command(int argc, char **argv)
{
	const char *names[CW_COUNT(commands)];
	char words[CW_COUNT(commands)][16];
	const size_t n = strlen(argv[0]);

	for (size_t i = 0; i < CW_COUNT(commands); i++) {
		const char *name = commands[i].name;

		snprintf(words[i], sizeof(words[i]), "%.*s",
		    (int)strcspn(name, " "), name);
		names[i] = words[i];
		if (strncmp(name, argv[0], n) == 0 && name[n] == ' ')
			return wrong_second(argv[0],
			    argc > 1 ? argv[1] : NULL);
	}
	if (argv[0][0] == '-')
		return cw_complain("\"%s\" in place of a command; want one of "
		    "those that clipward --help lists", argv[0]);
	return cw_complain("unknown command \"%s\"; nearest is \"%s\"",
	    argv[0], cw_value_nearest(argv[0], names, CW_COUNT(commands)));
}

static int
run(struct cw_cli *cli, int argc, char **argv)
{
	for (size_t i = 0; i < CW_COUNT(commands); i++) {
		const int words = matches(&commands[i], argc, argv);

		if (words == 0)
			continue;
		cli->command = &commands[i];
		return commands[i].run(cli, argc - words + 1,
		    argv + words - 1);
	}
	return unknown_command(argc, argv);
}

/* argv: help, and perhaps a command's words. */
static int
help(struct cw_cli *cli, int argc, char **argv)
{
	static char say_more[] = "--help";
	char *about[4] = { NULL };
	int n = 0;

	for (; n < 2 && n + 1 < argc; n++)
		about[n] = argv[n + 1];
	if (n == 0)
		return usage(stdout, "");
	about[n++] = say_more;
	return run(cli, n, about);
}

/* What stands in place of a command, or one. */
static int
dispatch(struct cw_cli *cli, int argc, char **argv)
{
	int first = 0;
	const int rc = cw_options_leading(cli, argc, argv, &first);

	if (rc != CW_GO_ON)
		return rc;
	if (first == argc)
		return usage(stderr, "");
	if (asks_for_help(argv[first]))
		return help(cli, argc - first, argv + first);
	if (strcmp(argv[first], "--version") == 0)
		return printf("clipward %s\n", CW_VERSION) < 0;
	if (strcmp(argv[first], "--commands") == 0)
		return list_commands();
	return run(cli, argc - first, argv + first);
}

/*
 * Everything is written, or nobody is left to read it (`| head`), which is
 * no fault of ours to talk about.  Closed from the start it is an error, as
 * soon as there is something to print.
 */
static int
close_output(int rc)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	if (fflush(stdout) == 0 && !ferror(stdout))
		return rc;
	if (poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0)
		return CW_EXIT_ERROR;
	return cw_complain("standard output: cannot be written");
}

int
main(int argc, char **argv)
{
	struct cw_cli cli = { .progress = isatty(STDERR_FILENO) };
	struct cw_err err;
	int rc;

	cw_hold_standard();
	/* A worker that has gone is an error to report, not to die of. */
	signal(SIGPIPE, SIG_IGN);
	cli.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
	if (cw_arena_open(ARENA_BYTES, &cli.arena, &err) != CW_OK)
		return cw_complain("%s", err.text);
	rc = close_output(dispatch(&cli, argc, argv));
	cw_arena_close(&cli.arena);
	return rc;
}
