/*
 * test_messages.c - every body of a frame comes back as it went, and cut
 * anywhere it is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "format/gate_msg.h"
#include "format/worker_msg.h"

static struct cw_arena *arena;
static struct cw_pack pack;
static struct cw_err err;

static int
setup(void **state)
{
	(void)state;
	if (cw_arena_open(16 << 20, &arena, NULL) != CW_OK)
		return -1;
	cw_pack_init(&pack, arena, 256);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

/* What was packed, from its first n bytes. */
static struct cw_unpack
packed(size_t n)
{
	struct cw_unpack r;

	assert_true(cw_pack_ok(&pack));
	cw_unpack_init(&r, pack.p, n);
	return r;
}

/* call reads from r; at every length but the whole it says no, and why. */
#define REFUSES_CUTS(call)						\
	for (size_t n = 0; n < pack.len; n++) {				\
		const size_t mark = cw_arena_mark(arena);		\
									\
		r = packed(n);						\
		if ((call) == CW_OK)					\
			fail_msg("%zu of %zu bytes are enough", n,	\
			    pack.len);					\
		assert_true(err.text[0] != '\0');			\
		cw_arena_release(arena, mark);				\
	}

static void
test_a_gate_is_told_all_it_needs(void **state)
{
	const char *connect[] = { "tcp://a:1", "tcp://b:2" };
	struct cw_curve_client clients[] = {
		{ "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", CW_R_SUBMIT, "x" },
		{ "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6", CW_R_WATCH, "y" },
	};
	const struct cw_gate_init m = { .submit = "tcp://*:1", .pull = "",
		.pub = "ipc:///p", .connect = connect, .nconnect = 2,
		.secret_key = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
		.clients = clients, .nclients = 2, .max_bytes = 1ull << 33,
		.pending_bytes = 7, .reply_bytes = 8, .retry_ms = 9 };
	struct cw_gate_init out;
	struct cw_unpack r;

	(void)state;
	cw_gate_init_pack(&m, &pack);
	r = packed(pack.len);
	assert_int_equal(cw_gate_init_unpack(&r, arena, &out, &err), CW_OK);
	assert_string_equal(out.submit, m.submit);
	assert_string_equal(out.pull, "");
	assert_string_equal(out.pub, m.pub);
	assert_string_equal(out.connect[1], connect[1]);
	assert_string_equal(out.secret_key, m.secret_key);
	assert_int_equal(out.nclients, 2);
	assert_string_equal(out.clients[1].key, clients[1].key);
	assert_int_equal(out.clients[1].rights, CW_R_WATCH);
	assert_string_equal(out.clients[1].name, "y");
	assert_true(out.max_bytes == m.max_bytes);
	assert_int_equal(out.reply_bytes, 8);
	assert_int_equal(out.retry_ms, 9);
	REFUSES_CUTS(cw_gate_init_unpack(&r, arena, &out, &err));
	pack.p[0] ^= 1;			/* of another version */
	r = packed(pack.len);
	assert_int_not_equal(cw_gate_init_unpack(&r, arena, &out, &err),
	    CW_OK);
}

static void
test_a_key_that_is_none_is_refused(void **state)
{
	const struct cw_gate_init m = { .submit = "", .pull = "", .pub = "",
		.secret_key = "too short" };
	struct cw_gate_init out;
	struct cw_unpack r;

	(void)state;
	cw_gate_init_pack(&m, &pack);
	r = packed(pack.len);
	assert_int_not_equal(cw_gate_init_unpack(&r, arena, &out, &err),
	    CW_OK);
}

static void
test_a_gate_says_where_it_listens_and_what_it_counted(void **state)
{
	const struct cw_gate_ready ready = { "tcp://a", "", "tcp://c" };
	const struct cw_gate_stats stats = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
	struct cw_gate_ready out;
	struct cw_gate_stats counted;
	struct cw_unpack r;

	(void)state;
	cw_gate_ready_pack(&ready, &pack);
	r = packed(pack.len);
	assert_int_equal(cw_gate_ready_unpack(&r, arena, &out, &err), CW_OK);
	assert_string_equal(out.pub, "tcp://c");
	REFUSES_CUTS(cw_gate_ready_unpack(&r, arena, &out, &err));
	cw_pack_init(&pack, arena, 256);
	cw_gate_stats_pack(&stats, &pack);
	r = packed(pack.len);
	assert_int_equal(cw_gate_stats_unpack(&r, &counted, &err), CW_OK);
	assert_memory_equal(&counted, &stats, sizeof(stats));
	REFUSES_CUTS(cw_gate_stats_unpack(&r, &counted, &err));
}

