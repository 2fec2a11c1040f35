/*
 * fuzz_text.c - the tokenizer on any text, with the starter's vocabulary.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cw_arena *tables, *boot, *scratch;
	static struct cw_tokenizer tok;
	struct cw_err err;
	int ids[80], n;
	char *text;

	if (tables == NULL) {
		int dir = open("models/starter", O_RDONLY | O_DIRECTORY);

		if (dir == -1 ||
		    cw_arena_open(256 << 20, &tables, NULL) != CW_OK ||
		    cw_arena_open(256 << 20, &boot, NULL) != CW_OK ||
		    cw_arena_open(64 << 20, &scratch, NULL) != CW_OK ||
		    cw_tokenizer_load(dir, "models/starter", 77, 1 << 20,
		    tables, boot, &tok, &err) != CW_OK)
			abort();
	}
	text = cw_arena_strndup(scratch, (const char *)data, size);
	if (text != NULL)
		(void)!cw_tokenizer_encode(&tok, text, scratch, ids, &n, &err);
	cw_arena_reset(scratch, 1 << 20);
	return 0;
}
