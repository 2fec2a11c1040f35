/*
 * cmd_submit.c - clipward submit: send files to the daemon's queue, wait
 * until each is accepted, and with --wait until it is scored.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/io.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/inputs.h"
#include "cli/local.h"
#include "cli/verdict_print.h"
#include "cli/zmq_client.h"
#include "conf/curve.h"
#include "format/policy.h"
#include "format/job.h"

#define WINDOW		32u	/* files sent and not yet accepted */
#define LONGEST		((uint64_t)256 << 20)	/* limits.bytes at most */
#define BUSY_MAX	60u	/* times a file is offered again */

struct submit {
	struct cw_cli		*cli;
	const char		*endpoint, *id, *text, *surface, *explain;
	const char		*maps, *server_key, *key_file;
	struct cw_strings	 policies;
	uint64_t		 timeout_s, deadline_ms;
	bool			 wait, bulk, full_names;
	uint64_t		 limit;		/* bytes of a file */
	size_t			 longest;	/* sent */

	struct cw_zmq		*zmq;
	struct cw_strings	 files;
	struct sent {
		const char	*id;		/* NULL: not sent yet */
		uint32_t	 busy;		/* answers */
		bool		 accepted, done;
	}			*sent;		/* [files.n] */
	size_t			 next, open;	/* open: unanswered */
	struct cw_arena		*scratch;
	int			 rc;
};

/* The header of file i's SUBMIT, in the scratch arena. */
static const char *
make_header(struct submit *s, size_t i)
{
	json_t *o = json_object(), *context = json_object(), *list;
	char *text;
	const char *copy;

	json_object_set_new(o, "id", json_string(s->sent[i].id));
	if (s->text != NULL)
		json_object_set_new(context, "text", json_string(s->text));
	if (s->surface != NULL)
		json_object_set_new(context, "surface",
		    json_string(s->surface));
	if (json_object_size(context) > 0)
		json_object_set(o, "context", context);
	json_decref(context);
	if (s->policies.n > 0) {
		list = json_array();
		for (size_t k = 0; k < s->policies.n; k++)
			json_array_append_new(list,
			    json_string(s->policies.item[k]));
		json_object_set_new(o, "policies", list);
	}
	if (s->explain != NULL)
		json_object_set_new(o, "explain", json_string(s->explain));
	if (s->deadline_ms > 0)
		json_object_set_new(o, "deadline_ms",
		    json_integer((json_int_t)s->deadline_ms));
	if (s->bulk)
		json_object_set_new(o, "priority", json_string("bulk"));
	if (s->maps != NULL)
		json_object_set_new(o, "artifacts",
		    json_pack("[s]", "overlay"));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	copy = cw_arena_strdup(s->scratch, text);
	free(text);		/* jansson's */
	return copy;
}

/* An id of its own for each file, if none was given: time and number. */
static const char *
make_id(struct submit *s, size_t i, const struct cw_bytes *body)
{
	char hex[CW_SHA256_HEX];

	if (s->id != NULL)
		return s->id;
	cw_sha256(body, 1, hex);
	return cw_arena_printf(s->cli->arena, "cli-%llx-%zu-%.16s",
	    (unsigned long long)cw_wall_us(), i, hex);
}

/* {"file":...,"id":...} and what became of it: a line for each file. */
static void
print_fate(struct submit *s, size_t i, const char *key, json_t *fate)
{
	json_t *o = json_pack("{s:s}", "file",
	    cw_text_clean(s->files.item[i], s->scratch));

	if (s->sent[i].id != NULL)
		json_object_set_new(o, "id", json_string(s->sent[i].id));
	json_object_set_new(o, key, fate);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(o);
}

/* Nothing more will come of file i; standard error has been told. */
static void
give_up(struct submit *s, size_t i, const char *code, const char *message)
{
	s->sent[i].done = true;
	if (s->cli->json)
		print_fate(s, i, "error", json_pack("{s:s,s:s}", "code", code,
		    "message", cw_text_clean(message, s->scratch)));
}

