/*
 * link.c - see link.h.
 */
#include "supervisor/link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"

#define LINK_MAGIC	0xc4a77e1cu
#define READ_BYTES	(256u << 10)	/* at most, in one turn of the loop */
#define KEEP_BYTES	(512u << 10)	/* of memory, when nothing is in hand */

static void
on_readable(evutil_socket_t fd, short what, void *arg);
static void
on_writable(evutil_socket_t fd, short what, void *arg);

enum cw_status
cw_link_init(struct cw_link *ch, struct event_base *base,
    size_t max_body, size_t max_out, cw_link_frame_fn *frame,
    cw_link_gone_fn *gone, void *owner, struct cw_err *err)
{
	enum cw_status st;

	*ch = (struct cw_link){
		.magic = LINK_MAGIC,
		.fd = -1,
		.base = base,
		.room = CW_FRAME_HEADER + max_body + READ_BYTES,
		.max_body = max_body,
		.max_out = max_out,
		.frame = frame,
		.gone = gone,
		.owner = owner,
	};
	st = cw_arena_open(ch->room + CW_ARENA_ALIGN, &ch->arena, err);
	if (st != CW_OK)
		return st;
	ch->in = cw_arena_alloc(ch->arena, ch->room);
	CW_CHECK(ch->in != NULL);
	return CW_OK;
}

void
cw_link_fini(struct cw_link *ch)
{
	if (ch->magic == 0)
		return;
	cw_link_close(ch);
	cw_arena_close(&ch->arena);
	ch->magic = 0;
}

bool
cw_link_is_open(const struct cw_link *ch)
{
	return ch->fd != -1;
}

/* Give the pages of large frames back. */
static void
shrink(struct cw_link *ch)
{
	cw_arena_reset(ch->arena, KEEP_BYTES);
	ch->in = cw_arena_alloc(ch->arena, ch->room);
}

enum cw_status
cw_link_open(struct cw_link *ch, int fd, struct cw_err *err)
{
	CW_CHECK_OBJ(ch, LINK_MAGIC);
	CW_CHECK(ch->fd == -1);
	ch->fd = fd;
	ch->len = 0;
	ch->finishing = false;
	if (evutil_make_socket_nonblocking(fd) == -1) {
		enum cw_status st = cw_err_sys(err, "channel");

		cw_link_close(ch);
		return st;
	}
	ch->out = evbuffer_new();
	ch->rd = event_new(ch->base, fd, EV_READ | EV_PERSIST, on_readable,
	    ch);
	ch->wr = event_new(ch->base, fd, EV_WRITE, on_writable, ch);
	if (ch->out == NULL || ch->rd == NULL || ch->wr == NULL ||
	    event_add(ch->rd, NULL) == -1) {
		cw_link_close(ch);
		return cw_err_set(err, CW_E_SYSTEM, "channel: no memory");
	}
	return CW_OK;
}

void
cw_link_close(struct cw_link *ch)
{
	CW_CHECK_OBJ(ch, LINK_MAGIC);
	if (ch->rd != NULL)
		event_free(ch->rd);
	if (ch->wr != NULL)
		event_free(ch->wr);
	if (ch->out != NULL)
		evbuffer_free(ch->out);
	ch->rd = ch->wr = NULL;
	ch->out = NULL;
	cw_close(&ch->fd);
	ch->len = 0;
	shrink(ch);
}

static void
lose(struct cw_link *ch, enum cw_status st, const struct cw_err *why)
{
	cw_link_close(ch);
	ch->gone(ch->owner, st, why);
}

/* ---- reading ---- */

