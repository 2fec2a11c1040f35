/*
 * worker_msg.c - see worker_msg.h.
 */
#include "format/worker_msg.h"

#include <math.h>
#include <string.h>

#include "format/frame.h"
#include "format/job.h"
#include "format/names.h"

#define PATH_BYTES	4096u
#define WORD_BYTES	256u
#define IDS_MAX		4096u

static const char *const precisions[] = { "auto", "fp32", "int8" };
static const char *const views[] = { "auto", "center", "whole", "cover" };

CW_NAMES(cw_precision, enum cw_precision, precisions)
CW_NAMES_PARSE(cw_precision, precisions)
CW_NAMES(cw_views, enum cw_views, views)
CW_NAMES_PARSE(cw_views, views)

static enum cw_status
ended(const struct cw_unpack *r, const char *what, struct cw_err *err)
{
	if (cw_unpack_end(r))
		return CW_OK;
	return cw_err_set(err, CW_E_FORMAT, "%s: bad bytes", what);
}

void
cw_init_pack(const struct cw_init *m, struct cw_pack *w)
{
	cw_put_u32(w, CW_FRAME_VERSION);
	cw_put_str(w, m->model_dir);
	cw_put_str(w, m->cache_dir);
	cw_put_u32(w, m->precision);
	cw_put_str(w, m->kernel);
	cw_put_u32(w, m->batch);
	cw_put_u32(w, m->threads);
	cw_put_u32(w, m->views);
	cw_put_u32(w, m->explain_layers);
	cw_put_u8(w, m->exact_decode);
	cw_put_u8(w, m->sandbox);
	cw_put_u64(w, m->limits.bytes);
	cw_put_u64(w, m->limits.decoded_bytes);
	cw_put_u64(w, m->limits.pixels);
	cw_put_u32(w, m->limits.scans);
	cw_put_u32(w, m->limits.frames);
	cw_put_u32(w, m->limits.cpu_ms);
	cw_put_u32(w, m->pictures);
	cw_put_u32(w, m->extras_ms);
	cw_put_u32(w, m->nplugins);
	for (uint32_t i = 0; i < m->nplugins; i++)
		cw_put_str(w, m->plugins[i]);
}

enum cw_status
cw_init_unpack(struct cw_unpack *r, struct cw_arena *a, struct cw_init *out,
    struct cw_err *err)
{
	struct cw_init m = { 0 };
	const uint32_t version = cw_get_u32(r);

	if (version != CW_FRAME_VERSION)
		return cw_err_set(err, CW_E_CONFIG, "INIT of frames version "
		    "%u; this program speaks %u: it is of another build",
		    version, CW_FRAME_VERSION);
	m.model_dir = cw_get_str(r, PATH_BYTES, a);
	m.cache_dir = cw_get_str(r, PATH_BYTES, a);
	m.precision = cw_get_below(r, CW_PRECISIONS);
	m.kernel = cw_get_str(r, WORD_BYTES, a);
	m.batch = cw_get_below(r, 1025);
	m.threads = cw_get_below(r, 1025);
	m.views = cw_get_below(r, CW_VIEWS);
	m.explain_layers = cw_get_u32(r);
	m.exact_decode = cw_get_u8(r) != 0;
	m.sandbox = cw_get_u8(r) != 0;
	m.limits.bytes = cw_get_u64(r);
	m.limits.decoded_bytes = cw_get_u64(r);
	m.limits.pixels = cw_get_u64(r);
	m.limits.scans = cw_get_u32(r);
	m.limits.frames = cw_get_u32(r);
	m.limits.cpu_ms = cw_get_u32(r);
	m.pictures = cw_get_u32(r);
	m.extras_ms = cw_get_u32(r);
	m.nplugins = cw_get_below(r, CW_PLUGINS_MAX + 1);
	m.plugins = cw_arena_zalloc(a, m.nplugins, sizeof(*m.plugins));
	if (m.plugins == NULL || m.batch == 0)
		r->bad = true;
	for (uint32_t i = 0; i < m.nplugins && !r->bad; i++)
		m.plugins[i] = cw_get_str(r, PATH_BYTES, a);
	*out = m;
	return ended(r, "INIT", err);
}

