/*
 * model.c - a model directory opened, and its two encoders; see model.h.
 */
#include "model/model.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "model/kernels/kernel.h"
#include "model/model_state.h"
#include "model/stamp.h"

/* Address space for names, tables and files; touched only where used. */
#define TABLES_BYTES	((size_t)512 << 20)
#define BOOT_BYTES	((size_t)512 << 20)

/* "models/starter/" -> "starter"; "." -> the name it has in its parent */
static void
set_name(struct cw_model_info *info, const char *dir)
{
	char *real = realpath(dir, NULL);
	const char *slash = real != NULL ? strrchr(real, '/') : NULL;

	snprintf(info->name, sizeof(info->name), "%s",
	    slash != NULL && slash[1] != '\0' ? slash + 1 : "model");
	free(real);
}

static struct cw_tower_info
tower_info(const struct cw_encoder_config *c, int tokens)
{
	return (struct cw_tower_info){ .width = c->width,
	    .layers = c->layers, .heads = c->heads, .tokens = tokens,
	    .eps = c->eps };
}

static void
fill_info(struct cw_model *m, const char *dir, const char *cache_dir)
{
	const struct cw_model_config *c = &m->config;
	struct cw_model_info *i = &m->info;
	const bool vit = c->kind == CW_TOWER_VIT;

	set_name(i, dir);
	i->kind = c->kind;
	i->S = c->S;
	i->P = c->P;
	i->G = vit ? m->weights.vit.G : m->weights.resnet.G;
	i->E = c->E;
	i->image = tower_info(&c->image, i->G * i->G + 1);
	i->text = tower_info(&c->text, m->tokenizer.context);
	i->vocab = c->vocab;
	i->logit_scale = m->weights.logit_scale;
	i->pixels = c->pixels;
	i->precision = m->kernel->int8 ? "int8" : "fp32";
	i->kernel = m->kernel->name;
	for (size_t k = 0; k < m->files.ntensors; k++)
		if (m->files.tensors[k].dtype != CW_DTYPE_OTHER)
			i->parameters += m->files.tensors[k].count;
	for (size_t k = 0; k < m->files.nfiles; k++)
		i->weight_bytes += m->files.files[k].n;
	cw_stamp_sha256(m->files.files, m->files.ids, m->files.nfiles,
	    cache_dir, cw_wall_us() * 1000, i->sha256);
}

/* What, beside the weights, an embedding depends on. */
static enum cw_status
hash_beside(int dirfd, struct cw_arena *boot, char hex[CW_SHA256_HEX],
    struct cw_err *err)
{
	static const char *const names[] = { "config.json",
		"open_clip_config.json", "preprocessor_config.json",
		"tokenizer.json", "vocab.json", "merges.txt",
		"tokenizer_config.json" };
	struct cw_bytes parts[2 * CW_COUNT(names)];

	for (size_t i = 0; i < CW_COUNT(names); i++) {
		struct cw_bytes *part = &parts[2 * i];
		char *bytes = "";
		enum cw_status st;
		struct cw_err why;

		part[0] = (struct cw_bytes){ names[i], strlen(names[i]) + 1 };
		part[1].n = 0;
		st = cw_read_file(dirfd, names[i], CW_TOKENIZER_FILE_MAX, boot,
		    &bytes, &part[1].n, &why);
		/* One that isn't there is a name without bytes. */
		if (st != CW_OK && st != CW_E_NOT_FOUND)
			return cw_err_set(err, CW_E_MODEL, "%s", why.text);
		part[1].p = bytes;
	}
	cw_sha256(parts, CW_COUNT(parts), hex);
	return CW_OK;
}

static enum cw_status
choose_kernel(const struct cw_model_opts *o, const struct cw_kernel **out,
    struct cw_err *err)
{
	const char *kernel = o->kernel != NULL ? o->kernel : "";

	if ((*out = cw_kernel_find(kernel, o->int8)) == NULL)
		return cw_err_set(err, CW_E_CONFIG, "no kernel \"%s\" for %s "
		    "on this CPU", kernel, o->int8 ? "int8" : "fp32");
	return CW_OK;
}

static enum cw_status
check_end_mark(const struct cw_model *m, const char *dir, struct cw_err *err)
{
	/* 2 is what old files say whatever the vocabulary. */
	if (m->config.eos != 2 && m->config.eos != m->tokenizer.end)
		return cw_err_set(err, CW_E_MODEL, "%s/config.json: "
		    "text_config.eos_token_id is %d; want %d, the "
		    "vocabulary's %s", dir, m->config.eos, m->tokenizer.end,
		    CW_TEXT_END);
	return CW_OK;
}

