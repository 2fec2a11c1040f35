/*
 * fuzz_pipe.c - the stream between our processes: headers, lengths, ends.
 *
 * The bytes go through a socket twice: to the reader of the supervisor, which
 * must hand over whole frames only, and to the one of the worker.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "supervisor/link.h"

#define MAX_BODY	8192u
#define MAX_INPUT	65536u	/* less than a socket takes at once */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct cw_link	*link;
	size_t		 bytes;		/* of whole frames */
	unsigned	 gone;
};

static void
on_frame(void *owner, const struct cw_frame *f)
{
	struct seen *s = owner;
	uint8_t *copy = malloc((size_t)f->len + 1);

	if (copy == NULL || f->len > MAX_BODY || s->gone != 0)
		abort();
	memcpy(copy, f->body, f->len);
	free(copy);
	s->bytes += CW_FRAME_HEADER + (size_t)f->len;
	if (f->type == CW_F_FATAL)	/* an owner may do so */
		cw_link_close(s->link);
}

static void
on_gone(void *owner, enum cw_status st, const struct cw_err *why)
{
	struct seen *s = owner;

	if (st == CW_OK || why->text[0] == '\0')
		abort();
	s->gone++;
}

/* One end that reads as the input, and is at its end then. */
static int
stream_of(const uint8_t *data, size_t size)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1 ||
	    write(sv[1], data, size) != (ssize_t)size)
		abort();
	close(sv[1]);
	return sv[0];
}

static void
read_as_supervisor(const uint8_t *data, size_t size)
{
	static struct event_base *base;
	static struct cw_link link;
	struct cw_err err;
	struct seen s = { .link = &link };

	if (base == NULL && ((base = event_base_new()) == NULL ||
	    cw_link_init(&link, base, MAX_BODY, 1 << 20, on_frame, on_gone,
	    NULL, &err) != CW_OK))
		abort();
	link.owner = &s;
	if (cw_link_open(&link, stream_of(data, size), &err) != CW_OK)
		abort();
	while (cw_link_is_open(&link))
		(void)event_base_loop(base, EVLOOP_ONCE);
	if (s.gone > 1 || s.bytes > size)
		abort();
}

static void
read_as_worker(const uint8_t *data, size_t size)
{
	static struct cw_arena *a;
	int fd = stream_of(data, size);
	struct cw_frame f;
	struct cw_err err;

	if (a == NULL && cw_arena_open(1 << 20, &a, NULL) != CW_OK)
		abort();
	while (cw_frame_read(fd, MAX_BODY, a, &f, &err) == CW_OK)
		cw_arena_reset(a, 1 << 20);
	cw_arena_reset(a, 1 << 20);
	cw_close(&fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > MAX_INPUT)
		return 0;
	read_as_supervisor(data, size);
	read_as_worker(data, size);
	return 0;
}
