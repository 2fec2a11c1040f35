/*
 * fuzz_lines.c - short texts: a command to the control socket, the files of
 * CURVE keys, a line that a child wants logged, an endpoint.
 *
 * The first byte chooses which, the rest is it.
 */
#include <string.h>

#include "base/log.h"
#include "conf/curve.h"
#include "gate/endpoint.h"
#include "scratch.h"
#include "supervisor/child_log.h"
#include "supervisor/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
drop(void *payload, enum cw_level level, const char *line)
{
	(void)payload;
	(void)level;
	if (strpbrk(line, "\r\n") != NULL)
		abort();
}

static void
key_file(int which, const uint8_t *data, size_t size, struct cw_arena *a)
{
	struct cw_curve_client *clients;
	struct cw_err err;
	char path[128], key[41];
	uint32_t n;

	scratch_write("keys", data, size);
	snprintf(path, sizeof(path), "%s/keys", scratch_path);
	if (which == 0)
		(void)!cw_curve_clients(path, a, &clients, &n, &err);
	else
		(void)!cw_curve_secret(path, a, key, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cw_log_rate rate = { 0 };
	static struct cw_arena *a;
	struct cw_command_line c;
	struct cw_unpack r;
	struct cw_err err;

	if (size == 0)
		return 0;
	if (a == NULL && cw_arena_open(4 << 20, &a, NULL) != CW_OK)
		abort();
	switch (data[0] % 5) {
	case 0:
		(void)!cw_command_parse((const char *)data + 1, size - 1, a,
		    &c, &err);
		break;
	case 1:
	case 2:
		key_file(data[0] % 5 - 1, data + 1, size - 1, a);
		break;
	case 3:
		cw_log_hook(drop, NULL);
		cw_unpack_init(&r, data + 1, size - 1);
		(void)!cw_child_log("worker", 1, &rate, &r, a, &err);
		break;
	case 4:
		(void)cw_endpoint_local(cw_arena_strndup(a,
		    (const char *)data + 1, size - 1));
		break;
	}
	cw_arena_reset(a, 1 << 20);
	return 0;
}
