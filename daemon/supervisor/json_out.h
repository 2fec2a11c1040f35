/*
 * json_out.h - small JSON objects for answers, in an arena.
 *
 * Runs in: supervisor.  Never: logs.
 */
#ifndef CW_JSON_OUT_H
#define CW_JSON_OUT_H

#include "base/arena.h"

/* {"id":...,"code":...,"message":...}; NULL when memory ends. */
const char *cw_json_rejected(struct cw_arena *a, const char *id,
    const char *code, const char *message);

/* s as a JSON string with its quotes; bytes that are not UTF-8 become '?'. */
const char *cw_json_string(struct cw_arena *a, const char *s);

#endif /* CW_JSON_OUT_H */