static void
test_what_is_published_has_a_topic(void **state)
{
	const struct cw_publish m = { "verdict.allow.none", "{}" };
	struct cw_publish out;
	struct cw_unpack r;

	(void)state;
	cw_publish_pack(&m, &pack);
	r = packed(pack.len);
	assert_int_equal(cw_publish_unpack(&r, arena, &out, &err), CW_OK);
	assert_string_equal(out.topic, m.topic);
	assert_string_equal(out.json, "{}");
	REFUSES_CUTS(cw_publish_unpack(&r, arena, &out, &err));
}

static void
test_answers_and_settings_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(cw_answer_name(CW_A_BUSY), "BUSY");
	assert_string_equal(cw_answer_name(CW_ANSWERS), "?");
	assert_int_equal(cw_precision_parse("int8"), CW_PREC_INT8);
	assert_int_equal(cw_precision_parse("int9"), -1);
	assert_int_equal(cw_views_parse("cover"), CW_VIEWS_COVER);
	assert_int_equal(cw_views_parse(""), -1);
}

static void
test_a_worker_is_told_all_it_needs(void **state)
{
	const char *plugins[] = { "/p/png.so", "/p/gif.so" };
	const struct cw_init m = { .model_dir = "/m",
		.cache_dir = "/c", .precision = CW_PREC_INT8, .kernel = "avx2",
		.batch = 8, .threads = 1, .views = CW_VIEWS_WHOLE,
		.explain_layers = 3, .exact_decode = true, .sandbox = true,
		.limits = { 1, 2, 3, 4, 5, 6 }, .pictures = 7, .extras_ms = 8,
		.plugins = plugins, .nplugins = 2 };
	struct cw_init out;
	struct cw_unpack r;

	(void)state;
	cw_init_pack(&m, &pack);
	r = packed(pack.len);
	assert_int_equal(cw_init_unpack(&r, arena, &out, &err), CW_OK);
	assert_string_equal(out.model_dir, "/m");
	assert_int_equal(out.precision, CW_PREC_INT8);
	assert_int_equal(out.views, CW_VIEWS_WHOLE);
	assert_true(out.exact_decode && out.sandbox);
	assert_int_equal(out.limits.cpu_ms, 6);
	assert_string_equal(out.plugins[1], plugins[1]);
	REFUSES_CUTS(cw_init_unpack(&r, arena, &out, &err));
}

static void
test_a_worker_says_what_it_loaded(void **state)
{
	static const char hash[] = "00112233445566778899aabbccddeeff"
	    "00112233445566778899aabbccddeeff";
	const struct cw_model_facts m = { .name = "starter", .sha256 = hash,
		.config_sha256 = hash, .tower = "vit", .image_size = 32, .patch = 8, .width = 64,
		.layers = 2, .heads = 4, .embed = 16, .text_width = 32,
		.text_layers = 1, .text_heads = 2, .context = 77,
		.vocab = 1000, .logit_scale = 100, .parameters = 1ull << 40,
		.weight_bytes = 5, .precision = "fp32", .kernel = "avx2",
		.sandbox = "seccomp", .plugins = "png", .start_ms = 9 };
	struct cw_model_facts out;
	struct cw_unpack r;

	(void)state;
	cw_model_facts_pack(&m, &pack);
	r = packed(pack.len);
	assert_int_equal(cw_model_facts_unpack(&r, arena, &out, &err), CW_OK);
	assert_string_equal(out.name, "starter");
	assert_int_equal(out.vocab, 1000);
	assert_true(out.parameters == m.parameters);
	assert_string_equal(out.plugins, "png");
	REFUSES_CUTS(cw_model_facts_unpack(&r, arena, &out, &err));
}

