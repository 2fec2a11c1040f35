/*
 * cmd_embed.c - clipward embed, clipward tokenize: what the towers make of
 * an image or a text, for programs and for comparison with other CLIPs.
 */
#include <stdio.h>
#include <string.h>

#include "cli/adhoc.h"
#include "cli/commands.h"
#include "cli/local.h"
#include "cli/verdict_print.h"
#include "format/utf8.h"

struct embed {
	struct cw_cli		*cli;
	struct cw_local		 local;
	struct cw_strings	 images, texts;
	bool			 failed;
};

static void
print_json_text(const char *s)
{
	putchar('"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		if ((unsigned char)*s < 0x20)
			printf("\\u%04x", (unsigned char)*s);
		else
			putchar(*s);
	}
	putchar('"');
}

/* In place of an embedding, so that lines and inputs stay side by side. */
static void
print_error(struct embed *e, const char *why)
{
	fputs("{\"error\":", stdout);
	print_json_text(why);
	fputs("}\n", stdout);
	cw_complain("%s", why);
	e->failed = true;
}

/* Nine digits give every float back as it was. */
static void
print_embedding(const float *v, size_t n)
{
	fputs("{\"embedding\":[", stdout);
	for (size_t i = 0; i < n; i++)
		printf("%s%.9g", i > 0 ? "," : "", (double)v[i]);
	fputs("]}\n", stdout);
}

/* What the text tower reads of a text may be less than what was given. */
static void
warn_cut(struct cw_cli *cli, const char *text, const struct cw_text_done *t)
{
	const char *clean = cw_text_clean(text, cli->arena);
	const int shown = (int)cw_utf8_cut(clean, 40);

	if (t->length > t->nids)
		cw_warn("\"%.*s%s\" makes %u tokens; the model reads the "
		    "first %u", shown, clean, clean[shown] != '\0' ? "..." :
		    "", t->length, t->nids);
}

static enum cw_status
load(void *payload, size_t i, struct cw_arena *a, struct cw_job *job,
    const char **code, struct cw_err *err)
{
	struct embed *e = payload;

	(void)code;
	return cw_local_job(&e->local, e->images.item[i], a, job, err);
}

static bool
done(void *payload, const struct cw_client_done *d)
{
	struct embed *e = payload;

	if (d->res->failed)
		/* What could not be read names its file already. */
		print_error(e, cw_text_clean(d->res->stage == CW_ST_QUEUE ?
		    d->res->message : cw_arena_printf(e->cli->arena,
		    "%s: %s: %s", e->images.item[d->index], d->res->code,
		    d->res->message), e->cli->arena));
	else
		print_embedding(d->res->embeds, d->res->embed);
	return true;
}

static int
embed_all(struct cw_cli *cli, struct embed *e)
{
	const struct cw_client_work work = { .payload = e, .load = load,
		.done = done };
	struct cw_text_done text;
	struct cw_err err;

	if (e->images.n > 0 && cw_clients_run(e->local.clients, e->images.n,
	    &work, &err) != CW_OK)
		return cw_complain("%s", err.text);
	for (size_t i = 0; i < e->texts.n; i++) {
		enum cw_status st;

		st = cw_clients_text(e->local.clients, CW_TEXT_EMBED,
		    e->texts.item[i], cli->arena, &text, &err);
		if (st == CW_OK) {
			warn_cut(cli, e->texts.item[i], &text);
			print_embedding(text.embed, text.nembed);
		} else if (st == CW_E_FORMAT)
			print_error(e, err.text);
		else
			return cw_complain("%s", err.text);
	}
	return e->failed ? CW_EXIT_ERROR : 0;
}

int
cw_cmd_embed(struct cw_cli *cli, int argc, char **argv)
{
	struct embed e = { .cli = cli };
	bool scaled = false;
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli),
		{ "image", 'i', OPT_LIST, &e.images, "FILE",
		    "embed an image; may be repeated", 0, 0 },
		{ "text", 't', OPT_LIST, &e.texts, "TEXT",
		    "embed a text; may be repeated", 0, 0 },
		{ "scaled", 0, OPT_FLAG, &scaled, NULL,
		    "decode JPEGs scaled down, as scan does", 0, 0 },
		CW_OPT_MODEL(&e.local),
	};
	struct cw_strings args;
	struct cw_err err;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n > 0 || e.images.n + e.texts.n == 0)
		return cw_complain("embed: want --image FILE or --text TEXT");
	/* The reference's own pixels: its centre crop of a full decode. */
	e.local.views = "center";
	e.local.exact = !scaled;
	/* One at a time, so that lines come in order, errors too. */
	e.local.batch = 1;
	if ((rc = cw_local_settings(cli, &e.local)) != CW_GO_ON)
		return rc;
	/* A job is scored against something, if only one word. */
	e.local.own_prompts = true;
	if (cw_adhoc_policy("a picture", &(struct cw_strings){ 0 },
	    cli->arena, &e.local.set, &err) != CW_OK)
		return cw_complain("%s", err.text);
	rc = cw_local_start(&e.local,
	    e.images.n > 0 ? &e.local.set : NULL, 1);
	if (rc == CW_GO_ON)
		rc = embed_all(cli, &e);
	cw_local_stop(&e.local);
	return rc;
}

int
cw_cmd_tokenize(struct cw_cli *cli, int argc, char **argv)
{
	struct cw_local local = { .model = NULL };
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli), CW_OPT_MODEL(&local),
	};
	struct cw_text_done t;
	struct cw_strings args;
	struct cw_err err;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n != 1)
		return cw_complain("tokenize: %zu texts; want one", args.n);
	if ((rc = cw_local_settings(cli, &local)) != CW_GO_ON ||
	    (rc = cw_local_start(&local, NULL, 1)) != CW_GO_ON)
		return rc;
	rc = 0;
	if (cw_clients_text(local.clients, CW_TEXT_TOKENS, args.item[0],
	    cli->arena, &t, &err) != CW_OK)
		rc = cw_complain("%s", err.text);
	else {
		warn_cut(cli, args.item[0], &t);
		fputs(cli->json ? "{\"ids\":[" : "[", stdout);
		for (uint32_t i = 0; i < t.nids; i++)
			printf("%s%u", i > 0 ? "," : "", t.ids[i]);
		putchar(']');
		if (cli->json) {
			fputs(",\"tokens\":[", stdout);
			for (uint32_t i = 0; i < t.nids; i++) {
				if (i > 0)
					putchar(',');
				print_json_text(t.tokens[i]);
			}
			fputs("]}", stdout);
		}
		putchar('\n');
	}
	cw_local_stop(&local);
	return rc;
}
