/*
 * spool_jobs.c - see spool.h.  Jobs, verdicts, artifacts, quarantine.
 */
#include <string.h>

#include "supervisor/spool_db.h"

#define HEADER_ROOM	32768u	/* a packed job without its image */

/* ---- jobs ---- */

enum cw_status
cw_spool_put_job(struct cw_spool *sp, const struct cw_job *job,
    const struct cw_spool_job *meta, int64_t *seq, struct cw_err *err)
{
	struct cw_job header = *job;
	struct cw_arena *scratch;
	struct cw_pack w;
	enum cw_status st;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	scratch = sp->scratch;
	cw_arena_reset(scratch, HEADER_ROOM);
	header.image = NULL;
	header.nimage = 0;
	cw_pack_init(&w, scratch, 1024);
	cw_job_pack(&header, &w);
	if (!cw_pack_ok(&w))
		return cw_err_set(err, CW_E_LIMIT, "job: header too long");
	st = SPOOL_RUN(sp, err, "INSERT INTO jobs(id, received_us, priority,"
	    " deadline_ms, bytes, sha256, cache_key, header, payload, owner)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	    CW_T(job->id), CW_I(meta->received_us), CW_I(meta->priority),
	    CW_I(meta->deadline_ms), CW_I(job->nimage), CW_T(meta->sha256),
	    CW_T(meta->cache_key), CW_B(w.p, w.len),
	    CW_B(job->image, job->nimage), CW_T(meta->owner));
	if (st == CW_OK)
		*seq = cw_db_last_rowid(sp->db);
	return st;
}

enum cw_status
cw_spool_each_job(struct cw_spool *sp, int64_t after_seq,
    cw_spool_job_fn *fn, void *payload, struct cw_err *err)
{
	struct cw_rows *r;
	enum cw_status st;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	st = CW_DB_QUERY(sp->db, &r, err, "SELECT seq, id, received_us,"
	    " attempt, blame, priority, deadline_ms, bytes, sha256, cache_key,"
	    " owner FROM jobs WHERE seq > ?1 ORDER BY seq", CW_I(after_seq));
	if (st != CW_OK)
		return st;
	while (cw_rows_next(r)) {
		const struct cw_spool_job j = {
			.seq = cw_row_int(r, 0),
			.id = cw_row_text(r, 1),
			.received_us = cw_row_int(r, 2),
			.attempt = (uint32_t)cw_row_int(r, 3),
			.blame = (uint32_t)cw_row_int(r, 4),
			.priority = cw_row_int(r, 5) == CW_BULK ? CW_BULK :
			    CW_INTERACTIVE,
			.deadline_ms = (uint32_t)cw_row_int(r, 6),
			.bytes = (uint64_t)cw_row_int(r, 7),
			.sha256 = cw_row_text(r, 8),
			.cache_key = cw_row_text(r, 9),
			.owner = cw_row_text(r, 10),
		};

		if (!fn(payload, &j))
			break;
	}
	return cw_rows_end(&r, err);
}

/* header and payload as stored -> job, copied to the arena. */
static enum cw_status
read_job(struct cw_rows *r, struct cw_arena *a, struct cw_job *out,
    struct cw_err *err)
{
	size_t nheader, nimage;
	const void *header, *image;
	struct cw_unpack u;
	enum cw_status st;
	uint8_t *copy;

	header = cw_row_blob(r, 0, &nheader);
	cw_unpack_init(&u, header, nheader);
	if ((st = cw_job_unpack(&u, a, out, err)) != CW_OK)
		return st;
	image = cw_row_blob(r, 1, &nimage);
	/* Short of memory SQLite gives no bytes at all, and no error. */
	if (nimage != (uint64_t)cw_row_int(r, 2))
		return cw_err_set(err, CW_E_FORMAT, "job: %zu bytes of %jd",
		    nimage, (intmax_t)cw_row_int(r, 2));
	copy = cw_arena_alloc(a, nimage + 1);
	if (copy == NULL)
		return cw_err_set(err, CW_E_LIMIT, "job: no room");
	if (nimage > 0)
		memcpy(copy, image, nimage);
	out->image = copy;
	out->nimage = nimage;
	return CW_OK;
}

