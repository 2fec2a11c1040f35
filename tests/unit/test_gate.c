/*
 * test_gate.c - the gate's parts: messages, routes, buffers, addresses, and a
 * sandbox with every door shut.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gate/endpoint.h"
#include "gate/fifo.h"
#include "gate/held.h"
#include "gate/message.h"
#include "gate/pushed.h"
#include "gate/routes.h"
#include "gate/sandbox.h"
#include "gate/uplink.h"
#include "gate/zap.h"

#define MAX_IMAGE	1000

static struct cw_arena *arena;

static int
open_arena(void **state)
{
	(void)state;
	return cw_arena_open(1 << 20, &arena, NULL);
}

static int
close_arena(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

static void
add_part(struct cw_multipart *m, const void *p, size_t n)
{
	if (m->n < CW_INPUT_PARTS)
		m->part[m->n++] = (struct cw_bytes){ p, n };
	m->total++;
}

static struct cw_multipart
message(const char *const *frames, size_t n)
{
	struct cw_multipart m = { .user = "" };

	for (size_t i = 0; i < n; i++)
		add_part(&m, frames[i], strlen(frames[i]));
	return m;
}

static void
test_a_submit_is_read_whole(void **state)
{
	const char *frames[] = { "who", "", "CW1", "SUBMIT",
	    "{\"id\":\"a\",\"context\":{\"text\":\"t\"}}", "image" };
	struct cw_multipart m = message(frames, 6);
	struct cw_message msg;
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_message_read(&m, true, MAX_IMAGE, arena, &msg,
	    &err), CW_OK);
	assert_true(msg.delimiter);
	assert_memory_equal(msg.identity.p, "who", 3);
	assert_int_equal(msg.request.verb, CW_V_SUBMIT);
	assert_string_equal(msg.request.job.id, "a");
	assert_string_equal(msg.request.job.text, "t");
	assert_int_equal(msg.request.job.nimage, 5);
	assert_string_equal(msg.request.key, "");
	cw_arena_reset(arena, 0);
}

static void
test_a_broken_message_says_why_and_keeps_its_id(void **state)
{
	static const struct {
		const char	*frames[6];
		size_t		 n;
		const char	*why, *id, *code;
	} cases[] = {
		{ { "who" }, 1, "want CW1", "", "format" },
		{ { "who", "" }, 2, "want CW1", "", "format" },
		{ { "who", "CW9" }, 2, "\"CW9\"", "", "format" },
		{ { "who", "CW1" }, 2, "no verb", "", "format" },
		{ { "who", "CW1", "NOPE" }, 3, "verb \"NOPE\"", "", "format" },
		{ { "who", "CW1", "\x01\"x" }, 3,
		    "verb \"??x\"", "", "format" },
		{ { "who", "CW1", "SUBMIT" }, 3,
		    "without a header", "", "format" },
		{ { "who", "CW1", "SUBMIT", "{\"id\":\"a\"}" }, 4,
		    "without an image", "a", "no_image" },
		{ { "who", "CW1", "SUBMIT", "{\"id\":\"a\"}", "" }, 5,
		    "no bytes", "a", "no_image" },
		{ { "who", "CW1", "SUBMIT", "{\"id\":\"a\",\"x\":1}", "i" },
		    5, "\"x\"", "a", "format" },
		{ { "who", "CW1", "SUBMIT", "{\"id\":\"a b\"}", "i" }, 5,
		    "id is \"a b\"", "", "format" },
		{ { "who", "CW1", "SUBMIT", "{\"id\":\"a\",\"sha256\":\""
		    "0000000000000000000000000000000000000000000000000000"
		    "000000000000\"}", "i" }, 5, "sha256", "a", "sha256" },
		{ { "who", "CW1", "GET", "{}" }, 4,
		    "without an id", "", "format" },
		{ { "who", "CW1", "GET", "{\"id\":\"a\"}", "i" }, 5,
		    "frames", "", "format" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		struct cw_multipart m = message(cases[i].frames, cases[i].n);
		struct cw_message msg;
		struct cw_err err;

		if (cw_message_read(&m, true, MAX_IMAGE, arena, &msg, &err) !=
		    CW_E_FORMAT)
			fail_msg("case %zu was taken", i);
		if (strstr(err.text, cases[i].why) == NULL)
			fail_msg("case %zu: %s", i, err.text);
		assert_string_equal(msg.id, cases[i].id);
		assert_string_equal(msg.code, cases[i].code);
		assert_int_equal(msg.identity.n, 3);
		cw_arena_reset(arena, 0);
	}
}

static void
test_an_image_over_the_limit_is_refused(void **state)
{
	static char image[MAX_IMAGE + 1];
	const char *frames[] = { "who", "CW1", "SUBMIT", "{}" };
	struct cw_multipart m = message(frames, 4);
	struct cw_message msg;
	struct cw_err err;

	(void)state;
	add_part(&m, image, MAX_IMAGE);
	assert_int_equal(cw_message_read(&m, true, MAX_IMAGE, arena, &msg,
	    &err), CW_OK);
	assert_int_equal(strlen(msg.request.job.id), 32);
	m.part[4].n++;
	assert_int_equal(cw_message_read(&m, true, MAX_IMAGE, arena, &msg,
	    &err), CW_E_LIMIT);
	assert_string_equal(msg.code, "too_large");
	cw_arena_reset(arena, 0);
}

/* Flip each bit of a good message: an error, or a message that packs. */
static void
test_flipped_bits_never_crash(void **state)
{
	char frames[4][40] = { "CW1", "SUBMIT", "{\"id\":\"ab\",\"explain\":"
	    "\"never\"}", "image" };
	size_t taken = 0, refused = 0;

	(void)state;
	for (size_t f = 0; f < 3; f++)
		for (size_t bit = 0; bit < 8 * strlen(frames[f]); bit++) {
			const size_t len = strlen(frames[f]);
			struct cw_multipart m = { .user = "" };
			struct cw_message msg;
			struct cw_pack w;
			struct cw_err err;

			frames[f][bit / 8] ^= (char)(1 << bit % 8);
			for (size_t i = 0; i < 4; i++)
				add_part(&m, frames[i], i == f ? len :
				    strlen(frames[i]));
			if (cw_message_read(&m, false, MAX_IMAGE, arena, &msg,
			    &err) == CW_OK) {
				cw_pack_init(&w, arena, 1024);
				cw_request_pack(&msg.request, &w);
				assert_true(cw_pack_ok(&w));
				taken++;
			} else
				refused++;
			frames[f][bit / 8] ^= (char)(1 << bit % 8);
			cw_arena_reset(arena, 0);
		}
	assert_true(taken > 0 && refused > taken);
}

