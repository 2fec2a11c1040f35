/*
 * test_generation.c - which text vectors are taken from a worker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/generation.h"

#define FLOATS	4u	/* of a vector */
#define PROMPTS	4u	/* two, and two neutral ones */

static const char policy[] =
    "schema: clipward.policy/1\nid: v\n"
    "categories:\n  - {id: v.a, prompts: [a gun, a knife]}\n"
    "neutral: [a dog, a cat]\n"
    "thresholds: {review: 0.5, block: 0.9}\n";

/* Unit vectors: axis[i] is 1 at i. */
static const float axis[PROMPTS][FLOATS] = {
	{ 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 }, { 0, 0, 0, 1 },
};

static struct cw_generation *g;
static struct cw_err err;

static int
set_up(void **state)
{
	const char *path[] = { "/tmp/cw-generation-XXXXXX" };
	const struct cw_config cfg = { .policies = { path, 1 } };
	char name[64];
	int fd;

	(void)state;
	strcpy(name, path[0]);
	fd = mkstemp(name);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, policy, strlen(policy)), strlen(policy));
	close(fd);
	path[0] = name;
	assert_int_equal(cw_generation_read(&cfg, 1, &g, &err), CW_OK);
	unlink(name);
	assert_int_equal(g->set.nprompts, PROMPTS);
	assert_int_equal(cw_generation_recall(g, FLOATS, "model", NULL,
	    &err), CW_OK);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	cw_generation_unref(&g);
	return 0;
}

/* What a worker says that made vector i for prompt bank[i]. */
static enum cw_status
learn(const uint32_t *bank, uint32_t n)
{
	struct cw_bank_row rows[PROMPTS + 1];
	const struct cw_policy_done done = { .ok = true, .rows = rows,
		.nrows = n, .embed = FLOATS };

	for (uint32_t i = 0; i < n; i++)
		rows[i] = (struct cw_bank_row){ bank[i], axis[i % PROMPTS] };
	return cw_generation_learn(g, &done, "model", NULL, &err);
}

static void
test_vectors_that_are_missing_are_taken(void **state)
{
	const uint32_t all[] = { 3, 2, 1, 0 };

	(void)state;
	assert_int_equal(learn(all, PROMPTS), CW_OK);
	assert_int_equal(g->missing, 0);
	assert_memory_equal(g->vecs, axis[3], sizeof(axis[3]));
}

static void
test_a_vector_that_is_known_is_not_replaced(void **state)
{
	const uint32_t all[] = { 0, 1, 2, 3 }, again[] = { 2 };

	(void)state;
	assert_int_equal(learn(all, PROMPTS), CW_OK);
	assert_int_equal(learn(again, 1), CW_E_FORMAT);
	assert_string_equal(err.text, "POLICY_DONE: prompt 2 has its vector");
	assert_memory_equal(g->vecs, axis, sizeof(axis));
}

static void
test_one_prompt_twice_is_refused_whole(void **state)
{
	const uint32_t twice[] = { 0, 1, 2, 3, 1 };

	(void)state;
	assert_int_equal(learn(twice, PROMPTS + 1), CW_E_FORMAT);
	assert_int_equal(g->missing, PROMPTS);
}

static void
test_a_prompt_without_a_vector_is_missed(void **state)
{
	const uint32_t most[] = { 0, 1, 3 };

	(void)state;
	assert_int_equal(learn(most, 3), CW_E_FORMAT);
	assert_int_equal(g->missing, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_vectors_that_are_missing_are_taken, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_vector_that_is_known_is_not_replaced, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_one_prompt_twice_is_refused_whole, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_prompt_without_a_vector_is_missed, set_up,
		    tear_down),
	};

	return cmocka_run_group_tests_name("generation", tests, NULL, NULL);
}
