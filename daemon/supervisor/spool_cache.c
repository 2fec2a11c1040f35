/*
 * spool_cache.c - see spool.h.  Embeddings, text vectors, the outbox.
 */
#include <math.h>
#include <string.h>

#include "supervisor/half.h"
#include "supervisor/spool_db.h"

#define VIEW_BYTES	28u	/* seven u32 of a stored view */

/* ---- embeddings ---- */

static void
pack_views(struct cw_pack *w, const struct cw_result *res)
{
	for (uint32_t i = 0; i < res->nviews; i++) {
		const struct cw_view *v = &res->views[i];

		cw_put_u32(w, v->kind);
		cw_put_u32(w, v->background);
		cw_put_u32(w, (uint32_t)v->x);
		cw_put_u32(w, (uint32_t)v->y);
		cw_put_u32(w, (uint32_t)v->w);
		cw_put_u32(w, (uint32_t)v->h);
		cw_put_u32(w, v->frame);
	}
}

enum cw_status
cw_spool_put_embeds(struct cw_spool *sp, const char *sha256,
    const char *model, const struct cw_result *res, int64_t now_us,
    struct cw_err *err)
{
	const size_t n = (size_t)res->nviews * res->embed;
	struct cw_pack views;
	uint16_t *half;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	cw_arena_reset(sp->scratch, 0);
	cw_pack_init(&views, sp->scratch, CW_VIEWS_MAX * VIEW_BYTES);
	pack_views(&views, res);
	half = cw_arena_alloc(sp->scratch, n * sizeof(*half));
	if (half == NULL || !cw_pack_ok(&views))
		return cw_err_set(err, CW_E_LIMIT, "embeddings: no room");
	for (size_t i = 0; i < n; i++)
		half[i] = cw_half_from(res->embeds[i]);
	return SPOOL_RUN(sp, err, "INSERT OR IGNORE INTO embeddings(sha256,"
	    " model, stored_us, embed, format, width, height, frames, views,"
	    " vectors) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	    CW_T(sha256), CW_T(model), CW_I(now_us), CW_I(res->embed),
	    CW_T(res->format), CW_I(res->width), CW_I(res->height),
	    CW_I(res->frames), CW_B(views.p, views.len),
	    CW_B(half, n * sizeof(*half)));
}

/* Half precision moved them off the unit sphere by up to 5e-4: put back. */
static bool
read_vectors(const uint16_t *half, struct cw_spool_embeds *e)
{
	for (uint32_t v = 0; v < e->nviews; v++) {
		float *x = e->vecs + (size_t)v * e->embed;
		double norm = 0;

		for (uint32_t i = 0; i < e->embed; i++) {
			x[i] = cw_half_to(half[(size_t)v * e->embed + i]);
			norm += (double)x[i] * x[i];
		}
		if (!(norm > 0.9 && norm < 1.1))
			return false;
		for (uint32_t i = 0; i < e->embed; i++)
			x[i] = (float)(x[i] / sqrt(norm));
	}
	return true;
}

static bool
read_views(const void *p, size_t n, struct cw_spool_embeds *e)
{
	struct cw_unpack u;

	cw_unpack_init(&u, p, n);
	for (uint32_t i = 0; i < e->nviews; i++) {
		struct cw_view *v = &e->views[i];

		v->kind = cw_get_below(&u, CW_VIEW_KINDS);
		v->background = cw_get_below(&u, CW_BGS);
		v->x = (int32_t)cw_get_u32(&u);
		v->y = (int32_t)cw_get_u32(&u);
		v->w = (int32_t)cw_get_u32(&u);
		v->h = (int32_t)cw_get_u32(&u);
		v->frame = cw_get_u32(&u);
	}
	return cw_unpack_end(&u);
}

static bool
read_embeds(struct cw_rows *r, struct cw_arena *a, struct cw_spool_embeds *e)
{
	size_t nviews, nvecs;
	const void *views, *half;

	*e = (struct cw_spool_embeds){
		.embed = (uint32_t)cw_row_int(r, 0),
		.format = cw_arena_strdup(a, cw_row_text(r, 1)),
		.width = (uint32_t)cw_row_int(r, 2),
		.height = (uint32_t)cw_row_int(r, 3),
		.frames = (uint32_t)cw_row_int(r, 4),
	};
	views = cw_row_blob(r, 5, &nviews);
	half = cw_row_blob(r, 6, &nvecs);
	e->nviews = (uint32_t)(nviews / VIEW_BYTES);
	if (e->nviews == 0 || e->nviews > CW_VIEWS_MAX || e->embed == 0 ||
	    e->embed > CW_EMBED_MAX ||
	    nvecs != (size_t)e->nviews * e->embed * sizeof(uint16_t))
		return false;
	e->views = cw_arena_zalloc(a, e->nviews, sizeof(*e->views));
	e->vecs = cw_arena_floats(a, (size_t)e->nviews * e->embed);
	if (cw_arena_overflowed(a))
		return false;
	return read_views(views, nviews, e) && read_vectors(half, e);
}