static void
test_new_text_vectors_come_back(void **state)
{
	const float vec[2][3] = { { 1, 0, 0 }, { 0, 1, 0 } };
	struct cw_bank_row rows[] = { { 0, vec[0] }, { 4, vec[1] } };
	struct cw_long_prompt longs[] = { { 4, 90 } };
	const struct cw_policy_done m = { .ok = true, .message = "",
		.rows = rows, .nrows = 2, .embed = 3, .encode_ms = 12,
		.longs = longs, .nlongs = 1, .context = 77 };
	struct cw_policy_done out;
	struct cw_unpack r;

	(void)state;
	cw_policy_done_pack(&m, &pack);
	r = packed(pack.len);
	assert_int_equal(cw_policy_done_unpack(&r, 5, arena, &out, &err),
	    CW_OK);
	assert_int_equal(out.nrows, 2);
	assert_int_equal(out.rows[1].bank, 4);
	assert_memory_equal(out.rows[1].vec, vec[1], sizeof(vec[1]));
	assert_int_equal(out.context, 77);
	assert_int_equal(out.nlongs, 1);
	assert_int_equal(out.longs[0].tokens, 90);
	REFUSES_CUTS(cw_policy_done_unpack(&r, 5, arena, &out, &err));
	r = packed(pack.len);		/* a bank of four has no row 4 */
	assert_int_not_equal(cw_policy_done_unpack(&r, 4, arena, &out, &err),
	    CW_OK);
}

static void
test_a_text_s_tokens_and_values_come_back(void **state)
{
	const uint32_t ids[] = { 49406, 320, 49407 };
	const char *tokens[] = { "<s>", "a", "</s>" };
	const float embed[] = { 0.6f, 0.8f }, values[] = { 0, 1, 0 };
	const struct cw_text_done m = { .ok = true, .message = "", .ids = ids,
		.nids = 3, .length = 5, .tokens = tokens, .embed = embed, .nembed = 2,
		.values = values, .category = 1, .total = 2, .remainder = 1 };
	const struct cw_text_msg ask = { CW_TEXT_WORDS, "a" };
	struct cw_text_done out;
	struct cw_text_msg asked;
	struct cw_unpack r;

	(void)state;
	cw_text_done_pack(&m, &pack);
	r = packed(pack.len);
	assert_int_equal(cw_text_done_unpack(&r, arena, &out, &err), CW_OK);
	assert_int_equal(out.ids[1], 320);
	assert_string_equal(out.tokens[1], "a");
	assert_int_equal(out.length, 5);
	assert_memory_equal(out.embed, embed, sizeof(embed));
	assert_memory_equal(out.values, values, sizeof(values));
	REFUSES_CUTS(cw_text_done_unpack(&r, arena, &out, &err));
	cw_pack_init(&pack, arena, 64);
	cw_text_msg_pack(&ask, &pack);
	r = packed(pack.len);
	assert_int_equal(cw_text_msg_unpack(&r, arena, &asked, &err), CW_OK);
	assert_int_equal(asked.want, CW_TEXT_WORDS);
	assert_string_equal(asked.text, "a");
	REFUSES_CUTS(cw_text_msg_unpack(&r, arena, &asked, &err));
}

static void
test_a_bench_says_how_much(void **state)
{
	const struct cw_bench_msg m = { .batch = 16, .rounds = 3,
		.explain = true };
	struct cw_bench_msg out;
	struct cw_unpack r;

	(void)state;
	cw_bench_msg_pack(&m, &pack);
	r = packed(pack.len);
	assert_int_equal(cw_bench_msg_unpack(&r, &out, &err), CW_OK);
	assert_int_equal(out.batch, 16);
	assert_true(out.explain);
	REFUSES_CUTS(cw_bench_msg_unpack(&r, &out, &err));
}

#define CASE(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_gate_is_told_all_it_needs),
		CASE(test_a_key_that_is_none_is_refused),
		CASE(test_a_gate_says_where_it_listens_and_what_it_counted),
		CASE(test_what_is_published_has_a_topic),
		CASE(test_answers_and_settings_have_their_names),
		CASE(test_a_worker_is_told_all_it_needs),
		CASE(test_a_worker_says_what_it_loaded),
		CASE(test_new_text_vectors_come_back),
		CASE(test_a_text_s_tokens_and_values_come_back),
		CASE(test_a_bench_says_how_much),
	};

	return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
