/*
 * test_pipeline_extras.c - the real worker, asked for more than scores: its
 * pictures and measures are bounded and cost the neighbours nothing.
 */
#include "worker_toy.h"

#include "worker/png_write.h"

#define EVERYTHING	(CW_ART_OVERLAY | CW_ART_REDACTED | \
			    CW_ART_INVERTED | CW_ART_CURVES)

/* A second worker with the toy's policies, and bounds. */
static struct drive
bounded(uint32_t pictures, uint32_t extras_ms)
{
	const struct cw_policy_set set = toy_set(toy.arena, CW_SOFTMAX, 7);
	struct cw_init init = drive_init(toy.arena, drive_path(toy.arena,
	    "CW_SHARED", TOY));
	struct drive d;

	init.pictures = pictures;
	init.extras_ms = extras_ms;
	drive_start(&d, &init);
	assert_true(drive_policies(&d, &set, NULL, 0).ok);
	return d;
}

static void
end(struct drive *d)
{
	const int status = drive_stop(d);

	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Kinds of the pictures that come for a job, in their order; its result. */
static uint32_t
pictures(struct drive *d, uint64_t id, uint32_t *kinds, uint32_t room,
    struct cw_result *res)
{
	uint32_t n = 0;

	for (;;) {
		const struct cw_frame f = drive_next(d);
		struct cw_err err = { "" };
		struct cw_unpack r;
		size_t bytes;

		assert_int_equal(f.id, id);
		cw_unpack_init(&r, f.body, f.len);
		if (f.type == CW_F_RESULT) {
			assert_int_equal(cw_result_unpack(&r, &d->set,
			    d->arena, res, &err), CW_OK);
			return n;
		}
		assert_int_equal(f.type, CW_F_ARTIFACT);
		assert_true(n < room);
		kinds[n++] = cw_get_u32(&r);
		(void)cw_get_str(&r, 256, d->arena);
		(void)cw_get_blob(&r, CW_ARTIFACT_BYTES, &bytes);
		assert_true(cw_unpack_end(&r) && bytes > 8);
	}
}

static void
test_who_asks_for_scores_alone_is_answered_first(void **state)
{
	struct cw_job rich = (need_toy(), scene_job(2)), plain = scene_job(0),
	    measured = scene_job(3);
	uint32_t kinds[2 + 2 * THINGS];
	struct cw_result res;

	(void)state;
	rich.artifacts = EVERYTHING;
	measured.faithfulness = true;
	drive_job(&toy, &rich, 1, true);
	drive_job(&toy, &plain, 2, true);
	drive_job(&toy, &measured, 3, true);
	drive_job(&toy, &plain, 4, false);
	assert_false(drive_result(&toy, 2).failed);
	assert_false(drive_result(&toy, 4).failed);
	assert_int_equal(pictures(&toy, 1, kinds, CW_COUNT(kinds), &res),
	    2 + 2 * THINGS);
	assert_false(res.failed);
	assert_int_equal(res.nmaps, THINGS);
	res = drive_result(&toy, 3);
	assert_false(res.failed);
	assert_true(res.maps[THINGS - 1].measured);
}

static void
test_no_more_pictures_than_an_answer_carries(void **state)
{
	uint32_t kinds[4];
	struct cw_result res;
	struct cw_job j;
	struct drive d;

	(void)state;
	need_toy();
	d = bounded(4, 0);
	j = scene_job(2);
	j.artifacts = EVERYTHING;
	drive_job(&d, &j, 1, false);
	assert_int_equal(pictures(&d, 1, kinds, 4, &res), 4);
	assert_int_equal(kinds[0], CW_ART_REDACTED);
	assert_int_equal(kinds[1], CW_ART_INVERTED);
	assert_int_equal(kinds[2], CW_ART_OVERLAY);
	assert_int_equal(kinds[3], CW_ART_CURVES);
	assert_false(res.failed);
	assert_int_equal(res.nmaps, THINGS);
	assert_non_null(strstr(d.said, "4 pictures are enough"));
	j.artifacts = CW_ART_OVERLAY;
	drive_job(&d, &j, 2, false);
	assert_int_equal(pictures(&d, 2, kinds, 4, &res), 4);
	end(&d);
}

static void
test_what_takes_too_long_is_left_out(void **state)
{
	uint32_t kinds[2 * THINGS], measures = 0;
	struct cw_result res;
	struct cw_job j;
	struct drive d;

	(void)state;
	need_toy();
	d = bounded(0, 5);
	j = scene_job(2);
	j.artifacts = CW_ART_CURVES | CW_ART_OVERLAY;
	drive_job(&d, &j, 1, false);
	assert_true(pictures(&d, 1, kinds, CW_COUNT(kinds), &res) <
	    CW_COUNT(kinds));
	assert_false(res.failed);
	assert_int_equal(res.nmaps, THINGS);
	assert_non_null(strstr(d.said, "5 ms"));
	j.artifacts = 0;
	j.faithfulness = true;
	drive_job(&d, &j, 2, false);
	res = drive_result(&d, 2);
	assert_false(res.failed);
	for (uint32_t i = 0; i < res.nmaps; i++)
		measures += res.maps[i].measured;
	assert_true(measures < THINGS);
	assert_non_null(strstr(d.said, "what=faithfulness"));
	end(&d);
}

/* Each has the memory of the one before it, however many there are. */
static void
test_pictures_of_many_jobs_do_not_add_up(void **state)
{
	uint32_t kinds[2 + 2 * THINGS];
	struct cw_result res;
	struct cw_job j;

	(void)state;
	need_toy();
	j = scene_job(4);
	j.artifacts = EVERYTHING & ~(unsigned)CW_ART_CURVES;
	for (uint64_t i = 1; i <= 4; i++)
		drive_job(&toy, &j, i, i < 4);
	for (uint64_t i = 1; i <= 4; i++) {
		assert_int_equal(pictures(&toy, i, kinds, CW_COUNT(kinds),
		    &res), 2 + THINGS);
		assert_false(res.failed);
	}
}

static void
test_a_picture_larger_than_an_answer_is_not_made(void **state)
{
	const int side = 3400;		/* of noise: 34.7 MB, whatever is tried */
	struct cw_err err = { "" };
	struct cw_arena *a;
	uint32_t x = 0x2545f491;
	uint8_t *rgb, *png;
	size_t n;

	(void)state;
	assert_int_equal(cw_arena_open((size_t)256 << 20, &a, &err), CW_OK);
	rgb = cw_arena_alloc(a, (size_t)side * side * 3);
	assert_non_null(rgb);
	for (size_t i = 0; i < (size_t)side * side * 3; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		rgb[i] = (uint8_t)(x >> 11);
	}
	assert_int_equal(cw_png_write(rgb, NULL, side, side, a, &png, &n,
	    &err), CW_E_LIMIT);
	assert_non_null(strstr(err.text, "3400 x 3400"));
	assert_int_equal(cw_png_write(rgb, NULL, side, side / 2, a, &png, &n,
	    &err), CW_OK);
	cw_arena_close(&a);
}

/* The scene's own thing is flagged; its map is made, or the reason given. */
static void
test_a_flag_without_a_map_says_why(void **state)
{
	struct cw_result res;
	struct cw_job j;

	(void)state;
	need_toy();
	j = scene_job(2);	/* a blue cross */
	res = score_scene(2);
	assert_true(res.cats[8].score > 0.9f);
	for (uint32_t i = 0; i < THINGS; i++)
		assert_int_equal(res.cats[i].no_map, CW_MAP_MADE);
	j.explain_set = true;
	j.explain = CW_WHEN_NEVER;
	drive_job(&toy, &j, 1, true);
	j.explain = CW_WHEN_ALWAYS;
	j.nimage = 0;
	j.embeds = res.embeds;
	j.nembeds = res.embed;
	drive_job(&toy, &j, 2, false);
	res = drive_result(&toy, 1);
	assert_int_equal(res.nmaps, 0);
	assert_int_equal(res.cats[8].no_map, CW_NO_MAP_NEVER);
	assert_int_equal(res.cats[0].no_map, CW_MAP_MADE);
	res = drive_result(&toy, 2);
	assert_int_equal(res.nmaps, 0);
	assert_int_equal(res.cats[8].no_map, CW_NO_MAP_STORED);
}

/* A policy that explains one category, and a picture that flags every one. */
static void
test_harsher_categories_take_the_maps(void **state)
{
	struct cw_policy_set set;
	struct cw_result res;
	uint32_t absent = 0;

	(void)state;
	need_toy();
	set = toy_set(toy.arena, CW_SOFTMAX, 8);
	set.policies[0].explain_top = 1;
	for (int i = 0; i < THINGS; i++)
		set.policies[0].categories[i].thresholds =
		    (struct cw_thresholds){ 0, 1 };
	assert_true(drive_policies(&toy, &set, NULL, 0).ok);
	res = score_scene(2);
	assert_int_equal(res.nmaps, 1);
	for (uint32_t i = 0; i < THINGS; i++)
		absent += res.cats[i].no_map == CW_NO_MAP_TOP;
	assert_int_equal(absent, THINGS - 1);
	assert_int_equal(res.cats[res.maps[0].category].no_map, CW_MAP_MADE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_who_asks_for_scores_alone_is_answered_first),
		cmocka_unit_test(test_no_more_pictures_than_an_answer_carries),
		cmocka_unit_test(test_what_takes_too_long_is_left_out),
		cmocka_unit_test(test_pictures_of_many_jobs_do_not_add_up),
		cmocka_unit_test(
		    test_a_picture_larger_than_an_answer_is_not_made),
		cmocka_unit_test(test_a_flag_without_a_map_says_why),
		cmocka_unit_test(test_harsher_categories_take_the_maps),
	};

	return cmocka_run_group_tests_name("pipeline_extras", tests, setup,
	    teardown);
}
