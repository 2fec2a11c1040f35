/*
 * unix_path.h - a path that a socket may take.
 *
 * Runs in: supervisor, gate before its sandbox.  Never: logs.
 *
 * What binds there removes what is there.  That may be the socket of a
 * process that died; never another's file, and never the socket of one that
 * lives.
 */
#ifndef CW_UNIX_PATH_H
#define CW_UNIX_PATH_H

#include <sys/un.h>

#include "base/status.h"

/*
 * Fill *sa for path, which an error's text begins with.  CW_E_CONFIG: too long,
 * or something other than a socket is there; CW_E_BUSY: somebody answers
 * there.  Nothing is removed.
 */
CW_MUST_USE enum cw_status cw_unix_path_take(const char *path,
    struct sockaddr_un *sa, struct cw_err *err);

#endif /* CW_UNIX_PATH_H */
