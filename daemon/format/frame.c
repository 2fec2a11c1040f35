/*
 * frame.c - see frame.h.
 */
#include "format/frame.h"

#include <string.h>

#include "base/io.h"

static const struct {
	uint16_t	 type;
	const char	*name;
} frame_names[] = {
	{ CW_F_INIT,		"INIT" },
	{ CW_F_POLICY,		"POLICY" },
	{ CW_F_JOB,		"JOB" },
	{ CW_F_TEXT,		"TEXT" },
	{ CW_F_BENCH,		"BENCH" },
	{ CW_F_READY,		"READY" },
	{ CW_F_POLICY_DONE,	"POLICY_DONE" },
	{ CW_F_RESULT,		"RESULT" },
	{ CW_F_ARTIFACT,	"ARTIFACT" },
	{ CW_F_TEXT_DONE,	"TEXT_DONE" },
	{ CW_F_BENCH_DONE,	"BENCH_DONE" },
	{ CW_F_LOG,		"LOG" },
	{ CW_F_FATAL,		"FATAL" },
	{ CW_F_GATE_INIT,	"GATE_INIT" },
	{ CW_F_GATE_READY,	"GATE_READY" },
	{ CW_F_GATE_REQUEST,	"GATE_REQUEST" },
	{ CW_F_GATE_REPLY,	"GATE_REPLY" },
	{ CW_F_GATE_PUBLISH,	"GATE_PUBLISH" },
	{ CW_F_GATE_PAUSE,	"GATE_PAUSE" },
	{ CW_F_GATE_STATS,	"GATE_STATS" },
};

const char *
cw_frame_name(uint16_t type)
{
	for (size_t i = 0; i < CW_COUNT(frame_names); i++)
		if (frame_names[i].type == type)
			return frame_names[i].name;
	return "?";
}

void
cw_frame_header(const struct cw_frame *f, uint8_t *buf)
{
	const uint32_t magic = CW_FRAME_MAGIC;

	memcpy(buf, &magic, 4);
	memcpy(buf + 4, &f->type, 2);
	memcpy(buf + 6, &f->flags, 2);
	memcpy(buf + 8, &f->id, 8);
	memcpy(buf + 16, &f->len, 4);
}

enum cw_status
cw_frame_parse(const uint8_t *buf, size_t max, struct cw_frame *f,
    struct cw_err *err)
{
	uint32_t magic;

	memcpy(&magic, buf, 4);
	memcpy(&f->type, buf + 4, 2);
	memcpy(&f->flags, buf + 6, 2);
	memcpy(&f->id, buf + 8, 8);
	memcpy(&f->len, buf + 16, 4);
	f->body = NULL;
	if (magic != CW_FRAME_MAGIC)
		return cw_err_set(err, CW_E_FORMAT,
		    "frame magic %08x; want %08x", magic, CW_FRAME_MAGIC);
	if (f->len > max || f->len > CW_FRAME_MAX)
		return cw_err_set(err, CW_E_LIMIT,
		    "%s frame of %u bytes; want at most %zu",
		    cw_frame_name(f->type), f->len, max);
	return CW_OK;
}

enum cw_status
cw_frame_read(int fd, size_t max, struct cw_arena *a, struct cw_frame *f,
    struct cw_err *err)
{
	uint8_t head[CW_FRAME_HEADER];
	enum cw_status st;
	void *body;

	if ((st = cw_read_full(fd, head, sizeof(head), err)) != CW_OK)
		return st;
	if ((st = cw_frame_parse(head, max, f, err)) != CW_OK)
		return st;
	body = cw_arena_alloc(a, (size_t)f->len + 1);
	if (body == NULL)
		return cw_err_set(err, CW_E_LIMIT,
		    "no room for a %s frame of %u bytes",
		    cw_frame_name(f->type), f->len);
	if (f->len > 0 &&
	    (st = cw_read_full(fd, body, f->len, err)) != CW_OK)
		return st == CW_E_CLOSED ? CW_E_FORMAT : st;
	f->body = body;
	return CW_OK;
}

enum cw_status
cw_frame_write(int fd, const struct cw_frame *f, struct cw_err *err)
{
	uint8_t head[CW_FRAME_HEADER];
	enum cw_status st;

	cw_frame_header(f, head);
	if ((st = cw_write_full(fd, head, sizeof(head), err)) != CW_OK)
		return st;
	return cw_write_full(fd, f->body, f->len, err);
}
