/*
 * spool.c - see spool.h.  Opening, turns, retention.
 */
#include "supervisor/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "supervisor/spool_db.h"

#define SCRATCH_BYTES	(1u << 20)	/* a packed header, a job's embeddings */

#define ROOM_BYTES	(4u << 20)	/* free, before a full disk is tried again */
#define STEP_ROWS	50u		/* deleted between two looks at the size */

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE jobs(seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE, received_us INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL DEFAULT 0, blame INTEGER NOT NULL DEFAULT 0,"
    " priority INTEGER NOT NULL, deadline_ms INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, sha256 TEXT NOT NULL,"
    " cache_key TEXT NOT NULL, header BLOB NOT NULL, payload BLOB NOT NULL,"
    " owner TEXT NOT NULL DEFAULT '');"
    "CREATE TABLE verdicts(seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE, decision TEXT NOT NULL, policy TEXT NOT NULL,"
    " json TEXT NOT NULL, received_us INTEGER NOT NULL,"
    " scored_us INTEGER NOT NULL, sha256 TEXT NOT NULL,"
    " policies_hash TEXT NOT NULL, cache_key TEXT,"
    " owner TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX verdicts_cache ON verdicts(cache_key)"
    " WHERE cache_key IS NOT NULL;"
    "CREATE INDEX verdicts_image ON verdicts(sha256);"
    "CREATE INDEX verdicts_age ON verdicts(scored_us);"
    "CREATE TABLE artifacts(id TEXT NOT NULL, n INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL,"
    " PRIMARY KEY(id, n));"
    "CREATE TABLE embeddings(seq INTEGER PRIMARY KEY, sha256 TEXT NOT NULL,"
    " model TEXT NOT NULL, stored_us INTEGER NOT NULL, embed INTEGER NOT"
    " NULL, format TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT"
    " NULL, frames INTEGER NOT NULL, views BLOB NOT NULL,"
    " vectors BLOB NOT NULL, UNIQUE(sha256, model));"
    "CREATE INDEX embeddings_age ON embeddings(stored_us);"
    "CREATE TABLE text_vectors(model TEXT NOT NULL, templates TEXT NOT NULL,"
    " prompt TEXT NOT NULL, vector BLOB NOT NULL,"
    " PRIMARY KEY(model, templates, prompt));"
    "CREATE TABLE quarantine(id TEXT PRIMARY KEY, reason TEXT NOT NULL,"
    " stored_us INTEGER NOT NULL, sha256 TEXT NOT NULL, header BLOB NOT"
    " NULL, payload BLOB NOT NULL);"
    "CREATE TABLE outbox(seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " sink TEXT NOT NULL, id TEXT NOT NULL);"
    "CREATE INDEX outbox_sink ON outbox(sink, seq);"
    "INSERT INTO meta VALUES('version', 2);"
    "COMMIT;";
_Static_assert(CW_SPOOL_VERSION == 2, "the schema writes its version");

/* What each version lacks of the next, whole or not at all; [0] is of 1. */
static const char *const upgrades[] = {
	"BEGIN IMMEDIATE;"
	"ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE verdicts ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
	"UPDATE meta SET value = 2 WHERE key = 'version';"
	"COMMIT;",
};
_Static_assert(CW_COUNT(upgrades) == CW_SPOOL_VERSION - 1, "one a version");

/* Make the directory (one level); its own entry is synced, too. */
static enum cw_status
make_directory(const char *path, struct cw_err *err)
{
	enum cw_status st = CW_OK;
	int fd, up;

	if (mkdir(path, 0700) == -1)
		return errno == EEXIST ? CW_OK : cw_err_sys(err, "%s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return cw_err_sys(err, "%s", path);
	/* Not after a power loss: a spool whose folder is gone is empty. */
	up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (up == -1 || fsync(up) == -1)
		st = cw_err_sys(err, "%s/..", path);
	cw_close(&up);
	cw_close(&fd);
	return st;
}

/* Directory and lock file; the lock ends with the process. */
static enum cw_status
lock_directory(const char *path, struct cw_arena *a, int *fd,
    struct cw_err *err)
{
	const char *file = cw_arena_printf(a, "%s/lock", path);
	char pid[24] = "";
	enum cw_status st;
	ssize_t n;

	if (file == NULL)
		return cw_err_set(err, CW_E_LIMIT, "%s: no room", path);
	if ((st = make_directory(path, err)) != CW_OK)
		return st;
	*fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd == -1)
		return cw_err_sys(err, "%s", file);
	if (flock(*fd, LOCK_EX | LOCK_NB) == -1) {
		n = pread(*fd, pid, sizeof(pid) - 1, 0);
		if (n > 0)
			pid[strcspn(pid, "\n")] = '\0';
		cw_close(fd);
		return cw_err_set(err, CW_E_BUSY,
		    "%s: another daemon%s%s uses this spool", path,
		    n > 0 ? ", process " : "", n > 0 ? pid : "");
	}
	/* Only a hint for people: a full disk must not stop us here. */
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(*fd, 0) == -1 || pwrite(*fd, pid, (size_t)n, 0) == -1)
		errno = 0;
	return CW_OK;
}