static void
test_answers_are_json_whatever_is_in_them(void **state)
{
	(void)state;
	assert_string_equal(cw_message_rejected(arena, "a", "format",
	    "say \"x\\y\" \x01\xff"), "{\"id\":\"a\",\"code\":\"format\","
	    "\"message\":\"say \\\"x\\\\y\\\" ??\"}");
	assert_string_equal(cw_message_busy(arena, "", 250),
	    "{\"id\":\"\",\"retry_after_ms\":250}");
	cw_arena_reset(arena, 0);
}

static void
test_routes_forget_who_was_silent_longest(void **state)
{
	static struct cw_routes *t;	/* lives as long as the process */
	uint64_t number[6];
	char name[2] = "a";

	(void)state;
	t = cw_routes_open(4);
	for (int i = 0; i < 4; i++, name[0]++)
		number[i] = cw_routes_learn(t, name, 1, "")->number;
	assert_int_equal(cw_routes_count(t), 4);
	/* a speaks again, so b is the one to go */
	assert_int_equal(cw_routes_learn(t, "a", 1, "")->number, number[0]);
	number[4] = cw_routes_learn(t, name, 1, "")->number;
	assert_null(cw_routes_find(t, number[1]));
	assert_non_null(cw_routes_find(t, number[0]));
	assert_memory_equal(cw_routes_find(t, number[4])->identity, "e", 1);
	/* who comes back is a new route: old answers are not for it */
	number[5] = cw_routes_learn(t, "b", 1, "")->number;
	assert_true(number[5] != number[1]);
	cw_routes_forget(t, cw_routes_find(t, number[5]));
	assert_null(cw_routes_find(t, number[5]));
	assert_null(cw_routes_find(t, 0));
	assert_int_equal(cw_routes_count(t), 3);
}