enum cw_status
cw_spool_get_job(struct cw_spool *sp, int64_t seq, struct cw_arena *a,
    struct cw_job *out, struct cw_err *err)
{
	enum cw_status st, end;
	struct cw_rows *r;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	st = CW_DB_QUERY(sp->db, &r, err,
	    "SELECT header, payload, bytes FROM jobs WHERE seq = ?1", CW_I(seq));
	if (st != CW_OK)
		return st;
	if (cw_rows_next(r))
		st = read_job(r, a, out, err);
	else
		st = cw_err_set(err, CW_E_NOT_FOUND, "no such job");
	end = cw_rows_end(&r, st == CW_E_NOT_FOUND ? err : NULL);
	return st == CW_OK || st == CW_E_NOT_FOUND ?
	    (end == CW_OK ? st : end) : st;
}

enum cw_status
cw_spool_note_attempt(struct cw_spool *sp, int64_t seq, uint32_t attempt,
    uint32_t blame, struct cw_err *err)
{
	return SPOOL_RUN(sp, err, "UPDATE jobs SET attempt = ?1, blame = ?2"
	    " WHERE seq = ?3", CW_I(attempt), CW_I(blame), CW_I(seq));
}

#define TO_QUARANTINE	"INSERT OR REPLACE INTO quarantine"		\
	" SELECT id, ?1, ?2, sha256, header, payload FROM jobs"		\
	" WHERE seq = ?3"

enum cw_status
cw_spool_quarantine(struct cw_spool *sp, int64_t seq, const char *reason,
    int64_t now_us, struct cw_err *err)
{
	return SPOOL_RUN(sp, err, TO_QUARANTINE, CW_T(reason), CW_I(now_us),
	    CW_I(seq));
}

enum cw_status
cw_spool_set_aside(struct cw_spool *sp, int64_t seq, const char *reason,
    int64_t now_us, struct cw_err *err)
{
	enum cw_status st = cw_spool_write(sp, err);

	if (st != CW_OK)
		return st;
	/* SQLite undoes a statement that fails, and no more. */
	return CW_DB_RUN(sp->db, err, TO_QUARANTINE, CW_T(reason),
	    CW_I(now_us), CW_I(seq));
}

/* ---- verdicts ---- */

enum cw_status
cw_spool_put_verdict(struct cw_spool *sp, const struct cw_stored *v,
    int64_t seq, struct cw_err *err)
{
	enum cw_status st;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	st = SPOOL_RUN(sp, err, "INSERT INTO verdicts(id, decision, policy,"
	    " json, received_us, scored_us, sha256, policies_hash, cache_key,"
	    " owner) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, nullif(?9, ''),"
	    " ?10)",
	    CW_T(v->id), CW_T(v->decision), CW_T(v->policy), CW_T(v->json),
	    CW_I(v->received_us), CW_I(v->scored_us), CW_T(v->sha256),
	    CW_T(v->policies_hash), CW_T(v->cache_key), CW_T(v->owner));
	if (st != CW_OK || seq == 0)
		return st;
	return SPOOL_RUN(sp, err, "DELETE FROM jobs WHERE seq = ?1",
	    CW_I(seq));
}

