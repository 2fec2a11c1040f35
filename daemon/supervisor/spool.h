/*
 * spool.h - what must survive: jobs, verdicts, and what saves work.
 *
 * Runs in: supervisor.  Never: logs.
 *
 * One SQLite database, PATH/spool.db, and PATH/lock held for as long as the
 * daemon lives.  Writes of one loop turn share one transaction (group
 * commit): the first write opens it, cw_spool_commit ends it, and only what
 * was committed may be told to anybody.  When any write or the commit goes
 * wrong, the whole turn is undone and the spool is *sick*: writes are refused
 * with CW_E_BUSY, and the turns that tried them undone, until cw_spool_probe
 * succeeds.  Reading goes on.
 *
 *	jobs		accepted, no verdict yet (header packed as in job.h
 *			without the image, payload the image bytes)
 *	verdicts	one JSON line for each id, never changed
 *	artifacts	pictures made on demand, beside their verdict
 *	embeddings	float16 vectors of an image's views, by its bytes
 *	text_vectors	by model, templates and prompt
 *	quarantine	jobs that killed their worker twice
 *	outbox		verdicts a sink has not confirmed
 */
#ifndef CW_SPOOL_H
#define CW_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "base/status.h"
#include "format/job.h"
#include "format/result.h"

#define CW_SPOOL_VERSION	2	/* of the tables; older ones are brought up
					   to it, newer ones refused */
#define CW_SPOOL_KEY		65	/* hex of a SHA-256, and the NUL */

struct cw_spool;			/* opaque */

/*
 * Open PATH (made when absent), lock it, make or check the tables.  The
 * struct lives in the arena; cw_spool_close ends the rest.
 * CW_E_BUSY: another daemon holds it.  CW_E_CONFIG: written by another
 * version, or another program's database.  CW_E_SYSTEM, also when it is none.
 */
CW_MUST_USE enum cw_status cw_spool_open(const char *path, struct cw_arena *a,
    struct cw_spool **out, struct cw_err *err);
void cw_spool_close(struct cw_spool **sp);	/* uncommitted work is undone */

/* ---- turns ---- */

/* Has this turn written anything that is not committed? */
bool cw_spool_dirty(const struct cw_spool *sp);
bool cw_spool_sick(const struct cw_spool *sp);
/*
 * End the turn.  CW_OK: everything since the last commit is on the disk (or
 * there was nothing).  Anything else: all of it is undone, the spool is sick.
 */
CW_MUST_USE enum cw_status cw_spool_commit(struct cw_spool *sp,
    struct cw_err *err);
/* Try to write and sync; CW_OK ends the sickness. */
CW_MUST_USE enum cw_status cw_spool_probe(struct cw_spool *sp,
    struct cw_err *err);

/* ---- jobs ---- */

struct cw_spool_job {			/* what is kept beside a job's header */
	int64_t		 seq;		/* order of acceptance, row number */
	const char	*id;
	int64_t		 received_us;	/* wall clock */
	uint32_t	 attempt;	/* finished ones */
	uint32_t	 blame;		/* see queue.h */
	enum cw_priority priority;
	uint32_t	 deadline_ms;
	uint64_t	 bytes;		/* of the image */
	const char	*sha256;	/* of the image, computed here */
	const char	*cache_key;	/* see cw_spool_find_same */
	const char	*owner;		/* CURVE key that submitted it, or "" */
};

/* Store a job; *seq is set.  CW_E_BUSY when sick or the disk is full. */
CW_MUST_USE enum cw_status cw_spool_put_job(struct cw_spool *sp,
    const struct cw_job *job, const struct cw_spool_job *meta, int64_t *seq,
    struct cw_err *err);
/* Every stored job in order of acceptance; fn returns false to stop. */
typedef bool cw_spool_job_fn(void *payload, const struct cw_spool_job *j);
CW_MUST_USE enum cw_status cw_spool_each_job(struct cw_spool *sp,
    int64_t after_seq, cw_spool_job_fn *fn, void *payload,
    struct cw_err *err);
/*
 * The job itself, image and all, in the arena.  CW_E_NOT_FOUND; CW_E_FORMAT
 * also when the image is not as long as it was; else it may yet be read.
 */
CW_MUST_USE enum cw_status cw_spool_get_job(struct cw_spool *sp, int64_t seq,
    struct cw_arena *a, struct cw_job *out, struct cw_err *err);
CW_MUST_USE enum cw_status cw_spool_note_attempt(struct cw_spool *sp,
    int64_t seq, uint32_t attempt, uint32_t blame, struct cw_err *err);
/* Copy a job to the quarantine; it stays a job until its verdict. */
CW_MUST_USE enum cw_status cw_spool_quarantine(struct cw_spool *sp,
    int64_t seq, const char *reason, int64_t now_us, struct cw_err *err);
/* The same for a row that may be unreadable: then the turn goes on. */
CW_MUST_USE enum cw_status cw_spool_set_aside(struct cw_spool *sp,
    int64_t seq, const char *reason, int64_t now_us, struct cw_err *err);

