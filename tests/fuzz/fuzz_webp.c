/*
 * fuzz_webp.c - WebP bytes: the webp plugin: stills and animations.
 */
#include "image_target.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	image_target("webp", data, size);
	return 0;
}