static enum cw_status
load_parts(struct cw_model *m, int dirfd, const char *dir,
    struct cw_arena *boot, struct cw_err *err)
{
	enum cw_status st;

	if ((st = cw_safetensors_open(dirfd, dir, m->tables, &m->files,
	    err)) != CW_OK ||
	    (st = cw_model_config_read(dirfd, dir,
	    cw_weights_openai(&m->files), boot, &m->config, err)) != CW_OK ||
	    (st = cw_arena_open(cw_weights_bytes(&m->files), &m->wide,
	    err)) != CW_OK ||
	    (st = cw_weights_load(&m->files, &m->config, m->wide, &m->weights,
	    err)) != CW_OK ||
	    (st = cw_tokenizer_load(dirfd, dir, m->config.context,
	    m->config.vocab, m->tables, boot, &m->tokenizer, err)) != CW_OK)
		return st;
	return check_end_mark(m, dir, err);
}

enum cw_status
cw_model_open(const char *dir, const struct cw_model_opts *opts,
    struct cw_model **out, struct cw_err *err)
{
	const char *cache = opts->cache_dir != NULL ? opts->cache_dir : "";
	struct cw_arena *tables = NULL, *boot = NULL;
	const struct cw_kernel *kernel;
	struct cw_model *m;
	enum cw_status st;
	int dirfd;

	if ((st = choose_kernel(opts, &kernel, err)) != CW_OK)
		return st;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd == -1) {
		st = cw_err_sys(err, "%s: want a model directory", dir);
		return st == CW_E_SYSTEM ? CW_E_MODEL : st;
	}
	if ((st = cw_arena_open(TABLES_BYTES, &tables, err)) != CW_OK ||
	    (st = cw_arena_open(BOOT_BYTES, &boot, err)) != CW_OK) {
		cw_arena_close(&tables);
		cw_close(&dirfd);
		return st;
	}
	m = cw_arena_zalloc(tables, 1, sizeof(*m));
	m->magic = CW_MODEL_MAGIC;
	m->tables = tables;
	m->kernel = kernel;
	st = load_parts(m, dirfd, dir, boot, err);
	if (st == CW_OK)
		st = hash_beside(dirfd, boot, m->info.config_sha256, err);
	cw_close(&dirfd);
	if (st == CW_OK) {
		fill_info(m, dir, cache);
		st = cw_prepare(&m->weights, m->config.kind, kernel,
		    opts->shallow_int8 ? 0 : CW_DEEP, m->info.sha256, cache,
		    boot, &m->prepared, err);
		/* Hashed and packed: most of the file is done with. */
		cw_safetensors_rest(&m->files);
	}
	cw_arena_close(&boot);
	if (st != CW_OK) {
		cw_model_close(&m);
		return st;
	}
	*out = m;
	return CW_OK;
}

void
cw_model_close(struct cw_model **m)
{
	struct cw_arena *tables;

	if (*m == NULL)
		return;
	CW_CHECK_OBJ(*m, CW_MODEL_MAGIC);
	cw_prepared_close(&(*m)->prepared);
	cw_safetensors_close(&(*m)->files);
	cw_arena_close(&(*m)->wide);
	(*m)->magic = 0;
	tables = (*m)->tables;
	cw_arena_close(&tables);
	*m = NULL;
}

const struct cw_model_info *
cw_model_info(const struct cw_model *m)
{
	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	return &m->info;
}

void
cw_model_tap(struct cw_model *m, cw_tap_fn *fn, void *payload)
{
	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	m->tap = (struct cw_tap){ fn, payload };
}

/* ---- text ---- */

enum cw_status
cw_model_tokenize(const struct cw_model *m, const char *text,
    struct cw_arena *scratch, int *ids, int *n, struct cw_err *err)
{
	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	return cw_tokenizer_encode(&m->tokenizer, text, scratch, ids, n, err);
}

enum cw_status
cw_model_measure(const struct cw_model *m, const char *text,
    struct cw_arena *scratch, int *tokens, int *most, struct cw_err *err)
{
	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	*most = m->tokenizer.context;
	return cw_tokenizer_measure(&m->tokenizer, text, scratch, tokens,
	    err);
}

const char *
cw_model_token_text(const struct cw_model *m, int id, struct cw_arena *a)
{
	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	return cw_tokenizer_text(&m->tokenizer, id, a);
}

/* Ids up to and with the end mark. */
static int
up_to_end(const struct cw_model *m, const int *ids, int n)
{
	int end = 0;

	while (end < n && ids[end] != m->tokenizer.end)
		end++;
	CW_CHECK(end < n && end < m->config.context);
	return end + 1;
}

