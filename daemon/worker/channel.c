/*
 * channel.c - see channel.h.
 */
#include "worker/channel.h"

#include <string.h>

#include "base/io.h"

enum cw_status
cw_channel_send_with(int fd, enum cw_frame_type type, uint64_t id,
    const struct cw_pack *body, const void *more, size_t n,
    struct cw_err *err)
{
	struct cw_frame f = { .type = (uint16_t)type, .id = id };
	uint8_t head[CW_FRAME_HEADER];
	enum cw_status st;

	if (!cw_pack_ok(body) || body->len > CW_FRAME_MAX ||
	    n > CW_FRAME_MAX - body->len)
		return cw_err_set(err, CW_E_LIMIT, "no room for a %s frame",
		    cw_frame_name((uint16_t)type));
	f.len = (uint32_t)(body->len + n);
	cw_frame_header(&f, head);
	st = cw_write_full(fd, head, sizeof(head), err);
	if (st == CW_OK)
		st = cw_write_full(fd, body->p, body->len, err);
	return st == CW_OK ? cw_write_full(fd, more, n, err) : st;
}

enum cw_status
cw_channel_send(int fd, enum cw_frame_type type, uint64_t id,
    const struct cw_pack *body, struct cw_err *err)
{
	return cw_channel_send_with(fd, type, id, body, NULL, 0, err);
}

/*
 * Lines and last words are packed on the stack: they must get through when
 * an arena is full, too.
 */
static void
send_line(int fd, enum cw_frame_type type, const void *head, size_t nhead,
    const char *line)
{
	uint8_t body[16 + CW_LOG_MAX + 64];
	const uint32_t n = (uint32_t)strnlen(line, CW_LOG_MAX);
	struct cw_frame f = { .type = (uint16_t)type, .body = body };

	memcpy(body, head, nhead);
	memcpy(body + nhead, &n, sizeof(n));
	memcpy(body + nhead + sizeof(n), line, n);
	f.len = (uint32_t)(nhead + sizeof(n) + n);
	/* Nobody is left to tell when this fails. */
	(void)!cw_frame_write(fd, &f, NULL);
}

void
cw_channel_log(void *payload, enum cw_level level, const char *line)
{
	const uint8_t head = (uint8_t)level;

	send_line(*(const int *)payload, CW_F_LOG, &head, sizeof(head), line);
}

int
cw_channel_fatal(int fd, int code, const char *why)
{
	const uint32_t head = (uint32_t)code;

	send_line(fd, CW_F_FATAL, &head, sizeof(head), why);
	return code;
}
