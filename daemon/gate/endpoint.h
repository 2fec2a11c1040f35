/*
 * endpoint.h - addresses, before the sandbox closes the resolver's files.
 *
 * Runs in: gate, before its sandbox.  Never: logs.
 */
#ifndef CW_ENDPOINT_H
#define CW_ENDPOINT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"

/*
 * Can only this machine reach it?  true for ipc:// and for tcp:// on a
 * loopback address; a name counts as not.
 */
bool cw_endpoint_local(const char *endpoint);

/*
 * tcp://name:port with the name looked up: later reconnections happen where
 * no resolver can run.  A name of both families is taken as IPv4, where ZeroMQ
 * binds and connects unless it is told otherwise.  Others are returned as they
 * are.  CW_E_CONFIG: there is no such name.  CW_E_BUSY, CW_E_SYSTEM: nobody
 * could be asked now.
 */
CW_MUST_USE enum cw_status cw_endpoint_numeric(const char *endpoint,
    struct cw_arena *a, const char **out, struct cw_err *err);

/*
 * As it is to be bound: localhost by its address, others as they are; if it may
 * be.  CW_E_CONFIG: it would let strangers in without CURVE, or at an ipc:// path
 * lies what is no socket, see unix_path.h.  CW_E_BUSY, CW_E_LIMIT.
 */
CW_MUST_USE enum cw_status cw_endpoint_bindable(const char *endpoint,
    bool curve, struct cw_arena *a, const char **out, struct cw_err *err);

#endif /* CW_ENDPOINT_H */
