/*
 * worker_peer.h - one worker process and the blocking talk with it.
 *
 * Private to worker_client.c and its loop.  Runs in: cli.  Never: prints.
 */
#ifndef CW_WORKER_PEER_H
#define CW_WORKER_PEER_H

#include <sys/types.h>

#include "cli/worker_client.h"
#include "format/frame.h"
#include "format/pack.h"

struct cw_peer {
	pid_t		 pid;		/* 0: none */
	int		 fd;		/* -1: none */
	struct cw_arena	*arena;		/* the frame at hand */
	void		(*log)(int level, const char *line);
};

/* Spawn clipward-worker and send INIT; the peer's arena is opened once. */
CW_MUST_USE enum cw_status cw_peer_start(struct cw_peer *p,
    const struct cw_init *init, struct cw_err *err);
/* Kill and reap; the arena stays.  Nothing there is fine. */
void cw_peer_kill(struct cw_peer *p);
/* Close the channel, so that it ends by itself, and reap. */
void cw_peer_stop(struct cw_peer *p);
/* Reap a worker whose channel has ended; say how it went, static storage. */
const char *cw_peer_reap(struct cw_peer *p);

CW_MUST_USE enum cw_status cw_peer_send(struct cw_peer *p,
    enum cw_frame_type type, uint16_t flags, uint64_t id,
    const struct cw_pack *body, struct cw_err *err);

/*
 * The next frame that is not a LOG; its body lies in the peer's arena.
 * CW_E_MODEL or CW_E_CONFIG with a FATAL frame's own words; CW_E_CLOSED when
 * the worker has gone.
 */
CW_MUST_USE enum cw_status cw_peer_read(struct cw_peer *p,
    struct cw_frame *f, struct cw_err *err);
/* The same, and it must be of that type. */
CW_MUST_USE enum cw_status cw_peer_expect(struct cw_peer *p,
    enum cw_frame_type type, struct cw_frame *f, struct cw_err *err);

#endif /* CW_WORKER_PEER_H */
