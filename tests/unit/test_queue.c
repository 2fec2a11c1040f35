/*
 * test_queue.c - who is next, and what is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/queue.h"

static struct cw_slot *
add(struct cw_queue *q, const char *id, enum cw_priority pr)
{
	struct cw_slot *s = cw_queue_add(q, id, 100);

	if (s != NULL) {
		s->priority = pr;
		cw_queue_ready(q, s);
	}
	return s;
}

static int
setup(void **state)
{
	struct cw_err err;

	assert_int_equal(cw_queue_open(8, (struct cw_queue **)state, &err),
	    CW_OK);
	return 0;
}

static int
teardown(void **state)
{
	cw_queue_close((struct cw_queue **)state);
	return 0;
}

static void
test_interactive_jobs_go_before_bulk_ones_each_in_order(void **state)
{
	static const char *const want[] = { "b", "d", "a", "c" };
	struct cw_queue *q = *state;
	struct cw_slot *s;
	size_t i = 0;

	add(q, "a", CW_BULK);
	add(q, "b", CW_INTERACTIVE);
	add(q, "c", CW_BULK);
	add(q, "d", CW_INTERACTIVE);
	for (s = cw_queue_first(q); s != NULL; s = cw_queue_next(q, s))
		assert_string_equal(s->id, want[i++]);
	assert_int_equal(i, 4);
}

static void
test_a_job_put_back_is_first_of_its_kind(void **state)
{
	struct cw_queue *q = *state;
	struct cw_slot *a = add(q, "a", CW_BULK);

	add(q, "b", CW_BULK);
	cw_queue_take(q, a, CW_SLOT_SENT);
	assert_string_equal(cw_queue_first(q)->id, "b");
	assert_int_equal(cw_queue_waiting(q), 1);
	cw_queue_put_back(q, a);
	assert_string_equal(cw_queue_first(q)->id, "a");
	assert_int_equal(cw_queue_waiting(q), 2);
}

static void
test_a_full_table_takes_no_more_until_one_goes(void **state)
{
	struct cw_queue *q = *state;
	char id[16];

	for (int i = 0; i < 8; i++) {
		snprintf(id, sizeof(id), "job-%d", i);
		assert_non_null(add(q, id, CW_BULK));
	}
	assert_true(cw_queue_full(q));
	assert_null(add(q, "more", CW_BULK));
	assert_int_equal(cw_queue_bytes(q), 800);
	cw_queue_remove(q, cw_queue_find(q, "job-3"));
	assert_null(cw_queue_find(q, "job-3"));
	assert_non_null(add(q, "more", CW_BULK));
	assert_ptr_equal(cw_queue_find(q, "more")->next, NULL);
	assert_int_equal(cw_queue_count(q), 8);
}

static void
test_ten_thousand_comings_and_goings_leave_it_empty(void **state)
{
	struct cw_queue *q = *state;
	uint32_t x = 1;
	char id[16];

	for (int i = 0; i < 10000; i++) {
		struct cw_slot *s;

		x = x * 1664525u + 1013904223u;
		snprintf(id, sizeof(id), "%u", x >> 28);
		if ((s = cw_queue_find(q, id)) == NULL)
			(void)add(q, id, x >> 8 & 1);
		else if (s->state == CW_SLOT_READY && (x >> 9 & 1))
			cw_queue_take(q, s, CW_SLOT_SENT);
		else if (s->state == CW_SLOT_SENT && (x >> 10 & 1))
			cw_queue_put_back(q, s);
		else
			cw_queue_remove(q, s);
	}
	for (unsigned i = 0; i < 16; i++) {
		snprintf(id, sizeof(id), "%u", i);
		if (cw_queue_find(q, id) != NULL)
			cw_queue_remove(q, cw_queue_find(q, id));
	}
	assert_int_equal(cw_queue_count(q), 0);
	assert_int_equal(cw_queue_waiting(q), 0);
	assert_int_equal(cw_queue_bytes(q), 0);
	assert_null(cw_queue_first(q));
}

static void
test_the_first_and_the_newest_senders_hear_the_verdict(void **state)
{
	struct cw_slot *s = add(*state, "a", CW_BULK);

	cw_slot_route(s, 0);
	assert_int_equal(s->nroutes, 0);
	for (uint64_t r = 1; r <= 6; r++) {
		cw_slot_route(s, r);
		cw_slot_route(s, r);
	}
	assert_int_equal(s->nroutes, CW_ROUTES_MAX);
	assert_int_equal(s->routes[0], 1);
	assert_int_equal(s->routes[1], 4);
	assert_int_equal(s->routes[3], 6);
}

static void
test_a_row_that_stays_unreadable_is_given_up_after_seconds(void **state)
{
	struct cw_slot *s = add(*state, "a", CW_BULK);
	uint64_t now = 5000;

	for (uint32_t i = 1; i < CW_UNREAD_MAX; i++) {
		assert_false(cw_slot_unread(s, now));
		assert_int_equal(s->again_ms, now + 1000);
		now = s->again_ms;
	}
	assert_true(cw_slot_unread(s, now));
}

#define QUEUE_TEST(fn)	cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUE_TEST(
		    test_interactive_jobs_go_before_bulk_ones_each_in_order),
		QUEUE_TEST(test_a_job_put_back_is_first_of_its_kind),
		QUEUE_TEST(test_a_full_table_takes_no_more_until_one_goes),
		QUEUE_TEST(test_ten_thousand_comings_and_goings_leave_it_empty),
		QUEUE_TEST(test_the_first_and_the_newest_senders_hear_the_verdict),
		QUEUE_TEST(
		    test_a_row_that_stays_unreadable_is_given_up_after_seconds),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