void
cw_model_facts_pack(const struct cw_model_facts *m, struct cw_pack *w)
{
	cw_put_str(w, m->name);
	cw_put_str(w, m->sha256);
	cw_put_str(w, m->config_sha256);
	cw_put_str(w, m->tower);
	cw_put_u32(w, m->image_size);
	cw_put_u32(w, m->patch);
	cw_put_u32(w, m->width);
	cw_put_u32(w, m->layers);
	cw_put_u32(w, m->heads);
	cw_put_u32(w, m->embed);
	cw_put_u32(w, m->text_width);
	cw_put_u32(w, m->text_layers);
	cw_put_u32(w, m->text_heads);
	cw_put_u32(w, m->context);
	cw_put_u32(w, m->vocab);
	cw_put_f32(w, m->logit_scale);
	cw_put_u64(w, m->parameters);
	cw_put_u64(w, m->weight_bytes);
	cw_put_str(w, m->precision);
	cw_put_str(w, m->kernel);
	cw_put_str(w, m->sandbox);
	cw_put_str(w, m->plugins);
	cw_put_u32(w, m->start_ms);
}

enum cw_status
cw_model_facts_unpack(struct cw_unpack *r, struct cw_arena *a,
    struct cw_model_facts *out, struct cw_err *err)
{
	struct cw_model_facts m = { 0 };

	m.name = cw_get_str(r, WORD_BYTES, a);
	m.sha256 = cw_get_str(r, CW_SHA256_HEX - 1, a);
	m.config_sha256 = cw_get_str(r, CW_SHA256_HEX - 1, a);
	m.tower = cw_get_str(r, WORD_BYTES, a);
	m.image_size = cw_get_u32(r);
	m.patch = cw_get_u32(r);
	m.width = cw_get_u32(r);
	m.layers = cw_get_u32(r);
	m.heads = cw_get_u32(r);
	m.embed = cw_get_below(r, CW_EMBED_MAX + 1);
	m.text_width = cw_get_u32(r);
	m.text_layers = cw_get_u32(r);
	m.text_heads = cw_get_u32(r);
	m.context = cw_get_u32(r);
	m.vocab = cw_get_u32(r);
	m.logit_scale = cw_get_f32(r);
	m.parameters = cw_get_u64(r);
	m.weight_bytes = cw_get_u64(r);
	m.precision = cw_get_str(r, WORD_BYTES, a);
	m.kernel = cw_get_str(r, WORD_BYTES, a);
	m.sandbox = cw_get_str(r, WORD_BYTES, a);
	m.plugins = cw_get_str(r, PATH_BYTES, a);
	m.start_ms = cw_get_u32(r);
	if (!isfinite(m.logit_scale) || m.logit_scale <= 0 ||
	    !cw_sha256_valid(m.sha256) || !cw_sha256_valid(m.config_sha256))
		r->bad = true;
	*out = m;
	return ended(r, "READY", err);
}

static void
put_rows(struct cw_pack *w, const struct cw_bank_row *rows, uint32_t n,
    uint32_t embed)
{
	cw_put_u32(w, embed);
	cw_put_u32(w, n);
	for (uint32_t i = 0; i < n; i++) {
		cw_put_u32(w, rows[i].bank);
		cw_put_floats(w, rows[i].vec, embed);
	}
}

static struct cw_bank_row *
get_rows(struct cw_unpack *r, struct cw_arena *a, size_t nprompts,
    uint32_t *n, uint32_t *embed)
{
	struct cw_bank_row *rows;
	size_t len;

	*embed = cw_get_below(r, CW_EMBED_MAX + 1);
	*n = cw_get_below(r, (uint32_t)nprompts + 1);
	rows = cw_arena_zalloc(a, *n, sizeof(*rows));
	if (rows == NULL)
		r->bad = true;
	for (uint32_t i = 0; i < *n && !r->bad; i++) {
		rows[i].bank = cw_get_below(r, (uint32_t)nprompts);
		rows[i].vec = cw_get_floats(r, *embed, a, &len);
		if (len != *embed)
			r->bad = true;
		for (size_t k = 0; k < len; k++)
			if (!isfinite(rows[i].vec[k]))
				r->bad = true;
	}
	return rows;
}

void
cw_policy_msg_pack(const struct cw_policy_msg *m, struct cw_pack *w)
{
	cw_policy_set_pack(&m->set, w);
	put_rows(w, m->rows, m->nrows, m->embed);
}

enum cw_status
cw_policy_msg_unpack(struct cw_unpack *r, struct cw_arena *a,
    struct cw_policy_msg *out, struct cw_err *err)
{
	enum cw_status st;

	if ((st = cw_policy_set_unpack(r, a, &out->set, err)) != CW_OK)
		return st;
	out->rows = get_rows(r, a, out->set.nprompts, &out->nrows,
	    &out->embed);
	return ended(r, "POLICY", err);
}