static int
send_file(struct submit *s, size_t i)
{
	const char *path = s->files.item[i], *header;
	struct cw_bytes body;
	enum cw_status st;
	struct cw_err err;
	char *bytes;
	size_t n;

	cw_arena_reset(s->scratch, 0);
	st = cw_read_file(AT_FDCWD, path, s->limit, s->scratch, &bytes, &n,
	    &err);
	if (st != CW_OK) {
		s->rc = cw_complain("%s", err.text);
		give_up(s, i, cw_status_name(st), err.text);
		return CW_GO_ON;
	}
	body = (struct cw_bytes){ bytes, n };
	if (n > s->longest)
		s->longest = n;
	if (s->sent[i].id == NULL)
		s->sent[i].id = make_id(s, i, &body);
	header = make_header(s, i);
	if (header == NULL || s->sent[i].id == NULL)
		return cw_complain("submit: no room");
	if (cw_zmq_send(s->zmq, "SUBMIT", header, body, s->timeout_s * 1000,
	    &err) != CW_OK)
		return cw_complain("%s: %s", s->endpoint, err.text);
	s->open++;
	return CW_GO_ON;
}

static size_t
find_sent(const struct submit *s, const char *id)
{
	for (size_t i = 0; i < s->next; i++)
		if (s->sent[i].id != NULL && !s->sent[i].done &&
		    strcmp(s->sent[i].id, id) == 0)
			return i;
	return s->files.n;
}

/* DIR/photo.jpg.violence.weapon.png, the overlay of the verdict's map k. */
static const char *
map_path(struct submit *s, size_t i, size_t k, const json_t *verdict)
{
	const char *category = cw_json_text(json_array_get(
	    json_object_get(verdict, "maps"), k), "category");

	return cw_arena_printf(s->scratch, "%s/%s.%s.png", s->maps,
	    cw_inputs_stem(s->files.item[i], s->full_names, s->scratch),
	    category[0] != '\0' ? cw_inputs_base(category, s->scratch) :
	    cw_arena_printf(s->scratch, "%zu", k));
}

static void
save_maps(struct submit *s, size_t i, const json_t *verdict,
    const struct cw_zmq_answer *a)
{
	struct cw_err err;

	for (size_t k = 0; k < a->nparts && s->maps != NULL; k++) {
		const char *path = map_path(s, i, k, verdict);

		if (path == NULL || cw_output_file(path, a->parts[k].p,
		    a->parts[k].n, &err) != CW_OK)
			s->rc = cw_complain("%s", path ? err.text : "no room");
	}
}

static void
finish(struct submit *s, size_t i)
{
	s->sent[i].done = true;
	s->open--;
}

static void
on_accepted(struct submit *s, size_t i, bool again)
{
	if (s->sent[i].accepted)
		return;
	s->sent[i].accepted = true;
	if (s->cli->json)
		print_fate(s, i, "duplicate", json_boolean(again));
	if (s->wait)
		return;
	if (!s->cli->json)
		printf("%s: %s as %s\n",
		    cw_text_clean(s->files.item[i], s->scratch),
		    again ? "known already" : "accepted", s->sent[i].id);
	fflush(stdout);
	finish(s, i);
}

static void
on_verdict(struct submit *s, size_t i, const json_t *o,
    const struct cw_zmq_answer *a)
{
	const char *decision = cw_json_text(o, "decision");

	/* An id known before is answered with its verdict at once. */
	on_accepted(s, i, true);
	if (!s->wait)
		return;
	if (s->cli->json)
		puts(a->header);
	else
		cw_verdict_print(s->cli, stdout, cw_arena_printf(s->scratch,
		    "%s as %s", cw_text_clean(s->files.item[i], s->scratch),
		    s->sent[i].id), o);
	fflush(stdout);
	save_maps(s, i, o, a);
	if (strcmp(decision, "error") == 0)
		s->rc = CW_EXIT_ERROR;
	else if (strcmp(decision, "allow") != 0 && s->rc == 0)
		s->rc = CW_EXIT_FLAGGED;
	finish(s, i);
}

