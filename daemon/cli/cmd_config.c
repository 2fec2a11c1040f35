/*
 * cmd_config.c - clipward config, clipward keygen.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/commands.h"
#include "cli/cli.h"
#include "cli/zmq_client.h"
#include "conf/curve.h"
#include "conf/config_keys.h"

static int
print_keys(void)
{
	const struct cw_config_key *keys;
	size_t n;

	keys = cw_config_keys(&n);
	for (size_t i = 0; i < n; i++)
		puts(keys[i].name);
	return 0;
}

int
cw_cmd_config(struct cw_cli *cli, int argc, char **argv)
{
	bool defaults = false, names = false;
	const struct cw_opt opts[] = {
		{ "defaults", 0, OPT_FLAG, &defaults, NULL,
		    "print the defaults, as config.yaml is shipped", 0, 0 },
		{ "keys", 0, OPT_FLAG, &names, NULL,
		    "print the names of all settings", 0, 0 },
	};
	struct cw_config cfg;
	struct cw_strings args;
	const char *text;
	struct cw_err err = { "" };
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n > 0)
		return cw_complain("config: \"%s\"; want options only",
		    args.item[0]);
	if (names)
		return print_keys();
	if (!defaults && cw_cli_config(cli, &cfg, &err) != CW_OK)
		return cw_complain("%s", err.text);
	text = cw_config_yaml(defaults ? NULL : &cfg, cli->arena);
	if (text == NULL)
		return cw_complain("config: no room");
	fputs(text, stdout);
	return 0;
}

/* The secret half goes to a file of its owner, never to the terminal. */
static int
write_secret(const char *path, const char *key)
{
	struct cw_err err;
	int fd, rc = CW_GO_ON;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return cw_complain("%s: %s", path, strerror(errno));
	if (cw_write_full(fd, key, strlen(key), &err) != CW_OK ||
	    cw_write_full(fd, "\n", 1, &err) != CW_OK)
		rc = cw_complain("%s: %s", path, err.text);
	cw_close(&fd);
	return rc;
}

int
cw_cmd_keygen(struct cw_cli *cli, int argc, char **argv)
{
	char public[CW_CURVE_KEY], secret[CW_CURVE_KEY];
	const char *rights = "submit,watch", *path, *name;
	const struct cw_opt opts[] = {
		{ "rights", 0, OPT_TEXT, &rights, "LIST",
		    "rights on the client's line (submit,watch,reload)", 0,
		    0 },
	};
	struct cw_strings args;
	struct cw_err err;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n != 1)
		return cw_complain("keygen: want one NAME; the secret key "
		    "goes to NAME.secret");
	name = strrchr(args.item[0], '/');
	name = name != NULL ? name + 1 : args.item[0];
	if (cw_curve_client_check(rights, name, cli->arena, &err) != CW_OK)
		return cw_complain("keygen: %s", err.text);
	path = cw_arena_printf(cli->arena, "%s.secret", args.item[0]);
	if (path == NULL || cw_zmq_keypair(public, secret, &err) != CW_OK)
		return cw_complain("%s", path ? err.text : "no room");
	if ((rc = write_secret(path, secret)) != CW_GO_ON)
		return rc;
	fprintf(stderr, "clipward: secret key written to %s; the public "
	    "one, as a line for curve.clients_file:\n", path);
	printf("%s %s %s\n", public, rights, name);
	return 0;
}
