/*
 * db.c - see db.h.
 */
#include "supervisor/db.h"

#include <sqlite3.h>
#include <string.h>

#define DB_MAGIC	0xdb5f17e1u
#define STATEMENTS_MAX	64u
#define BUSY_MS		100	/* another reader's or operator's lock; we must not
				   keep the loop longer */

struct cw_rows {
	sqlite3_stmt	*stmt;
	struct cw_db	*db;
	int		 rc;	/* of the last step */
	bool		 running;
};

struct cw_db {
	uint32_t	 magic;
	const char	*path;	/* for messages */
	sqlite3		*sq;
	struct {
		const char	*sql;	/* a literal: compared by address */
		struct cw_rows	 rows;
	} kept[STATEMENTS_MAX];
	size_t		 nkept;
};

/* Also of a file that is no database, or is damaged: a disk's doing. */
static enum cw_status
db_err(const struct cw_db *db, int rc, struct cw_err *err)
{
	return cw_err_set(err, CW_E_SYSTEM, "%s: %s (%d)", db->path,
	    sqlite3_errmsg(db->sq), rc);
}

enum cw_status
cw_db_open(const char *path, struct cw_arena *a, struct cw_db **out,
    struct cw_err *err)
{
	struct cw_db *db = cw_arena_zalloc(a, 1, sizeof(*db));
	enum cw_status st;
	int rc;

	if (db == NULL)
		return cw_err_set(err, CW_E_LIMIT, "%s: no room", path);
	db->magic = DB_MAGIC;
	db->path = path;
	rc = sqlite3_open_v2(path, &db->sq, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		st = cw_err_set(err, CW_E_SYSTEM, "%s: %s", path,
		    db->sq == NULL ? sqlite3_errstr(rc) :
		    sqlite3_errmsg(db->sq));
		cw_db_close(&db);
		return st;
	}
	sqlite3_extended_result_codes(db->sq, 1);
	sqlite3_busy_timeout(db->sq, BUSY_MS);
	/* auto_vacuum only takes effect before the first table is made. */
	st = cw_db_exec(db, "PRAGMA auto_vacuum = INCREMENTAL;"
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	    "PRAGMA journal_size_limit = 67108864;"
	    "PRAGMA wal_autocheckpoint = 2000;"
	    "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;"
	    "PRAGMA trusted_schema = OFF;", err);
	if (st != CW_OK) {
		cw_db_close(&db);
		return st;
	}
	*out = db;
	return CW_OK;
}

void
cw_db_close(struct cw_db **dbp)
{
	struct cw_db *db = *dbp;

	if (db == NULL)
		return;
	CW_CHECK_OBJ(db, DB_MAGIC);
	for (size_t i = 0; i < db->nkept; i++)
		sqlite3_finalize(db->kept[i].rows.stmt);
	sqlite3_close(db->sq);
	db->nkept = 0;
	db->sq = NULL;
	db->magic = 0;
	*dbp = NULL;
}

