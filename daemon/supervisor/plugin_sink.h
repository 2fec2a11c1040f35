/*
 * plugin_sink.h - sink plugins: verdicts to files and the like.
 *
 * Runs in: supervisor.
 *
 * Each verdict leaves a row per sink in the spool's outbox, in the verdict's
 * own transaction; rows go once the sink has confirmed.  So a sink gets every
 * verdict at least once, in order, also those from before a crash.
 */
#ifndef CW_PLUGIN_SINK_H
#define CW_PLUGIN_SINK_H

#include <stdbool.h>

#include "base/status.h"
#include "conf/config.h"
#include "supervisor/daemon.h"

/*
 * Is the plugin of that path one that runs here?  The file is mapped to read
 * its descriptor, nothing of it is called.  CW_E_CONFIG, CW_E_ABI.
 */
CW_MUST_USE enum cw_status cw_plugin_is_sink(const char *path, bool *is,
    struct cw_err *err);

/* Open every sink that the configuration names.  CW_E_CONFIG, CW_E_ABI. */
CW_MUST_USE enum cw_status cw_sinks_open(struct cw_daemon *d,
    struct cw_err *err);
void cw_sinks_close(struct cw_daemon *d);	/* delivers what it can */

/* Note a verdict that this turn writes, for each sink. */
void cw_sinks_enqueue(struct cw_daemon *d, const char *id);
/* After a commit: hand over what is due. */
void cw_sinks_deliver(struct cw_daemon *d);
/* Write down what sinks have confirmed: with a turn that writes anyway, and
 * now and then. */
void cw_sinks_confirm(struct cw_daemon *d);

#endif /* CW_PLUGIN_SINK_H */
