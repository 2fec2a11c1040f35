/*
 * doc.c - see doc.h.
 */
#include "model/doc.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/io.h"

enum cw_status
cw_doc_parse(const char *file, const char *s, size_t n, struct cw_doc *out,
    struct cw_err *err)
{
	json_error_t why;
	json_t *root;

	root = json_loadb(s, n, JSON_REJECT_DUPLICATES |
	    JSON_DECODE_INT_AS_REAL, &why);
	if (root == NULL)
		return cw_err_set(err, CW_E_MODEL, "%s:%d:%d: %s", file,
		    why.line, why.column, why.text);
	if (!json_is_object(root)) {
		json_decref(root);
		return cw_err_set(err, CW_E_MODEL,
		    "%s: not a JSON object", file);
	}
	out->root = root;
	out->file = file;
	return CW_OK;
}

enum cw_status
cw_doc_open(int dirfd, const char *dir, const char *name, size_t max,
    struct cw_arena *a, struct cw_doc *out, struct cw_err *err)
{
	const char *file = cw_arena_printf(a, "%s/%s", dir, name);
	enum cw_status st;
	size_t len;
	char *s;

	if (file == NULL)
		return cw_err_set(err, CW_E_LIMIT, "%s: no room for %s", dir,
		    name);
	st = cw_read_file(dirfd, name, max, a, &s, &len, err);
	if (st != CW_OK)
		return st;
	return cw_doc_parse(file, s, len, out, err);
}

void
cw_doc_close(struct cw_doc *d)
{
	json_decref(d->root);
	d->root = NULL;
}

struct cw_val
cw_doc_root(const struct cw_doc *d)
{
	return (struct cw_val){ d->root, d->file, "" };
}

struct cw_val
cw_val_get(struct cw_val v, const char *key)
{
	json_t *j = json_object_get(v.j, key);

	if (json_is_null(j))
		j = NULL;
	return (struct cw_val){ j, v.file, key };
}

struct cw_val
cw_val_at(struct cw_val array, size_t i)
{
	return (struct cw_val){ json_array_get(array.j, i), array.file,
	    array.path };
}

bool
cw_val_is_object(struct cw_val v)
{
	return json_is_object(v.j);
}

bool
cw_val_is_array(struct cw_val v)
{
	return json_is_array(v.j);
}

size_t
cw_val_size(struct cw_val v)
{
	return json_is_array(v.j) ? json_array_size(v.j) :
	    json_object_size(v.j);
}

bool
cw_val_number(struct cw_val v, double *out)
{
	if (!json_is_real(v.j))
		return false;
	*out = json_real_value(v.j);
	return true;
}

bool
cw_val_whole(struct cw_val v, int64_t *out)
{
	const double most = 9007199254740992.0;	/* 2^53: exact up to here */
	double d;

	if (!json_is_real(v.j))
		return false;
	d = json_real_value(v.j);
	if (!(fabs(d) <= most) || d != floor(d))
		return false;
	*out = (int64_t)d;
	return true;
}

bool
cw_val_text(struct cw_val v, const char **s, size_t *n)
{
	if (!json_is_string(v.j))
		return false;
	*s = json_string_value(v.j);
	*n = json_string_length(v.j);
	return true;
}

/* "config.json: text_config.hidden_size: want ..." */
static enum cw_status
unwanted(struct cw_val obj, const char *key, const char *want,
    struct cw_err *err)
{
	char *got = NULL;
	json_t *j = json_object_get(obj.j, key);
	enum cw_status st;

	if (!json_is_object(j) && !json_is_array(j))
		got = json_dumps(j, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
	st = cw_err_set(err, CW_E_MODEL, "%s: %s%s%s is %.60s; want %s",
	    obj.file, obj.path, *obj.path != '\0' ? "." : "", key,
	    got != NULL ? got : json_is_object(j) ? "an object" : "a list",
	    want);
	if (got != NULL) {
		void *(*get)(size_t);
		void (*release)(void *);

		json_get_alloc_funcs(&get, &release);
		release(got);
	}
	return st;
}

enum cw_status
cw_val_int(struct cw_val obj, const char *key, int min, int max, int *out,
    struct cw_err *err)
{
	struct cw_val v = cw_val_get(obj, key);
	char want[64];
	int64_t n;

	if (v.j == NULL)
		return CW_OK;
	if (cw_val_whole(v, &n) && n >= min && n <= max) {
		*out = (int)n;
		return CW_OK;
	}
	snprintf(want, sizeof(want), "a whole number from %d to %d", min, max);
	return unwanted(obj, key, want, err);
}

enum cw_status
cw_val_real(struct cw_val obj, const char *key, double min, double max,
    double *out, struct cw_err *err)
{
	struct cw_val v = cw_val_get(obj, key);
	char want[64];

	if (v.j == NULL)
		return CW_OK;
	if (json_is_real(v.j) && json_real_value(v.j) >= min &&
	    json_real_value(v.j) <= max) {
		*out = json_real_value(v.j);
		return CW_OK;
	}
	snprintf(want, sizeof(want), "a number from %g to %g", min, max);
	return unwanted(obj, key, want, err);
}

enum cw_status
cw_val_str(struct cw_val obj, const char *key, const char **out,
    struct cw_err *err)
{
	struct cw_val v = cw_val_get(obj, key);
	size_t n;

	if (v.j == NULL || cw_val_text(v, out, &n))
		return CW_OK;
	return unwanted(obj, key, "a string", err);
}

enum cw_status
cw_val_bool(struct cw_val obj, const char *key, bool *out, struct cw_err *err)
{
	struct cw_val v = cw_val_get(obj, key);

	if (v.j == NULL)
		return CW_OK;
	if (!json_is_boolean(v.j))
		return unwanted(obj, key, "true or false", err);
	*out = json_is_true(v.j);
	return CW_OK;
}

static void
iter_fill(struct cw_val obj, struct cw_val_iter *it)
{
	if (it->at == NULL)
		return;
	it->key = json_object_iter_key(it->at);
	it->val = (struct cw_val){ json_object_iter_value(it->at), obj.file,
	    it->key };
}

struct cw_val_iter
cw_val_first(struct cw_val obj)
{
	struct cw_val_iter it = { .at = json_object_iter(obj.j) };

	iter_fill(obj, &it);
	return it;
}

void
cw_val_next(struct cw_val obj, struct cw_val_iter *it)
{
	it->at = json_object_iter_next(obj.j, it->at);
	iter_fill(obj, it);
}
