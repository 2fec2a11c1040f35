/*
 * control_client.h - the daemon's control socket, from the operator's side.
 *
 * Runs in: cli.
 *
 * A Unix stream socket: one line of JSON asks, lines of JSON answer,
 * {"ok":true,...} or {"ok":false,"error":"..."}.
 */
#ifndef CW_CONTROL_CLIENT_H
#define CW_CONTROL_CLIENT_H

#include <jansson.h>

#include "cli/cli.h"

struct cw_ctl {
	FILE	*stream;
	char	*line;			/* getline's */
	size_t	 room;
};

/* Connect and send request (a JSON line, stolen). */
CW_MUST_USE enum cw_status cw_ctl_open(struct cw_cli *cli,
    json_t *request, struct cw_ctl *out, struct cw_err *err);
/*
 * The next line; owned: json_decref.  CW_E_CLOSED at the end, CW_E_FORMAT
 * when it is not JSON; an answer with "ok":false is CW_E_NOT_FOUND and its
 * own words.
 */
CW_MUST_USE enum cw_status cw_ctl_read(struct cw_ctl *l,
    json_t **out, struct cw_err *err);
void cw_ctl_close(struct cw_ctl *l);

/* Ask and take one answer; complains, and returns CW_GO_ON or a status. */
int cw_ctl_ask(struct cw_cli *cli, json_t *request, json_t **out);

#endif /* CW_CONTROL_CLIENT_H */
