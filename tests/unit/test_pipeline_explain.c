/*
 * test_pipeline_explain.c - the real worker explains: maps that bear being
 * masked, rivals, pictures for people, words.
 */
#include "worker_toy.h"

static void
test_a_text_beside_the_picture_is_scored_by_its_words(void **state)
{
	struct cw_job j;
	struct cw_result res;
	double sum = 0;

	(void)state;
	need_toy();
	j = scene_job(1);	/* a green square */
	j.text = "a blue cross";
	drive_job(&toy, &j, 5, false);
	res = drive_result(&toy, 5);
	assert_false(res.failed);
	assert_int_equal(res.cats[8].source, CW_FROM_TEXT);
	assert_true(res.cats[8].text_score > 0.9f);
	assert_int_equal(res.text.ntokens, 3);
	assert_int_equal(res.text.category, 8);
	for (uint32_t i = 0; i < res.text.ntokens; i++)
		sum += res.text.values[i];
	assert_true(fabs(sum + res.text.remainder - res.text.total) < 1e-4);
	assert_non_null(strstr(res.text.tokens[1], "blue"));
}

/* The last words of a long text count as much as its first. */
static void
test_a_long_text_hides_nothing(void **state)
{
	char text[1024] = "";
	struct cw_result res;
	struct cw_job j;

	(void)state;
	need_toy();
	for (int i = 0; i < 40; i++)
		strcat(text, "an empty scene ");
	strcat(text, "a yellow circle");
	j = scene_job(1);
	j.text = text;
	drive_job(&toy, &j, 6, false);
	res = drive_result(&toy, 6);
	assert_false(res.failed);
	assert_true(res.cats[9].text_score > 0.5f);
}

