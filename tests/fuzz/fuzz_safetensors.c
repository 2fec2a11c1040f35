/*
 * fuzz_safetensors.c - a weights file: header, spans, and widening what it
 * says is there.
 */
#include "model/safetensors.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cw_safetensors st;
	struct cw_arena *a;
	struct cw_err err;

	scratch_write("model.safetensors", data, size);
	if (cw_arena_open(64 << 20, &a, NULL) != CW_OK)
		abort();
	if (cw_safetensors_open_file(scratch_fd, "fuzz", "model.safetensors",
	    a, &st, &err) == CW_OK) {
		for (size_t i = 0; i < st.ntensors; i++) {
			const struct cw_tensor *t = &st.tensors[i];
			float *w;

			if (t->dtype == CW_DTYPE_OTHER)
				continue;
			w = cw_arena_floats(a, t->count);
			if (w != NULL)
				cw_tensor_widen(t, w);
		}
		cw_safetensors_close(&st);
	}
	cw_arena_close(&a);
	return 0;
}
