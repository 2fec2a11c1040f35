/*
 * fuzz_image.c - image bytes: JPEG, and the decoder plugins of $CW_BUILD.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
load_plugins(void)
{
	static const char *const names[] = { "png", "webp", "gif" };
	const char *build = getenv("CW_BUILD");
	struct cw_err err;
	char path[512];

	for (size_t i = 0; i < CW_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/plugins/%s.so",
		    build == NULL ? "build" : build, names[i]);
		if (cw_plugin_load(path, &err) != CW_OK) {
			fprintf(stderr, "%s\n", err.text);
			abort();
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cw_limits limits = { .bytes = 1 << 20,
		.decoded_bytes = 16 << 20, .pixels = 1 << 20, .scans = 20,
		.frames = 4, .cpu_ms = 2000 };
	static struct cw_arena *a;
	struct cw_image *frames, im;
	const char *code;
	struct cw_err err;
	int n;

	if (a == NULL) {
		load_plugins();
		if (cw_arena_open(256 << 20, &a, NULL) != CW_OK)
			abort();
	}
	(void)!cw_decode(data, size, &limits, 0, a, &im, &code, &err);
	cw_arena_reset(a, 1 << 20);
	(void)!cw_decode_frames(data, size, &limits, 32, 4, a, &frames, &n,
	    &code, &err);
	cw_arena_reset(a, 1 << 20);
	return 0;
}