static void
test_an_identity_under_another_key_is_another_client(void **state)
{
	static struct cw_routes *t;	/* lives as long as the process */
	uint64_t first, second;

	(void)state;
	t = cw_routes_open(4);
	first = cw_routes_learn(t, "a", 1, "key one")->number;
	assert_int_equal(cw_routes_learn(t, "a", 1, "key one")->number, first);
	second = cw_routes_learn(t, "a", 1, "key two")->number;
	assert_true(second != first);
	assert_null(cw_routes_find(t, first));
	assert_string_equal(cw_routes_find(t, second)->key, "key two");
	assert_int_equal(cw_routes_count(t), 1);
}

static void
test_a_connection_lives_until_its_descriptor_ends(void **state)
{
	static struct cw_conns *c;	/* lives as long as the process */
	struct cw_conn a, b;

	(void)state;
	c = cw_conns_open(8);
	a = (struct cw_conn){ cw_conns_grant(c), 5 };
	b = (struct cw_conn){ cw_conns_grant(c), 6 };
	assert_true(cw_conns_alive(c, &a));
	cw_conns_ended(c, 5);
	assert_false(cw_conns_alive(c, &a));
	assert_true(cw_conns_alive(c, &b));
	/* the same descriptor, another connection */
	a.number = cw_conns_grant(c);
	assert_true(cw_conns_alive(c, &a));
	/* out of range, never granted */
	cw_conns_ended(c, -1);
	cw_conns_ended(c, 8);
	assert_false(cw_conns_alive(c, &(struct cw_conn){ 1, 8 }));
	assert_false(cw_conns_alive(c, &(struct cw_conn){ 1, -1 }));
	assert_false(cw_conns_alive(c, &(struct cw_conn){ 0, 3 }));
}

static void
test_many_routes_come_and_go(void **state)
{
	static struct cw_routes *t;	/* lives as long as the process */
	uint64_t last[64] = { 0 };

	(void)state;
	t = cw_routes_open(64);
	for (uint32_t i = 0; i < 20000; i++) {
		const uint32_t who = i * 2654435761u % 200;
		struct cw_route *r = cw_routes_learn(t, &who, sizeof(who), "");

		last[i % 64] = r->number;
		if (i % 7 == 0)
			cw_routes_forget(t, r);
		assert_true(cw_routes_count(t) <= 64);
	}
	for (int i = 0; i < 64; i++) {
		struct cw_route *r = cw_routes_find(t, last[i]);

		assert_true(r == NULL || r->number == last[i]);
	}
}

/* Part k of letter n of a client: length and every byte follow from these. */
static size_t
part_of(uint32_t client, uint32_t n, uint32_t k, uint8_t *out)
{
	const size_t len = (client * 37 + n * 101 + k * 499) % 1700;

	memset(out, (int)(client * 16 + n + k), len);
	return len;
}

static void
put_letter(struct cw_held *h, uint32_t client, uint32_t n, bool *taken)
{
	static uint8_t bytes[2][2048];
	struct cw_letter l = { .answer = CW_A_VERDICT, .nparts = 2 };
	struct cw_bytes parts[2];

	for (uint32_t k = 0; k < 2; k++) {
		l.len[k] = part_of(client, n, k, bytes[k]);
		parts[k] = (struct cw_bytes){ bytes[k], l.len[k] };
	}
	*taken = cw_held_put(h, client, &l, parts);
}