enum cw_status
cw_spool_get_embeds(struct cw_spool *sp, const char *sha256,
    const char *model, struct cw_arena *a, struct cw_spool_embeds *out,
    struct cw_err *err)
{
	struct cw_rows *r;
	enum cw_status st;
	bool found;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	st = CW_DB_QUERY(sp->db, &r, err, "SELECT embed, format, width,"
	    " height, frames, views, vectors FROM embeddings"
	    " WHERE sha256 = ?1 AND model = ?2", CW_T(sha256), CW_T(model));
	if (st != CW_OK)
		return st;
	found = cw_rows_next(r) && read_embeds(r, a, out);
	st = cw_rows_end(&r, err);
	if (st == CW_OK && !found)
		st = cw_err_set(err, CW_E_NOT_FOUND, "no such embedding");
	return st;
}

/* ---- text vectors ---- */

enum cw_status
cw_spool_put_text(struct cw_spool *sp, const char *model,
    const char *templates, const char *prompt, const float *vec, size_t n,
    struct cw_err *err)
{
	return SPOOL_RUN(sp, err, "INSERT OR REPLACE INTO text_vectors"
	    " VALUES(?1, ?2, ?3, ?4)", CW_T(model), CW_T(templates),
	    CW_T(prompt), CW_B(vec, n * sizeof(*vec)));
}

enum cw_status
cw_spool_get_text(struct cw_spool *sp, const char *model,
    const char *templates, const char *prompt, float *vec, size_t n,
    struct cw_err *err)
{
	struct cw_rows *r;
	enum cw_status st;
	const void *p;
	size_t len = 0;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	st = CW_DB_QUERY(sp->db, &r, err, "SELECT vector FROM text_vectors"
	    " WHERE model = ?1 AND templates = ?2 AND prompt = ?3",
	    CW_T(model), CW_T(templates), CW_T(prompt));
	if (st != CW_OK)
		return st;
	if (cw_rows_next(r)) {
		p = cw_row_blob(r, 0, &len);
		if (len > 0 && len == n * sizeof(*vec))
			memcpy(vec, p, len);
	}
	st = cw_rows_end(&r, err);
	if (st == CW_OK && (len == 0 || len != n * sizeof(*vec)))
		st = cw_err_set(err, CW_E_NOT_FOUND, "no such vector");
	return st;
}

/* ---- outbox ---- */

enum cw_status
cw_spool_outbox_put(struct cw_spool *sp, const char *sink, const char *id,
    struct cw_err *err)
{
	return SPOOL_RUN(sp, err, "INSERT INTO outbox(sink, id)"
	    " VALUES(?1, ?2)", CW_T(sink), CW_T(id));
}

enum cw_status
cw_spool_outbox_get(struct cw_spool *sp, const char *sink, int64_t after,
    struct cw_arena *a, struct cw_outbox_item *out, size_t max, size_t *n,
    struct cw_err *err)
{
	struct cw_rows *r;
	enum cw_status st;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	*n = 0;
	st = CW_DB_QUERY(sp->db, &r, err, "SELECT o.seq, v.json, v.id,"
	    " v.decision FROM outbox o"
	    " JOIN verdicts v ON v.id = o.id WHERE o.sink = ?1 AND o.seq > ?2"
	    " ORDER BY o.seq LIMIT ?3", CW_T(sink), CW_I(after), CW_I(max));
	if (st != CW_OK)
		return st;
	while (*n < max && cw_rows_next(r)) {
		out[*n].seq = cw_row_int(r, 0);
		out[*n].json = cw_arena_strdup(a, cw_row_text(r, 1));
		out[*n].id = cw_arena_strdup(a, cw_row_text(r, 2));
		out[*n].decision = cw_arena_strdup(a, cw_row_text(r, 3));
		if (out[*n].decision == NULL)
			break;
		(*n)++;
	}
	return cw_rows_end(&r, err);
}

enum cw_status
cw_spool_outbox_done(struct cw_spool *sp, const char *sink, int64_t seq,
    struct cw_err *err)
{
	return SPOOL_RUN(sp, err, "DELETE FROM outbox WHERE sink = ?1"
	    " AND seq <= ?2", CW_T(sink), CW_I(seq));
}

static bool
named(const char *const *names, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], s) == 0)
			return true;
	return false;
}

enum cw_status
cw_spool_outbox_keep(struct cw_spool *sp, const char *const *names, size_t n,
    struct cw_err *err)
{
	char drop[64][128];
	struct cw_rows *r;
	enum cw_status st;
	size_t ndrop = 0;

	st = CW_DB_QUERY(sp->db, &r, err,
	    "SELECT DISTINCT sink FROM outbox WHERE sink > ?1", CW_T(""));
	if (st != CW_OK)
		return st;
	while (ndrop < CW_COUNT(drop) && cw_rows_next(r)) {
		const char *s = cw_row_text(r, 0);

		if (!named(names, n, s) && strlen(s) < sizeof(drop[0]))
			strcpy(drop[ndrop++], s);
	}
	st = cw_rows_end(&r, err);
	for (size_t i = 0; st == CW_OK && i < ndrop; i++)
		st = cw_spool_outbox_done(sp, drop[i], INT64_MAX, err);
	return st;
}
