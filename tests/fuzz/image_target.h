/*
 * image_target.h - image bytes as the worker decodes them, one kind at a time.
 */
#ifndef IMAGE_TARGET_H
#define IMAGE_TARGET_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Load the decoder plugin of that name from $CW_BUILD; NULL: none. */
static inline void
image_target_load(const char *plugin)
{
	const char *build = getenv("CW_BUILD");
	struct cw_err err;
	char path[512];

	if (plugin == NULL)
		return;
	snprintf(path, sizeof(path), "%s/plugins/%s.so",
	    build == NULL ? "build" : build, plugin);
	if (cw_plugin_load(path, &err) != CW_OK) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
}

static inline void
image_target(const char *plugin, const uint8_t *data, size_t size)
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
		image_target_load(plugin);
		if (cw_arena_open(256 << 20, &a, NULL) != CW_OK)
			abort();
	}
	(void)!cw_decode(data, size, &limits, 0, a, &im, &code, &err);
	cw_arena_reset(a, 1 << 20);
	(void)!cw_decode_frames(data, size, &limits, 32, 4, a, &frames, &n,
	    &code, &err);
	cw_arena_reset(a, 1 << 20);
}

#endif /* IMAGE_TARGET_H */
