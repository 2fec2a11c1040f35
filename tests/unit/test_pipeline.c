/*
 * test_pipeline.c - the real worker: batches in, results out, parts that sum.
 *
 * Scores and maps are compared with toy-scenes, a small trained CLIP that
 * knows four colours and three shapes (../shared/reference).  Without it the
 * tests that need it are skipped by name.
 */
#include "worker_drive.h"

#include <jansson.h>
#include <math.h>

#include "worker/image.h"
#include "worker/png_write.h"

#define TOY		"reference/toy-scenes"
#define SCENES		10
#define THINGS		12	/* prompts that name an object */
#define MARGIN_WITHIN	1e-4	/* logits; as scenes.json says */
#define COSINE_WITHIN	1e-5

static const char *const things[THINGS] = {
	"a red circle", "a red square", "a red cross", "a green circle",
	"a green square", "a green cross", "a blue circle", "a blue square",
	"a blue cross", "a yellow circle", "a yellow square", "a yellow cross",
};
static struct drive toy;
static json_t *scenes;

/* One policy: a category for each thing, against "an empty scene". */
static struct cw_policy_set
toy_set(struct cw_arena *a, enum cw_scoring scoring, uint64_t generation)
{
	static const char *bare[] = { "{}" };
	struct cw_policy_set set = { .generation = generation,
		.npolicies = 1 };
	struct cw_policy *p = cw_arena_zalloc(a, 1, sizeof(*p));
	struct cw_err err = { "" };

	*p = (struct cw_policy){ .id = "toy", .title = "Toy", .file = "",
		.version = 1, .templates = bare, .ntemplates = 1,
		.ncategories = THINGS, .nneutral = 1, .scoring = scoring,
		.explain_when = CW_WHEN_ALWAYS, .explain_top = THINGS,
		.on_error = CW_REVIEW };
	p->categories = cw_arena_zalloc(a, THINGS, sizeof(*p->categories));
	p->neutral = cw_arena_zalloc(a, 1, sizeof(*p->neutral));
	p->neutral[0] = (struct cw_prompt){ "an empty scene", 1 };
	for (int i = 0; i < THINGS; i++) {
		struct cw_category *c = &p->categories[i];

		*c = (struct cw_category){ .title = "A thing",
			.severity = CW_HIGH, .nprompts = 1,
			.reason = { "", "", "" },
			.thresholds = { 0.6f, 0.9f },
			.calibration = { .date = "" } };
		c->id = cw_arena_printf(a, "toy.%d", i);
		c->prompts = cw_arena_zalloc(a, 1, sizeof(*c->prompts));
		c->prompts[0] = (struct cw_prompt){ things[i], 1 };
	}
	set.policies = p;
	assert_int_equal(cw_policy_set_finish(&set, a, &err), CW_OK);
	return set;
}

static int
setup(void **state)
{
	struct cw_policy_done done;
	struct cw_policy_set set;
	struct cw_arena *a;
	struct cw_init init;
	struct cw_err err;
	const char *dir;

	(void)state;
	assert_int_equal(cw_arena_open(1u << 20, &a, &err), CW_OK);
	dir = drive_path(a, "CW_SHARED", TOY);
	if (dir == NULL || access(dir, R_OK) == -1) {
		cw_arena_close(&a);
		return 0;
	}
	scenes = json_load_file(cw_arena_printf(a, "%s/scenes.json", dir), 0,
	    NULL);
	assert_non_null(scenes);
	init = drive_init(a, dir);
	drive_start(&toy, &init);
	set = toy_set(toy.arena, CW_SOFTMAX, 1);
	done = drive_policies(&toy, &set, NULL, 0);
	if (!done.ok)
		fail_msg("%s", done.message);
	assert_int_equal(done.nrows, THINGS + 1);
	cw_arena_close(&a);
	return 0;
}

static int
teardown(void **state)
{
	int status;

	(void)state;
	if (scenes == NULL)
		return 0;
	json_decref(scenes);
	status = drive_stop(&toy);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return 0;
}

static void
need_toy(void)
{
	if (scenes == NULL)
		skip();
}

static json_t *
scene(int i)
{
	return json_array_get(json_object_get(scenes, "scenes"), (size_t)i);
}

static struct cw_job
scene_job(int i)
{
	const char *dir = drive_path(toy.arena, "CW_SHARED", TOY);

	return drive_image_job(&toy, cw_arena_printf(toy.arena, "scene-%d",
	    i), cw_arena_printf(toy.arena, "%s/scenes/%d.png", dir, i));
}

static struct cw_result
score_scene(int i)
{
	const struct cw_job j = scene_job(i);

	drive_job(&toy, &j, 900, false);
	return drive_result(&toy, 900);
}

