/*
 * fuzz_png.c - PNG bytes: the png plugin: headers, rows, animations.
 *
 * libpng looks at little behind a wrong checksum, and a mutation makes every
 * checksum wrong: they are put right again before the input is run.
 */
#include <string.h>

#include "image_target.h"

#define CHUNK		12u		/* length, type, checksum */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max)
    __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
    unsigned seed);

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
crc32_of(const uint8_t *p, size_t n)
{
	uint32_t c = ~0u;

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
	}
	return ~c;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, max);
	if (seed % 8 == 0)
		return size;	/* some wrong ones, too */
	for (size_t at = 8; at + CHUNK <= size; ) {
		const uint32_t n = be32(data + at);
		uint32_t c;

		if (n > size - at - CHUNK)
			break;
		c = crc32_of(data + at + 4, (size_t)n + 4);
		at += 8 + (size_t)n;
		for (int i = 0; i < 4; i++)
			data[at++] = (uint8_t)(c >> (24 - 8 * i));
	}
	return size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	image_target("png", data, size);
	return 0;
}
