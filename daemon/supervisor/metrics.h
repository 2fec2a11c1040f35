/*
 * metrics.h - the daemon's numbers as Prometheus reads them, and readiness.
 *
 * Runs in: supervisor.  Never: logs.
 */
#ifndef CW_METRICS_H
#define CW_METRICS_H

#include "supervisor/daemon.h"

struct evbuffer;

/* Why no job would be taken and scored now, or NULL. */
const char *cw_metrics_unready(const struct cw_daemon *d);

/* Text exposition format 0.0.4. */
void cw_metrics_text(const struct cw_daemon *d, struct evbuffer *out);

#endif /* CW_METRICS_H */
