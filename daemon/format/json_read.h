/*
 * json_read.h - a JSON object read by a table of its keys.
 *
 * Runs in: everywhere.  Private to format/.  Never: logs.
 */
#ifndef CW_JSON_READ_H
#define CW_JSON_READ_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

enum cw_json_type { CW_J_STR, CW_J_UINT, CW_J_OBJECT, CW_J_ARRAY };

struct cw_json_key {
	const char		*name;
	enum cw_json_type	 type;
	void			*out;	/* const char **, uint64_t *, json_t ** */
	uint64_t		 max;	/* string bytes, or the number's bound */
};

/*
 * Parse len bytes as one object; duplicate keys, NUL and trailing bytes are
 * refused.  owned: json_decref(*out).  what names it in messages.
 */
CW_MUST_USE enum cw_status cw_json_parse(const char *s, size_t len,
    const char *what, json_t **out, struct cw_err *err);

/*
 * Fill the table's variables from obj; an absent key leaves its variable
 * alone.  Strings are copied to the arena, objects and arrays are borrowed.
 * CW_E_FORMAT for an unknown key, a wrong type or a value out of bounds.
 */
CW_MUST_USE enum cw_status cw_json_read(json_t *obj, const char *what,
    const struct cw_json_key *keys, size_t nkeys, struct cw_arena *a,
    struct cw_err *err);

#endif /* CW_JSON_READ_H */