static const struct cw_map *
map_of(const struct cw_result *res, uint32_t category)
{
	for (uint32_t i = 0; i < res->nmaps; i++)
		if (res->maps[i].category == category)
			return &res->maps[i];
	return NULL;
}

static double
gap(const struct cw_map *m)
{
	double sum = (double)m->class_token + m->mlp + m->out_bias +
	    m->embedding + m->ln_bias + m->entropy;

	for (uint32_t i = 0; i < m->gw * m->gh; i++)
		sum += m->values[i];
	return fabs(sum - m->total);
}

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

/*
 * A picture of w x h: background of a scene everywhere, and the scene itself,
 * twice as large, at (x, y).  PNG bytes.
 */
static struct cw_job
hidden_job(const uint8_t *rgb, int w, int h, int x, int y)
{
	struct cw_job j = { .id = "hidden", .text = "", .surface = "",
		.uploader = "" };
	uint8_t *big = cw_arena_alloc(toy.arena, (size_t)w * (size_t)h * 3);
	struct cw_err err = { "" };
	uint32_t seed = 1;
	uint8_t *png;

	for (int i = 0; i < w * h; i++) {
		const int bx = i % w - x, by = i / w - y;
		int from = by / 2 * 48 + bx / 2;

		seed = seed * 1664525u + 1013904223u;
		if (bx < 0 || by < 0 || bx >= 96 || by >= 96)
			from = (int)(seed >> 24) % 8 * 48 +
			    (int)(seed >> 16 & 0xff) % 8;
		memcpy(big + 3 * i, rgb + 3 * from, 3);
	}
	assert_int_equal(cw_png_write(big, NULL, w, h, toy.arena, &png,
	    &j.nimage, &err), CW_OK);
	j.image = png;
	return j;
}

static const uint8_t *
scene_pixels(int i)
{
	const struct cw_job j = scene_job(i);
	const struct cw_limits limits = { 1u << 20, 1u << 24, 1u << 20, 9, 1,
		1000 };
	struct cw_image im;
	struct cw_err err = { "" };
	const char *code;

	if (strstr(cw_plugin_names(), "png") == NULL)
		assert_int_equal(cw_plugin_load(drive_path(toy.arena,
		    "CW_BUILD", "plugins/png.so"), &err), CW_OK);
	if (cw_decode(j.image, j.nimage, &limits, 0, toy.arena, &im, &code,
	    &err) != CW_OK)
		fail_msg("%s", err.text);
	assert_int_equal(im.w, 48);
	return im.rgb;
}

/* What a category would have scored on the first view only. */
static float
centre_score(const struct cw_result *of, uint32_t category)
{
	const struct cw_job j = { .id = "centre", .text = "", .surface = "",
		.uploader = "", .embeds = of->embeds, .nembeds = of->embed };
	struct cw_result res;

	assert_int_equal(of->views[0].kind, CW_VIEW_CENTER);
	drive_job(&toy, &j, 1234, false);
	res = drive_result(&toy, 1234);
	assert_false(res.failed);
	return res.cats[category].score;
}

