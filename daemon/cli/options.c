/*
 * options.c - see cli.h: one table a command gives its parser and its help.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "conf/value.h"

#define OPTS_MAX	40u

/* A command's options with those known everywhere. */
struct table {
	struct cw_opt	 opt[OPTS_MAX];
	size_t		 n;
	bool		 help;
};

static void
make_table(struct table *t, struct cw_cli *cli, const struct cw_opt *opts,
    size_t nopts)
{
	const struct cw_opt common[] = {
		{ "config", 'f', OPT_TEXT, &cli->config, "FILE",
		    "read FILE instead of the usual config.yaml", 0, 0 },
		{ "socket", 0, OPT_TEXT, &cli->socket, "PATH",
		    "control socket of the daemon", 0, 0 },
		{ "help", 'h', OPT_FLAG, &t->help, NULL,
		    "print this and exit", 0, 0 },
	};

	CW_CHECK(nopts + CW_COUNT(common) <= OPTS_MAX);
	t->help = false;
	if (nopts > 0)
		memcpy(t->opt, opts, nopts * sizeof(*opts));
	memcpy(t->opt + nopts, common, sizeof(common));
	t->n = nopts + CW_COUNT(common);
}

static void
print_help(const struct cw_cli *cli, const struct table *t)
{
	const struct cw_command *c = cli->command;

	printf("usage: clipward %s [options]%s%s\n\n%s\n\n", c->name,
	    c->args[0] != '\0' ? " " : "", c->args, c->summary);
	for (size_t i = 0; i < t->n; i++) {
		const struct cw_opt *o = &t->opt[i];
		char left[64];
		int n;

		n = o->letter != '\0' ?
		    snprintf(left, sizeof(left), "-%c, ", o->letter) :
		    snprintf(left, sizeof(left), "    ");
		snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s",
		    o->name, o->arg != NULL ? " " : "",
		    o->arg != NULL ? o->arg : "");
		printf("  %-24s %s\n", left, o->help);
	}
	printf("\nThe manual is clipward(1).\n");
}

static int
unknown(const struct cw_cli *cli, const struct table *t, const char *name)
{
	const char *names[OPTS_MAX];

	if (name[1] != '-')
		return cw_complain("%s: unknown option \"%.2s\"; want one of "
		    "those that --help lists", cli->command->name, name);
	for (size_t i = 0; i < t->n; i++)
		names[i] = t->opt[i].name;
	return cw_complain("%s: unknown option \"%s\"; nearest is \"--%s\"",
	    cli->command->name, name,
	    cw_value_nearest(name + strspn(name, "-"), names, t->n));
}

static int
store(struct cw_cli *cli, const struct cw_opt *o, const char *value)
{
	struct cw_strings *list = o->out;
	const char **more;
	uint64_t v;

	switch (o->type) {
	case OPT_FLAG:
		*(bool *)o->out = true;
		break;
	case OPT_TEXT:
		*(const char **)o->out = value;
		break;
	case OPT_COUNT:
		if (!cw_value_count(value, &v) || v < o->min || v > o->max)
			return cw_complain("%s: --%s is \"%s\"; want %llu to "
			    "%llu", cli->command->name, o->name, value,
			    (unsigned long long)o->min,
			    (unsigned long long)o->max);
		*(uint64_t *)o->out = v;
		break;
	case OPT_LIST:
		more = cw_arena_zalloc(cli->arena, list->n + 1,
		    sizeof(*more));
		if (more == NULL)
			return cw_complain("too many options");
		if (list->n > 0)
			memcpy(more, list->item, list->n * sizeof(*more));
		more[list->n++] = value;
		list->item = more;
		break;
	}
	return CW_GO_ON;
}

/* The row that arg names; its value if it stands in the same word. */
static const struct cw_opt *
find(const struct table *t, const char *arg, const char **value)
{
	const bool is_long = arg[1] == '-';
	const char *name = arg + 2;
	const size_t len = strcspn(name, "=");

	*value = NULL;
	for (size_t i = 0; i < t->n; i++) {
		const struct cw_opt *o = &t->opt[i];

		if (!is_long && o->letter == arg[1]) {
			if (arg[2] != '\0')
				*value = arg + 2;
			return o;
		}
		if (is_long && strlen(o->name) == len &&
		    strncmp(o->name, name, len) == 0) {
			if (name[len] == '=')
				*value = name + len + 1;
			return o;
		}
	}
	return NULL;
}

int
cw_options_leading(struct cw_cli *cli, int argc, char **argv, int *first)
{
	struct table t;
	int i = 1;

	make_table(&t, cli, NULL, 0);
	for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
		const char *value;
		const struct cw_opt *o = find(&t, argv[i], &value);

		if (o == NULL || o->type != OPT_TEXT)
			break;
		if (value == NULL && i + 1 == argc)
			return cw_complain("%s needs a value: %s", argv[i],
			    o->arg);
		if (value == NULL)
			value = argv[++i];
		*(const char **)o->out = value;
	}
	*first = i;
	return CW_GO_ON;
}

int
cw_options(struct cw_cli *cli, const struct cw_opt *opts, size_t nopts,
    int argc, char **argv, struct cw_strings *rest)
{
	struct table t;
	bool all = true;	/* until "--" */

	make_table(&t, cli, opts, nopts);
	*rest = (struct cw_strings){ 0 };
	rest->item = cw_arena_zalloc(cli->arena, (size_t)argc + 1,
	    sizeof(*rest->item));
	if (rest->item == NULL)
		return cw_complain("too many arguments");
	for (int i = 1; i < argc; i++) {
		const struct cw_opt *o;
		const char *value;
		int rc;

		if (!all || argv[i][0] != '-' || argv[i][1] == '\0') {
			rest->item[rest->n++] = argv[i];
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			all = false;
			continue;
		}
		o = find(&t, argv[i], &value);
		if (o == NULL)
			return unknown(cli, &t, argv[i]);
		if (o->type == OPT_FLAG && value != NULL)
			return cw_complain("%s: --%s takes no value",
			    cli->command->name, o->name);
		if (o->type != OPT_FLAG && value == NULL && ++i == argc)
			return cw_complain("%s: --%s needs a value: %s",
			    cli->command->name, o->name, o->arg);
		if (o->type != OPT_FLAG && value == NULL)
			value = argv[i];
		if ((rc = store(cli, o, value)) != CW_GO_ON)
			return rc;
	}
	if (!t.help)
		return CW_GO_ON;
	print_help(cli, &t);
	return 0;
}
