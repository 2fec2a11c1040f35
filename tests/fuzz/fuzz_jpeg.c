/*
 * fuzz_jpeg.c - JPEG bytes: our front end: markers, scans, EXIF, rows.
 */
#include "image_target.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	image_target(NULL, data, size);
	return 0;
}
