/*
 * cmd_model.c - clipward model info, verify, prepare; clipward bench.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/commands.h"
#include "cli/local.h"

/*
 * Options and DIR; starts one worker without policies.  One that is to trust
 * nothing kept from before hashes and packs the weights itself.
 */
static int
open_model(struct cw_cli *cli, struct cw_local *l, bool trusting, int argc,
    char **argv)
{
	const struct cw_opt opts[] = { CW_OPT_JSON(cli), CW_OPT_MODEL(l) };
	struct cw_strings args;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n > 1)
		return cw_complain("%s: %zu directories; want one",
		    cli->command->name, args.n);
	if (args.n == 1)
		l->model = args.item[0];
	if ((rc = cw_local_settings(cli, l)) != CW_GO_ON)
		return rc;
	if (!trusting)
		l->init.cache_dir = "";
	return cw_local_start(l, NULL, 1);
}

static json_t *
facts_json(const struct cw_model_facts *m)
{
	return json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,"
	    "s:i,s:i,s:f,s:I,s:I,s:s,s:s,s:s,s:s,s:i}",
	    "name", m->name, "sha256", m->sha256, "tower", m->tower,
	    "image_size", (int)m->image_size, "patch", (int)m->patch,
	    "width", (int)m->width, "layers", (int)m->layers,
	    "heads", (int)m->heads, "embedding", (int)m->embed,
	    "text_width", (int)m->text_width,
	    "text_layers", (int)m->text_layers,
	    "text_heads", (int)m->text_heads, "context", (int)m->context,
	    "vocabulary", (int)m->vocab,
	    "logit_scale", (double)m->logit_scale,
	    "parameters", (json_int_t)m->parameters,
	    "weight_bytes", (json_int_t)m->weight_bytes,
	    "precision", m->precision, "kernel", m->kernel,
	    "sandbox", m->sandbox, "plugins", m->plugins,
	    "start_ms", (int)m->start_ms);
}

static void
print_facts(const struct cw_model_facts *m)
{
	printf("name        %s\n", m->name);
	printf("sha256      %s\n", m->sha256);
	if (m->patch > 0)
		printf("image       %s, %u layers of %u, %u heads, %u pixels in "
		    "patches of %u\n", m->tower, m->layers, m->width,
		    m->heads, m->image_size, m->patch);
	else
		printf("image       %s, width %u, %u pixels\n", m->tower,
		    m->width, m->image_size);
	printf("text        %u layers of %u, %u heads, %u tokens of %u\n",
	    m->text_layers, m->text_width, m->text_heads, m->context,
	    m->vocab);
	printf("embedding   %u, logit scale %.4g\n", m->embed,
	    (double)m->logit_scale);
	printf("parameters  %.2f million, %.1f MB of weights\n",
	    (double)m->parameters / 1e6, (double)m->weight_bytes / 1e6);
	printf("runs as     %s on %s, sandbox %s, decoders: jpeg%s%s\n",
	    m->precision, m->kernel, m->sandbox,
	    m->plugins[0] != '\0' ? " " : "", m->plugins);
	printf("started in  %u ms\n", m->start_ms);
}

int
cw_cmd_model_info(struct cw_cli *cli, int argc, char **argv)
{
	struct cw_local l = { .model = NULL };
	const struct cw_model_facts *m;
	json_t *o;
	int rc;

	if ((rc = open_model(cli, &l, true, argc, argv)) != CW_GO_ON)
		return rc;
	m = cw_clients_facts(l.clients);
	if (cli->json) {
		o = facts_json(m);
		json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
		putchar('\n');
		json_decref(o);
	} else
		print_facts(m);
	cw_local_stop(&l);
	return 0;
}

/* Both towers answer, with unit vectors: the model is more than loadable. */
int
cw_cmd_model_verify(struct cw_cli *cli, int argc, char **argv)
{
	struct cw_local l = { .model = NULL };
	const struct cw_model_facts *m;
	struct cw_text_done t;
	struct cw_err err;
	double norm = 0;
	int rc;

	if ((rc = open_model(cli, &l, false, argc, argv)) != CW_GO_ON)
		return rc;
	m = cw_clients_facts(l.clients);
	if (cw_clients_text(l.clients, CW_TEXT_EMBED, "a photo of a cat.",
	    cli->arena, &t, &err) != CW_OK)
		rc = cw_complain("%s", err.text);
	for (uint32_t i = 0; rc == CW_GO_ON && i < t.nembed; i++)
		norm += (double)t.embed[i] * (double)t.embed[i];
	if (rc == CW_GO_ON && (norm < 0.999 || norm > 1.001))
		rc = cw_complain("%s: a text's embedding has length^2 %g; "
		    "want 1", l.cfg.model.path, norm);
	if (rc == CW_GO_ON) {
		rc = 0;
		if (cli->json)
			printf("{\"ok\":true,\"name\":\"%s\",\"sha256\":"
			    "\"%s\"}\n", m->name, m->sha256);
		else
			printf("%s: good; sha256 %s\n", l.cfg.model.path,
			    m->sha256);
	}
	cw_local_stop(&l);
	return rc;
}

/* Make it if it is not there; false, and errno, if nothing can be kept in it. */
static bool
make_cache(const char *dir)
{
	struct stat sb;

	if (mkdir(dir, 0755) == -1 && errno != EEXIST)
		return false;
	if (stat(dir, &sb) == 0 && !S_ISDIR(sb.st_mode))
		errno = ENOTDIR;
	else if (access(dir, W_OK) == 0)
		return true;
	return false;
}

