/*
 * link.h - framed messages over a child's socket, never blocking.
 *
 * Runs in: supervisor.  Never: logs, trusts a byte it reads.
 *
 * One reader and one writer on a libevent base.  Whole frames are handed to
 * the owner in order; a header that is not one, a body over the bound, the
 * end of the stream or an error end the channel and are told once.  What is
 * sent waits in memory up to a bound of its own.
 *
 *	      fd ==> [ header | body | hea..   in, one stretch of address space
 *	frames ==> out (evbuffer) ==> fd
 */
#ifndef CW_LINK_H
#define CW_LINK_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "format/frame.h"

/* f and its body are borrowed for the call, which may close the channel. */
typedef void cw_link_frame_fn(void *owner, const struct cw_frame *f);
/*
 * The channel is closed already.  why->text says what ended it, st whose
 * doing it was: CW_E_FORMAT and CW_E_LIMIT are bytes that are no frame.
 */
typedef void cw_link_gone_fn(void *owner, enum cw_status st,
    const struct cw_err *why);

struct cw_link {
	uint32_t		 magic;
	int			 fd;		/* -1: closed */
	struct event_base	*base;
	struct event		*rd, *wr;
	struct cw_arena		*arena;		/* holds in */
	uint8_t			*in;		/* [room] */
	size_t			 room, len;
	size_t			 max_body;	/* bytes of a frame received */
	size_t			 max_out;	/* bytes waiting to be sent */
	struct evbuffer		*out;
	bool			 finishing;	/* close our side once all is sent */
	cw_link_frame_fn	*frame;
	cw_link_gone_fn	*gone;
	void			*owner;
};

/* Once, before the first open.  Reserves address space for one frame. */
CW_MUST_USE enum cw_status cw_link_init(struct cw_link *ch,
    struct event_base *base, size_t max_body, size_t max_out,
    cw_link_frame_fn *frame, cw_link_gone_fn *gone, void *owner,
    struct cw_err *err);
void cw_link_fini(struct cw_link *ch);

/* Take over fd (owned from here on).  The channel must be closed. */
CW_MUST_USE enum cw_status cw_link_open(struct cw_link *ch, int fd,
    struct cw_err *err);
void cw_link_close(struct cw_link *ch);	/* a closed one is fine */
bool cw_link_is_open(const struct cw_link *ch);

/*
 * Queue one frame and send what the socket takes now.  CW_E_CLOSED when the
 * channel is closed, CW_E_LIMIT when more than max_out would wait (a frame
 * alone may always).  Errors of the socket are told through gone, later.
 */
CW_MUST_USE enum cw_status cw_link_send(struct cw_link *ch,
    uint16_t type, uint16_t flags, uint64_t id, const void *body, size_t len,
    struct cw_err *err);
size_t cw_link_waiting(const struct cw_link *ch);	/* bytes unsent */
/* The child is dead: hand over what it has written, up to its end. */
void cw_link_drain(struct cw_link *ch);

/* Send what waits, then shut our side down, so that the child reads its end. */
void cw_link_finish(struct cw_link *ch);

#endif /* CW_LINK_H */