enum cw_status
cw_model_encode_text(const struct cw_model *m, const int *ids, int n,
    struct cw_arena *scratch, float *embed, struct cw_trace *trace,
    int keep_layers, struct cw_arena *keep, struct cw_err *err)
{
	const struct cw_encode job = { .want = CW_WANT_TRACE,
	    .keep_layers = keep_layers, .traces = trace, .scratch = scratch,
	    .keep = keep, .tap = &m->tap };
	const size_t mark = cw_arena_mark(scratch);
	enum cw_status st;
	int bad;

	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	CW_CHECK(trace == NULL || (keep != NULL && keep != scratch));
	n = up_to_end(m, ids, n);
	st = cw_text_encode(&m->weights.text, &ids, &n, 1, &job, embed, &bad,
	    err);
	cw_arena_release(scratch, mark);
	return st;
}

enum cw_status
cw_model_encode_texts(const struct cw_model *m, const int *const *ids,
    const int *n, int count, struct cw_arena *scratch, float *embeds,
    int *bad, struct cw_err *err)
{
	const struct cw_encode job = { .scratch = scratch, .tap = &m->tap };
	const size_t mark = cw_arena_mark(scratch);
	int *ends = cw_arena_zalloc(scratch, (size_t)count, sizeof(*ends));
	enum cw_status st;

	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	if (ends == NULL)
		return cw_err_set(err, CW_E_LIMIT, "scratch is too small");
	for (int i = 0; i < count; i++)
		ends[i] = up_to_end(m, ids[i], n[i]);
	st = cw_text_encode(&m->weights.text, ids, ends, count, &job, embeds,
	    bad, err);
	cw_arena_release(scratch, mark);
	return st;
}

size_t
cw_model_text_scratch_bytes(const struct cw_model *m, int count)
{
	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	return cw_text_scratch_bytes(&m->weights.text, count) +
	    (size_t)count * sizeof(int) + CW_ARENA_ALIGN;
}

/* ---- images ---- */

/*
 * Images of a batch that go through a ViT together: their class rows share
 * the last layer's weights, and what one has read of a layer another finds in
 * the machine's cache (measured on ViT-B/32: 4 of 8 are 2 % faster than 2 in
 * fp32 and as fast in int8).  Many more would only take more scratch.
 */
#define ROWS_AT_ONCE	256

/* At most, of batches of B. */
static int
images_limit(const struct cw_model *m, int B)
{
	const int n = ROWS_AT_ONCE / m->info.image.tokens;

	if (m->config.kind != CW_TOWER_VIT || n > B)
		return B;
	return n > 0 ? n : 1;
}

/* Of B that are left, in even parts. */
static int
images_at_once(const struct cw_model *m, int B)
{
	const int most = images_limit(m, B), parts = (B + most - 1) / most;

	return (B + parts - 1) / parts;
}

enum cw_status
cw_model_encode_images(const struct cw_model *m, const float *pixels, int B,
    unsigned want, int keep_layers, struct cw_arena *scratch, float *embed,
    float *norm, struct cw_trace *traces, struct cw_arena *keep,
    struct cw_err *err)
{
	const bool trace = (want & (CW_WANT_TRACE | CW_WANT_ROLLOUT)) != 0;
	struct cw_encode job = { .want = want, .keep_layers = keep_layers,
	    .scratch = scratch, .keep = keep, .tap = &m->tap };
	const size_t mark = cw_arena_mark(scratch);
	enum cw_status st = CW_OK;

	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	CW_CHECK(B > 0 && (!trace || (traces != NULL && keep != NULL &&
	    keep != scratch)));
	for (int at = 0, n; at < B && st == CW_OK; at += n) {
		const size_t S = (size_t)m->info.S;
		const float *px = pixels + (size_t)at * 3 * S * S;
		float *to = embed + (size_t)at * (size_t)m->info.E;
		float *len = norm != NULL ? norm + at : NULL;

		n = images_at_once(m, B - at);
		job.traces = trace ? traces + at : NULL;
		st = m->config.kind == CW_TOWER_VIT ?
		    cw_vit_encode(&m->weights.vit, px, n, &job, to, len, err) :
		    cw_resnet_encode(&m->weights.resnet, px, n, &job, to, len,
		    err);
		cw_arena_release(scratch, mark);
	}
	return st;
}

size_t
cw_model_scratch_bytes(const struct cw_model *m, int B)
{
	CW_CHECK_OBJ(m, CW_MODEL_MAGIC);
	B = images_limit(m, B);
	return m->config.kind == CW_TOWER_VIT ?
	    cw_vit_scratch_bytes(&m->weights.vit, B) :
	    cw_resnet_scratch_bytes(&m->weights.resnet, B);
}
