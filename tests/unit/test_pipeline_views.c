/*
 * test_pipeline_views.c - the real worker sees every pixel and every frame,
 * with every tower and with the model that ships.
 */
#include "worker_toy.h"

#include "worker/image.h"
#include "worker/png_write.h"

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

/* Is every category's score what its cosines and its view's neutral one say? */
static void
check_own_scores(const struct cw_result *res)
{
	const struct cw_policy *p = &toy.set.policies[0];
	const uint32_t views = cw_result_views(p, res->cats);
	float cos[THINGS + 1];

	memcpy(cos, res->cosines, sizeof(cos));
	for (uint32_t i = 0; i < THINGS; i++) {
		const uint32_t before = views & ((1u << res->cats[i].view) - 1);
		const int n = __builtin_popcount(before);
		struct cw_score s;
		double contrast;

		cos[p->neutral_bank] = n == 0 ?
		    res->cosines[p->neutral_bank] : res->further[n - 1];
		assert_int_equal(cw_policy_contrast(p, cos,
		    toy.facts.logit_scale, &contrast), CW_OK);
		assert_int_equal(cw_policy_score(p, &p->categories[i], cos,
		    contrast, toy.facts.logit_scale, "", NULL, &s), CW_OK);
		assert_true(s.score == res->cats[i].score);
		assert_true(s.margin == res->cats[i].margin);
	}
}

/* Score a picture, and what is stored of it; returns how much is further. */
static size_t
check_picture_and_embeddings(const struct cw_job *j)
{
	struct cw_job again = { .id = "again", .text = "", .surface = "",
		.uploader = "" };
	struct cw_result res, stored;
	size_t n;

	drive_job(&toy, j, 1, false);
	res = drive_result(&toy, 1);
	assert_false(res.failed);
	check_own_scores(&res);
	again.embeds = res.embeds;
	again.nembeds = res.embed * res.nviews;
	drive_job(&toy, &again, 2, false);
	stored = drive_result(&toy, 2);
	assert_false(stored.failed);
	check_own_scores(&stored);
	n = cw_result_nfurther(&toy.set, res.cats);
	assert_int_equal(cw_result_nfurther(&toy.set, stored.cats), n);
	for (uint32_t i = 0; i < THINGS; i++)
		assert_int_equal(stored.cats[i].view, res.cats[i].view);
	for (size_t i = 0; i < n; i++)
		assert_true(fabsf(stored.further[i] - res.further[i]) < 1e-5f);
	return n;
}

static void
test_a_result_holds_what_its_scores_are_made_of(void **state)
{
	const uint8_t *rgb = (need_toy(), scene_pixels(1));
	size_t several = 0;

	(void)state;
	for (int x = 0; x <= 204; x += 34) {
		const struct cw_job j = hidden_job(rgb, 300, 110, x, 14);

		several += check_picture_and_embeddings(&j);
	}
	assert_true(several > 0);
}

/*
 * An animation of n frames of 48 x 48 pixels, as a GIF: five levels a channel,
 * and a clear code so often that every code is one byte.
 */
static struct cw_job
animation_job(const uint8_t *const *frames, int n)
{
	struct cw_job j = { .id = "animation", .text = "", .surface = "",
		.uploader = "" };
	uint8_t *out = cw_arena_alloc(toy.arena, 1024 + (size_t)n * 4096);
	uint8_t *p = out;

	memcpy(p, "GIF89a\x30\0\x30\0\xf6\0\0", 13);
	p += 13;
	for (int i = 0; i < 128; i++) {
		const int k = i < 125 ? i : 0;

		*p++ = (uint8_t)(k / 25 * 63);
		*p++ = (uint8_t)(k / 5 % 5 * 63);
		*p++ = (uint8_t)(k % 5 * 63);
	}
	for (int f = 0; f < n; f++) {
		memcpy(p, ",\0\0\0\0\x30\0\x30\0\0\x07", 11);
		p += 11;
		for (int i = 0; i < 48 * 48; i += 96) {
			*p++ = 97;		/* bytes of this block */
			*p++ = 128;		/* clear */
			for (int k = i; k < i + 96; k++) {
				const uint8_t *c = frames[f] + 3 * k;

				*p++ = (uint8_t)((c[0] + 31) / 63 * 25 +
				    (c[1] + 31) / 63 * 5 + (c[2] + 31) / 63);
			}
		}
		memcpy(p, "\1\x81\0", 3);	/* end, and no more blocks */
		p += 3;
	}
	*p++ = ';';
	j.image = out;
	j.nimage = (size_t)(p - out);
	return j;
}

static void
test_an_object_in_the_last_frame_is_found(void **state)
{
	uint8_t noise[48 * 48 * 3];
	const uint8_t *rgb, *frames[5] = { noise, noise, noise, noise };
	struct cw_result res;
	struct cw_job j;
	uint32_t seed = 1;

	(void)state;
	need_toy();
	if (strstr(toy.facts.plugins, "gif") == NULL)
		skip();
	rgb = scene_pixels(1);		/* a green square */
	for (int i = 0; i < 48 * 48; i++) {
		seed = seed * 1664525u + 1013904223u;
		memcpy(noise + 3 * i, rgb + 3 * ((int)(seed >> 24) % 8 * 48 +
		    (int)(seed >> 16 & 0xff) % 8), 3);
	}
	frames[4] = rgb;
	j = animation_job(frames, 5);
	drive_job(&toy, &j, 3, false);
	res = drive_result(&toy, 3);
	if (res.failed)
		fail_msg("%s", res.message);
	assert_string_equal(res.format, "gif");
	assert_int_equal(res.frames, 5);
	assert_int_equal(res.nviews, 5);
	assert_true(res.cats[4].score > 0.9f);
	assert_int_equal(res.views[res.cats[4].view].frame, 4);
	assert_true(centre_score(&res, 4) < 0.6f);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_object_in_any_corner_is_found),
		cmocka_unit_test(
		    test_a_result_holds_what_its_scores_are_made_of),
		cmocka_unit_test(test_an_object_in_the_last_frame_is_found),
		cmocka_unit_test(test_the_starter_explains_every_picture),
		cmocka_unit_test(
		    test_every_tower_explains_every_kind_of_picture),
	};

	return cmocka_run_group_tests_name("pipeline_views", tests, setup,
	    teardown);
}
