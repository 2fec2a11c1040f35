/*
 * fuzz_model_json.c - the JSON and text files of a model directory.
 *
 * The first byte chooses which file the rest is; a small good vocabulary
 * stands beside it.
 */
#include <string.h>

#include "model/model_config.h"
#include "model/tokenizer.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
	"config.json", "open_clip_config.json", "preprocessor_config.json",
	"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"
};
static const char vocab[] = "{\"a\":0,\"b\":1,\"a</w>\":2,\"b</w>\":3,"
    "\"ab</w>\":4,\"<|startoftext|>\":5,\"<|endoftext|>\":6}";
static const char merges[] = "#version: 0.2\na b</w>\n";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cw_arena *a, *boot;
	struct cw_model_config cfg;
	struct cw_tokenizer tok;
	struct cw_err err;
	size_t which;
	int ids[80], n;

	if (size == 0)
		return 0;
	which = data[0] % CW_COUNT(names);
	for (size_t i = 0; i < CW_COUNT(names); i++)
		(void)unlinkat(scratch(), names[i], 0);
	if (which != 5) {
		scratch_write("vocab.json", (const uint8_t *)vocab,
		    strlen(vocab));
		scratch_write("merges.txt", (const uint8_t *)merges,
		    strlen(merges));
	}
	scratch_write(names[which], data + 1, size - 1);
	if (a == NULL && (cw_arena_open(256 << 20, &a, NULL) != CW_OK ||
	    cw_arena_open(256 << 20, &boot, NULL) != CW_OK))
		abort();
	(void)!cw_model_config_read(scratch_fd, "fuzz", which == 1, a, &cfg,
	    &err);
	if (cw_tokenizer_load(scratch_fd, "fuzz", 77, 49408, a, boot, &tok,
	    &err) == CW_OK && tok.context <= 77)
		(void)!cw_tokenizer_encode(&tok, "a b ab", a, ids, &n, &err);
	cw_arena_reset(boot, 1 << 20);
	cw_arena_reset(a, 1 << 20);
	return 0;
}
