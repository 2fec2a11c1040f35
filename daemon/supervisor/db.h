/*
 * db.h - SQLite with values bound by kind, and nothing else of it.
 *
 * Runs in: supervisor.  Never: logs.
 *
 * Statements are string literals: each is prepared once, found again by its
 * address, and kept.  Values are written in the call:
 *
 *	CW_DB_RUN(db, err, "UPDATE jobs SET attempt = ?1 WHERE seq = ?2",
 *	    CW_I(attempt), CW_I(seq));
 */
#ifndef CW_DB_H
#define CW_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

struct cw_db;			/* opaque */
struct cw_rows;			/* one running statement, opaque */

enum cw_bind_kind { CW_BIND_END, CW_BIND_INT, CW_BIND_TEXT, CW_BIND_BLOB };
struct cw_bind {
	enum cw_bind_kind	 kind;
	int64_t			 i;
	const void		*p;	/* borrowed until the statement ends */
	size_t			 n;
};
#define CW_I(v)		{ CW_BIND_INT, (int64_t)(v), NULL, 0 }
#define CW_T(s)		{ CW_BIND_TEXT, 0, (s), 0 }
#define CW_B(p, n)	{ CW_BIND_BLOB, 0, (p), (n) }

/*
 * Open or create a database in WAL mode, synchronous=FULL: a commit that
 * returned is on the disk.  owned: cw_db_close it; the struct lives in the
 * arena.  CW_E_SYSTEM, with the path.
 */
CW_MUST_USE enum cw_status cw_db_open(const char *path, struct cw_arena *a,
    struct cw_db **out, struct cw_err *err);
void cw_db_close(struct cw_db **db);

/* Several statements without values, separated by semicolons. */
CW_MUST_USE enum cw_status cw_db_exec(struct cw_db *db, const char *sql,
    struct cw_err *err);

/* One statement that gives no rows. */
CW_MUST_USE enum cw_status cw_db_run(struct cw_db *db, const char *sql,
    const struct cw_bind *values, struct cw_err *err);
#define CW_DB_RUN(db, err, sql, ...)					\
	cw_db_run(db, sql, (const struct cw_bind[]){ __VA_ARGS__,	\
	    { CW_BIND_END, 0, NULL, 0 } }, err)

/*
 * One statement that gives rows: cw_rows_next until it is false, then
 * cw_rows_end in any case (it says what went wrong, and may be called early).
 * A statement must end before it is started again.
 */
CW_MUST_USE enum cw_status cw_db_query(struct cw_db *db, const char *sql,
    const struct cw_bind *values, struct cw_rows **out, struct cw_err *err);
#define CW_DB_QUERY(db, out, err, sql, ...)				\
	cw_db_query(db, sql, (const struct cw_bind[]){ __VA_ARGS__,	\
	    { CW_BIND_END, 0, NULL, 0 } }, out, err)
bool cw_rows_next(struct cw_rows *r);
enum cw_status cw_rows_end(struct cw_rows **r, struct cw_err *err);

/* Columns of the current row, from 0; borrowed until the next call. */
int64_t cw_row_int(struct cw_rows *r, int col);
const char *cw_row_text(struct cw_rows *r, int col);	/* NULL is "" */
const void *cw_row_blob(struct cw_rows *r, int col, size_t *n);

/* The first column of the first row, or 0 when there is none. */
CW_MUST_USE enum cw_status cw_db_int(struct cw_db *db, const char *sql,
    int64_t *out, struct cw_err *err);

bool cw_db_in_transaction(const struct cw_db *db);
int64_t cw_db_last_rowid(const struct cw_db *db);
int cw_db_changes(const struct cw_db *db);	/* rows of the last statement */

#endif /* CW_DB_H */
