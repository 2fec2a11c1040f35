/*
 * worker_toy.h - a worker with toy-scenes, a small trained CLIP that knows four
 * colours and three shapes (../shared/reference), for the tests that need a
 * model whose decisions mean something.  Without it they are skipped by name.
 */
#ifndef CW_TEST_WORKER_TOY_H
#define CW_TEST_WORKER_TOY_H

#include "worker_drive.h"

#include <jansson.h>
#include <math.h>

#define TOY		"reference/toy-scenes"
#define SCENES		10
#define THINGS		12	/* prompts that name an object */

static const char *const things[THINGS] = {
	"a red circle", "a red square", "a red cross", "a green circle",
	"a green square", "a green cross", "a blue circle", "a blue square",
	"a blue cross", "a yellow circle", "a yellow square", "a yellow cross",
};
static struct drive toy;
static json_t *scenes;

/* One policy: a category for each thing, against "an empty scene". */
static inline struct cw_policy_set
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

static inline int
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

static inline int
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

static inline void
need_toy(void)
{
	if (scenes == NULL)
		skip();
}

static inline json_t *
scene(int i)
{
	return json_array_get(json_object_get(scenes, "scenes"), (size_t)i);
}

static inline struct cw_job
scene_job(int i)
{
	const char *dir = drive_path(toy.arena, "CW_SHARED", TOY);

	return drive_image_job(&toy, cw_arena_printf(toy.arena, "scene-%d",
	    i), cw_arena_printf(toy.arena, "%s/scenes/%d.png", dir, i));
}

static inline struct cw_result
score_scene(int i)
{
	const struct cw_job j = scene_job(i);

	drive_job(&toy, &j, 900, false);
	return drive_result(&toy, 900);
}

static inline const struct cw_map *
map_of(const struct cw_result *res, uint32_t category)
{
	for (uint32_t i = 0; i < res->nmaps; i++)
		if (res->maps[i].category == category)
			return &res->maps[i];
	return NULL;
}

static inline double
gap(const struct cw_map *m)
{
	double sum = (double)m->class_token + m->mlp + m->out_bias +
	    m->embedding + m->ln_bias + m->entropy;

	for (uint32_t i = 0; i < m->gw * m->gh; i++)
		sum += m->values[i];
	return fabs(sum - m->total);
}

#endif /* CW_TEST_WORKER_TOY_H */
