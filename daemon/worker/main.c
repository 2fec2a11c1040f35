/*
 * main.c - clipward-worker: scores images in a process that holds nothing.
 *
 * Runs in: worker.  It has one descriptor beyond stdio, the channel to its
 * parent, and after start-up it can open no other.  One order, no other:
 *
 *	INIT, plugins, model, warm, sandbox, READY, loop
 *
 * The loop blocks on the channel, does what one frame asks, forgets
 * everything about it, and blocks again.  It ends when the parent hangs up.
 */
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "worker/bench.h"
#include "worker/channel.h"
#include "worker/image.h"
#include "worker/pipeline.h"
#include "worker/sandbox.h"
#include "worker/text.h"
#include "worker/warm.h"
#include "worker/worker.h"

#define INIT_BYTES	((size_t)1 << 20)	/* paths and numbers */
#define THREADS		"OPENBLAS_NUM_THREADS"

/*
 * OpenBLAS starts its threads before main, so the variable must be there
 * before exec; a parent that wants more than one has set it.  A second thread
 * would need calls that the sandbox does not allow.
 */
static void
one_thread(char *argv[])
{
	if (getenv(THREADS) != NULL || setenv(THREADS, "1", 1) == -1)
		return;
	execv("/proc/self/exe", argv);
}

static int
count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int n = 0;

	if (d == NULL)
		return 2;	/* no /proc: assume that there are others */
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static enum cw_status
receive_init(struct cw_worker *w, struct cw_err *err)
{
	struct cw_arena *a;
	struct cw_frame f;
	struct cw_unpack r;
	enum cw_status st;

	if ((st = cw_arena_open(INIT_BYTES, &a, err)) != CW_OK)
		return st;
	st = cw_frame_read(w->fd, INIT_BYTES / 4, a, &f, err);
	if (st != CW_OK)
		return st;
	if (f.type != CW_F_INIT)
		return cw_err_set(err, CW_E_FORMAT, "first frame is %s; "
		    "want INIT", cw_frame_name(f.type));
	cw_unpack_init(&r, f.body, f.len);
	return cw_init_unpack(&r, a, &w->init, err);
}

static enum cw_status
enter_sandbox(struct cw_worker *w, const char **what, struct cw_err *err)
{
	struct cw_sandbox *sb;
	enum cw_status st;

	*what = "off";
	if (!w->init.sandbox) {
		cw_log(CW_LOG_WARNING, "sandbox=off pid=%d", (int)getpid());
		return CW_OK;
	}
	st = cw_sandbox_prepare(w->fd, count_threads(), &sb, err);
	return st == CW_OK ? cw_sandbox_enter(&sb, what, err) : st;
}

static enum cw_status
send_ready(struct cw_worker *w, const char *sandbox, uint64_t started_ms,
    struct cw_err *err)
{
	const struct cw_model_info *i = w->info;
	const struct cw_model_facts facts = {
		.name = i->name,
		.sha256 = i->sha256,
		.config_sha256 = i->config_sha256,
		.tower = i->kind == CW_TOWER_VIT ? "vit" : "resnet",
		.image_size = (uint32_t)i->S,
		.patch = (uint32_t)i->P,
		.width = (uint32_t)i->image.width,
		.layers = (uint32_t)i->image.layers,
		.heads = (uint32_t)i->image.heads,
		.embed = (uint32_t)i->E,
		.text_width = (uint32_t)i->text.width,
		.text_layers = (uint32_t)i->text.layers,
		.text_heads = (uint32_t)i->text.heads,
		.context = (uint32_t)i->text.tokens,
		.vocab = (uint32_t)i->vocab,
		.logit_scale = i->logit_scale,
		.parameters = i->parameters,
		.weight_bytes = i->weight_bytes,
		.precision = i->precision,
		.kernel = i->kernel,
		.sandbox = sandbox,
		.plugins = cw_plugin_names(),
		.start_ms = (uint32_t)(cw_now_ms() - started_ms),
	};
	struct cw_pack pack;
	enum cw_status st;