/* Where CLIP's centre crop never looks. */
static void
test_an_object_in_any_corner_is_found(void **state)
{
	static const struct {
		int	w, h, x, y;
	} corners[] = {
		{ 300, 110, 0, 0 }, { 300, 110, 204, 0 },
		{ 300, 110, 0, 14 }, { 300, 110, 204, 14 },
		{ 110, 300, 0, 0 }, { 110, 300, 14, 0 },
		{ 110, 300, 0, 204 }, { 110, 300, 14, 204 },
	};
	const uint8_t *rgb;

	(void)state;
	need_toy();
	rgb = scene_pixels(1);		/* a green square */
	for (size_t i = 0; i < CW_COUNT(corners); i++) {
		const struct cw_job j = hidden_job(rgb, corners[i].w,
		    corners[i].h, corners[i].x, corners[i].y);
		const struct cw_map *m;
		struct cw_result res;
		int32_t cx, cy;
		float centre;

		drive_job(&toy, &j, i, false);
		res = drive_result(&toy, i);
		assert_false(res.failed);
		m = map_of(&res, 4);
		centre = centre_score(&res, 4);
		print_message("corner %zu: score %.3f, centre alone %.3f\n",
		    i, res.cats[4].score, centre);
		assert_true(centre < 0.6f);
		assert_true(res.cats[4].score > 0.9f);
		assert_int_equal(res.views[m->view].kind, CW_VIEW_COVER);
		cx = m->regions[0].x + m->regions[0].w / 2;
		cy = m->regions[0].y + m->regions[0].h / 2;
		assert_true(cx >= corners[i].x && cx < corners[i].x + 96);
		assert_true(cy >= corners[i].y && cy < corners[i].y + 96);
	}
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

/* Another model, its pictures in batches of four, everything explained. */
static void
score_all(const char *model, const char *const *pictures, size_t n)
{
	struct drive d = { .fd = -1 };
	struct cw_policy_set set;
	struct cw_arena *a;
	struct cw_init init;
	struct cw_err err;
	double worst = 0;

	assert_int_equal(cw_arena_open(1u << 24, &a, &err), CW_OK);
	init = drive_init(a, model);
	drive_start(&d, &init);
	set = toy_set(a, CW_SOFTMAX, 1);
	assert_true(drive_policies(&d, &set, NULL, 0).ok);
	for (size_t i = 0; i < n; i++) {
		const struct cw_job j = drive_image_job(&d, cw_arena_printf(a,
		    "p%zu", i), pictures[i]);

		drive_job(&d, &j, i, i % 4 != 3 && i + 1 < n);
	}
	for (size_t i = 0; i < n; i++) {
		const struct cw_result res = drive_result(&d, i);

		if (res.failed)
			fail_msg("%s: %s", pictures[i], res.message);
		assert_int_equal(res.nmaps, THINGS);
		for (uint32_t k = 0; k < res.nmaps; k++)
			worst = fmax(worst, gap(&res.maps[k]));
	}
	print_message("%s: %zu pictures, largest |parts - margin| %.1e\n",
	    d.facts.name, n, worst);
	assert_true(worst <= 1e-4);
	assert_int_equal(drive_stop(&d), 0);
	cw_arena_close(&a);
}

static void
test_the_starter_explains_every_picture(void **state)
{
	const char *names[] = { "pets.jpg", "street.jpg", "fruit.png",
		"kitchen.png", "knife-on-table.jpg" };
	const char *pictures[CW_COUNT(names)], *model;
	struct cw_arena *a;
	struct cw_err err;

	(void)state;
	assert_int_equal(cw_arena_open(1u << 16, &a, &err), CW_OK);
	model = drive_path(a, "CW_BUILD", "../models/starter");
	for (size_t i = 0; i < CW_COUNT(names); i++)
		pictures[i] = drive_path(a, "CW_BUILD", cw_arena_printf(a,
		    "../tests/data/%s", names[i]));
	if (access(cw_arena_printf(a, "%s/model.safetensors", model), R_OK) ==
	    -1) {
		cw_arena_close(&a);
		skip();
	}
	score_all(model, pictures, CW_COUNT(names));
	cw_arena_close(&a);
}

static void
test_every_tower_explains_every_kind_of_picture(void **state)
{
	const char *models[] = { "tiny-vit", "tiny-vit-f16", "tiny-rn" };
	const char *names[] = { "bilevel.png", "cmyk.jpg", "exif6.jpg",
		"gray16.png", "palette_alpha.png", "rgba.png", "one.png",
		"tall.png", "wide.jpg" };
	const char *pictures[CW_COUNT(names)];
	struct cw_arena *a;
	struct cw_err err;

	(void)state;
	need_toy();
	assert_int_equal(cw_arena_open(1u << 16, &a, &err), CW_OK);
	for (size_t i = 0; i < CW_COUNT(names); i++)
		pictures[i] = drive_path(a, "CW_SHARED", cw_arena_printf(a,
		    "reference/fixtures/images/%s", names[i]));
	for (size_t i = 0; i < CW_COUNT(models); i++)
		score_all(drive_path(a, "CW_SHARED", cw_arena_printf(a,
		    "reference/fixtures/%s", models[i])), pictures,
		    CW_COUNT(names));
	cw_arena_close(&a);
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
		    test_a_text_beside_the_picture_is_scored_by_its_words),
		cmocka_unit_test(test_a_long_text_hides_nothing),
		cmocka_unit_test(test_a_map_bears_being_masked),
		cmocka_unit_test(test_rival_methods_make_maps_too),
		cmocka_unit_test(test_pictures_come_before_their_result),
		cmocka_unit_test(test_an_object_in_any_corner_is_found),
		cmocka_unit_test(
		    test_texts_are_tokenized_embedded_and_taken_apart),
		cmocka_unit_test(
		    test_linear_scorings_are_explained_by_the_same_code),
		cmocka_unit_test(
		    test_vectors_brought_along_are_not_encoded_again),
		cmocka_unit_test(test_a_bad_prompt_leaves_the_old_policies),
		cmocka_unit_test(test_a_bench_answers_one_line),
		cmocka_unit_test(test_the_starter_explains_every_picture),
		cmocka_unit_test(
		    test_every_tower_explains_every_kind_of_picture),
		cmocka_unit_test(
		    test_a_worker_without_a_model_says_why_and_exits_78),
		cmocka_unit_test(test_a_worker_that_is_told_nonsense_ends),
	};

	return cmocka_run_group_tests_name("pipeline", tests, setup, teardown);
}