/* Full for now: the same file again, a little later. */
static int
on_busy(struct submit *s, size_t i, const json_t *o)
{
	const json_int_t ms =
	    json_integer_value(json_object_get(o, "retry_after_ms"));
	long pause_ms;

	s->open--;
	if (++s->sent[i].busy > BUSY_MAX) {
		s->rc = cw_complain("%s: the daemon stays busy",
		    s->files.item[i]);
		give_up(s, i, "busy", "the daemon stays busy");
		return CW_GO_ON;
	}
	pause_ms = ms > 0 && ms < 1000 ? (long)ms : 100;
	nanosleep(&(struct timespec){ .tv_nsec = pause_ms * 1000000 }, NULL);
	return send_file(s, i);
}

static int
on_answer(struct submit *s, const struct cw_zmq_answer *a)
{
	json_t *o = json_loads(a->header, 0, NULL);
	const size_t i = find_sent(s, cw_json_text(o, "id"));
	int rc = CW_GO_ON;

	if (i == s->files.n) {
		/* Of another sender of the same id, or refused before its id
		 * was understood. */
		if (strcmp(a->verb, "REJECTED") == 0)
			rc = cw_complain("rejected: %s: %s",
			    cw_json_text(o, "code"),
			    cw_json_text(o, "message"));
	} else if (strcmp(a->verb, "ACCEPTED") == 0)
		on_accepted(s, i, json_is_true(json_object_get(o,
		    "duplicate")));
	else if (strcmp(a->verb, "VERDICT") == 0)
		on_verdict(s, i, o, a);
	else if (strcmp(a->verb, "BUSY") == 0)
		rc = on_busy(s, i, o);
	else if (strcmp(a->verb, "REJECTED") == 0) {
		s->rc = cw_complain("%s: rejected: %s: %s", s->files.item[i],
		    cw_json_text(o, "code"), cw_json_text(o, "message"));
		give_up(s, i, cw_json_text(o, "code"),
		    cw_json_text(o, "message"));
		s->open--;
	}
	json_decref(o);
	return rc;
}

static int
send_all(struct submit *s)
{
	struct cw_zmq_answer a;
	struct cw_err err;
	int rc = CW_GO_ON;

	while (rc == CW_GO_ON && (s->next < s->files.n || s->open > 0)) {
		if (s->next < s->files.n && s->open < WINDOW) {
			rc = send_file(s, s->next++);
			continue;
		}
		cw_arena_reset(s->scratch, (size_t)1 << 20);
		if (cw_zmq_receive(s->zmq, s->timeout_s * 1000, s->scratch,
		    &a, &err) != CW_OK)
			return cw_complain("%s: %s; want a clipwardd there "
			    "that knows our key, if it has any, and takes a "
			    "file of %zu bytes (limits.bytes)", s->endpoint,
			    err.text, s->longest);
		rc = on_answer(s, &a);
	}
	return rc == CW_GO_ON ? s->rc : rc;
}

static int
run(struct submit *s)
{
	const int rc = send_all(s);

	for (size_t i = 0; i < s->files.n; i++)
		if (!s->sent[i].done)
			give_up(s, i, "unanswered", s->sent[i].accepted ?
			    "accepted, and no verdict yet" :
			    "the daemon has not answered");
	return rc;
}

static int
open_queue(struct submit *s)
{
	struct cw_zmq_opts o = { .endpoint = s->endpoint,
		.server_key = s->server_key };
	struct cw_config cfg;
	char secret[CW_CURVE_KEY];
	struct cw_err err = { "" };

	if (s->endpoint == NULL) {
		if (cw_cli_config(s->cli, &cfg, &err) != CW_OK)
			return cw_complain("%s", err.text);
		s->endpoint = o.endpoint = cfg.queue.submit;
		s->limit = cfg.limits.bytes;
	}
	if (s->endpoint[0] == '\0')
		return cw_complain("queue.submit is empty; want --connect");
	if (s->key_file != NULL) {
		if (cw_curve_secret(s->key_file, s->cli->arena, secret,
		    &err) != CW_OK)
			return cw_complain("%s", err.text);
		o.secret_key = secret;
	}
	if (cw_zmq_open(&o, s->cli->arena, &s->zmq, &err) != CW_OK)
		return cw_complain("%s", err.text);
	return CW_GO_ON;
}

