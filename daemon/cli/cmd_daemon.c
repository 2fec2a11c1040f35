/*
 * cmd_daemon.c - what an operator asks a running daemon: status, top, get,
 * watch, reload, drain.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/verdict_print.h"

/* Options alone, --json among them if the command has it. */
static int
no_arguments(struct cw_cli *cli, const struct cw_opt *opts, size_t n,
    int argc, char **argv)
{
	struct cw_strings args;
	int rc;

	rc = cw_options(cli, opts, n, argc, argv, &args);
	if (rc == CW_GO_ON && args.n > 0)
		return cw_complain("%s: \"%s\"; want options only",
		    cli->command->name, args.item[0]);
	return rc;
}

/* Options alone, then one order; on CW_GO_ON *o is its answer. */
static int
order(struct cw_cli *cli, const struct cw_opt *opts, size_t n, int argc,
    char **argv, const char *cmd, json_t **o)
{
	int rc = no_arguments(cli, opts, n, argc, argv);

	if (rc != CW_GO_ON)
		return rc;
	return cw_ctl_ask(cli, json_pack("{s:s}", "cmd", cmd), o);
}

static void
print_line(const json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
	putchar('\n');
	fflush(stdout);
}

/* A number at a.b, 0 when there is none. */
static double
number(const json_t *o, const char *a, const char *b)
{
	return json_number_value(json_object_get(json_object_get(o, a), b));
}

/* ---- status and top ---------------------------------------------------- */

static void
print_workers(const struct cw_cli *cli, const json_t *list)
{
	const json_t *w;
	size_t i;

	json_array_foreach(list, i, w) {
		const char *state = cw_json_text(w, "state");
		const bool well = strcmp(state, "idle") == 0 ||
		    strcmp(state, "busy") == 0;

		printf("  worker %-3.0f %s%-8s%s pid %-7.0f jobs %-8.0f "
		    "restarts %-3.0f %.0f MB\n",
		    json_number_value(json_object_get(w, "worker")),
		    cw_tint(cli, well ? CW_GOOD : CW_DOUBT), state,
		    cw_tint(cli, CW_PLAIN),
		    json_number_value(json_object_get(w, "pid")),
		    json_number_value(json_object_get(w, "jobs")),
		    json_number_value(json_object_get(w, "restarts")),
		    json_number_value(json_object_get(w, "rss")) / 1e6);
	}
}

static const char *
endpoint(const json_t *ends, const char *key)
{
	const char *text = cw_json_text(ends, key);

	return text[0] != '\0' ? text : "none";
}

