/*
 * fuzz_safetensors.c - a weights file: header, spans, and widening what it
 * says is there.
 *
 * What begins with '{', as no weights file can, is the index of a model in
 * pieces, beside a small good piece.
 */
#include <string.h>

#include "model/safetensors.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
widen_all(const struct cw_safetensors *st, struct cw_arena *a)
{
	for (size_t i = 0; i < st->ntensors; i++) {
		const struct cw_tensor *t = &st->tensors[i];
		float *w;

		if (t->dtype == CW_DTYPE_OTHER)
			continue;
		w = cw_arena_floats(a, t->count);
		if (w != NULL)
			cw_tensor_widen(t, w);
	}
}

static enum cw_status
open_pieces(const uint8_t *data, size_t size, struct cw_arena *a,
    struct cw_safetensors *st, struct cw_err *err)
{
	static const char piece[] = "\x40\0\0\0\0\0\0\0"
	    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"
	    "}       \0\0\x80\x3f";

	(void)unlinkat(scratch(), "model.safetensors", 0);
	scratch_write("model-1.safetensors", (const uint8_t *)piece,
	    sizeof(piece) - 1);
	scratch_write("model.safetensors.index.json", data, size);
	return cw_safetensors_open(scratch_fd, "fuzz", a, st, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cw_arena *a;
	struct cw_safetensors st;
	enum cw_status rc;
	struct cw_err err;

	if (a == NULL && cw_arena_open(64 << 20, &a, NULL) != CW_OK)
		abort();
	if (size > 0 && data[0] == '{')
		rc = open_pieces(data, size, a, &st, &err);
	else {
		scratch_write("model.safetensors", data, size);
		rc = cw_safetensors_open_file(scratch_fd, "fuzz",
		    "model.safetensors", a, &st, &err);
	}
	if (rc == CW_OK) {
		widen_all(&st, a);
		cw_safetensors_close(&st);
	}
	cw_arena_reset(a, 1 << 20);
	return 0;
}