static enum cw_status
check_schema(struct cw_db *db, const char *path, struct cw_err *err)
{
	enum cw_status st;
	int64_t tables, version;

	st = cw_db_int(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (st != CW_OK)
		return st;
	if (tables == 0)
		return cw_db_exec(db, schema, err);
	st = cw_db_int(db, "SELECT count(*) FROM sqlite_schema"
	    " WHERE name = 'meta'", &version, err);
	if (st == CW_OK && version == 1)
		st = cw_db_int(db, "SELECT value FROM meta"
		    " WHERE key = 'version'", &version, err);
	else if (st == CW_OK)
		return cw_err_set(err, CW_E_CONFIG,
		    "%s/spool.db: not a spool of clipward", path);
	if (st == CW_OK && (version < 1 || version > CW_SPOOL_VERSION))
		return cw_err_set(err, CW_E_CONFIG, "%s/spool.db: spool "
		    "version %jd; want %d at most: written by another clipward",
		    path, (intmax_t)version, CW_SPOOL_VERSION);
	for (; st == CW_OK && version < CW_SPOOL_VERSION; version++)
		st = cw_db_exec(db, upgrades[version - 1], err);
	return st;
}

enum cw_status
cw_spool_open(const char *path, struct cw_arena *a, struct cw_spool **out,
    struct cw_err *err)
{
	struct cw_spool *sp = cw_arena_zalloc(a, 1, sizeof(*sp));
	const char *file = cw_arena_printf(a, "%s/spool.db", path);
	enum cw_status st;

	if (sp == NULL || file == NULL)
		return cw_err_set(err, CW_E_LIMIT, "%s: no room", path);
	sp->magic = SPOOL_MAGIC;
	sp->lock = -1;
	if ((st = lock_directory(path, a, &sp->lock, err)) != CW_OK)
		return st;
	if ((st = cw_arena_open(SCRATCH_BYTES, &sp->scratch, err)) != CW_OK ||
	    (st = cw_db_open(file, a, &sp->db, err)) != CW_OK ||
	    (st = check_schema(sp->db, path, err)) != CW_OK) {
		cw_spool_close(&sp);
		return st;
	}
	*out = sp;
	return CW_OK;
}

void
cw_spool_close(struct cw_spool **spp)
{
	struct cw_spool *sp = *spp;

	if (sp == NULL)
		return;
	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	cw_db_close(&sp->db);
	cw_arena_close(&sp->scratch);
	cw_close(&sp->lock);
	sp->magic = 0;
	*spp = NULL;
}

/* ---- turns ---- */

bool
cw_spool_dirty(const struct cw_spool *sp)
{
	return sp->dirty;
}

bool
cw_spool_sick(const struct cw_spool *sp)
{
	return sp->sick;
}

enum cw_status
cw_spool_write(struct cw_spool *sp, struct cw_err *err)
{
	enum cw_status st;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	if (sp->sick || sp->failed) {
		/* Whoever writes counts on it: the turn must not succeed. */
		(void)cw_err_set(err, CW_E_BUSY, "spool: waiting for the disk");
		return cw_spool_wrote(sp, CW_E_BUSY, sp->failed ? NULL : err);
	}
	/* A read that met an I/O error has undone the turn behind our back. */
	if (sp->dirty && !cw_db_in_transaction(sp->db)) {
		(void)cw_err_set(err, CW_E_BUSY,
		    "spool: a failed read has undone the turn");
		return cw_spool_wrote(sp, CW_E_BUSY, err);
	}
	if (sp->dirty)
		return CW_OK;
	if ((st = cw_db_exec(sp->db, "BEGIN IMMEDIATE", err)) != CW_OK)
		return cw_spool_wrote(sp, st, err);
	sp->dirty = true;
	return CW_OK;
}

enum cw_status
cw_spool_wrote(struct cw_spool *sp, enum cw_status st, struct cw_err *err)
{
	if (st == CW_OK)
		return CW_OK;
	sp->failed = true;
	sp->dirty = true;	/* the commit must say so */
	if (err != NULL)
		sp->why = *err;
	return CW_E_BUSY;
}

enum cw_status
cw_spool_commit(struct cw_spool *sp, struct cw_err *err)
{
	enum cw_status st;

	CW_CHECK_OBJ(sp, SPOOL_MAGIC);
	if (!sp->dirty)
		return CW_OK;
	sp->dirty = false;
	if (sp->failed) {
		*err = sp->why;
		st = CW_E_SYSTEM;
	} else
		st = cw_db_exec(sp->db, "COMMIT", err);
	sp->failed = false;
	if (st == CW_OK)
		return CW_OK;
	/* SQLite has undone some failures by itself; then there is nothing. */
	if (cw_db_in_transaction(sp->db) &&
	    cw_db_exec(sp->db, "ROLLBACK", NULL) != CW_OK)
		CW_CHECK(!cw_db_in_transaction(sp->db));
	sp->sick = true;
	return st;
}

static bool
has_room(const struct cw_spool *sp)
{
	struct statvfs vfs;

	return fstatvfs(sp->lock, &vfs) == -1 ||
	    (uint64_t)vfs.f_bavail * vfs.f_frsize >= ROOM_BYTES;
}

enum cw_status
cw_spool_probe(struct cw_spool *sp, struct cw_err *err)
{
	enum cw_status st;
	int64_t busy;

	CW_CHECK(!sp->dirty);
	/* What takes the room may be our own log: its pages go home. */
	if (!has_room(sp) && (st = cw_db_int(sp->db,
	    "PRAGMA wal_checkpoint(TRUNCATE)", &busy, err)) != CW_OK)
		return st;
	if (!has_room(sp))
		return cw_err_set(err, CW_E_BUSY,
		    "spool: less than %u MB left on its disk",
		    ROOM_BYTES >> 20);
	sp->sick = false;
	if (SPOOL_RUN(sp, err, "INSERT OR REPLACE INTO meta"
	    " VALUES('probe', ?1)", CW_I(cw_wall_us())) != CW_OK)
		CW_CHECK(sp->failed);	/* which the commit reports */
	return cw_spool_commit(sp, err);
}

/* ---- retention ---- */

static enum cw_status
bytes_used(struct cw_spool *sp, uint64_t *out, struct cw_err *err)
{
	int64_t page = 0, pages = 0, unused = 0;
	enum cw_status st;

	if ((st = cw_db_int(sp->db, "PRAGMA page_size", &page, err)) != CW_OK ||
	    (st = cw_db_int(sp->db, "PRAGMA page_count", &pages, err)) !=
	    CW_OK ||
	    (st = cw_db_int(sp->db, "PRAGMA freelist_count", &unused, err)) !=
	    CW_OK)
		return st;
	*out = (uint64_t)(page * (pages - unused));
	return CW_OK;
}

enum cw_status
cw_spool_use(struct cw_spool *sp, struct cw_spool_use *out,
    struct cw_err *err)
{
	int64_t jobs = 0, verdicts = 0, quarantined = 0;
	enum cw_status st;

	if ((st = bytes_used(sp, &out->bytes, err)) != CW_OK ||
	    (st = cw_db_int(sp->db, "SELECT count(*) FROM jobs", &jobs,
	    err)) != CW_OK ||
	    (st = cw_db_int(sp->db, "SELECT max(seq) FROM verdicts",
	    &verdicts, err)) != CW_OK ||
	    (st = cw_db_int(sp->db, "SELECT count(*) FROM quarantine",
	    &quarantined, err)) != CW_OK)
		return st;
	out->jobs = (uint64_t)jobs;
	out->verdicts = (uint64_t)verdicts;
	out->quarantined = (uint64_t)quarantined;
	return CW_OK;
}

/*
 * Delete up to most rows of table, oldest first, and count them.  Of verdicts
 * and their pictures what a sink has not confirmed is not touched.
 */
static enum cw_status
delete_old(struct cw_spool *sp, const char *sql, int64_t before_us,
    uint32_t most, uint64_t *deleted, struct cw_err *err)
{
	enum cw_status st;

	st = SPOOL_RUN(sp, err, sql, CW_I(before_us), CW_I(most));
	if (st == CW_OK)
		*deleted += (uint64_t)cw_db_changes(sp->db);
	return st;
}

static const char old_artifacts[] = "DELETE FROM artifacts WHERE id IN"
    " (SELECT id FROM verdicts WHERE scored_us < ?1 AND id NOT IN"
    " (SELECT id FROM outbox) AND id IN (SELECT id FROM artifacts)"
    " ORDER BY scored_us LIMIT ?2)";
static const char old_verdicts[] = "DELETE FROM verdicts WHERE seq IN"
    " (SELECT seq FROM verdicts WHERE scored_us < ?1 AND id NOT IN"
    " (SELECT id FROM outbox) ORDER BY scored_us LIMIT ?2)";
static const char old_embeddings[] = "DELETE FROM embeddings WHERE seq IN"
    " (SELECT seq FROM embeddings WHERE stored_us < ?1"
    " ORDER BY stored_us LIMIT ?2)";
static const char old_quarantine[] = "DELETE FROM quarantine WHERE rowid IN"
    " (SELECT rowid FROM quarantine WHERE stored_us < ?1"
    " ORDER BY rowid LIMIT ?2)";

static enum cw_status
retain_by_age(struct cw_spool *sp, int64_t before_us, uint32_t most,
    uint64_t *deleted, struct cw_err *err)
{
	const char *const sql[] = { old_artifacts, old_verdicts,
		old_embeddings, old_quarantine };
	enum cw_status st = CW_OK;

	for (size_t i = 0; i < CW_COUNT(sql) && st == CW_OK; i++)
		st = delete_old(sp, sql[i], before_us, most, deleted, err);
	return st;
}

/* Of the quarantine, the oldest beyond a quarter of the bound. */
static const char long_quarantine[] = "DELETE FROM quarantine WHERE rowid IN"
    " (SELECT rowid FROM (SELECT rowid, sum(length(payload)) OVER"
    " (ORDER BY rowid DESC) AS bytes FROM quarantine) WHERE bytes > ?1 / 4"
    " ORDER BY rowid LIMIT ?2)";

/*
 * Over the bound: first what can be made again, then pictures, verdicts last.
 * Bit by bit, so that no more goes than must.
 */
static enum cw_status
retain_by_bytes(struct cw_spool *sp, uint64_t bound, uint32_t most,
    uint64_t *deleted, struct cw_err *err)
{
	const char *const sql[] = { old_embeddings, old_artifacts,
		old_verdicts };
	uint64_t bytes = 0, before;
	enum cw_status st;
	size_t i = 0;

	while ((st = bytes_used(sp, &bytes, err)) == CW_OK &&
	    bytes > bound && i < CW_COUNT(sql) && *deleted < most) {
		const uint64_t left = most - *deleted;

		before = *deleted;
		st = delete_old(sp, sql[i], INT64_MAX, left < STEP_ROWS ?
		    (uint32_t)left : STEP_ROWS, deleted, err);
		if (st != CW_OK)
			return st;
		if (*deleted == before)
			i++;
	}
	return st;
}

enum cw_status
cw_spool_retain(struct cw_spool *sp, int64_t before_us, uint64_t max_bytes,
    uint32_t most, uint64_t *deleted, struct cw_err *err)
{
	uint64_t bytes = 0;
	int64_t waiting = 0;
	enum cw_status st;

	*deleted = 0;
	st = retain_by_age(sp, before_us, most, deleted, err);
	if (st != CW_OK || (st = bytes_used(sp, &bytes, err)) != CW_OK ||
	    (st = cw_db_int(sp->db, "SELECT coalesce(sum(bytes), 0) FROM jobs",
	    &waiting, err)) != CW_OK)
		return st;
	/* Jobs that wait are bounded by themselves and go when scored. */
	if (bytes > max_bytes + (uint64_t)waiting) {
		st = delete_old(sp, long_quarantine, max_bytes > INT64_MAX ?
		    INT64_MAX : (int64_t)max_bytes, most, deleted, err);
		if (st == CW_OK)
			st = retain_by_bytes(sp, max_bytes +
			    (uint64_t)waiting, most, deleted, err);
	}
	if (st == CW_OK && *deleted > 0)
		st = SPOOL_RUN(sp, err, "PRAGMA incremental_vacuum(256)",
		    { CW_BIND_END, 0, NULL, 0 });
	return st;
}
