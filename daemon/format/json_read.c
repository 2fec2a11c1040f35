/*
 * json_read.c - see json_read.h.
 */
#include "format/json_read.h"

#include <string.h>

enum cw_status
cw_json_parse(const char *s, size_t len, const char *what, json_t **out,
    struct cw_err *err)
{
	json_error_t e;
	json_t *root;

	root = json_loadb(s, len, JSON_REJECT_DUPLICATES, &e);
	if (root == NULL)
		return cw_err_set(err, CW_E_FORMAT, "%s:%d:%d: %s", what,
		    e.line, e.column, e.text);
	if (!json_is_object(root)) {
		json_decref(root);
		return cw_err_set(err, CW_E_FORMAT, "%s: want a JSON object",
		    what);
	}
	*out = root;
	return CW_OK;
}

static enum cw_status
read_value(json_t *v, const char *what, const struct cw_json_key *k,
    struct cw_arena *a, struct cw_err *err)
{
	switch (k->type) {
	case CW_J_STR:
		if (!json_is_string(v))
			return cw_err_set(err, CW_E_FORMAT,
			    "%s: %s: want a string", what, k->name);
		if (json_string_length(v) > k->max)
			return cw_err_set(err, CW_E_FORMAT,
			    "%s: %s: %zu bytes; want at most %ju", what,
			    k->name, json_string_length(v), (uintmax_t)k->max);
		*(const char **)k->out = cw_arena_strdup(a,
		    json_string_value(v));
		return CW_OK;
	case CW_J_UINT:
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    (uint64_t)json_integer_value(v) > k->max)
			return cw_err_set(err, CW_E_FORMAT,
			    "%s: %s: want a whole number from 0 to %ju", what,
			    k->name, (uintmax_t)k->max);
		*(uint64_t *)k->out = (uint64_t)json_integer_value(v);
		return CW_OK;
	case CW_J_OBJECT:
		if (!json_is_object(v))
			return cw_err_set(err, CW_E_FORMAT,
			    "%s: %s: want an object", what, k->name);
		break;
	case CW_J_ARRAY:
		if (!json_is_array(v))
			return cw_err_set(err, CW_E_FORMAT,
			    "%s: %s: want a list", what, k->name);
		break;
	}
	*(json_t **)k->out = v;
	return CW_OK;
}

enum cw_status
cw_json_read(json_t *obj, const char *what, const struct cw_json_key *keys,
    size_t nkeys, struct cw_arena *a, struct cw_err *err)
{
	const char *name;
	enum cw_status st;
	json_t *v;

	json_object_foreach(obj, name, v) {
		size_t i = 0;

		while (i < nkeys && strcmp(keys[i].name, name) != 0)
			i++;
		if (i == nkeys)
			return cw_err_set(err, CW_E_FORMAT,
			    "%s: unknown key \"%.64s\"", what, name);
		st = read_value(v, what, &keys[i], a, err);
		if (st != CW_OK)
			return st;
	}
	return CW_OK;
}
