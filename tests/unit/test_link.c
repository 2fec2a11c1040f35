/*
 * test_link.c - frames over a child's socket: whole, in order, bounded.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/link.h"

#define MAX_BODY	100000u
#define MAX_OUT		300000u

struct fixture {
	struct event_base	*base;
	struct cw_link		 link;
	int			 peer;
	uint32_t		 frames, bytes, gone;
	uint64_t		 last_id;
	bool			 close_at_first;
	enum cw_status		 st;
	struct cw_err		 why, err;
};

static void
on_frame(void *owner, const struct cw_frame *f)
{
	struct fixture *t = owner;

	t->frames++;
	t->bytes += f->len;
	assert_int_equal(f->id, t->last_id + 1);
	t->last_id = f->id;
	for (uint32_t i = 0; i < f->len; i++)
		assert_int_equal(((const uint8_t *)f->body)[i],
		    (uint8_t)(f->id + i));
	if (t->close_at_first)
		cw_link_close(&t->link);
}

static void
on_gone(void *owner, enum cw_status st, const struct cw_err *why)
{
	struct fixture *t = owner;

	t->gone++;
	t->st = st;
	t->why = *why;
	assert_false(cw_link_is_open(&t->link));
}

static int
setup(void **state)
{
	struct fixture *t = cw_xalloc(1, sizeof(*t));
	int sv[2];

	t->base = event_base_new();
	assert_non_null(t->base);
	assert_int_equal(cw_link_init(&t->link, t->base, MAX_BODY, MAX_OUT,
	    on_frame, on_gone, t, &t->err), CW_OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    sv), 0);
	assert_int_equal(cw_link_open(&t->link, sv[0], &t->err), CW_OK);
	t->peer = sv[1];
	assert_int_equal(fcntl(t->peer, F_SETFL, O_NONBLOCK), 0);
	*state = t;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *t = *state;

	cw_link_fini(&t->link);
	event_base_free(t->base);
	close(t->peer);
	free(t);
	return 0;
}

static void
turn(struct fixture *t)
{
	assert_true(event_base_loop(t->base, EVLOOP_NONBLOCK) != -1);
}

/* A frame of that id whose bytes count up from it. */
static size_t
make(uint8_t *buf, uint64_t id, uint32_t len)
{
	const struct cw_frame f = { .type = CW_F_LOG, .id = id, .len = len };

	cw_frame_header(&f, buf);
	for (uint32_t i = 0; i < len; i++)
		buf[CW_FRAME_HEADER + i] = (uint8_t)(id + i);
	return CW_FRAME_HEADER + len;
}

static void
send_all(struct fixture *t, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(t->peer, p, n);

		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
		turn(t);
	}
	turn(t);
}

static void
test_frames_arrive_whole_however_they_are_cut(void **state)
{
	static const uint32_t lens[] = { 0, 1, 19, 20, 21, 5000, 0, 99999 };
	static uint8_t buf[CW_FRAME_HEADER + MAX_BODY];
	struct fixture *t = *state;
	uint32_t sum = 0;

	for (uint64_t id = 1; id <= CW_COUNT(lens); id++) {
		const size_t n = make(buf, id, lens[id - 1]);
		const size_t step = n > 1000 ? 997 : 1;

		for (size_t at = 0; at < n; at += step)
			send_all(t, buf + at, at + step > n ? n - at : step);
		sum += lens[id - 1];
	}
	assert_int_equal(t->frames, CW_COUNT(lens));
	assert_int_equal(t->bytes, sum);
	assert_int_equal(t->gone, 0);
}

static void
test_what_is_no_frame_ends_the_link_once(void **state)
{
	static const uint8_t junk[64] = "these bytes are no frame at all";
	struct fixture *t = *state;

	send_all(t, junk, sizeof(junk));
	turn(t);
	assert_int_equal(t->gone, 1);
	assert_int_equal(t->st, CW_E_FORMAT);
	assert_int_equal(t->frames, 0);
}

static void
test_a_length_over_the_bound_is_refused_unread(void **state)
{
	uint8_t buf[CW_FRAME_HEADER];
	const struct cw_frame f = { .type = CW_F_RESULT, .len = 0xffffffffu };
	struct fixture *t = *state;

	cw_frame_header(&f, buf);
	send_all(t, buf, sizeof(buf));
	assert_int_equal(t->gone, 1);
}

static void
test_the_end_within_a_frame_is_said(void **state)
{
	struct fixture *t = *state;
	uint8_t buf[64];

	make(buf, 1, 40);
	send_all(t, buf, 30);
	assert_int_equal(shutdown(t->peer, SHUT_WR), 0);
	turn(t);
	assert_int_equal(t->gone, 1);
	assert_int_equal(t->st, CW_E_CLOSED);
	assert_non_null(strstr(t->why.text, "within a frame"));
}

static void
test_an_owner_may_close_within_a_frame_callback(void **state)
{
	struct fixture *t = *state;
	uint8_t buf[256];
	size_t n;

	t->close_at_first = true;
	n = make(buf, 1, 10);
	n += make(buf + n, 2, 10);
	assert_int_equal(write(t->peer, buf, n), n);
	turn(t);
	assert_int_equal(t->frames, 1);
	assert_int_equal(t->gone, 0);
	assert_false(cw_link_is_open(&t->link));
}

static void
test_a_reader_that_sleeps_gets_a_bounded_share(void **state)
{
	static uint8_t body[100000];
	struct fixture *t = *state;
	enum cw_status st = CW_OK;
	size_t sent = 0, got = 0;
	uint8_t buf[65536];

	while (sent < 100 && (st = cw_link_send(&t->link, CW_F_JOB, 0, sent,
	    body, sizeof(body), &t->err)) == CW_OK)
		sent++;
	assert_int_equal(st, CW_E_LIMIT);
	assert_true(cw_link_waiting(&t->link) <= MAX_OUT + 100);
	cw_link_finish(&t->link);
	for (;;) {
		ssize_t n = read(t->peer, buf, sizeof(buf));

		if (n == 0)
			break;
		if (n > 0)
			got += (size_t)n;
		turn(t);
	}
	assert_int_equal(got, sent * (sizeof(body) + CW_FRAME_HEADER));
}

#define LINK_TEST(fn)	cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LINK_TEST(test_frames_arrive_whole_however_they_are_cut),
		LINK_TEST(test_what_is_no_frame_ends_the_link_once),
		LINK_TEST(test_a_length_over_the_bound_is_refused_unread),
		LINK_TEST(test_the_end_within_a_frame_is_said),
		LINK_TEST(test_an_owner_may_close_within_a_frame_callback),
		LINK_TEST(test_a_reader_that_sleeps_gets_a_bounded_share),
	};

	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