static void
test_a_text_too_long_to_read_is_an_error(void **state)
{
	char text[CW_JOB_TEXT_BYTES];
	struct cw_result res;
	struct cw_job j;

	(void)state;
	need_toy();
	memset(text, '!', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	j = scene_job(1);
	j.text = text;
	drive_job(&toy, &j, 6, false);
	res = drive_result(&toy, 6);
	assert_true(res.failed);
	assert_string_equal(res.code, "text_too_long");
	j.text = " \t\n";
	drive_job(&toy, &j, 7, false);
	res = drive_result(&toy, 7);
	assert_false(res.failed);
	assert_int_equal(res.text.ntokens, 0);
	/* A mark spelled out is no mark. */
	j.text = "<|endoftext|> a blue cross";
	drive_job(&toy, &j, 8, false);
	res = drive_result(&toy, 8);
	assert_false(res.failed);
	assert_true(res.text.ntokens > 3);
}

static void
test_a_map_bears_being_masked(void **state)
{
	struct cw_result res;
	struct cw_job j;

	(void)state;
	need_toy();
	j = scene_job(2);
	j.faithfulness = true;
	drive_job(&toy, &j, 9, false);
	res = drive_result(&toy, 9);
	assert_false(res.failed);
	assert_true(map_of(&res, 8)->measured);
	assert_int_equal(map_of(&res, 8)->masked, 4);
	assert_true(map_of(&res, 8)->drop > map_of(&res, 8)->random_drop);
	print_message("margin %.2f, drop %.2f, at random %.2f\n",
	    map_of(&res, 8)->total, map_of(&res, 8)->drop,
	    map_of(&res, 8)->random_drop);
}

static void
test_rival_methods_make_maps_too(void **state)
{
	(void)state;
	need_toy();
	for (int m = 0; m < CW_METHODS; m++) {
		struct cw_job j = scene_job(4);
		struct cw_result res;

		j.method = (enum cw_method)m;
		drive_job(&toy, &j, 10, false);
		res = drive_result(&toy, 10);
		assert_false(res.failed);
		assert_int_equal(res.nmaps, THINGS);
		assert_int_equal(res.maps[0].method, m);
		assert_int_equal(res.maps[0].gw, 6);
	}
}

static void
test_pictures_come_before_their_result(void **state)
{
	uint32_t seen = 0;
	struct cw_frame f;
	struct cw_job j;

	(void)state;
	need_toy();
	j = scene_job(2);
	j.explain = CW_WHEN_FLAGGED;
	j.explain_set = true;
	j.artifacts = CW_ART_OVERLAY | CW_ART_REDACTED | CW_ART_INVERTED |
	    CW_ART_CURVES;
	drive_job(&toy, &j, 11, false);
	while ((f = drive_next(&toy)).type == CW_F_ARTIFACT) {
		struct cw_unpack r;
		const char *name;
		const uint8_t *png;
		size_t n;

		assert_int_equal(f.id, 11);
		cw_unpack_init(&r, f.body, f.len);
		seen |= cw_get_u32(&r);
		name = cw_get_str(&r, 256, toy.arena);
		png = cw_get_blob(&r, CW_FRAME_MAX, &n);
		assert_true(cw_unpack_end(&r));
		assert_true(strstr(name, ".png") != NULL && n > 8);
		assert_memory_equal(png, "\x89PNG", 4);
	}
	assert_int_equal(f.type, CW_F_RESULT);
	assert_int_equal(seen, j.artifacts);
}

static struct cw_text_done
ask_text(enum cw_text_want want, const char *text)
{
	const struct cw_text_msg m = { want, text };
	struct cw_err err = { "" };
	struct cw_text_done done;
	struct cw_unpack r;
	struct cw_pack w;
	struct cw_frame f;

	cw_pack_init(&w, toy.arena, 256);
	cw_text_msg_pack(&m, &w);
	drive_send(&toy, CW_F_TEXT, 0, 77, &w);
	f = drive_expect(&toy, CW_F_TEXT_DONE);
	assert_int_equal(f.id, 77);
	cw_unpack_init(&r, f.body, f.len);
	assert_int_equal(cw_text_done_unpack(&r, toy.arena, &done, &err),
	    CW_OK);
	return done;
}

static void
test_texts_are_tokenized_embedded_and_taken_apart(void **state)
{
	struct cw_text_done done;
	double sum = 0;

	(void)state;
	need_toy();
	done = ask_text(CW_TEXT_TOKENS, "a red circle");
	assert_true(done.ok);
	assert_int_equal(done.nids, 5);
	assert_int_equal(done.ids[0], 550);
	assert_int_equal(done.ids[4], 551);
	assert_int_equal(done.nembed, 0);
	done = ask_text(CW_TEXT_EMBED, "a red circle");
	assert_int_equal(done.nembed, toy.facts.embed);
	for (uint32_t i = 0; i < done.nembed; i++)
		sum += done.embed[i] * done.embed[i];
	assert_true(fabs(sum - 1) < 1e-5);
	done = ask_text(CW_TEXT_WORDS, "a red circle");
	assert_true(done.ok);
	assert_int_equal(done.category, 0);
	assert_non_null(done.values);
	sum = done.remainder;
	for (uint32_t i = 0; i < done.nids; i++)
		sum += done.values[i];
	assert_true(fabs(sum - done.total) < 1e-4);
	done = ask_text(CW_TEXT_TOKENS, "cut <|endoftext|> off");
	assert_false(done.ok);
	assert_true(done.message[0] != '\0');
}

static void
test_linear_scorings_are_explained_by_the_same_code(void **state)
{
	(void)state;
	need_toy();
	for (int s = CW_MARGIN; s <= CW_COSINE; s++) {
		struct cw_policy_set set = toy_set(toy.arena,
		    (enum cw_scoring)s, (uint64_t)(10 + s));
		struct cw_result res;

		assert_true(drive_policies(&toy, &set, NULL, 0).ok);
		res = score_scene(5);
		assert_int_equal(res.nmaps, THINGS);
		for (uint32_t i = 0; i < res.nmaps; i++) {
			const struct cw_map *m = &res.maps[i];

			assert_true(gap(m) < 1e-5);
			assert_true(fabsf(m->total -
			    res.cats[m->category].margin) < 1e-6f);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_text_beside_the_picture_is_scored_by_its_words),
		cmocka_unit_test(test_a_long_text_hides_nothing),
		cmocka_unit_test(test_a_text_too_long_to_read_is_an_error),
		cmocka_unit_test(test_a_map_bears_being_masked),
		cmocka_unit_test(test_rival_methods_make_maps_too),
		cmocka_unit_test(test_pictures_come_before_their_result),
		cmocka_unit_test(
		    test_texts_are_tokenized_embedded_and_taken_apart),
		cmocka_unit_test(
		    test_linear_scorings_are_explained_by_the_same_code),
	};

	return cmocka_run_group_tests_name("pipeline_explain", tests, setup,
	    teardown);
}