static void
take_letter(struct cw_held *h, uint32_t client, uint32_t n)
{
	static uint8_t want[2048], got[2048];
	struct cw_letter l;

	assert_true(cw_held_first(h, client, &l));
	assert_int_equal(l.nparts, 2);
	for (uint32_t k = 0; k < 2; k++) {
		assert_int_equal(l.len[k], part_of(client, n, k, want));
		cw_held_read(h, got, l.len[k]);
		assert_memory_equal(got, want, l.len[k]);
	}
	cw_held_pop(h, client);
}

static void
test_letters_come_back_in_their_order(void **state)
{
	static struct cw_held *h;	/* lives as long as the process */
	uint32_t in[5] = { 0 }, out[5] = { 0 }, x = 1;
	struct cw_letter l;
	bool taken;

	(void)state;
	assert_int_equal(cw_held_open(5, 64 << 10, &h, NULL), CW_OK);
	assert_int_equal(cw_held_client(h), CW_NOBODY);
	assert_int_equal(cw_held_greediest(h), CW_NOBODY);
	for (int i = 0; i < 20000; i++) {
		const uint32_t c = (x = x * 1664525u + 1013904223u) >> 16 & 3;

		if (x >> 31) {
			put_letter(h, c, in[c], &taken);
			in[c] += taken;
		} else if (out[c] < in[c])
			take_letter(h, c, out[c]++);
		assert_true(cw_held_all(h) <= 64 << 10);
		assert_int_equal(cw_held_of(h, c) > 0, in[c] > out[c]);
	}
	for (uint32_t c = 0; c < 3; c++)
		while (out[c] < in[c])
			take_letter(h, c, out[c]++);
	assert_int_equal(cw_held_drop(h, 3), in[3] - out[3]);
	assert_int_equal(cw_held_all(h), 0);
	assert_false(cw_held_first(h, 0, &l));
	/* full: refused, and whoever has most is known */
	for (taken = true; taken; )
		put_letter(h, 4, 7, &taken);
	assert_int_equal(cw_held_greediest(h), 4);
	assert_int_equal(cw_held_next(h, 4), CW_NOBODY);
}

static void
test_a_fifo_gives_back_what_was_put(void **state)
{
	const size_t room = 3 << 20;
	uint8_t in = 0, out = 0;
	struct cw_fifo f;
	uint32_t x = 1;

	(void)state;
	assert_int_equal(cw_fifo_open(&f, room, NULL), CW_OK);
	assert_null(cw_fifo_reserve(&f, room + 1));
	for (int i = 0; i < 3000; i++) {
		const size_t n = (x = x * 1103515245u + 12345u) >> 16;
		uint8_t *p = cw_fifo_reserve(&f, n);

		if (p != NULL) {
			for (size_t k = 0; k < n; k++)
				p[k] = in++;
			cw_fifo_added(&f, n);
		}
		if (p == NULL || i % 3 == 0) {
			size_t drop = cw_fifo_len(&f) * (1 + i % 4) / 4;
			const uint8_t *q = cw_fifo_peek(&f);

			for (size_t k = 0; k < drop; k += 997)
				assert_int_equal(q[k], (uint8_t)(out + k));
			out += (uint8_t)drop;
			cw_fifo_drop(&f, drop);
		}
		assert_true(cw_fifo_len(&f) <= room);
	}
}

