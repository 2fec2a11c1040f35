/*
 * test_zap.c - who may come in, asked as libzmq asks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <zmq.h>

#include "gate/zap.h"

#define ANSWER_MS	5000

static const uint8_t known[CW_CURVE_KEY] = { 1, 2, 3, 4 };
static struct cw_net *net, *volatile net_kept;	/* never freed: they live */
static struct cw_socket *zap, *volatile zap_kept;	/* as long as a gate */
static struct cw_arena *arena;
static void *ctx, *asker;
static struct cw_err err;

static int
set_up(void **state)
{
	const struct cw_socket_options none = { 0 };
	const char *end;

	(void)state;
	if (cw_arena_open(1 << 20, &arena, &err) != CW_OK ||
	    cw_net_open(&net, &err) != CW_OK ||
	    cw_socket_open(net, CW_SOCK_ZAP, &none, &zap, &err) != CW_OK ||
	    cw_socket_bind(zap, "tcp://127.0.0.1:*", arena, &end, &err) !=
	    CW_OK)
		return -1;
	net_kept = net;
	zap_kept = zap;
	ctx = zmq_ctx_new();
	asker = zmq_socket(ctx, ZMQ_DEALER);
	return zmq_connect(asker, end);
}

static int
tear_down(void **state)
{
	const int none = 0;

	(void)state;
	zmq_setsockopt(asker, ZMQ_LINGER, &none, sizeof(none));
	zmq_close(asker);
	zmq_ctx_term(ctx);
	cw_socket_close(&zap);
	cw_net_close(&net);
	cw_arena_close(&arena);
	return 0;
}

/* Send the parts and have them answered; the status is left in said. */
static bool
asked(const struct cw_bytes *parts, size_t n, uint32_t rights, bool *granted,
    char said[8])
{
	struct cw_curve_client client = { .rights = rights, .name = "known" };
	struct cw_wait item = { .sock = zap, .want_read = true };
	struct cw_multipart m;
	char part[256];
	bool answered;
	int got;

	cw_z85_key(known, client.key);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(zmq_send(asker, parts[i].p, parts[i].n,
		    i + 1 < n ? ZMQ_SNDMORE : 0), parts[i].n);
	assert_int_equal(cw_sockets_wait(&item, 1, ANSWER_MS, &err), CW_OK);
	assert_int_equal(cw_socket_recv(zap, &m, &err), CW_OK);
	*granted = false;
	answered = cw_zap_answer(zap, &m, &client, 1, 7, granted);
	cw_multipart_done(&m);
	for (int i = 0; answered && i < 7; i++) {
		got = zmq_recv(asker, part, sizeof(part), 0);
		assert_true(got >= 0);
		if (i == 3)
			snprintf(said, 8, "%.*s", got, part);
	}
	return answered;
}

static void
test_a_known_key_gets_what_it_has_a_right_to(void **state)
{
	static const struct {
		const char	*domain;
		uint32_t	 rights;
		bool		 granted;
	} cases[] = {
		{ CW_DOMAIN_SUBMIT, CW_R_SUBMIT, true },
		{ CW_DOMAIN_SUBMIT, CW_R_RELOAD, true },
		{ CW_DOMAIN_SUBMIT, 0, false },
		{ CW_DOMAIN_PULL, CW_R_SUBMIT, true },
		{ CW_DOMAIN_PULL, CW_R_WATCH, false },
		{ CW_DOMAIN_PUB, CW_R_WATCH, true },
		{ CW_DOMAIN_PUB, CW_R_SUBMIT | CW_R_RELOAD, false },
		{ "elsewhere", CW_R_SUBMIT | CW_R_WATCH | CW_R_RELOAD, false },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		const struct cw_bytes q[] = {
			{ "", 0 }, { "1.0", 3 }, { "1", 1 },
			{ cases[i].domain, strlen(cases[i].domain) },
			{ "127.0.0.1", 9 }, { "", 0 }, { "CURVE", 5 },
			{ known, sizeof(known) },
		};
		char said[8] = "";
		bool granted;

		assert_true(asked(q, CW_COUNT(q), cases[i].rights, &granted,
		    said));
		if (granted != cases[i].granted)
			fail_msg("%s with rights %u", cases[i].domain,
			    cases[i].rights);
		assert_string_equal(said, granted ? "200" : "400");
	}
}

static void
test_strangers_are_turned_away(void **state)
{
	static const uint8_t other[CW_CURVE_KEY] = { 9 };
	const struct cw_bytes credentials[] = {
		{ other, sizeof(other) }, { known, sizeof(known) - 1 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(credentials); i++) {
		const struct cw_bytes q[] = {
			{ "", 0 }, { "1.0", 3 }, { "1", 1 }, { "submit", 6 },
			{ "127.0.0.1", 9 }, { "", 0 }, { "CURVE", 5 },
			credentials[i],
		};
		char said[8] = "";
		bool granted;

		assert_true(asked(q, CW_COUNT(q), ~0u, &granted, said));
		assert_false(granted);
		assert_string_equal(said, "400");
	}
}

static void
test_a_key_that_was_not_proved_is_worth_nothing(void **state)
{
	const struct cw_bytes plain[] = {
		{ "", 0 }, { "1.0", 3 }, { "1", 1 }, { "submit", 6 },
		{ "127.0.0.1", 9 }, { "", 0 }, { "PLAIN", 5 },
		{ known, sizeof(known) },
	};
	char said[8] = "";
	bool granted;

	(void)state;
	assert_true(asked(plain, CW_COUNT(plain), ~0u, &granted, said));
	assert_false(granted);
	/* NULL has no credentials at all */
	assert_true(asked(plain, CW_COUNT(plain) - 1, ~0u, &granted, said));
	assert_false(granted);
}

static void
test_what_is_no_request_is_not_answered(void **state)
{
	const struct cw_bytes odd[] = {
		{ "", 0 }, { "2.0", 3 }, { "1", 1 }, { "submit", 6 },
		{ "127.0.0.1", 9 }, { "", 0 }, { "CURVE", 5 },
		{ known, sizeof(known) },
	};
	char said[8];
	bool granted;

	(void)state;
	assert_false(asked(odd, CW_COUNT(odd), ~0u, &granted, said));
	assert_false(asked(odd, 3, ~0u, &granted, said));
	assert_false(asked(odd + 1, CW_COUNT(odd) - 1, ~0u, &granted, said));
	assert_false(granted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_known_key_gets_what_it_has_a_right_to),
		cmocka_unit_test(test_strangers_are_turned_away),
		cmocka_unit_test(
		    test_a_key_that_was_not_proved_is_worth_nothing),
		cmocka_unit_test(test_what_is_no_request_is_not_answered),
	};

	return cmocka_run_group_tests_name("zap", tests, set_up, tear_down);
}
