/*
 * fuzz_message.c - a client's multipart message, as the gate reads it.
 *
 *	u8	bit 0: begins with an identity; others: frames, mod 17
 *	then for each frame but the last: u8 length, bytes; the last is the rest
 */
#include <stdint.h>
#include <stdlib.h>

#include "gate/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cw_multipart m = { .user = "" };
	struct cw_message out;
	static struct cw_arena *a;
	struct cw_err err;
	enum cw_status st;
	bool routed;

	if (size == 0)
		return 0;
	routed = data[0] & 1;
	m.total = (data[0] >> 1) % (CW_INPUT_PARTS + 2);
	m.n = m.total < CW_INPUT_PARTS ? m.total : CW_INPUT_PARTS;
	data++, size--;
	for (size_t i = 0; i < m.n; i++) {
		size_t len = size;

		if (i + 1 < m.n && size > 0) {
			len = data[0];
			data++, size--;
			len = len < size ? len : size;
		}
		m.part[i] = (struct cw_bytes){ data, len };
		data += len, size -= len;
	}
	if (a == NULL && cw_arena_open(1 << 20, &a, NULL) != CW_OK)
		abort();
	st = cw_message_read(&m, routed, 1000, a, &out, &err);
	if (st != CW_OK)
		(void)cw_message_rejected(a, out.id, out.code, err.text);
	cw_arena_reset(a, 1 << 20);
	return 0;
}