static void
test_frames_cross_an_uplink_in_pieces(void **state)
{
	static uint8_t body[300000];
	struct cw_frame f = { .type = CW_F_GATE_REQUEST, .body = body,
	    .len = sizeof(body) };
	static struct cw_uplink a, b;
	struct cw_frame got;
	struct cw_err err;
	int sv[2], n = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(cw_uplink_open(&a, sv[0], 1 << 20, &err), CW_OK);
	assert_int_equal(cw_uplink_open(&b, sv[1], 1 << 20, &err), CW_OK);
	memset(body, 7, sizeof(body));
	for (f.id = 0; cw_uplink_put(&a, &f); f.id++)
		;
	assert_int_equal(f.id, 3);	/* a fourth has no room */
	for (int i = 0; i < 100; i++) {
		assert_int_equal(cw_uplink_flush(&a, &err), CW_OK);
		assert_int_equal(cw_uplink_fill(&b, &err), CW_OK);
		while (cw_uplink_next(&b, &got, &err) == CW_OK) {
			assert_int_equal(got.id, n++);
			assert_int_equal(got.len, sizeof(body));
			assert_memory_equal(got.body, body, sizeof(body));
		}
	}
	assert_int_equal(n, 3);
	assert_int_equal(cw_uplink_pending(&a), 0);
	close(sv[0]);
	assert_int_equal(cw_uplink_fill(&b, &err), CW_E_CLOSED);
	close(sv[1]);
}

static void
test_who_can_reach_an_endpoint(void **state)
{
	static const struct { const char *endpoint; bool local; } cases[] = {
		{ "tcp://127.0.0.1:5771", true },
		{ "tcp://127.9.9.9:*", true },
		{ "tcp://[::1]:5771", true },
		{ "tcp://lo:5771", true },
		{ "ipc:///run/x.sock", true },
		{ "tcp://0.0.0.0:5771", false },
		{ "tcp://*:5771", false },
		{ "tcp://[::]:5771", false },
		{ "tcp://192.168.0.1:5771", false },
		{ "tcp://localhost.example:5771", false },
		{ "tcp://eth0:5771", false },
		{ "pgm://127.0.0.1:1", false },
		{ "tcp://127.0.0.1", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++)
		if (cw_endpoint_local(cases[i].endpoint) != cases[i].local)
			fail_msg("%s", cases[i].endpoint);
}

static void
test_localhost_is_bound_by_its_address(void **state)
{
	static const struct { const char *endpoint, *want; } cases[] = {
		{ "tcp://localhost:*", "tcp://127.0.0.1:*" },
		{ "tcp://localhost.example:1", "tcp://localhost.example:1" },
		{ "tcp://[::1]:5771", "tcp://[::1]:5771" },
		{ "ipc://localhost:1", "ipc://localhost:1" },
	};
	struct cw_err err;
	const char *out;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		assert_int_equal(cw_endpoint_bindable(cases[i].endpoint, true,
		    arena, &out, &err), CW_OK);
		assert_string_equal(out, cases[i].want);
	}
}

/* Stands before the C library's: says what the test wants to hear. */
static int gai_says;

int
getaddrinfo(const char *name, const char *service,
    const struct addrinfo *hints, struct addrinfo **out)
{
	static int (*real)(const char *, const char *,
	    const struct addrinfo *, struct addrinfo **);

	if (gai_says != 0) {
		errno = EMFILE;
		return gai_says;
	}
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(name, service, hints, out);
}

static void
test_a_lookup_that_fails_for_now_is_no_wrong_setting(void **state)
{
	static const struct {
		int		 says;
		enum cw_status	 want;
		const char	*why;
	} cases[] = {
		{ EAI_AGAIN, CW_E_BUSY, "Temporary failure" },
		{ EAI_MEMORY, CW_E_SYSTEM, "" },
		{ EAI_SYSTEM, CW_E_SYSTEM, "Too many open files" },
		{ EAI_NONAME, CW_E_CONFIG, "not known" },
		{ EAI_FAIL, CW_E_CONFIG, "" },
	};
	struct cw_err err;
	const char *out;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		gai_says = cases[i].says;
		assert_int_equal(cw_endpoint_numeric("tcp://there:1", arena,
		    &out, &err), cases[i].want);
		gai_says = 0;
		assert_non_null(strstr(err.text, "tcp://there:1: "));
		assert_non_null(strstr(err.text, cases[i].why));
	}
}

