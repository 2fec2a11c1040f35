/*
 * lookup.c - see lookup.h.
 */
#include "model/lookup.h"

#include <stdio.h>
#include <string.h>

static void
name_join(char *out, const char *prefix, const char *name)
{
	snprintf(out, CW_NAME_MAX, "%s%s%s", prefix,
	    *prefix != '\0' ? "." : "", name);
}

/* "[64][3][8][8]" */
static void
shape_text(char *out, size_t size, int ndim, const int64_t *shape)
{
	size_t at = 0;

	if (ndim == 0)
		snprintf(out, size, "a scalar");
	for (int i = 0; i < ndim && at < size; i++) {
		int n = shape[i] < 0 ? snprintf(out + at, size - at, "[any]") :
		    snprintf(out + at, size - at, "[%lld]",
		    (long long)shape[i]);

		at += (size_t)n;
	}
}

bool
cw_lookup_has(const struct cw_lookup *l, const char *prefix, const char *name)
{
	char full[CW_NAME_MAX];

	name_join(full, prefix, name);
	return cw_safetensors_find(l->file, full) != NULL;
}

static enum cw_status
check_shape(struct cw_lookup *l, const struct cw_tensor *t, const char *name,
    int ndim, const int64_t *shape)
{
	char want[96], got[96];
	bool same = t != NULL && t->ndim == ndim;

	for (int i = 0; same && i < ndim; i++)
		same = shape[i] < 0 || t->shape[i] == shape[i];
	if (same && t->dtype != CW_DTYPE_OTHER)
		return CW_OK;
	shape_text(want, sizeof(want), ndim, shape);
	if (t == NULL)
		return cw_err_set(l->err, CW_E_MODEL,
		    "%s: no tensor \"%s\"; want %s", l->file->what, name,
		    want);
	shape_text(got, sizeof(got), t->ndim, t->shape);
	return cw_err_set(l->err, CW_E_MODEL, "%s: tensor \"%s\" is %s %s; "
	    "want F32, F16 or BF16 %s", t->file, name, t->dtype_name, got,
	    want);
}

const float *
cw_lookup_values(struct cw_lookup *l, const char *prefix, const char *name,
    int ndim, const int64_t *shape)
{
	char full[CW_NAME_MAX];
	const struct cw_tensor *t;
	float *wide;

	if (l->st != CW_OK)
		return NULL;
	name_join(full, prefix, name);
	t = cw_safetensors_find(l->file, full);
	if ((l->st = check_shape(l, t, full, ndim, shape)) != CW_OK)
		return NULL;
	if (t->dtype == CW_F32 && (uintptr_t)t->data % sizeof(float) == 0)
		return (const float *)(const void *)t->data;
	wide = cw_arena_floats(l->a, t->count);
	if (wide == NULL) {
		l->st = cw_err_set(l->err, CW_E_LIMIT,
		    "%s: no room to widen tensor \"%s\"", t->file, full);
		return NULL;
	}
	cw_tensor_widen(t, wide);
	return wide;
}

const float *
cw_lookup_vector(struct cw_lookup *l, const char *prefix, const char *name,
    int n)
{
	return cw_lookup_values(l, prefix, name, 1, (int64_t[]){ n });
}

const float *
cw_lookup_matrix(struct cw_lookup *l, const char *prefix, const char *name,
    int rows, int cols)
{
	return cw_lookup_values(l, prefix, name, 2, (int64_t[]){ rows, cols });
}

const float *
cw_lookup_turned(struct cw_lookup *l, const char *prefix, const char *name,
    int rows, int cols)
{
	const float *in = cw_lookup_matrix(l, prefix, name, cols, rows);
	float *out;

	if (in == NULL)
		return NULL;
	out = cw_arena_floats(l->a, (size_t)rows * (size_t)cols);
	if (out == NULL) {
		l->st = cw_err_set(l->err, CW_E_LIMIT,
		    "%s: no room to turn \"%s\"", l->file->what, name);
		return NULL;
	}
	for (size_t r = 0; r < (size_t)rows; r++)
		for (size_t c = 0; c < (size_t)cols; c++)
			out[r * (size_t)cols + c] = in[c * (size_t)rows + r];
	return out;
}

struct cw_linear
cw_lookup_linear(struct cw_lookup *l, const char *prefix, const char *name,
    int in, int out, bool bias)
{
	char full[CW_NAME_MAX];
	struct cw_linear y = { .in = in, .out = out };

	name_join(full, prefix, name);
	y.w = cw_lookup_matrix(l, full, "weight", out, in);
	if (bias)
		y.b = cw_lookup_vector(l, full, "bias", out);
	return y;
}

struct cw_norm
cw_lookup_norm(struct cw_lookup *l, const char *prefix, const char *name,
    int n)
{
	char full[CW_NAME_MAX];
	struct cw_norm y;

	name_join(full, prefix, name);
	y.w = cw_lookup_vector(l, full, "weight", n);
	y.b = cw_lookup_vector(l, full, "bias", n);
	return y;
}