static void
print_status(const struct cw_cli *cli, const json_t *o)
{
	const json_t *model = json_object_get(o, "model");
	const json_t *ends = json_object_get(o, "endpoints");
	const json_t *pol = json_object_get(o, "policies");

	printf("clipwardd %s, pid %.0f, %s, up %.0f s\n",
	    cw_json_text(o, "version"),
	    json_number_value(json_object_get(o, "pid")),
	    cw_json_text(o, "state"),
	    json_number_value(json_object_get(o, "uptime_s")));
	if (model != NULL)
		printf("  model      %s, %s on %s, sandbox %s\n",
		    cw_json_text(model, "name"),
		    cw_json_text(model, "precision"),
		    cw_json_text(model, "kernel"),
		    cw_json_text(model, "sandbox"));
	else
		printf("  model      not loaded yet\n");
	printf("  policies   %.12s, generation %.0f, %.0f prompts, %.0f "
	    "warnings\n", cw_json_text(pol, "hash"),
	    number(o, "policies", "generation"),
	    number(o, "policies", "prompts"),
	    number(o, "policies", "warnings"));
	printf("  endpoints  submit %s  pull %s  pub %s  http %s\n",
	    endpoint(ends, "submit"), endpoint(ends, "pull"),
	    endpoint(ends, "pub"), endpoint(ends, "http"));
	printf("  queue      %.0f pending of %.0f, %.1f MB\n",
	    number(o, "queue", "pending"), number(o, "queue", "limit"),
	    number(o, "queue", "bytes") / 1e6);
	printf("  verdicts   %.0f allow, %.0f review, %.0f block, %.0f "
	    "error\n", number(o, "counters", "allow"),
	    number(o, "counters", "review"), number(o, "counters", "block"),
	    number(o, "counters", "error"));
	printf("  refused    %.0f busy, %.0f rejected; retried %.0f, "
	    "quarantined %.0f\n", number(o, "counters", "busy"),
	    number(o, "counters", "rejected"),
	    number(o, "counters", "retries"),
	    number(o, "counters", "quarantined"));
	printf("  latency    p50 %.1f ms, p90 %.1f ms, p99 %.1f ms\n",
	    number(o, "latency_ms", "p50"), number(o, "latency_ms", "p90"),
	    number(o, "latency_ms", "p99"));
	printf("  spool      %s%s%s, %.1f MB, %.0f verdicts in %s\n",
	    json_is_false(json_object_get(json_object_get(o, "spool"),
	    "well")) ? cw_tint(cli, CW_BAD) : "",
	    json_is_false(json_object_get(json_object_get(o, "spool"),
	    "well")) ? "sick" : "well", cw_tint(cli, CW_PLAIN),
	    number(o, "spool", "bytes") / 1e6,
	    number(o, "spool", "verdicts"),
	    cw_json_text(json_object_get(o, "spool"), "path"));
	print_workers(cli, json_object_get(o, "workers"));
}

int
cw_cmd_status(struct cw_cli *cli, int argc, char **argv)
{
	const struct cw_opt opts[] = { CW_OPT_JSON(cli) };
	json_t *o;
	int rc;

	rc = order(cli, opts, CW_COUNT(opts), argc, argv, "status", &o);
	if (rc != CW_GO_ON)
		return rc;
	if (cli->json)
		print_line(o);
	else
		print_status(cli, o);
	json_decref(o);
	return 0;
}

static double
scored(const json_t *o)
{
	return number(o, "counters", "allow") +
	    number(o, "counters", "review") +
	    number(o, "counters", "block") + number(o, "counters", "error");
}

int
cw_cmd_top(struct cw_cli *cli, int argc, char **argv)
{
	uint64_t seconds = 2, rounds = 0;
	const struct cw_opt opts[] = {
		{ "interval", 'd', OPT_COUNT, &seconds, "S",
		    "seconds between pictures", 1, 3600 },
		{ "rounds", 'n', OPT_COUNT, &rounds, "N",
		    "end after N pictures", 1, 1000000 },
	};
	const bool screen = isatty(STDOUT_FILENO);
	double last = -1;
	json_t *o;
	int rc;

	rc = no_arguments(cli, opts, CW_COUNT(opts), argc, argv);
	for (uint64_t i = 0; rc == CW_GO_ON; i++) {
		double now;

		rc = cw_ctl_ask(cli, json_pack("{s:s}", "cmd", "status"),
		    &o);
		if (rc != CW_GO_ON)
			return rc;
		now = scored(o);
		if (screen)
			fputs("\033[H\033[2J", stdout);
		print_status(cli, o);
		if (last >= 0)
			printf("  rate       %.1f images/s\n",
			    (now - last) / (double)seconds);
		fflush(stdout);
		json_decref(o);
		last = now;
		if (i + 1 == rounds || ferror(stdout))
			return 0;
		nanosleep(&(struct timespec){ .tv_sec = (time_t)seconds },
		    NULL);
	}
	return rc;
}

/* ---- verdicts ---------------------------------------------------------- */

