/*
 * doc.h - the JSON files of a model directory, read with checks.
 *
 * Runs in: worker, at start.  Never: logs.
 *
 * Values are borrowed from their document.  An absent key (or null) is
 * "not said" and leaves the caller's default alone; a wrong type or a number
 * out of its range is CW_E_MODEL with file, key and what was wanted.
 */
#ifndef CW_DOC_H
#define CW_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

struct json_t;

struct cw_doc {
	struct json_t	*root;		/* owned */
	const char	*file;		/* for messages, borrowed */
};

/* One value in a document; j is NULL when it is absent. */
struct cw_val {
	struct json_t	*j;
	const char	*file;
	const char	*path;		/* its own key, for messages */
};

struct cw_val_iter {
	void		*at;		/* NULL after the last */
	const char	*key;
	struct cw_val	 val;
};

/*
 * Parse n bytes; the text is not needed afterwards.  Integers of any length
 * are read as doubles (a published tokenizer_config.json holds 1e30 spelled
 * out).  owned: cw_doc_close.
 */
CW_MUST_USE enum cw_status cw_doc_parse(const char *file, const char *s,
    size_t n, struct cw_doc *out, struct cw_err *err);
/*
 * Read and parse dir/name.  CW_E_NOT_FOUND when it is absent.  The text goes
 * to the arena; file names both.
 */
CW_MUST_USE enum cw_status cw_doc_open(int dirfd, const char *dir,
    const char *name, size_t max, struct cw_arena *a, struct cw_doc *out,
    struct cw_err *err);
void cw_doc_close(struct cw_doc *d);
struct cw_val cw_doc_root(const struct cw_doc *d);

/* The value under key; absent when v is absent or not an object. */
struct cw_val cw_val_get(struct cw_val v, const char *key);
struct cw_val cw_val_at(struct cw_val array, size_t i);
bool cw_val_is_object(struct cw_val v);
bool cw_val_is_array(struct cw_val v);
size_t cw_val_size(struct cw_val v);	/* of an object or array, else 0 */

/* The value itself as a number or string; false when it is not one. */
bool cw_val_number(struct cw_val v, double *out);
bool cw_val_whole(struct cw_val v, int64_t *out);
bool cw_val_text(struct cw_val v, const char **s, size_t *n);

CW_MUST_USE enum cw_status cw_val_int(struct cw_val obj, const char *key,
    int min, int max, int *out, struct cw_err *err);
CW_MUST_USE enum cw_status cw_val_real(struct cw_val obj, const char *key,
    double min, double max, double *out, struct cw_err *err);
CW_MUST_USE enum cw_status cw_val_str(struct cw_val obj, const char *key,
    const char **out, struct cw_err *err);
CW_MUST_USE enum cw_status cw_val_bool(struct cw_val obj, const char *key,
    bool *out, struct cw_err *err);

/* for (it = cw_val_first(v); it.at != NULL; cw_val_next(v, &it)) ... */
struct cw_val_iter cw_val_first(struct cw_val obj);
void cw_val_next(struct cw_val obj, struct cw_val_iter *it);

#endif /* CW_DOC_H */
