/*
 * test_pipeline.c - the real worker: batches in, results out.
 */
#include "worker_toy.h"

#define MARGIN_WITHIN	1e-4	/* logits; as scenes.json says */
#define COSINE_WITHIN	1e-5

static void
check_decision(int i, const struct cw_result *res, json_t *decision)
{
	const char *prompt = json_string_value(json_object_get(decision,
	    "prompt"));
	json_t *values = json_object_get(decision, "map");
	const double margin = json_number_value(json_object_get(decision,
	    "margin"));
	const struct cw_map *m;
	uint32_t k = 0, top = 0;

	while (strcmp(things[k], prompt) != 0)
		k++;
	m = map_of(res, k);
	assert_non_null(m);
	if (fabs(res->cats[k].margin - margin) > MARGIN_WITHIN)
		fail_msg("scene %d, %s: margin %.6f, want %.6f", i, prompt,
		    res->cats[k].margin, margin);
	assert_int_equal(m->gw * m->gh, json_array_size(values));
	for (uint32_t j = 0; j < m->gw * m->gh; j++) {
		const double want = json_number_value(json_array_get(values,
		    j));

		if (fabs(m->values[j] - want) > MARGIN_WITHIN)
			fail_msg("scene %d, %s: patch %u is %.6f, want %.6f",
			    i, prompt, j, m->values[j], want);
		if (m->values[j] > m->values[top])
			top = j;
	}
	assert_int_equal(top, json_integer_value(json_object_get(decision,
	    "top_patch")));
	assert_true(json_is_true(json_object_get(decision,
	    "top_patch_on_object")));
	assert_true(m->nregions > 0);
}

static void
test_scenes_get_the_scores_and_maps_of_the_reference(void **state)
{
	double worst = 0;

	(void)state;
	need_toy();
	for (int first = 0; first < SCENES; first += 4)
		for (int i = first; i < SCENES && i < first + 4; i++) {
			const struct cw_job j = scene_job(i);

			drive_job(&toy, &j, (uint64_t)(100 + i),
			    i + 1 < SCENES && i + 1 < first + 4);
		}
	for (int i = 0; i < SCENES; i++) {
		struct cw_result res = drive_result(&toy, (uint64_t)(100 + i));
		json_t *sims = json_object_get(scene(i), "sims"), *d;
		size_t k;

		assert_false(res.failed);
		assert_string_equal(res.format, "png");
		assert_int_equal(res.width, 48);
		assert_int_equal(res.nviews, 1);
		for (k = 0; k <= THINGS; k++)
			assert_true(fabs(res.cosines[k] - json_number_value(
			    json_array_get(sims, k))) < COSINE_WITHIN);
		json_array_foreach(json_object_get(scene(i), "decisions"), k,
		    d)
			check_decision(i, &res, d);
		assert_int_equal(res.nmaps, THINGS);
		for (k = 0; k < res.nmaps; k++)
			worst = fmax(worst, gap(&res.maps[k]));
	}
	assert_true(worst <= 1e-4);
	print_message("largest |parts - margin| %.1e\n", worst);
}

static void
test_a_bad_image_fails_alone(void **state)
{
	const struct cw_result before = (need_toy(), score_scene(0));
	struct cw_job good = scene_job(0), bad = scene_job(1), rubbish = good,
	    empty = good;
	struct cw_result res;

	(void)state;
	bad.nimage /= 2;
	rubbish.image = (const uint8_t *)"GIF89a?";
	rubbish.nimage = 7;
	empty.nimage = 0;
	drive_job(&toy, &bad, 1, true);
	drive_job(&toy, &good, 2, true);
	drive_job(&toy, &rubbish, 3, true);
	drive_job(&toy, &empty, 4, false);
	res = drive_result(&toy, 1);
	assert_true(res.failed);
	assert_int_equal(res.stage, CW_ST_DECODE);
	assert_string_equal(res.code, "truncated");
	res = drive_result(&toy, 2);
	assert_false(res.failed);
	assert_memory_equal(res.cosines, before.cosines,
	    toy.set.nprompts * sizeof(float));
	res = drive_result(&toy, 3);
	assert_true(res.failed);
	assert_int_equal(res.stage, CW_ST_DECODE);
	res = drive_result(&toy, 4);
	assert_true(res.failed);
	assert_string_equal(res.code, "empty");
}

static void
test_a_policy_that_is_not_there_is_an_error(void **state)
{
	const char *none[] = { "nosuch" }, *one[] = { "toy" };
	struct cw_job j;
	struct cw_result res;

	(void)state;
	need_toy();
	j = scene_job(0);
	j.policies = none;
	j.npolicies = 1;
	drive_job(&toy, &j, 1, false);
	res = drive_result(&toy, 1);
	assert_true(res.failed);
	assert_string_equal(res.code, "unknown_policy");
	j.policies = one;
	drive_job(&toy, &j, 2, false);
	res = drive_result(&toy, 2);
	assert_false(res.failed);
	assert_int_equal(res.cats[0].source, CW_FROM_IMAGE);
}

