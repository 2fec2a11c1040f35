/*
 * curve.h - the key files that curve.* of the configuration name.
 *
 * Runs in: supervisor, cli.  Never: logs.
 *
 * secret_key_file: one Z85 secret key (40 characters), readable by its owner
 * only.  clients_file: one client a line, '#' comments,
 *
 *	KEY  RIGHTS  NAME
 *
 * KEY a Z85 public key, RIGHTS a comma-separated list of submit, watch,
 * reload, NAME [A-Za-z0-9._-]+ for the log.
 */
#ifndef CW_CURVE_H
#define CW_CURVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "format/gate_msg.h"

/* Errors name file and line: CW_E_CONFIG, CW_E_NOT_FOUND, CW_E_SYSTEM. */
CW_MUST_USE enum cw_status cw_curve_secret(const char *path,
    struct cw_arena *a, char key[41], struct cw_err *err);
/* Would a line of the list of clients with these words be taken? */
CW_MUST_USE enum cw_status cw_curve_client_check(const char *list,
    const char *name, struct cw_arena *a, struct cw_err *err);
CW_MUST_USE enum cw_status cw_curve_clients(const char *path,
    struct cw_arena *a, struct cw_curve_client **out, uint32_t *n,
    struct cw_err *err);

#endif /* CW_CURVE_H */