/* Hand every whole frame over; false when the channel ended meanwhile. */
static bool
take_frames(struct cw_link *ch)
{
	size_t at = 0;
	struct cw_err err;

	while (ch->len - at >= CW_FRAME_HEADER) {
		struct cw_frame f;
		enum cw_status st;

		st = cw_frame_parse(ch->in + at, ch->max_body, &f, &err);
		if (st != CW_OK) {
			lose(ch, st, &err);
			return false;
		}
		if (ch->len - at < CW_FRAME_HEADER + (size_t)f.len)
			break;
		f.body = ch->in + at + CW_FRAME_HEADER;
		at += CW_FRAME_HEADER + (size_t)f.len;
		ch->frame(ch->owner, &f);
		if (ch->fd == -1)
			return false;
	}
	if (at > 0)
		memmove(ch->in, ch->in + at, ch->len - at);
	ch->len -= at;
	if (ch->len == 0 && at > KEEP_BYTES)
		shrink(ch);
	return true;
}

/* One read call; false when there was nothing to read. */
static bool
read_some(struct cw_link *ch)
{
	size_t room = ch->room - ch->len;
	struct cw_err err;
	ssize_t n;

	n = recv(ch->fd, ch->in + ch->len, room < READ_BYTES ? room :
	    READ_BYTES, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n <= 0) {
		lose(ch, n == -1 ? cw_err_sys(&err, "read") :
		    cw_err_set(&err, CW_E_CLOSED, "end of input%s",
		    ch->len > 0 ? " within a frame" : ""), &err);
		return false;
	}
	ch->len += (size_t)n;
	return take_frames(ch);
}

void
cw_link_drain(struct cw_link *ch)
{
	CW_CHECK_OBJ(ch, LINK_MAGIC);
	while (ch->fd != -1 && read_some(ch))
		;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct cw_link *ch = arg;

	(void)fd;
	(void)what;
	CW_CHECK_OBJ(ch, LINK_MAGIC);
	(void)read_some(ch);
}

/* ---- writing ---- */

/* A socket that fails is told by its reader: it sees the end too. */
static void
write_some(struct cw_link *ch)
{
	while (evbuffer_get_length(ch->out) > 0) {
		const int n = evbuffer_write(ch->out, ch->fd);

		if (n == -1 && errno != EAGAIN && errno != EINTR) {
			(void)shutdown(ch->fd, SHUT_RDWR);
			return;
		}
		if (n <= 0) {
			(void)event_add(ch->wr, NULL);
			return;
		}
	}
	if (ch->finishing)
		(void)shutdown(ch->fd, SHUT_WR);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct cw_link *ch = arg;

	(void)fd;
	(void)what;
	CW_CHECK_OBJ(ch, LINK_MAGIC);
	write_some(ch);
}

enum cw_status
cw_link_send(struct cw_link *ch, uint16_t type, uint16_t flags,
    uint64_t id, const void *body, size_t len, struct cw_err *err)
{
	const struct cw_frame f = { type, flags, id, (uint32_t)len, body };
	uint8_t header[CW_FRAME_HEADER];
	size_t waiting;

	CW_CHECK_OBJ(ch, LINK_MAGIC);
	CW_CHECK(len <= CW_FRAME_MAX);
	if (ch->fd == -1 || ch->finishing)
		return cw_err_set(err, CW_E_CLOSED, "channel is closed");
	waiting = evbuffer_get_length(ch->out);
	if (waiting > 0 && waiting + len > ch->max_out)
		return cw_err_set(err, CW_E_LIMIT,
		    "%zu bytes wait already; want at most %zu", waiting,
		    ch->max_out);
	cw_frame_header(&f, header);
	if (evbuffer_expand(ch->out, sizeof(header) + len) == -1 ||
	    evbuffer_add(ch->out, header, sizeof(header)) == -1 ||
	    evbuffer_add(ch->out, body, len) == -1)
		return cw_err_set(err, CW_E_SYSTEM, "channel: no memory");
	if (waiting == 0)
		write_some(ch);
	return CW_OK;
}

size_t
cw_link_waiting(const struct cw_link *ch)
{
	return ch->out == NULL ? 0 : evbuffer_get_length(ch->out);
}

void
cw_link_finish(struct cw_link *ch)
{
	CW_CHECK_OBJ(ch, LINK_MAGIC);
	if (ch->fd == -1 || ch->finishing)
		return;
	ch->finishing = true;
	if (evbuffer_get_length(ch->out) == 0)
		(void)shutdown(ch->fd, SHUT_WR);
}