/* ---- verdicts ---- */

struct cw_stored {
	const char	*id, *decision, *policy, *json;
	int64_t		 received_us, scored_us;
	const char	*sha256, *policies_hash;
	const char	*cache_key;	/* "": not to be used for others */
	const char	*owner;		/* of its job */
};

/* The id's one verdict; its job (seq) goes in the same transaction. */
CW_MUST_USE enum cw_status cw_spool_put_verdict(struct cw_spool *sp,
    const struct cw_stored *v, int64_t seq, struct cw_err *err);
/* CW_E_NOT_FOUND when there is none. */
CW_MUST_USE enum cw_status cw_spool_get_verdict(struct cw_spool *sp,
    const char *id, struct cw_arena *a, struct cw_stored *out,
    struct cw_err *err);
/* Only whether there is one: CW_OK or CW_E_NOT_FOUND. */
CW_MUST_USE enum cw_status cw_spool_has_verdict(struct cw_spool *sp,
    const char *id, struct cw_err *err);
/* A verdict made under the same key (same bytes, options, model, policies). */
CW_MUST_USE enum cw_status cw_spool_find_same(struct cw_spool *sp,
    const char *cache_key, struct cw_arena *a, struct cw_stored *out,
    struct cw_err *err);

CW_MUST_USE enum cw_status cw_spool_put_artifact(struct cw_spool *sp,
    const char *id, uint32_t n, uint32_t kind, const char *name,
    const struct cw_bytes *data, struct cw_err *err);
/* Up to max of them, in order. */
CW_MUST_USE enum cw_status cw_spool_get_artifacts(struct cw_spool *sp,
    const char *id, struct cw_arena *a, struct cw_bytes *out, uint32_t max,
    uint32_t *n, struct cw_err *err);

/* ---- what saves work ---- */

struct cw_spool_embeds {
	float		*vecs;		/* [nviews][embed] unit length */
	struct cw_view	*views;		/* [nviews] */
	uint32_t	 nviews, embed;
	const char	*format;
	uint32_t	 width, height, frames;
};

/* Kept as float16; model names everything the vectors depend on. */
CW_MUST_USE enum cw_status cw_spool_put_embeds(struct cw_spool *sp,
    const char *sha256, const char *model, const struct cw_result *res,
    int64_t now_us, struct cw_err *err);
CW_MUST_USE enum cw_status cw_spool_get_embeds(struct cw_spool *sp,
    const char *sha256, const char *model, struct cw_arena *a,
    struct cw_spool_embeds *out, struct cw_err *err);

CW_MUST_USE enum cw_status cw_spool_put_text(struct cw_spool *sp,
    const char *model, const char *templates, const char *prompt,
    const float *vec, size_t n, struct cw_err *err);
/* vec [n] is filled; CW_E_NOT_FOUND also when another length is stored. */
CW_MUST_USE enum cw_status cw_spool_get_text(struct cw_spool *sp,
    const char *model, const char *templates, const char *prompt, float *vec,
    size_t n, struct cw_err *err);

/* ---- outbox of the sinks ---- */

CW_MUST_USE enum cw_status cw_spool_outbox_put(struct cw_spool *sp,
    const char *sink, const char *id, struct cw_err *err);
struct cw_outbox_item {
	int64_t		 seq;
	const char	*id, *decision, *json;
};
/* The oldest of them, up to max, after seq `after`. */
CW_MUST_USE enum cw_status cw_spool_outbox_get(struct cw_spool *sp,
    const char *sink, int64_t after, struct cw_arena *a,
    struct cw_outbox_item *out, size_t max, size_t *n, struct cw_err *err);
/* Everything of that sink up to seq is delivered. */
CW_MUST_USE enum cw_status cw_spool_outbox_done(struct cw_spool *sp,
    const char *sink, int64_t seq, struct cw_err *err);
/* Drop what waits for sinks that no longer exist; names [n]. */
CW_MUST_USE enum cw_status cw_spool_outbox_keep(struct cw_spool *sp,
    const char *const *names, size_t n, struct cw_err *err);

/* ---- retention ---- */

struct cw_spool_use {
	uint64_t	 bytes;		/* in use, of the database */
	uint64_t	 jobs, quarantined;
	uint64_t	 verdicts;	/* ever stored; some may be gone */
};
CW_MUST_USE enum cw_status cw_spool_use(struct cw_spool *sp,
    struct cw_spool_use *out, struct cw_err *err);
/*
 * Delete, at most `most` rows of each, what is older than before_us; then,
 * while the spool without its waiting jobs is larger than max_bytes, what the
 * quarantine has beyond a quarter of that, the oldest embeddings, artifacts,
 * verdicts.  *deleted counts rows: call again in the next turn if it reaches
 * `most`.  Nothing accepted or undelivered goes.
 */
CW_MUST_USE enum cw_status cw_spool_retain(struct cw_spool *sp,
    int64_t before_us, uint64_t max_bytes, uint32_t most, uint64_t *deleted,
    struct cw_err *err);

#endif /* CW_SPOOL_H */
