/*
 * test_config.c - settings: the table, its messages, what must fit together.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/io.h"
#include "base/log.h"
#include "conf/config.h"
#include "conf/curve.h"
#include "conf/value.h"

#define ROOM	(8u << 20)
#define SECRET	"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
#define PUBLIC	"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

static char dir[64];		/* a temporary one */
static struct cw_arena *arena;

static int
set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/cw-config-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	return cw_arena_open(ROOM, &arena, NULL) == CW_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	char path[96];

	(void)state;
	snprintf(path, sizeof(path), "%s/f", dir);
	(void)unlink(path);
	(void)rmdir(dir);
	cw_arena_close(&arena);
	return 0;
}

/* Write text to the temporary directory's file and name it. */
static const char *
file_with(const char *text, mode_t mode)
{
	static char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/f", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static enum cw_status
read_text(const char *text, struct cw_config *cfg, struct cw_err *err)
{
	return cw_config_read(file_with(text, 0600), arena, cfg, err);
}

static void
test_an_empty_file_has_every_default(void **state)
{
	struct cw_config cfg;

	(void)state;
	assert_int_equal(read_text("", &cfg, NULL), CW_OK);
	assert_string_equal(cfg.dir, dir);
	assert_string_equal(cfg.queue.submit, "tcp://127.0.0.1:5771");
	assert_int_equal(cfg.queue.pull_connect.n, 0);
	assert_int_equal(cfg.workers.count, 0);
	assert_int_equal(cfg.workers.batch_wait_ms, 5);
	assert_int_equal(cfg.limits.bytes, 32 << 20);
	assert_int_equal(cfg.spool.retain_ms, 30ull * 86400000);
	assert_int_equal(cfg.spool.retain_bytes, 10ull << 30);
	assert_int_equal(cfg.spool.embeddings, 1);
	assert_int_equal(cfg.views, CW_VIEWS_AUTO);
	assert_int_equal(cfg.log.to, CW_LOG_SYSLOG);
	assert_int_equal(cfg.log.level, CW_LOG_INFO);
	assert_true(cw_config_workers(&cfg) >= 1);
}

static void
test_settings_are_taken_in_their_units(void **state)
{
	static const char text[] =
	    "model: {path: m, precision: int8}\n"
	    "policies: [/a.yaml, b]\n"
	    "queue:\n"
	    "  submit: \"\"\n"
	    "  pull_connect: [\"tcp://10.0.0.1:99\", \"ipc:///x\"]\n"
	    "workers: {count: 3, deadline: 2m, batch_wait: 0ms}\n"
	    "limits: {bytes: 1G}\n"
	    "limits2:\n";
	static const char good[] =
	    "model: {path: m, precision: int8}\n"
	    "policies: [/a.yaml, b]\n"
	    "queue:\n"
	    "  submit: \"\"\n"
	    "  pull_connect: [\"tcp://10.0.0.1:99\", \"ipc:///x\"]\n"
	    "verdicts:\n"
	    "workers: {count: 3, deadline: 2m, batch_wait: 0ms}\n"
	    "limits: {bytes: 64K}\n"
	    "explain: {layers: 4, when: never}\n"
	    "log: {to: stderr, level: debug}\n"
	    "plugins: [png, ./x.so, {path: /y.so, file: out.jsonl, n: 3}]\n";
	struct cw_config cfg;
	char want[128];

	(void)state;
	assert_int_equal(read_text(text, &cfg, NULL), CW_E_CONFIG);
	assert_int_equal(read_text(good, &cfg, NULL), CW_OK);
	snprintf(want, sizeof(want), "%s/m", dir);
	assert_string_equal(cfg.model.path, want);
	assert_int_equal(cfg.model.precision, CW_PREC_INT8);
	assert_int_equal(cfg.policies.n, 2);
	assert_string_equal(cfg.policies.item[0], "/a.yaml");
	snprintf(want, sizeof(want), "%s/b", dir);
	assert_string_equal(cfg.policies.item[1], want);
	assert_string_equal(cfg.queue.submit, "");
	assert_string_equal(cfg.queue.pull_connect.item[1], "ipc:///x");
	assert_int_equal(cw_config_workers(&cfg), 3);
	assert_int_equal(cfg.workers.deadline_ms, 120000);
	assert_int_equal(cfg.workers.batch_wait_ms, 0);
	assert_int_equal(cw_config_limits(&cfg).bytes, 65536);
	assert_int_equal(cfg.explain.layers, 4);
	assert_int_equal(cfg.explain.when, CW_WHEN_NEVER);
	assert_int_equal(cfg.nplugins, 3);
	assert_non_null(strstr(cfg.plugins[0].path, "/plugins/png.so"));
	assert_int_equal(cfg.plugins[2].options.n, 2);
	assert_string_equal(cfg.plugins[2].options.item[0], "file=out.jsonl");
	assert_string_equal(cfg.plugins[2].options.item[1], "n=3");
}

static void
test_a_wrong_setting_names_its_place_and_what_is_wanted(void **state)
{
	static const struct {
		const char	*text, *want;
	} cases[] = {
		{ "workers:\n  dedline: 5s\n", "2:3: unknown setting "
		    "\"workers.dedline\"; nearest is \"workers.deadline\"" },
		{ "modell: {path: x}\n", "1:1: unknown setting \"modell\"; "
		    "nearest is \"model\"" },
		{ "polices: x\n", "1:1: unknown setting \"polices\"; "
		    "nearest is \"policies\"" },
		{ "workers: {batch: 0}\n", "1:18: workers.batch is \"0\"; "
		    "want 1 to 256" },
		{ "workers: {count: 300}\n", "1:18: workers.count is \"300\"; "
		    "want 1 to 256, or auto" },
		{ "workers: {count: -1}\n", "1:18: workers.count is \"-1\"" },
		{ "workers: {deadline: 5}\n", "1:21: workers.deadline is "
		    "\"5\"; want 100ms to 10m" },
		{ "limits: {bytes: 99999999999999999999}\n", "1:17: "
		    "limits.bytes is" },
		{ "limits: {bytes: 99999999999999999G}\n", "1:17: "
		    "limits.bytes is" },
		{ "limits: {bytes: [1]}\n", "1:17: limits.bytes is a list; "
		    "want 1K to 256M" },
		{ "model: {precision: fp16}\n", "1:20: model.precision is "
		    "\"fp16\"; want auto, fp32, int8" },
		{ "spool: {embeddings: yes}\n", "1:21: spool.embeddings is "
		    "\"yes\"; want true or false" },
		{ "model: models/x\n", "1:8: model is \"models/x\"; want a "
		    "mapping of settings" },
		{ "policies: []\n", "1:11: policies is a list; want a path or "
		    "a list of at most 64 paths" },
		{ "policies: {a: b}\n", "1:11: policies is a mapping" },
		{ "policies: [a, [b]]\n", "1:15: policies is a list" },
		{ "queue: {pull_connect: tcp://x:1}\n", "1:23: "
		    "queue.pull_connect is \"tcp://x:1\"; want a list of at "
		    "most 16 endpoints" },
		{ "queue: {pull_connect: [x]}\n", "1:23: queue.pull_connect "
		    "has \"x\"; want tcp://HOST:PORT or ipc://PATH" },
		{ "queue: {submit: 5771}\n", "1:17: queue.submit is \"5771\"; "
		    "want tcp://HOST:PORT or ipc://PATH" },
		{ "queue: {submit: \"inproc://x\"}\n", "1:17: queue.submit" },
		{ "queue: {submit: \"tcp://0.0.0.0:5771\"}\n", "1:17: "
		    "queue.submit binds beyond loopback without encryption; "
		    "want curve.secret_key_file and curve.clients_file, or "
		    "127.0.0.1" },
		{ "queue: {pull: \"tcp://*:5\"}\n", "1:15: queue.pull binds" },
		{ "verdicts: {pub: \"tcp://[::]:5\"}\n", "1:17: verdicts.pub "
		    "binds" },
		{ "queue: {submit: \"tcp://127.evil.com:1\"}\n", "1:17: "
		    "queue.submit binds" },
		{ "queue: {submit: \"tcp://127.1:5\"}\n", "1:17: "
		    "queue.submit binds" },
		{ "queue: {submit: \"tcp://::1:5\"}\n", "1:17: queue.submit "
		    "is \"tcp://::1:5\"; want tcp://HOST:PORT" },
		{ "curve: {secret_key_file: k}\n", "1:26: "
		    "curve.secret_key_file is set alone" },
		{ "http: {listen: \"0.0.0.0:80\"}\n", "1:16: http.listen is "
		    "beyond loopback without a token" },
		{ "http: {listen: localhost}\n", "1:16: http.listen is "
		    "\"localhost\"; want HOST:PORT" },
		{ "limits: {bytes: 8M, pending_bytes: 2M}\n", "1:36: "
		    "limits.pending_bytes holds not one image" },
		{ "plugins: png\n", "1:10: plugins is \"png\"; want a list" },
		{ "plugins: [{file: x}]\n", "1:11: plugin without a path" },
		{ "plugins: [{path: x, o: [1]}]\n", "1:24: plugin option o is "
		    "a list; want a word" },
		{ "- a\n", "1:1: not a mapping" },
		{ "a: &x 1\n", "1:4: anchor" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		struct cw_config cfg;
		struct cw_err err;
		const char *got;

		cw_arena_reset(arena, 0);
		if (read_text(cases[i].text, &cfg, &err) != CW_E_CONFIG)
			fail_msg("taken: %s", cases[i].text);
		got = err.text + strlen(dir) + strlen("/f:");
		if (strncmp(got, cases[i].want, strlen(cases[i].want)) != 0)
			fail_msg("%s: got \"%s\", want \"%s\"", cases[i].text,
			    got, cases[i].want);
	}
}

static void
test_loopback_and_curve_may_bind(void **state)
{
	static const char *const good[] = {
		"queue: {submit: \"tcp://127.0.0.1:*\"}\n",
		"queue: {submit: \"tcp://localhost:5\"}\n",
		"queue: {submit: \"tcp://[::1]:5\"}\n",
		"queue: {submit: \"tcp://[0:0:0:0:0:0:0:1]:5\"}\n",
		"queue: {submit: \"ipc:///run/x\"}\n",
		"queue: {submit: \"tcp://0.0.0.0:5\"}\n"
		"curve: {secret_key_file: a, clients_file: b}\n",
		"http: {listen: \"0.0.0.0:80\", token_file: t}\n",
	};
	struct cw_config cfg;
	struct cw_err err;

	(void)state;
	for (size_t i = 0; i < CW_COUNT(good); i++)
		if (read_text(good[i], &cfg, &err) != CW_OK)
			fail_msg("%s: %s", good[i], err.text);
}

/* The config.yaml of the tree is what the table prints, and reads back. */
static void
test_the_shipped_file_holds_every_setting_at_its_default(void **state)
{
	const char *build = getenv("CW_BUILD");
	const char *want = cw_config_yaml(NULL, arena), *path;
	struct cw_config cfg, def;
	struct cw_err err;
	char *got;
	size_t len;

	(void)state;
	path = build == NULL ? "config.yaml" :
	    cw_arena_printf(arena, "%s/../config.yaml", build);
	if (cw_read_file(AT_FDCWD, path, 65536, arena, &got, &len, &err) != CW_OK)
		fail_msg("%s", err.text);
	assert_string_equal(got, want);
	assert_int_equal(read_text(want, &cfg, &err), CW_OK);
	assert_int_equal(read_text("", &def, &err), CW_OK);
	assert_string_equal(cw_config_yaml(&cfg, arena),
	    cw_config_yaml(&def, arena));
}

static void
test_no_file_and_an_empty_one_say_the_same(void **state)
{
	struct cw_config none, empty;
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_config_defaults(".", arena, &none, &err), CW_OK);
	assert_int_equal(read_text("", &empty, &err), CW_OK);
	assert_string_equal(none.dir, ".");
	assert_string_equal(none.queue.submit, empty.queue.submit);
	assert_int_equal(none.limits.bytes, empty.limits.bytes);
	assert_int_equal(none.workers.batch_wait_ms,
	    empty.workers.batch_wait_ms);
}

static void
test_settings_without_room_are_refused(void **state)
{
	static const char text[] = "queue: {pull_connect: [\"tcp://a:1\"]}\n"
	    "plugins: [png, {path: /p.so, k: v}]\n";
	const char *path = file_with(text, 0600);
	enum cw_status st = CW_E_LIMIT;
	struct cw_config cfg;
	struct cw_arena *small;
	struct cw_err err;
	size_t room;

	(void)state;
	for (room = 64; st != CW_OK; room += 64) {
		assert_true(room < 1 << 20);
		assert_int_equal(cw_arena_open(room, &small, &err), CW_OK);
		st = cw_config_read(path, small, &cfg, &err);
		cw_arena_close(&small);
		if (st != CW_OK && st != CW_E_LIMIT)
			fail_msg("%zu bytes: %s", room, err.text);
	}
	assert_true(room > 1000);
}

static void
test_printed_settings_read_back_the_same(void **state)
{
	static const char text[] = "model: {path: \"/a b\\\\\\\"c\"}\n"
	    "queue: {pull_connect: [\"tcp://1.2.3.4:5\"]}\n"
	    "workers: {count: 2, deadline: 90s}\n"
	    "limits: {bytes: 3000}\n"
	    "plugins: [{path: /p.so, k: \"v w\"}]\n";
	struct cw_config cfg, again;
	const char *one, *two;
	struct cw_err err;

	(void)state;
	assert_int_equal(read_text(text, &cfg, &err), CW_OK);
	one = cw_config_yaml(&cfg, arena);
	if (read_text(one, &again, &err) != CW_OK)
		fail_msg("%s", err.text);
	two = cw_config_yaml(&again, arena);
	assert_string_equal(one, two);
	assert_non_null(strstr(one, "deadline: 90s\n"));
	assert_non_null(strstr(one, "bytes: 3000\n"));
}

static void
test_the_nearest_word_has_the_fewest_edits(void **state)
{
	static const char *const words[] = { "alpha", "beta", "workers.count" };

	(void)state;
	assert_string_equal(cw_value_nearest("btea", words, 3), "beta");
	assert_string_equal(cw_value_nearest("worker.cuont", words, 3),
	    "workers.count");
	assert_string_equal(cw_value_nearest("", words, 3), "beta");
}

static void
test_key_files_are_read_and_checked(void **state)
{
	static const struct {
		const char	*text, *want;
	} bad[] = {
		{ "short submit x\n", ":1:1: not a Z85 key" },
		{ PUBLIC "\n", ":1:1: not a client; want KEY RIGHTS NAME" },
		{ "\n" PUBLIC " fly x\n", ":2:42: right \"fly\"" },
		{ PUBLIC " , x\n", ":1:42: right \"\"" },
		{ PUBLIC " submit x/y\n", ":1:1: name \"x/y\"" },
		{ PUBLIC " submit x y\n", ":1:1: not a client" },
		{ PUBLIC " submit x\n" PUBLIC " watch y\n",
		    ":2:1: key of x again" },
	};
	struct cw_curve_client *c;
	struct cw_err err;
	char key[41];
	uint32_t n;

	(void)state;
	assert_int_equal(cw_curve_secret(file_with(SECRET "\n", 0600), arena,
	    key, &err), CW_OK);
	assert_string_equal(key, SECRET);
	assert_int_equal(cw_curve_secret(file_with(SECRET "\n", 0644), arena,
	    key, &err), CW_E_CONFIG);
	assert_non_null(strstr(err.text, "want 0600"));
	assert_int_equal(cw_curve_secret(file_with("x\n", 0600), arena, key,
	    &err), CW_E_CONFIG);
	assert_int_equal(cw_curve_clients(file_with("# comment\n\n"
	    PUBLIC "\tsubmit,watch  web-1 \r\n" SECRET " reload ops", 0644),
	    arena, &c, &n, &err), CW_OK);
	assert_int_equal(n, 2);
	assert_string_equal(c[0].key, PUBLIC);
	assert_string_equal(c[0].name, "web-1");
	assert_int_equal(c[0].rights, CW_R_SUBMIT | CW_R_WATCH);
	assert_int_equal(c[1].rights, CW_R_RELOAD);
	for (size_t i = 0; i < CW_COUNT(bad); i++) {
		if (cw_curve_clients(file_with(bad[i].text, 0600), arena, &c,
		    &n, &err) != CW_E_CONFIG)
			fail_msg("taken: %s", bad[i].text);
		if (strstr(err.text, bad[i].want) == NULL)
			fail_msg("got \"%s\", want \"%s\"", err.text,
			    bad[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_file_has_every_default),
		cmocka_unit_test(test_no_file_and_an_empty_one_say_the_same),
		cmocka_unit_test(test_settings_without_room_are_refused),
		cmocka_unit_test(test_settings_are_taken_in_their_units),
		cmocka_unit_test(
		    test_a_wrong_setting_names_its_place_and_what_is_wanted),
		cmocka_unit_test(test_loopback_and_curve_may_bind),
		cmocka_unit_test(
		    test_the_shipped_file_holds_every_setting_at_its_default),
		cmocka_unit_test(test_printed_settings_read_back_the_same),
		cmocka_unit_test(test_the_nearest_word_has_the_fewest_edits),
		cmocka_unit_test(test_key_files_are_read_and_checked),
	};

	return cmocka_run_group_tests_name("config", tests, set_up,
	    tear_down);
}
