/*
 * queue.h - the jobs that wait for their verdict, in memory.
 *
 * Runs in: supervisor.  Never: logs, allocates after start.
 *
 * A fixed table beside the spool's rows: enough of each job to order, count
 * and answer it; its bytes stay in the database until a worker gets them.
 *
 *	NEW --commit--> READY --dispatch--> SENT --verdict--> DONE --commit--> free
 *	 |                ^----- worker died / turn undone -----'
 *	 '---------------------cancelled---------------> DONE
 *
 * Interactive jobs go before bulk ones, each kind in order of acceptance; a
 * job put back goes to the front of its kind.
 */
#ifndef CW_QUEUE_H
#define CW_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "base/status.h"
#include "format/job.h"

#define CW_ROUTES_MAX	4u	/* senders that get the verdict of one job */

enum cw_slot_state {
	CW_SLOT_FREE, CW_SLOT_NEW, CW_SLOT_READY, CW_SLOT_SENT, CW_SLOT_DONE,
	CW_SLOT_STATES
};

/*
 * What a job has been blamed for.  A worker that dies with it counts
 * CW_BLAME_CRASH; one that somebody killed from outside counts less, since
 * that says less about the job.  At CW_BLAME_MAX it is tried no more.
 */
#define CW_BLAME_CRASH	2u
#define CW_BLAME_KILLED	1u
#define CW_BLAME_MAX	4u

struct cw_slot {
	enum cw_slot_state state;
	char		 id[CW_JOB_ID_BYTES + 1];
	int64_t		 seq;		/* of the spool's row; 0: not spooled */
	int64_t		 received_us;	/* wall clock */
	uint64_t	 received_ms;	/* monotonic */
	uint64_t	 deadline_ms;	/* monotonic; 0: none */
	uint64_t	 sent_ms;	/* monotonic, when a worker got it */
	uint64_t	 bytes;
	enum cw_priority priority;
	uint32_t	 attempt;	/* finished ones */
	uint32_t	 blame;
	bool		 former;	/* from before the daemon's start */
	uint32_t	 unread;	/* failed reads of its row, in a row */
	uint64_t	 again_ms;	/* monotonic; not read before that */
	bool		 alone;		/* only in a batch of its own */
	bool		 no_embeds;	/* must be scored from its image */
	bool		 from_embeds;	/* ... and is being, this time */
	char		 sha256[CW_SHA256_HEX];
	char		 cache_key[CW_SHA256_HEX];
	char		 surface[257];	/* these three: known once it was sent */
	enum cw_when	 explain;
	bool		 explain_set;	/* else the policy's own */
	uint64_t	 routes[CW_ROUTES_MAX];
	uint32_t	 nroutes;
	char		 owner[41];	/* CURVE key that submitted it, or "" */
	struct cw_slot	*next, *prev;	/* in its list while READY */
	struct cw_slot	*hash_next;
};

struct cw_queue;		/* opaque */

/* A table of `slots` jobs; its pages are touched as they are used. */
CW_MUST_USE enum cw_status cw_queue_open(size_t slots, struct cw_queue **out,
    struct cw_err *err);
void cw_queue_close(struct cw_queue **q);

struct cw_slot *cw_queue_find(const struct cw_queue *q, const char *id);
/* A NEW slot of that id, or NULL when the table is full. */
struct cw_slot *cw_queue_add(struct cw_queue *q, const char *id,
    uint64_t bytes);
/* NEW -> READY, at the end; SENT or DONE -> READY, at the front. */
void cw_queue_ready(struct cw_queue *q, struct cw_slot *s);
void cw_queue_put_back(struct cw_queue *q, struct cw_slot *s);
/* Any state -> the given one (SENT or DONE). */
void cw_queue_take(struct cw_queue *q, struct cw_slot *s,
    enum cw_slot_state to);
void cw_queue_remove(struct cw_queue *q, struct cw_slot *s);

/* The next READY job, or NULL; then the one after s. */
struct cw_slot *cw_queue_first(const struct cw_queue *q);
struct cw_slot *cw_queue_next(const struct cw_queue *q,
    const struct cw_slot *s);

/* Remember who gets the verdict.  Beyond CW_ROUTES_MAX the oldest but the
 * first gives way: whoever sent the job keeps its place. */
void cw_slot_route(struct cw_slot *s, uint64_t route);

/*
 * Its row could not be read: count that, and wait a second before the next
 * try.  true: CW_UNREAD_MAX times now, so it is more than a passing fault.
 */
#define CW_UNREAD_MAX	5u
bool cw_slot_unread(struct cw_slot *s, uint64_t now_ms);

size_t cw_queue_count(const struct cw_queue *q);	/* all but free */
size_t cw_queue_waiting(const struct cw_queue *q);	/* READY */
uint64_t cw_queue_bytes(const struct cw_queue *q);	/* all but free */
bool cw_queue_full(const struct cw_queue *q);

/* Every slot in use, in no order; fn may remove or change the slot. */
typedef void cw_queue_fn(void *payload, struct cw_slot *s);
void cw_queue_each(struct cw_queue *q, cw_queue_fn *fn, void *payload);

#endif /* CW_QUEUE_H */
