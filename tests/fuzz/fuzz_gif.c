/*
 * fuzz_gif.c - GIF bytes: the gif plugin: blocks, frames, disposal.
 */
#include "image_target.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	image_target("gif", data, size);
	return 0;
}