/*
 * Where to keep the packed weights: --cache or model.cache; if the latter
 * can't be, the user's own cache, where the daemon does not look.
 */
static int
open_cache(struct cw_local *l, const char *given)
{
	const char *want = given != NULL ? given : l->cfg.model.cache;
	const char *own = given != NULL ? "" : l->init.cache_dir;

	if (want[0] == '\0')
		return cw_complain("model prepare: model.cache is empty; want "
		    "--cache DIR");
	if (make_cache(want)) {
		l->init.cache_dir = want;
		return CW_GO_ON;
	}
	if (own[0] == '\0' || strcmp(own, want) == 0)
		return cw_complain("%s: %s; want a directory for the packed "
		    "weights", want, strerror(errno));
	cw_warn("%s: %s; packing in %s, where clipwardd does not look", want,
	    strerror(errno), own);
	return make_cache(own) ? CW_GO_ON : cw_complain("%s: %s", own,
	    strerror(errno));
}

/* Has a worker left its file there?  It starts without one, too. */
static bool
is_packed(const char *dir, const struct cw_model_facts *f)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/%.32s-%s-%s.packed", dir,
	    f->sha256, f->precision, f->kernel);

	return n > 0 && (size_t)n < sizeof(path) && access(path, R_OK) == 0;
}

/*
 * A worker packs what is not packed yet when it starts; this only starts one
 * with a directory to keep it in.
 */
int
cw_cmd_model_prepare(struct cw_cli *cli, int argc, char **argv)
{
	struct cw_local l = { .model = NULL };
	const char *cache = NULL;
	const struct cw_opt opts[] = {
		CW_OPT_MODEL(&l),
		{ "cache", 0, OPT_TEXT, &cache, "DIR",
		    "keep the packed weights in DIR", 0, 0 },
	};
	struct cw_strings args;
	uint64_t start;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n > 1)
		return cw_complain("model prepare: %zu directories; want one",
		    args.n);
	if (args.n == 1)
		l.model = args.item[0];
	if ((rc = cw_local_settings(cli, &l)) != CW_GO_ON ||
	    (rc = open_cache(&l, cache)) != CW_GO_ON)
		return rc;
	start = cw_now_ms();
	if ((rc = cw_local_start(&l, NULL, 1)) != CW_GO_ON)
		return rc;
	if (!is_packed(l.init.cache_dir, cw_clients_facts(l.clients))) {
		cw_local_stop(&l);
		return cw_complain("%s: the packed weights could not be kept "
		    "there; is its disk full?", l.init.cache_dir);
	}
	printf("%s: packed in %s for %s on %s, %llu ms\n",
	    cw_clients_facts(l.clients)->name, l.init.cache_dir,
	    cw_clients_facts(l.clients)->precision,
	    cw_clients_facts(l.clients)->kernel,
	    (unsigned long long)(cw_now_ms() - start));
	cw_local_stop(&l);
	return 0;
}

int
cw_cmd_bench(struct cw_cli *cli, int argc, char **argv)
{
	struct cw_local l = { .model = NULL };
	struct cw_bench_msg m = { .rounds = 0 };
	uint64_t rounds = 0;
	const struct cw_opt opts[] = {
		CW_OPT_JSON(cli), CW_OPT_MODEL(&l),
		{ "batch", 'b', OPT_COUNT, &l.batch, "N",
		    "images encoded together", 1, 256 },
		{ "rounds", 0, OPT_COUNT, &rounds, "N",
		    "batches to measure (default: about three seconds)", 1,
		    100000 },
		{ "explain", 0, OPT_FLAG, &m.explain, NULL,
		    "measure what explaining adds", 0, 0 },
	};
	struct cw_strings args;
	const char *json;
	struct cw_err err;
	json_t *o, *x;
	int rc;

	rc = cw_options(cli, opts, CW_COUNT(opts), argc, argv, &args);
	if (rc != CW_GO_ON)
		return rc;
	if (args.n > 0)
		return cw_complain("bench: \"%s\"; want options only",
		    args.item[0]);
	if ((rc = cw_local_settings(cli, &l)) != CW_GO_ON ||
	    (rc = cw_local_start(&l, NULL, 1)) != CW_GO_ON)
		return rc;
	m.batch = (uint32_t)l.cfg.workers.batch;
	m.rounds = (uint32_t)rounds;
	if (cw_clients_bench(l.clients, &m, cli->arena, &json, &err) !=
	    CW_OK) {
		cw_local_stop(&l);
		return cw_complain("%s", err.text);
	}
	cw_local_stop(&l);
	if (cli->json) {
		puts(json);
		return 0;
	}
	o = json_loads(json, 0, NULL);
	printf("%.2f images/s; %.2f ms a batch of %" JSON_INTEGER_FORMAT
	    "; %s on %s, %" JSON_INTEGER_FORMAT " thread(s)\n",
	    json_number_value(json_object_get(o, "images_per_s")),
	    json_number_value(json_object_get(json_object_get(o, "ms"),
	    "encode")), json_integer_value(json_object_get(o, "batch")),
	    json_string_value(json_object_get(o, "precision")),
	    json_string_value(json_object_get(o, "kernel")),
	    json_integer_value(json_object_get(o, "threads")));
	if ((x = json_object_get(o, "explain")) != NULL)
		printf("explaining adds %.3f ms an image, %.2f %% of its "
		    "encoding\n",
		    json_number_value(json_object_get(x, "keep_ms")) +
		    json_number_value(json_object_get(x, "map_ms")),
		    json_number_value(json_object_get(x, "percent")));
	json_decref(o);
	return 0;
}