static enum cw_status
read_verdict(struct cw_rows *r, struct cw_arena *a, struct cw_stored *out,
    struct cw_err *err)
{
	if (!cw_rows_next(r)) {
		enum cw_status st = cw_rows_end(&r, err);

		return st == CW_OK ? cw_err_set(err, CW_E_NOT_FOUND,
		    "no such verdict") : st;
	}
	*out = (struct cw_stored){
		.id = cw_arena_strdup(a, cw_row_text(r, 0)),
		.decision = cw_arena_strdup(a, cw_row_text(r, 1)),
		.policy = cw_arena_strdup(a, cw_row_text(r, 2)),
		.json = cw_arena_strdup(a, cw_row_text(r, 3)),
		.received_us = cw_row_int(r, 4),
		.scored_us = cw_row_int(r, 5),
		.sha256 = cw_arena_strdup(a, cw_row_text(r, 6)),
		.policies_hash = cw_arena_strdup(a, cw_row_text(r, 7)),
		.cache_key = cw_arena_strdup(a, cw_row_text(r, 8)),
		.owner = cw_arena_strdup(a, cw_row_text(r, 9)),
	};
	(void)cw_rows_end(&r, NULL);
	if (cw_arena_overflowed(a))
		return cw_err_set(err, CW_E_LIMIT, "verdict: no room");
	return CW_OK;
}

#define VERDICT_COLUMNS	"SELECT id, decision, policy, json, received_us,"	\
	" scored_us, sha256, policies_hash, cache_key, owner FROM verdicts "

enum cw_status
cw_spool_get_verdict(struct cw_spool *sp, const char *id, struct cw_arena *a,
    struct cw_stored *out, struct cw_err *err)
{
	struct cw_rows *r;
	enum cw_status st;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	st = CW_DB_QUERY(sp->db, &r, err, VERDICT_COLUMNS "WHERE id = ?1",
	    CW_T(id));
	return st == CW_OK ? read_verdict(r, a, out, err) : st;
}

enum cw_status
cw_spool_has_verdict(struct cw_spool *sp, const char *id, struct cw_err *err)
{
	struct cw_rows *r;
	enum cw_status st;
	bool found;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	st = CW_DB_QUERY(sp->db, &r, err,
	    "SELECT 1 FROM verdicts WHERE id = ?1", CW_T(id));
	if (st != CW_OK)
		return st;
	found = cw_rows_next(r);
	st = cw_rows_end(&r, err);
	return st == CW_OK && !found ? cw_err_set(err, CW_E_NOT_FOUND,
	    "no such verdict") : st;
}

enum cw_status
cw_spool_find_same(struct cw_spool *sp, const char *cache_key,
    struct cw_arena *a, struct cw_stored *out, struct cw_err *err)
{
	struct cw_rows *r;
	enum cw_status st;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	st = CW_DB_QUERY(sp->db, &r, err, VERDICT_COLUMNS
	    "WHERE cache_key = ?1 LIMIT 1", CW_T(cache_key));
	return st == CW_OK ? read_verdict(r, a, out, err) : st;
}

enum cw_status
cw_spool_put_artifact(struct cw_spool *sp, const char *id, uint32_t n,
    uint32_t kind, const char *name, const struct cw_bytes *data,
    struct cw_err *err)
{
	return SPOOL_RUN(sp, err, "INSERT OR REPLACE INTO artifacts"
	    " VALUES(?1, ?2, ?3, ?4, ?5)", CW_T(id), CW_I(n), CW_I(kind),
	    CW_T(name), CW_B(data->p, data->n));
}

enum cw_status
cw_spool_get_artifacts(struct cw_spool *sp, const char *id,
    struct cw_arena *a, struct cw_bytes *out, uint32_t max, uint32_t *n,
    struct cw_err *err)
{
	struct cw_rows *r;
	enum cw_status st;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	*n = 0;
	st = CW_DB_QUERY(sp->db, &r, err,
	    "SELECT data FROM artifacts WHERE id = ?1 ORDER BY n", CW_T(id));
	if (st != CW_OK)
		return st;
	while (*n < max && cw_rows_next(r)) {
		size_t len;
		const void *p = cw_row_blob(r, 0, &len);
		void *copy = cw_arena_alloc(a, len + 1);

		if (copy == NULL)
			break;
		if (len > 0)
			memcpy(copy, p, len);
		out[(*n)++] = (struct cw_bytes){ copy, len };
	}
	return cw_rows_end(&r, err);
}