int
cw_cmd_get(struct cw_cli *cli, int argc, char **argv)
{
	const struct cw_opt opts[] = { CW_OPT_JSON(cli) };
	struct cw_strings args;
	const json_t *verdict;
	json_t *o;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n != 1)
		return cw_complain("get: %zu ids; want one", args.n);
	rc = cw_ctl_ask(cli, json_pack("{s:s,s:s}", "cmd", "get", "id",
	    args.item[0]), &o);
	if (rc != CW_GO_ON)
		return rc;
	verdict = json_object_get(o, "verdict");
	rc = 0;
	if (verdict != NULL && cli->json)
		print_line(verdict);
	else if (verdict != NULL)
		cw_verdict_print(cli, stdout, args.item[0], verdict);
	else if (strcmp(cw_json_text(o, "state"), "pending") == 0) {
		fprintf(stderr, "clipward: %s: accepted, not scored yet\n",
		    args.item[0]);
		rc = 1;
	} else
		rc = cw_complain("%s: no such job", args.item[0]);
	json_decref(o);
	return rc;
}

int
cw_cmd_watch(struct cw_cli *cli, int argc, char **argv)
{
	bool flagged = false;
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli),
		{ "flagged", 0, OPT_FLAG, &flagged, NULL,
		    "only what is not allowed", 0, 0 },
	};
	struct cw_ctl l;
	enum cw_status st;
	struct cw_err err;
	json_t *o;
	int rc;

	rc = no_arguments(cli, opts, CW_COUNT(opts), argc, argv);
	if (rc != CW_GO_ON)
		return rc;
	st = cw_ctl_open(cli, json_pack("{s:s,s:b}", "cmd", "watch",
	    "flagged", flagged), &l, &err);
	while (st == CW_OK && !ferror(stdout)) {
		if ((st = cw_ctl_read(&l, &o, &err)) != CW_OK)
			break;
		/* The first line only says that the stream has begun. */
		if (json_object_get(o, "schema") != NULL && cli->json)
			print_line(o);
		else if (json_object_get(o, "schema") != NULL)
			cw_verdict_print(cli, stdout, cw_json_text(o, "id"),
			    o);
		fflush(stdout);
		json_decref(o);
	}
	cw_ctl_close(&l);
	return st == CW_OK ? 0 : cw_complain("%s", err.text);
}

/* ---- orders ------------------------------------------------------------ */

int
cw_cmd_reload(struct cw_cli *cli, int argc, char **argv)
{
	const struct cw_opt opts[] = { CW_OPT_JSON(cli) };
	json_t *o;
	int rc;

	rc = order(cli, opts, CW_COUNT(opts), argc, argv, "reload", &o);
	if (rc != CW_GO_ON)
		return rc;
	if (cli->json)
		print_line(o);
	else
		printf("reloaded: %.0f policies, %.0f prompts, generation "
		    "%.0f, %.12s\n",
		    json_number_value(json_object_get(o, "policies")),
		    json_number_value(json_object_get(o, "prompts")),
		    json_number_value(json_object_get(o, "generation")),
		    cw_json_text(o, "hash"));
	json_decref(o);
	return 0;
}

int
cw_cmd_drain(struct cw_cli *cli, int argc, char **argv)
{
	bool wait = false;
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli),
		{ "wait", 0, OPT_FLAG, &wait, NULL,
		    "return when nothing is pending", 0, 0 },
	};
	double pending = 0;
	json_t *o;
	int rc;

	rc = order(cli, opts, CW_COUNT(opts), argc, argv, "drain", &o);
	if (rc != CW_GO_ON)
		return rc;
	if (cli->json)
		print_line(o);
	else
		printf("draining: %.0f jobs pending\n", pending =
		    json_number_value(json_object_get(o, "pending")));
	json_decref(o);
	while (wait) {
		/* A drained daemon may end, and its socket with it. */
		if (cw_ctl_ask(cli, json_pack("{s:s}", "cmd", "status"), &o)
		    != CW_GO_ON)
			break;
		pending = number(o, "queue", "pending");
		json_decref(o);
		if (pending <= 0)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	}
	return 0;
}