void
cw_policy_done_pack(const struct cw_policy_done *m, struct cw_pack *w)
{
	cw_put_u8(w, m->ok);
	cw_put_str(w, m->message);
	put_rows(w, m->rows, m->nrows, m->embed);
	cw_put_u32(w, m->encode_ms);
	cw_put_u32(w, m->context);
	cw_put_u32(w, m->nlongs);
	for (uint32_t i = 0; i < m->nlongs; i++) {
		cw_put_u32(w, m->longs[i].bank);
		cw_put_u32(w, m->longs[i].tokens);
	}
}

enum cw_status
cw_policy_done_unpack(struct cw_unpack *r, size_t nprompts,
    struct cw_arena *a, struct cw_policy_done *out, struct cw_err *err)
{
	struct cw_policy_done m = { 0 };

	m.ok = cw_get_u8(r) != 0;
	m.message = cw_get_str(r, CW_ERR_MAX, a);
	m.rows = get_rows(r, a, nprompts, &m.nrows, &m.embed);
	m.encode_ms = cw_get_u32(r);
	m.context = cw_get_u32(r);
	m.nlongs = cw_get_below(r, (uint32_t)nprompts + 1);
	m.longs = cw_arena_zalloc(a, m.nlongs, sizeof(*m.longs));
	if (m.longs == NULL)
		r->bad = true;
	for (uint32_t i = 0; i < m.nlongs && !r->bad; i++) {
		m.longs[i].bank = cw_get_below(r, (uint32_t)nprompts);
		m.longs[i].tokens = cw_get_u32(r);
	}
	*out = m;
	return ended(r, "POLICY_DONE", err);
}

void
cw_text_msg_pack(const struct cw_text_msg *m, struct cw_pack *w)
{
	cw_put_u32(w, m->want);
	cw_put_str(w, m->text);
}

enum cw_status
cw_text_msg_unpack(struct cw_unpack *r, struct cw_arena *a,
    struct cw_text_msg *out, struct cw_err *err)
{
	out->want = cw_get_below(r, CW_TEXT_WANTS);
	out->text = cw_get_str(r, CW_TEXT_BYTES, a);
	return ended(r, "TEXT", err);
}

void
cw_text_done_pack(const struct cw_text_done *m, struct cw_pack *w)
{
	cw_put_u8(w, m->ok);
	cw_put_str(w, m->message);
	cw_put_u32(w, m->length);
	cw_put_u32(w, m->nids);
	for (uint32_t i = 0; i < m->nids; i++) {
		cw_put_u32(w, m->ids[i]);
		cw_put_str(w, m->tokens == NULL ? "" : m->tokens[i]);
	}
	cw_put_floats(w, m->embed, m->nembed);
	cw_put_floats(w, m->values, m->values == NULL ? 0 : m->nids);
	cw_put_u32(w, m->category);
	cw_put_f32(w, m->total);
	cw_put_f32(w, m->remainder);
}

enum cw_status
cw_text_done_unpack(struct cw_unpack *r, struct cw_arena *a,
    struct cw_text_done *out, struct cw_err *err)
{
	struct cw_text_done m = { 0 };
	uint32_t *ids;
	size_t n;

	m.ok = cw_get_u8(r) != 0;
	m.message = cw_get_str(r, CW_ERR_MAX, a);
	m.length = cw_get_u32(r);
	m.nids = cw_get_below(r, IDS_MAX + 1);
	ids = cw_arena_zalloc(a, m.nids, sizeof(*ids));
	m.tokens = cw_arena_zalloc(a, m.nids, sizeof(*m.tokens));
	if (ids == NULL || m.tokens == NULL)
		r->bad = true;
	for (uint32_t i = 0; i < m.nids && !r->bad; i++) {
		ids[i] = cw_get_u32(r);
		m.tokens[i] = cw_get_str(r, WORD_BYTES, a);
	}
	m.ids = ids;
	m.embed = cw_get_floats(r, CW_EMBED_MAX, a, &n);
	m.nembed = (uint32_t)n;
	m.values = cw_get_floats(r, m.nids, a, &n);
	if (n == 0)
		m.values = NULL;
	else if (n != m.nids)
		r->bad = true;
	m.category = cw_get_u32(r);
	m.total = cw_get_f32(r);
	m.remainder = cw_get_f32(r);
	*out = m;
	return ended(r, "TEXT_DONE", err);
}

void
cw_bench_msg_pack(const struct cw_bench_msg *m, struct cw_pack *w)
{
	cw_put_u32(w, m->batch);
	cw_put_u32(w, m->rounds);
	cw_put_u8(w, m->explain);
}

enum cw_status
cw_bench_msg_unpack(struct cw_unpack *r, struct cw_bench_msg *out,
    struct cw_err *err)
{
	out->batch = cw_get_below(r, 1025);
	out->rounds = cw_get_u32(r);
	out->explain = cw_get_u8(r) != 0;
	return ended(r, "BENCH", err);
}
