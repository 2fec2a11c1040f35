/*
 * yaml.h - one YAML document becomes a small tree that knows its places.
 *
 * Runs in: supervisor, cli.  Never: logs, exits.
 *
 * Less than YAML, on purpose: mappings, sequences and scalars, nothing that
 * multiplies, points elsewhere or names types.  Refused with line and column:
 * anchors, aliases, tags, directives, a second document, duplicate keys, keys
 * that are not scalars, tabs as indentation, control characters, invalid
 * UTF-8, and whatever exceeds the bounds below.  Time is linear in the input.
 */
#ifndef CW_YAML_H
#define CW_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"

#define CW_YAML_BYTES	(1u << 20)
#define CW_YAML_DEPTH	16u
#define CW_YAML_NODES	65536u
#define CW_YAML_KEYS	256u	/* of one mapping; checked pair by pair */

enum cw_yaml_kind { CW_YAML_SCALAR, CW_YAML_LIST, CW_YAML_MAP };

struct cw_yaml_place {
	const char	*file;
	int		 line, column;	/* from 1; columns count characters */
};

struct cw_yaml {
	enum cw_yaml_kind	 kind;
	struct cw_yaml_place	 at;
	const char		*text;	/* scalar, without NUL bytes inside */
	bool			 plain;	/* scalar written without quotes */
	const char		*key;	/* in a mapping, else NULL */
	struct cw_yaml_place	 key_at;
	struct cw_yaml		*first, *next;	/* children, in file order */
	size_t			 n;		/* of children */
};

/*
 * Parse len bytes; file is borrowed for as long as the tree.  An empty
 * document is an empty mapping.  CW_E_CONFIG, or CW_E_LIMIT when the arena
 * is too small.
 */
CW_MUST_USE enum cw_status cw_yaml_parse(const char *file, const char *bytes,
    size_t len, struct cw_arena *a, struct cw_yaml **root,
    struct cw_err *err);

/* Read the file (at most max bytes, CW_YAML_BYTES at most) and parse it. */
CW_MUST_USE enum cw_status cw_yaml_read(const char *path, size_t max,
    struct cw_arena *a, struct cw_yaml **root, struct cw_err *err);

/* The value of key in a mapping, or NULL. */
const struct cw_yaml *cw_yaml_get(const struct cw_yaml *map, const char *key);

/* "a mapping", "a list", "\"text\"" ...: what a node is, for messages. */
#define CW_YAML_SHOW	80
const char *cw_yaml_show(const struct cw_yaml *n, char buf[CW_YAML_SHOW]);
/* "\"text\"", cut to fit without breaking a character. */
const char *cw_yaml_quote(const char *s, char buf[CW_YAML_SHOW]);

/* "file:line:col: " and the text; always CW_E_CONFIG. */
enum cw_status cw_yaml_err(struct cw_err *err,
    const struct cw_yaml_place *at, const char *fmt, ...) CW_PRINTF(3, 4);

#endif /* CW_YAML_H */
