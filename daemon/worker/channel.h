/*
 * channel.h - what a worker says to its parent.
 *
 * Runs in: worker.  Never: opens or closes a descriptor.
 *
 * One stream socket, blocking.  A parent that has gone is CW_E_CLOSED, which
 * ends the worker quietly.
 */
#ifndef CW_CHANNEL_H
#define CW_CHANNEL_H

#include <stdint.h>

#include "base/log.h"
#include "base/status.h"
#include "format/frame.h"
#include "format/pack.h"

/* Send what was packed; CW_E_LIMIT when the packing had overflowed. */
CW_MUST_USE enum cw_status cw_channel_send(int fd, enum cw_frame_type type,
    uint64_t id, const struct cw_pack *body, struct cw_err *err);

/* The same with n bytes more, which are not copied. */
CW_MUST_USE enum cw_status cw_channel_send_with(int fd,
    enum cw_frame_type type, uint64_t id, const struct cw_pack *body,
    const void *more, size_t n, struct cw_err *err);

/* A cw_log_hook: the line goes up as CW_F_LOG.  payload: an int, the fd. */
void cw_channel_log(void *payload, enum cw_level level, const char *line);

/* Say why start-up ended (CW_F_FATAL); returns code, for exit(). */
int cw_channel_fatal(int fd, int code, const char *why);

#endif /* CW_CHANNEL_H */