enum cw_status
cw_db_exec(struct cw_db *db, const char *sql, struct cw_err *err)
{
	int rc;

	CW_CHECK_OBJ(db, DB_MAGIC);
	rc = sqlite3_exec(db->sq, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? CW_OK : db_err(db, rc, err);
}

/* The kept statement of that literal, prepared on its first use. */
static enum cw_status
find_statement(struct cw_db *db, const char *sql, struct cw_rows **out,
    struct cw_err *err)
{
	struct cw_rows *r;
	int rc;

	for (size_t i = 0; i < db->nkept; i++)
		if (db->kept[i].sql == sql) {
			*out = &db->kept[i].rows;
			CW_CHECK(!(*out)->running);
			return CW_OK;
		}
	CW_CHECK(db->nkept < STATEMENTS_MAX);
	r = &db->kept[db->nkept].rows;
	rc = sqlite3_prepare_v3(db->sq, sql, -1, SQLITE_PREPARE_PERSISTENT,
	    &r->stmt, NULL);
	if (rc != SQLITE_OK)
		return db_err(db, rc, err);
	r->db = db;
	db->kept[db->nkept++].sql = sql;
	*out = r;
	return CW_OK;
}

static int
bind_one(sqlite3_stmt *s, int at, const struct cw_bind *v)
{
	switch (v->kind) {
	case CW_BIND_INT:
		return sqlite3_bind_int64(s, at, v->i);
	case CW_BIND_TEXT:
		return sqlite3_bind_text(s, at, v->p == NULL ? "" : v->p, -1,
		    SQLITE_STATIC);
	case CW_BIND_BLOB:
		return sqlite3_bind_blob64(s, at, v->n == 0 ? "" : v->p, v->n,
		    SQLITE_STATIC);
	case CW_BIND_END:
		break;
	}
	return SQLITE_MISUSE;
}

enum cw_status
cw_db_query(struct cw_db *db, const char *sql, const struct cw_bind *values,
    struct cw_rows **out, struct cw_err *err)
{
	struct cw_rows *r = NULL;
	enum cw_status st;

	CW_CHECK_OBJ(db, DB_MAGIC);
	if ((st = find_statement(db, sql, &r, err)) != CW_OK)
		return st;
	for (int i = 0; values[i].kind != CW_BIND_END; i++) {
		int rc = bind_one(r->stmt, i + 1, &values[i]);

		if (rc != SQLITE_OK)
			return db_err(db, rc, err);
	}
	r->running = true;
	r->rc = SQLITE_ROW;
	*out = r;
	return CW_OK;
}

bool
cw_rows_next(struct cw_rows *r)
{
	CW_CHECK(r->running);
	if (r->rc == SQLITE_ROW)
		r->rc = sqlite3_step(r->stmt);
	return r->rc == SQLITE_ROW;
}

enum cw_status
cw_rows_end(struct cw_rows **rp, struct cw_err *err)
{
	struct cw_rows *r = *rp;
	enum cw_status st = CW_OK;

	CW_CHECK(r->running);
	if (r->rc != SQLITE_ROW && r->rc != SQLITE_DONE)
		st = db_err(r->db, r->rc, err);
	sqlite3_reset(r->stmt);
	sqlite3_clear_bindings(r->stmt);
	r->running = false;
	*rp = NULL;
	return st;
}

enum cw_status
cw_db_run(struct cw_db *db, const char *sql, const struct cw_bind *values,
    struct cw_err *err)
{
	struct cw_rows *r;
	enum cw_status st;

	if ((st = cw_db_query(db, sql, values, &r, err)) != CW_OK)
		return st;
	while (cw_rows_next(r))
		continue;
	return cw_rows_end(&r, err);
}

int64_t
cw_row_int(struct cw_rows *r, int col)
{
	return sqlite3_column_int64(r->stmt, col);
}

const char *
cw_row_text(struct cw_rows *r, int col)
{
	const char *s = (const char *)sqlite3_column_text(r->stmt, col);

	return s == NULL ? "" : s;
}

const void *
cw_row_blob(struct cw_rows *r, int col, size_t *n)
{
	const void *p = sqlite3_column_blob(r->stmt, col);

	*n = p == NULL ? 0 : (size_t)sqlite3_column_bytes(r->stmt, col);
	return p;
}

enum cw_status
cw_db_int(struct cw_db *db, const char *sql, int64_t *out, struct cw_err *err)
{
	static const struct cw_bind none[] = {
		{ CW_BIND_END, 0, NULL, 0 }
	};
	struct cw_rows *r;
	enum cw_status st;

	if ((st = cw_db_query(db, sql, none, &r, err)) != CW_OK)
		return st;
	*out = cw_rows_next(r) ? cw_row_int(r, 0) : 0;
	return cw_rows_end(&r, err);
}

bool
cw_db_in_transaction(const struct cw_db *db)
{
	return sqlite3_get_autocommit(db->sq) == 0;
}

int64_t
cw_db_last_rowid(const struct cw_db *db)
{
	return sqlite3_last_insert_rowid(db->sq);
}

int
cw_db_changes(const struct cw_db *db)
{
	return sqlite3_changes(db->sq);
}