static void
test_names_become_addresses_before_the_sandbox(void **state)
{
	static const struct { const char *endpoint, *want; } cases[] = {
		{ "tcp://127.0.0.1:5771", "tcp://127.0.0.1:5771" },
		{ "tcp://[::1]:5771", "tcp://[::1]:5771" },
		{ "ipc:///run/x.sock", "ipc:///run/x.sock" },
	};
	struct cw_err err = { "" };
	const char *out;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		assert_int_equal(cw_endpoint_numeric(cases[i].endpoint, arena,
		    &out, &err), CW_OK);
		assert_string_equal(out, cases[i].want);
	}
	/* where it is ::1 as well, and that comes first */
	if (gethostbyname2("localhost", AF_INET) != NULL) {
		assert_int_equal(cw_endpoint_numeric("tcp://localhost:1",
		    arena, &out, &err), CW_OK);
		assert_string_equal(out, "tcp://127.0.0.1:1");
	}
	/* where there is no network, nobody can be asked */
	assert_int_not_equal(cw_endpoint_numeric("tcp://no such host:1", arena,
	    &out, &err), CW_OK);
	assert_non_null(strstr(err.text, "tcp://no such host:1: "));
}

/* ---- the sandbox ---- */

#define KILLED		0	/* what becomes of a call, or the errno it gets */
#define OPEN		254
#define NO_SANDBOX	255

/* What the doors need, from before the sandbox. */
static int bound;	/* a socket, for bind */
static pid_t parent;	/* getppid is a forbidden call itself */

