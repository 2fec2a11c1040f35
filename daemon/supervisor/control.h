/*
 * control.h - the operator's socket: status, reload, drain, get, watch.
 *
 * Runs in: supervisor.
 *
 * A Unix stream socket at control.socket, mode 0660.  One JSON object a line
 * each way, an answer for each command in order:
 *
 *	{"cmd":"status"}		{"ok":true,"version":...}
 *	{"cmd":"reload"}		{"ok":true,"generation":..,"hash":".."}
 *	{"cmd":"drain"}			{"ok":true,"pending":N}
 *	{"cmd":"get","id":"..."}	{"ok":true,"state":"done","verdict":{..}}
 *					{"ok":true,"state":"pending"}
 *					{"ok":true,"state":"unknown"}
 *	{"cmd":"watch","flagged":true}	{"ok":true,"watching":true}, then one
 *					verdict a line until the peer closes
 *	anything else			{"ok":false,"error":"..."}
 *
 * A reload that is refused is {"ok":false,"error":"file:line:col: ..."}.
 * drain: take no more jobs, finish the queue, end.  A peer that does not
 * read is cut off.
 */
#ifndef CW_CONTROL_H
#define CW_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "supervisor/daemon.h"
#include "supervisor/turn.h"

struct cw_control;		/* opaque */

/* CW_E_BUSY: a running daemon answers there.  CW_E_SYSTEM. */
CW_MUST_USE enum cw_status cw_control_open(struct cw_daemon *d,
    struct cw_err *err);
void cw_control_close(struct cw_daemon *d);	/* removes the socket */

/* Once a second: listen again, after descriptors had run out. */
void cw_control_tick(struct cw_daemon *d);
/* A verdict for those who watch. */
void cw_control_watch(struct cw_daemon *d, const struct cw_told *v);
/* A reload that the connection of that number asked for has ended. */
void cw_control_reloaded(struct cw_daemon *d, uint64_t number, bool ok,
    const char *why);

#endif /* CW_CONTROL_H */
