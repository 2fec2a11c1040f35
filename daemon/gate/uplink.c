/*
 * uplink.c - see uplink.h.
 */
#include "gate/uplink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#define READ_BYTES	((size_t)256 << 10)	/* of one read call */

enum cw_status
cw_uplink_open(struct cw_uplink *c, int fd, size_t out_bytes,
    struct cw_err *err)
{
	const int flags = fcntl(fd, F_GETFL);
	enum cw_status st;

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return cw_err_sys(err, "channel");
	c->fd = fd;
	c->in_done = 0;
	if ((st = cw_fifo_open(&c->out, out_bytes, err)) != CW_OK)
		return st;
	return cw_fifo_open(&c->in, CW_FRAME_HEADER + (size_t)CW_FRAME_MAX +
	    2 * READ_BYTES, err);
}

bool
cw_uplink_put(struct cw_uplink *c, const struct cw_frame *f)
{
	uint8_t *p = cw_fifo_reserve(&c->out,
	    CW_FRAME_HEADER + (size_t)f->len);

	if (p == NULL)
		return false;
	cw_frame_header(f, p);
	if (f->len > 0)
		memcpy(p + CW_FRAME_HEADER, f->body, f->len);
	cw_fifo_added(&c->out, CW_FRAME_HEADER + (size_t)f->len);
	return true;
}

size_t
cw_uplink_pending(const struct cw_uplink *c)
{
	return cw_fifo_len(&c->out);
}

enum cw_status
cw_uplink_flush(struct cw_uplink *c, struct cw_err *err)
{
	while (cw_fifo_len(&c->out) > 0) {
		const ssize_t n = write(c->fd, cw_fifo_peek(&c->out),
		    cw_fifo_len(&c->out));

		if (n >= 0)
			cw_fifo_drop(&c->out, (size_t)n);
		else if (errno == EAGAIN)
			return CW_OK;
		else if (errno == EPIPE || errno == ECONNRESET)
			return cw_err_set(err, CW_E_CLOSED, "channel closed");
		else if (errno != EINTR)
			return cw_err_sys(err, "channel write");
	}
	return CW_OK;
}

enum cw_status
cw_uplink_drain(struct cw_uplink *c, uint32_t ms, struct cw_err *err)
{
	size_t before = cw_fifo_len(&c->out) + 1;
	uint64_t now = 0, by = 0;
	enum cw_status st;

	while ((st = cw_uplink_flush(c, err)) == CW_OK &&
	    cw_fifo_len(&c->out) > 0) {
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };

		now = cw_now_ms();
		if (cw_fifo_len(&c->out) < before)
			by = now + ms;
		before = cw_fifo_len(&c->out);
		if (now >= by)
			return cw_err_set(err, CW_E_BUSY, "channel: %zu bytes "
			    "unread", cw_fifo_len(&c->out));
		(void)poll(&p, 1, (int)(by - now));
	}
	return st;
}

enum cw_status
cw_uplink_fill(struct cw_uplink *c, struct cw_err *err)
{
	uint8_t *p;
	ssize_t n;

	cw_fifo_drop(&c->in, c->in_done);
	c->in_done = 0;
	p = cw_fifo_reserve(&c->in, READ_BYTES);
	CW_CHECK(p != NULL);
	do
		n = read(c->fd, p, READ_BYTES);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return CW_OK;
	if (n == 0 || (n == -1 && errno == ECONNRESET))
		return cw_err_set(err, CW_E_CLOSED, "channel closed");
	if (n == -1)
		return cw_err_sys(err, "channel read");
	cw_fifo_added(&c->in, (size_t)n);
	return CW_OK;
}

enum cw_status
cw_uplink_next(struct cw_uplink *c, struct cw_frame *f, struct cw_err *err)
{
	enum cw_status st;

	cw_fifo_drop(&c->in, c->in_done);
	c->in_done = 0;
	if (cw_fifo_len(&c->in) < CW_FRAME_HEADER)
		return cw_err_set(err, CW_E_BUSY, "no frame yet");
	st = cw_frame_parse(cw_fifo_peek(&c->in), CW_FRAME_MAX, f, err);
	if (st != CW_OK)
		return st;
	if (cw_fifo_len(&c->in) - CW_FRAME_HEADER < f->len)
		return cw_err_set(err, CW_E_BUSY, "no frame yet");
	f->body = cw_fifo_peek(&c->in) + CW_FRAME_HEADER;
	c->in_done = CW_FRAME_HEADER + (size_t)f->len;
	return CW_OK;
}