static long
try_open(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static long
try_create(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/tmp/x", O_CREAT | O_WRONLY, 0);
}

static long
try_execve(void)
{
	/* One that ran would end well, and look like a shut door. */
	return syscall(SYS_execve, "/no such program", NULL, NULL);
}

static long
try_fork(void)
{
	const long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long
try_socket(void)
{
	return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static long
try_udp(void)
{
	return syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);
}

static long
try_netlink(void)
{
	return syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0);
}

static long
try_bind(void)
{
	const struct sockaddr_in sin = { .sin_family = AF_INET };

	return syscall(SYS_bind, bound, &sin, sizeof(sin));
}

static long
try_ptrace(void)
{
	return syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
}

static long
try_kill(void)
{
	return syscall(SYS_kill, parent, 0);
}

static long
try_exec_memory(void)
{
	return syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long
try_dup(void)
{
	return syscall(SYS_fcntl, 2, F_DUPFD, 10);
}

static long
try_unlink(void)
{
	return syscall(SYS_unlink, "/no such file");
}

static long
try_rmdir(void)
{
	return syscall(SYS_rmdir, "/no such folder");
}

static long
try_ioctl(void)
{
	int n;

	return syscall(SYS_ioctl, bound, FIONREAD, &n);
}

static long
try_stat(void)
{
	struct stat sb;

	return syscall(SYS_newfstatat, AT_FDCWD, "/", &sb, 0);
}

/* What became of it: KILLED, OPEN or an errno. */
static int
attempt(long (*door)(void), bool connects)
{
	pid_t pid;
	int status;

	bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(bound != -1);
	parent = getpid();
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		struct cw_err err;

		if (cw_gate_sandbox(connects, &err) != CW_OK)
			_exit(NO_SANDBOX);
		_exit(door() == -1 ? errno : OPEN);
	}
	close(bound);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	assert_int_not_equal(WEXITSTATUS(status), NO_SANDBOX);
	return WEXITSTATUS(status);
}

static void
test_the_sandbox_shuts_every_door(void **state)
{
	static const struct {
		const char	*what;
		long		(*door)(void);
		int		 want;
	} doors[] = {
		{ "open", try_open, EACCES }, { "create", try_create, EACCES },
		{ "unlink", try_unlink, EACCES },
		{ "rmdir", try_rmdir, EACCES }, { "stat", try_stat, EACCES },
		{ "ioctl", try_ioctl, ENOTTY },
		{ "execve", try_execve, KILLED }, { "fork", try_fork, KILLED },
		{ "udp", try_udp, KILLED }, { "netlink", try_netlink, KILLED },
		{ "bind", try_bind, KILLED }, { "ptrace", try_ptrace, KILLED },
		{ "kill", try_kill, KILLED },
		{ "exec memory", try_exec_memory, KILLED },
		{ "dup", try_dup, KILLED },
	};

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();		/* its own list is longer */
#endif
	for (size_t i = 0; i < CW_COUNT(doors); i++)
		for (int connects = 0; connects < 2; connects++) {
			const int got = attempt(doors[i].door, connects);

			if (got != doors[i].want)
				fail_msg("%s%s: %d, want %d", doors[i].what,
				    connects ? ", with pull_connect" : "",
				    got, doors[i].want);
		}
	assert_int_equal(attempt(try_socket, false), KILLED);
	assert_int_equal(attempt(try_socket, true), OPEN);
}

static void
test_rights_are_those_of_the_key(void **state)
{
	static const struct cw_curve_client clients[] = {
		{ "a key that submits", CW_R_SUBMIT, "a" },
		{ "a key that watches", CW_R_WATCH, "b" },
		{ "a key that reloads", CW_R_RELOAD, "c" },
		{ "a key of all rights", CW_R_SUBMIT | CW_R_WATCH |
		    CW_R_RELOAD, "d" },
		{ "a key without any", 0, "e" },
	};
	/* of SUBMIT GET CANCEL PING RELOAD */
	static const char *const may[] = { "yyyyn", "nynyn", "nnnyy", "yyyyy",
	    "nnnnn", "nnnnn" };

	(void)state;
	for (size_t i = 0; i < CW_COUNT(may); i++) {
		struct cw_request q = { .key = "" };
		const char *key = i < CW_COUNT(clients) ? clients[i].key :
		    "a key that is not listed";

		cw_zap_name(clients, CW_COUNT(clients), key, &q);
		assert_string_equal(q.key, i < CW_COUNT(clients) ? key : "");
		for (int v = 0; v < CW_VERBS; v++) {
			q.verb = (enum cw_verb)v;
			assert_int_equal(cw_zap_allows(true, &q),
			    may[i][v] == 'y');
			/* Without CURVE nobody has a key. */
			assert_int_equal(cw_zap_allows(false, &q),
			    v != CW_V_RELOAD);
		}
	}
}

static void
test_what_is_pushed_stays_until_it_is_answered(void **state)
{
	static struct cw_pushed *p;	/* lives as long as the process */
	struct cw_err err = { "" };
	struct cw_frame f;
	struct cw_pack w;
	uint64_t id[3];

	(void)state;
	assert_int_equal(cw_pushed_open(2000, 50, &p, &err), CW_OK);
	assert_false(cw_pushed_due(p, 0, &f));
	assert_int_equal(cw_pushed_wait(p, 100, 7), 7);
	for (uint8_t i = 0; i < 3; i++) {
		assert_true(cw_pushed_takes(p));
		cw_pack_init(&w, arena, 1000);
		for (int k = 0; k < 900; k++)
			cw_put_u8(&w, i);
		assert_int_equal(cw_pushed_keep(p, &w, &err), CW_OK);
	}
	assert_false(cw_pushed_takes(p));	/* 2700 of 2000 bytes */
	assert_int_equal(cw_pushed_wait(p, 100, 7), 0);
	for (uint8_t i = 0; i < 3; i++) {
		assert_true(cw_pushed_due(p, 100, &f));
		assert_int_equal(((const uint8_t *)f.body)[899], i);
		assert_int_equal(f.len, 900);
		id[i] = f.id;
		assert_int_equal(f.id & CW_ROUTE_PUSHED, CW_ROUTE_PUSHED);
		cw_pushed_sent(p, f.id);
	}
	assert_false(cw_pushed_due(p, 100, &f));
	cw_pushed_answer(p, id[1], CW_A_BUSY, 100);
	cw_pushed_answer(p, id[2] + 1, CW_A_BUSY, 100);	/* nobody's */
	assert_false(cw_pushed_due(p, 149, &f));
	assert_int_equal(cw_pushed_wait(p, 120, 99), 30);
	assert_true(cw_pushed_due(p, 150, &f));
	assert_int_equal(f.id, id[1]);
	cw_pushed_hurry(p);
	assert_true(cw_pushed_due(p, 0, &f));
	cw_pushed_answer(p, id[0], CW_A_ACCEPTED, 150);
	cw_pushed_answer(p, id[0], CW_A_BUSY, 150);	/* no more */
	assert_int_equal(cw_pushed_bytes(p), 1800);
	assert_true(cw_pushed_takes(p));
	cw_pushed_answer(p, id[1], CW_A_REJECTED, 150);
	cw_pushed_answer(p, id[2], CW_A_VERDICT, 150);
	assert_int_equal(cw_pushed_bytes(p), 0);
	assert_false(cw_pushed_due(p, UINT64_MAX, &f));
}

static void
test_so_many_pushed_jobs_and_no_more(void **state)
{
	static struct cw_pushed *p;	/* lives as long as the process */
	struct cw_err err = { "" };
	struct cw_frame f;
	struct cw_pack w;

	(void)state;
	assert_int_equal(cw_pushed_open(1u << 20, 50, &p, &err), CW_OK);
	cw_pack_init(&w, arena, 100);
	cw_put_u8(&w, 1);
	for (uint32_t i = 0; i < CW_PUSHED_MAX; i++) {
		assert_true(cw_pushed_takes(p));
		assert_int_equal(cw_pushed_keep(p, &w, &err), CW_OK);
	}
	assert_false(cw_pushed_takes(p));
	assert_int_equal(cw_pushed_keep(p, &w, &err), CW_E_LIMIT);
	/* what is answered out of turn makes room with the first */
	assert_true(cw_pushed_due(p, 0, &f));
	cw_pushed_answer(p, f.id + 1, CW_A_ACCEPTED, 0);
	assert_false(cw_pushed_takes(p));
	cw_pushed_answer(p, f.id, CW_A_ACCEPTED, 0);
	assert_int_equal(cw_pushed_keep(p, &w, &err), CW_OK);
	assert_int_equal(cw_pushed_keep(p, &w, &err), CW_OK);
	assert_false(cw_pushed_takes(p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_submit_is_read_whole),
		cmocka_unit_test(
		    test_a_broken_message_says_why_and_keeps_its_id),
		cmocka_unit_test(test_an_image_over_the_limit_is_refused),
		cmocka_unit_test(test_flipped_bits_never_crash),
		cmocka_unit_test(test_answers_are_json_whatever_is_in_them),
		cmocka_unit_test(test_routes_forget_who_was_silent_longest),
		cmocka_unit_test(
		    test_an_identity_under_another_key_is_another_client),
		cmocka_unit_test(
		    test_a_connection_lives_until_its_descriptor_ends),
		cmocka_unit_test(test_many_routes_come_and_go),
		cmocka_unit_test(test_letters_come_back_in_their_order),
		cmocka_unit_test(test_a_fifo_gives_back_what_was_put),
		cmocka_unit_test(test_frames_cross_an_uplink_in_pieces),
		cmocka_unit_test(test_who_can_reach_an_endpoint),
		cmocka_unit_test(test_localhost_is_bound_by_its_address),
		cmocka_unit_test(
		    test_a_lookup_that_fails_for_now_is_no_wrong_setting),
		cmocka_unit_test(
		    test_names_become_addresses_before_the_sandbox),
		cmocka_unit_test(test_rights_are_those_of_the_key),
		cmocka_unit_test(
		    test_what_is_pushed_stays_until_it_is_answered),
		cmocka_unit_test(test_so_many_pushed_jobs_and_no_more),
		cmocka_unit_test(test_the_sandbox_shuts_every_door),
	};

	return cmocka_run_group_tests_name("gate", tests, open_arena,
	    close_arena);
}