static void
test_a_stored_embedding_scores_like_its_image(void **state)
{
	const struct cw_result image = (need_toy(), score_scene(3));
	struct cw_job j = { .id = "again", .text = "", .surface = "",
		.uploader = "", .embeds = image.embeds,
		.nembeds = image.embed };
	struct cw_result res;

	(void)state;
	drive_job(&toy, &j, 7, false);
	res = drive_result(&toy, 7);
	assert_false(res.failed);
	assert_int_equal(res.nmaps, 0);
	for (uint32_t i = 0; i < THINGS; i++)
		assert_true(fabsf(res.cats[i].score - image.cats[i].score) <
		    1e-5f);
	j.nembeds--;
	drive_job(&toy, &j, 8, false);
	res = drive_result(&toy, 8);
	assert_true(res.failed);
	assert_string_equal(res.code, "wrong_embedding");
}

static void
test_vectors_brought_along_are_not_encoded_again(void **state)
{
	struct cw_policy_set set;
	struct cw_policy_done first, second;
	struct cw_result a, b;

	(void)state;
	need_toy();
	set = toy_set(toy.arena, CW_SOFTMAX, 20);
	first = drive_policies(&toy, &set, NULL, 0);
	a = score_scene(6);
	set.generation = 21;
	second = drive_policies(&toy, &set, first.rows, first.nrows);
	assert_true(second.ok);
	assert_int_equal(second.nrows, 0);
	b = score_scene(6);
	for (uint32_t i = 0; i < THINGS; i++)
		assert_true(fabsf(a.cats[i].margin - b.cats[i].margin) < 1e-5f);
}

static void
test_a_bad_prompt_leaves_the_old_policies(void **state)
{
	struct cw_policy_set set;
	struct cw_policy_done done;
	struct cw_result a, b;

	(void)state;
	need_toy();
	a = score_scene(7);
	set = toy_set(toy.arena, CW_SOFTMAX, 30);
	set.policies[0].categories[4].prompts[0].text = "x <|endoftext|> y";
	done = drive_policies(&toy, &set, NULL, 0);
	assert_false(done.ok);
	assert_non_null(strstr(done.message, "toy.4"));
	b = score_scene(7);
	assert_memory_equal(a.cosines, b.cosines,
	    toy.set.nprompts * sizeof(float));
}

static void
test_a_bench_answers_one_line(void **state)
{
	const struct cw_bench_msg m = { .batch = 2, .rounds = 3,
		.explain = true };
	struct cw_frame f;
	struct cw_pack w;
	json_t *o;

	(void)state;
	need_toy();
	cw_pack_init(&w, toy.arena, 64);
	cw_bench_msg_pack(&m, &w);
	drive_send(&toy, CW_F_BENCH, 0, 1, &w);
	f = drive_expect(&toy, CW_F_BENCH_DONE);
	o = json_loadb(f.body, f.len, 0, NULL);
	assert_non_null(o);
	assert_true(json_number_value(json_object_get(o, "images_per_s")) > 0);
	assert_true(json_is_object(json_object_get(o, "explain")));
	json_decref(o);
}

static void
test_a_worker_without_a_model_says_why_and_exits_78(void **state)
{
	struct drive d;
	struct cw_init init;
	struct cw_frame f;
	struct cw_pack w;
	int status;

	(void)state;
	drive_spawn(&d);
	init = drive_init(d.arena, "/nonexistent/model");
	init.nplugins = 0;
	cw_pack_init(&w, d.arena, 1024);
	cw_init_pack(&init, &w);
	drive_send(&d, CW_F_INIT, 0, 0, &w);
	f = drive_next(&d);
	assert_int_equal(f.type, CW_F_FATAL);
	assert_non_null(strstr(d.said, "/nonexistent/model"));
	status = drive_stop(&d);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 78);
}

static void
test_a_worker_that_is_told_nonsense_ends(void **state)
{
	struct cw_pack w;
	struct drive d;
	int status;

	(void)state;
	drive_spawn(&d);
	cw_pack_init(&w, d.arena, 64);
	cw_put_u64(&w, 12345);
	drive_send(&d, CW_F_JOB, 0, 0, &w);
	assert_int_equal(drive_next(&d).type, CW_F_FATAL);
	status = drive_stop(&d);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_scenes_get_the_scores_and_maps_of_the_reference),
		cmocka_unit_test(test_a_bad_image_fails_alone),
		cmocka_unit_test(test_a_policy_that_is_not_there_is_an_error),
		cmocka_unit_test(test_a_stored_embedding_scores_like_its_image),
		cmocka_unit_test(
		    test_vectors_brought_along_are_not_encoded_again),
		cmocka_unit_test(test_a_bad_prompt_leaves_the_old_policies),
		cmocka_unit_test(test_a_bench_answers_one_line),
		cmocka_unit_test(
		    test_a_worker_without_a_model_says_why_and_exits_78),
		cmocka_unit_test(test_a_worker_that_is_told_nonsense_ends),
	};

	return cmocka_run_group_tests_name("pipeline", tests, setup, teardown);
}
