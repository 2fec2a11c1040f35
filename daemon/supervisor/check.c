/*
 * check.c - see check.h.
 */
#include "supervisor/check.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/io.h"
#include "format/frame.h"
#include "supervisor/generation.h"
#include "supervisor/plugin_sink.h"
#include "supervisor/worker.h"

#define BODY_BYTES	(96u << 20)
#define ARENA_BYTES	(1ul << 30)

static enum cw_status
send_frame(int fd, uint16_t type, uint64_t id, const void *body, size_t n,
    struct cw_err *err)
{
	const struct cw_frame f = { .type = type, .id = id,
		.len = (uint32_t)n, .body = body };

	return cw_frame_write(fd, &f, err);
}

/* The next frame that is not a log line; FATAL becomes the error. */
static enum cw_status
next_frame(int fd, struct cw_arena *a, struct cw_frame *f, uint16_t want,
    struct cw_err *err)
{
	enum cw_status st;

	do
		st = cw_frame_read(fd, BODY_BYTES, a, f, err);
	while (st == CW_OK && f->type == CW_F_LOG);
	if (st == CW_OK && f->type == CW_F_FATAL) {
		struct cw_unpack r;

		cw_unpack_init(&r, f->body, f->len);
		(void)cw_get_u32(&r);
		return cw_err_set(err, CW_E_MODEL, "%s",
		    cw_get_str(&r, CW_ERR_MAX, a));
	}
	if (st == CW_OK && f->type != want)
		st = cw_err_set(err, CW_E_FORMAT, "clipward-worker: frame %s;"
		    " want %s", cw_frame_name(f->type), cw_frame_name(want));
	return st;
}

static enum cw_status
try_model(const struct cw_config *cfg, int fd, struct cw_arena *a,
    struct cw_model_facts *facts, struct cw_err *err)
{
	struct cw_unpack r;
	struct cw_init init;
	struct cw_frame f;
	struct cw_pack w;
	enum cw_status st;

	cw_worker_init(cfg, a, &init);
	cw_pack_init(&w, a, 4096);
	cw_init_pack(&init, &w);
	CW_CHECK(cw_pack_ok(&w));
	if ((st = send_frame(fd, CW_F_INIT, 0, w.p, w.len, err)) != CW_OK ||
	    (st = next_frame(fd, a, &f, CW_F_READY, err)) != CW_OK)
		return st;
	cw_unpack_init(&r, f.body, f.len);
	return cw_model_facts_unpack(&r, a, facts, err);
}

static enum cw_status
try_policies(struct cw_generation *g, int fd, struct cw_arena *a,
    const struct cw_model_facts *facts, struct cw_err *err)
{
	struct cw_policy_done done;
	struct cw_bytes body;
	struct cw_unpack r;
	struct cw_frame f;
	enum cw_status st;

	if ((st = cw_generation_recall(g, facts->embed, "", NULL, err)) !=
	    CW_OK ||
	    (st = cw_generation_pack(g, a, &body, err)) != CW_OK ||
	    (st = send_frame(fd, CW_F_POLICY, g->set.generation, body.p,
	    body.n, err)) != CW_OK ||
	    (st = next_frame(fd, a, &f, CW_F_POLICY_DONE, err)) != CW_OK)
		return st;
	cw_unpack_init(&r, f.body, f.len);
	st = cw_policy_done_unpack(&r, g->set.nprompts, a, &done, err);
	if (st == CW_OK && !done.ok)
		st = cw_err_set(err, CW_E_CONFIG, "%s", done.message);
	if (st == CW_OK)
		cw_policy_set_lint_long(&g->set, true, &done, g->arena,
		    &g->warnings);
	return st;
}

static enum cw_status
try_worker(const struct cw_config *cfg, struct cw_generation *g,
    struct cw_arena *a, struct cw_model_facts *facts, struct cw_err *err)
{
	char threads[] = "OPENBLAS_NUM_THREADS=1", *env[] = { threads, NULL };
	const char *program;
	char *argv[] = { NULL, NULL };
	enum cw_status st;
	pid_t pid;
	int fd;

	st = cw_find_program("clipward-worker", a, &program, err);
	if (st != CW_OK)
		return st;
	argv[0] = (char *)program;
	if ((st = cw_spawn(argv, env, &pid, &fd, err)) != CW_OK)
		return st;
	if ((st = try_model(cfg, fd, a, facts, err)) == CW_OK)
		st = try_policies(g, fd, a, facts, err);
	cw_close(&fd);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return st;
}

static enum cw_status
try_plugins(const struct cw_config *cfg, struct cw_err *err)
{
	for (size_t i = 0; i < cfg->nplugins; i++) {
		enum cw_status st;
		bool sink;

		st = cw_plugin_is_sink(cfg->plugins[i].path, &sink, err);
		if (st != CW_OK)
			return st;
	}
	return CW_OK;
}

int
cw_check_all(const struct cw_config *cfg)
{
	struct cw_generation *g = NULL;
	struct cw_model_facts facts;
	struct cw_arena *scratch = NULL;
	enum cw_status st;
	struct cw_err err;

	if ((st = cw_arena_open(ARENA_BYTES, &scratch, &err)) != CW_OK ||
	    (st = cw_generation_read(cfg, 1, &g, &err)) != CW_OK ||
	    (st = cw_policy_set_find_tests(&g->set, g->arena, &err)) !=
	    CW_OK ||
	    (st = try_plugins(cfg, &err)) != CW_OK ||
	    (st = try_worker(cfg, g, scratch, &facts, &err)) != CW_OK) {
		fprintf(stderr, "clipwardd: %s\n", err.text);
		cw_generation_unref(&g);
		cw_arena_close(&scratch);
		return CW_EXIT_CONFIG;
	}
	for (size_t i = 0; i < g->warnings.n; i++)
		fprintf(stderr, "clipwardd: warning: %s\n",
		    g->warnings.text[i]);
	printf("%s: fine\nmodel %s (%s, %s, %s), %zu policies, %zu prompts, "
	    "%zu plugins\n", cfg->file[0] != '\0' ? cfg->file : "defaults",
	    facts.name, facts.tower, facts.precision, facts.kernel,
	    g->set.npolicies, g->set.nprompts, cfg->nplugins);
	cw_generation_unref(&g);
	cw_arena_close(&scratch);
	return 0;
}