	cw_pack_init(&pack, w->batch, 1024);
	cw_model_facts_pack(&facts, &pack);
	st = cw_channel_send(w->fd, CW_F_READY, 0, &pack, err);
	cw_arena_reset(w->batch, 0);
	return st;
}

static enum cw_status
start(struct cw_worker *w, uint64_t started_ms, struct cw_err *err)
{
	const char *sandbox;
	enum cw_status st;

	if ((st = receive_init(w, err)) != CW_OK)
		return st;
	for (uint32_t i = 0; i < w->init.nplugins; i++)
		if ((st = cw_plugin_load(w->init.plugins[i], err)) != CW_OK)
			return st;
	if ((st = cw_worker_open(w, err)) != CW_OK ||
	    (st = cw_warm(w, err)) != CW_OK ||
	    (st = enter_sandbox(w, &sandbox, err)) != CW_OK)
		return st;
	return send_ready(w, sandbox, started_ms, err);
}

/* New policies take the old ones' place only when they are whole. */
static enum cw_status
answer_policy(struct cw_worker *w, const struct cw_frame *f,
    struct cw_err *err)
{
	struct cw_policy_done done;
	struct cw_bank *fresh = NULL;
	struct cw_err why = { "" };
	struct cw_pack pack;
	enum cw_status st;

	cw_arena_reset(w->scratch, CW_KEEP_ALL);
	st = cw_bank_open(w->model, w->keep_layers, f->body, f->len,
	    w->scratch, &done, &fresh, &why);
	if (st == CW_OK) {
		cw_bank_close(&w->bank);
		w->bank = fresh;
	} else
		done = (struct cw_policy_done){ .message = why.text };
	/* A thousand texts at once took more than any batch of images will;
	 * without texts to encode, the next batch finds its pages in place. */
	cw_arena_reset(w->scratch, done.nrows > 0 ? 0 : CW_KEEP_ALL);
	cw_pack_init(&pack, w->batch, 4096);
	cw_policy_done_pack(&done, &pack);
	return cw_channel_send(w->fd, CW_F_POLICY_DONE, f->id, &pack, err);
}

static enum cw_status
answer(struct cw_worker *w, const struct cw_frame *f, struct cw_err *err)
{
	switch (f->type) {
	case CW_F_JOB:
		return cw_pipeline_batch(w, f, err);
	case CW_F_POLICY:
		return answer_policy(w, f, err);
	case CW_F_TEXT:
		return cw_text_answer(w, f, err);
	case CW_F_BENCH:
		return cw_bench_answer(w, f, err);
	default:
		return cw_err_set(err, CW_E_FORMAT, "a worker takes no %s",
		    cw_frame_name(f->type));
	}
}

static enum cw_status
loop(struct cw_worker *w, struct cw_err *err)
{
	struct cw_frame f;
	enum cw_status st;

	for (;;) {
		st = cw_frame_read(w->fd, CW_FRAME_MAX, w->frames, &f, err);
		if (st == CW_OK)
			st = answer(w, &f, err);
		if (st != CW_OK)
			return st;
		cw_worker_forget(w);
	}
}

int
main(int argc, char *argv[])
{
	const uint64_t started_ms = cw_now_ms();
	static struct cw_worker w = { .fd = CW_CHANNEL_FD };
	struct cw_err err = { "" };
	enum cw_status st;

	(void)argc;
	one_thread(argv);
	(void)signal(SIGPIPE, SIG_IGN);
	cw_log_hook(cw_channel_log, &w.fd);
	st = start(&w, started_ms, &err);
	if (st == CW_OK)
		st = loop(&w, &err);
	else if (st != CW_E_CLOSED)
		_exit(cw_channel_fatal(w.fd, st == CW_E_SYSTEM ? EX_OSERR :
		    EX_CONFIG, err.text));
	/* No farewells of libraries: OpenBLAS's would need a futex. */
	if (st == CW_E_CLOSED)
		_exit(EX_OK);
	cw_log(CW_LOG_ERR, "worker ends: %s", err.text);
	_exit(EX_SOFTWARE);
}
