/*
 * http.h - health and numbers for machines.
 *
 * Runs in: supervisor.
 *
 *	GET /healthz	200 while the loop turns
 *	GET /readyz	200 while jobs are taken and scored, else 503 and why
 *	GET /metrics	Prometheus text; wants "Authorization: Bearer TOKEN"
 *			when http.token_file is set
 */
#ifndef CW_HTTP_H
#define CW_HTTP_H

#include "base/status.h"
#include "supervisor/daemon.h"

struct cw_http;			/* opaque */

/* CW_E_CONFIG: not HOST:PORT, or it can't be had there. */
CW_MUST_USE enum cw_status cw_http_open(struct cw_daemon *d,
    struct cw_err *err);
void cw_http_close(struct cw_daemon *d);
/* Once a second: listen again, after descriptors had run out. */
void cw_http_tick(struct cw_daemon *d);
/* "host:port" as bound, "" when there is no HTTP. */
const char *cw_http_bound(const struct cw_daemon *d);

#endif /* CW_HTTP_H */