static int
check(struct submit *s, const struct cw_strings *args)
{
	struct cw_err err;
	int rc;

	if (args->n == 0)
		return cw_complain("submit: no files; want FILE");
	if (cw_inputs_list(args, s->cli->arena, &s->files, &err) != CW_OK)
		return cw_complain("%s", err.text);
	if (s->id != NULL && s->files.n != 1)
		return cw_complain("submit: --id names one file, and here "
		    "are %zu", s->files.n);
	if (s->id != NULL && !cw_job_id_valid(s->id))
		return cw_complain("submit: --id is \"%s\"; want up to %u of "
		    "[A-Za-z0-9._:-]", s->id, CW_JOB_ID_BYTES);
	if (s->explain != NULL && cw_when_parse(s->explain) == -1)
		return cw_complain("submit: --explain is \"%s\"; want "
		    "flagged, always or never", s->explain);
	if (s->files.n == 0)
		cw_local_no_files(s->cli);
	if (s->maps != NULL) {
		s->wait = true;
		s->full_names = cw_inputs_clash(&s->files, s->cli->arena);
		if (cw_output_dir(s->maps, &err) != CW_OK)
			return cw_complain("%s", err.text);
	}
	if ((rc = cw_local_text(s->cli, "--text", s->text, CW_JOB_TEXT_BYTES,
	    true)) != CW_GO_ON ||
	    (rc = cw_local_text(s->cli, "--surface", s->surface,
	    CW_JOB_TEXT_BYTES, true)) != CW_GO_ON)
		return rc;
	s->sent = cw_arena_zalloc(s->cli->arena, s->files.n,
	    sizeof(*s->sent));
	return s->sent != NULL ? CW_GO_ON : cw_complain("too many files");
}

int
cw_cmd_submit(struct cw_cli *cli, int argc, char **argv)
{
	struct submit s = { .cli = cli, .timeout_s = 60,
		.limit = LONGEST };
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli),
		{ "connect", 'c', OPT_TEXT, &s.endpoint, "EP",
		    "the daemon's queue.submit endpoint", 0, 0 },
		{ "id", 0, OPT_TEXT, &s.id, "ID",
		    "the job's id (one file)", 0, 0 },
		{ "wait", 'w', OPT_FLAG, &s.wait, NULL,
		    "wait for the verdict and print it", 0, 0 },
		{ "text", 0, OPT_TEXT, &s.text, "TEXT",
		    "text that accompanies the image", 0, 0 },
		{ "surface", 0, OPT_TEXT, &s.surface, "NAME",
		    "where the image is shown", 0, 0 },
		{ "policy", 0, OPT_LIST, &s.policies, "ID",
		    "score this policy only; may be repeated", 0, 0 },
		{ "explain", 0, OPT_TEXT, &s.explain, "WHEN",
		    "make maps: flagged, always or never", 0, 0 },
		{ "maps", 0, OPT_TEXT, &s.maps, "DIR",
		    "write the heat maps to DIR", 0, 0 },
		{ "deadline", 0, OPT_COUNT, &s.deadline_ms, "MS",
		    "milliseconds after which no verdict is wanted", 1,
		    86400000 },
		{ "bulk", 0, OPT_FLAG, &s.bulk, NULL,
		    "let interactive jobs go first", 0, 0 },
		{ "timeout", 0, OPT_COUNT, &s.timeout_s, "S",
		    "seconds to wait for any answer", 1, 86400 },
		{ "server-key", 0, OPT_TEXT, &s.server_key, "KEY",
		    "the daemon's public CURVE key", 0, 0 },
		{ "key-file", 0, OPT_TEXT, &s.key_file, "FILE",
		    "file of our secret CURVE key", 0, 0 },
	};
	struct cw_strings args;
	struct cw_err err;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON || (rc = check(&s, &args)) != CW_GO_ON)
		return rc;
	if (cw_arena_open((size_t)1 << 30, &s.scratch, &err) != CW_OK)
		return cw_complain("%s", err.text);
	if ((rc = open_queue(&s)) == CW_GO_ON)
		rc = run(&s);
	cw_zmq_close(&s.zmq);
	cw_arena_close(&s.scratch);
	return rc;
}
