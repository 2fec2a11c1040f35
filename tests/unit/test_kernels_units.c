/*
 * test_kernels_units.c - rows that belong together, which a kernel may multiply
 * in sums of their own: see fp32_strassen.h.
 */
#define MAX	(1 << 19)
#include "product.h"

static void
test_units_of_rows_multiply_on_all_remainders(void **state)
{
	static const struct { int units, rows; } heights[] = { { 1, 23 },
	    { 3, 24 }, { 2, 25 }, { 1, 29 }, { 4, 49 }, { 2, 50 }, { 1, 83 },
	    { 1, 257 } };
	static const struct { int in, out; } sizes[] = { { 256, 64 },
	    { 288, 128 }, { 320, 96 }, { 272, 64 }, { 256, 65 }, { 1600, 64 },
	    { 2432, 64 } };
	const struct cw_kernel *k;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
		for (size_t i = 0; i < CW_COUNT(heights) && !k->int8 &&
		    k->supported(); i++)
			for (size_t j = 0; j < CW_COUNT(sizes); j++) {
				int rows = heights[i].units * heights[i].rows;

				/* what fits the buffers */
				if (rows * (sizes[j].in + 3) > MAX)
					continue;
				check_units(k, rows, heights[i].rows,
				    sizes[j].in, sizes[j].out,
				    (enum cw_act)((i + j) % 4), j % 2 == 0,
				    i % 2 == 0);
			}
	/* many groups through a depth in chunks, added to what was there */
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
		if (!k->int8 && k->supported())
			check_units(k, 257, 257, 1600, 64, CW_ACT_NONE, true,
			    true);
}

/* Each row's error is as small beside its own results as it is alone. */
static void
test_small_rows_lose_nothing_beside_large_ones(void **state)
{
	enum { UNIT = 50, IN = 768, OUT = 64 };
	static const float sizes[] = { 1, 15, 60, 100, 1e4f, 1e8f,
	    1e30f };
	const struct cw_input in = { x, UNIT, IN, UNIT };
	const struct cw_kernel *k;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
		for (size_t i = 0; i < CW_COUNT(sizes) && !k->int8 &&
		    k->supported(); i++) {
			size_t mark = cw_arena_mark(arena);
			void *p = cw_arena_alloc(arena,
			    k->packed_bytes(IN, OUT));
			struct cw_linear l = { IN, OUT, w, NULL, k, p };

			refill(NULL);
			for (int j = 0; j < IN; j++)
				x[7 * IN + j] *= sizes[i];
			k->pack(w, NULL, IN, OUT, p);
			cw_linear_apply(&l, &in, y, OUT, CW_ACT_NONE, NULL,
			    arena);
			for (int r = 0; r < UNIT; r++) {
				double worst = 0, top = 0;

				for (int o = 0; o < OUT; o++) {
					double sum = 0;

					for (int j = 0; j < IN; j++)
						sum += (double)x[r * IN + j] *
						    w[o * IN + j];
					worst = fmax(worst, fabs(sum -
					    y[r * OUT + o]));
					top = fmax(top, fabs(sum));
				}
				near(k->name, "share", r, (int)i, worst / top,
				    0, 2e-5);
			}
			cw_arena_release(arena, mark);
		}
}

/* A column's error is as small beside its own results as it is alone. */
static void
check_columns(const struct cw_kernel *k, int large)
{
	enum { UNIT = 51, IN = 1600, OUT = 128 };
	const struct cw_input in = { x, UNIT, IN, UNIT };
	size_t mark = cw_arena_mark(arena);
	void *p = cw_arena_alloc(arena, k->packed_bytes(IN, OUT));
	struct cw_linear l = { IN, OUT, w, bias, k, p };

	refill(NULL);
	for (int i = 0; i < IN; i++)
		w[large * IN + i] *= 1e4f;
	k->pack(w, NULL, IN, OUT, p);
	cw_linear_apply(&l, &in, y, OUT, CW_ACT_NONE, res, arena);
	for (int o = 0; o < OUT; o++) {
		double worst = 0, top = 0;

		for (int r = 0; r < UNIT; r++) {
			double sum = (double)bias[o] + res[r * OUT + o];

			for (int i = 0; i < IN; i++)
				sum += (double)x[r * IN + i] * w[o * IN + i];
			worst = fmax(worst, fabs(sum - y[r * OUT + o]));
			top = fmax(top, fabs(sum));
		}
		near(k->name, "share", large, o, worst / top, 0, 1e-5);
	}
	cw_arena_release(arena, mark);
}

static void
test_small_columns_lose_nothing_beside_large_ones(void **state)
{
	const struct cw_kernel *k;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
		for (int large = 0; large < 128 && !k->int8 &&
		    k->supported(); large += 13)
			check_columns(k, large);
}

static void
test_a_unit_without_scratch_keeps_none(void **state)
{
	enum { UNIT = 51, IN = 512, OUT = 64 };
	const struct cw_input in = { x, UNIT, IN, UNIT };
	const struct cw_kernel *k;
	struct cw_err err;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
		for (size_t room = 4096; room < CW_LINEAR_SCRATCH &&
		    k->supported() && strcmp(k->name, "openblas") != 0;
		    room *= 2) {
			size_t mark = cw_arena_mark(arena);
			void *p = cw_arena_alloc(arena,
			    k->packed_bytes(IN, OUT));
			struct cw_linear l = { IN, OUT, w, NULL, k, p };
			struct cw_arena *small;

			assert_int_equal(cw_arena_open(room, &small, &err),
			    CW_OK);
			k->pack(w, NULL, IN, OUT, p);
			cw_linear_apply(&l, &in, y, OUT, CW_ACT_NONE, NULL,
			    small);
			assert_int_equal(cw_arena_used(small), 0);
			if (room == 4096)
				assert_true(cw_arena_overflowed(small));
			cw_arena_close(&small);
			cw_arena_release(arena, mark);
		}
}

static void
test_a_unit_does_not_depend_on_another(void **state)
{
	enum { UNIT = 51, UNITS = 3, IN = 320, OUT = 64 };
	const struct cw_input all = { x, UNITS * UNIT, IN, UNIT };
	const struct cw_kernel *k;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
		size_t mark = cw_arena_mark(arena);
		void *p = cw_arena_alloc(arena, k->packed_bytes(IN, OUT));
		struct cw_linear l = { IN, OUT, w, bias, k, p };

		/* a library's sums are its own business */
		if (!k->supported() || strcmp(k->name, "openblas") == 0)
			continue;
		refill(NULL);
		k->pack(w, NULL, IN, OUT, p);
		cw_linear_apply(&l, &all, y, OUT, CW_ACT_GELU, NULL, arena);
		for (int u = 0; u < UNITS; u++) {
			const struct cw_input one = { x + u * UNIT * IN, UNIT,
			    IN, UNIT };

			cw_linear_apply(&l, &one, res, OUT, CW_ACT_GELU, NULL,
			    arena);
			assert_memory_equal(res, y + u * UNIT * OUT,
			    UNIT * OUT * sizeof(*y));
		}
		/* nor does what is no number leave its own */
		x[UNIT * IN + 7] = NAN;
		cw_linear_apply(&l, &all, y, OUT, CW_ACT_NONE, NULL, arena);
		for (int i = 0; i < UNITS * UNIT * OUT; i++)
			if (i / OUT / UNIT != 1)
				assert_true(isfinite(y[i]));
		assert_true(isnan(y[UNIT * OUT]));
		cw_arena_release(arena, mark);
	}
}

/* Sums of 8 bits are exact: many rows are to the bit what each is alone. */
static void
check_alone(const struct cw_kernel *k, const float *eps, int rows, int in,
    int out, enum cw_act act)
{
	size_t mark = cw_arena_mark(arena);
	void *p = cw_arena_alloc(arena, k->packed_bytes(in, out));
	float *alone = cw_arena_floats(arena, (size_t)out);
	struct cw_linear l = { in, out, w, bias, k, p };

	k->pack(w, NULL, in, out, p);
	for (int r = -1; r < rows; r++) {
		const struct cw_input some = { r < 0 ? x : x + r * in,
		    r < 0 ? rows : 1, in, 1 };
		float *to = r < 0 ? y : alone;

		/* all of them over what is added */
		if (r < 0)
			memcpy(y, res, (size_t)(rows * out) * sizeof(*y));
		if (eps != NULL)
			k->apply_normed(&l, *eps, &some, to, out, act, arena);
		else
			k->apply(&l, &some, to, out, act, r < 0 ? y :
			    res + r * out, arena);
		if (r >= 0 && memcmp(alone, y + r * out, (size_t)out *
		    sizeof(*y)) != 0)
			fail_msg("%s: row %d of %d, %d x %d", k->name, r, rows,
			    in, out);
	}
	cw_arena_release(arena, mark);
}

static void
test_sums_of_8_bits_are_exact_in_any_company(void **state)
{
	static const int heights[] = { 23, 24, 25, 27, 28, 29, 50, 57, 113,
	    225, 257 };
	static const struct { int in, out; } sizes[] = { { 128, 64 },
	    { 256, 192 }, { 768, 64 }, { 256, 65 }, { 192, 64 }, { 1536, 128 } };
	static const float eps = 1e-5f;
	const struct cw_kernel *k;

	(void)state;
	for (int r = 0; r < 257; r++)
		for (int i = 0; i < r % 4; i++)
			x[(r * 1537 + 91 * i) % MAX] *= 60;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
		for (size_t i = 0; i < CW_COUNT(heights) && k->int8 &&
		    k->supported(); i++)
			for (size_t j = 0; j < CW_COUNT(sizes); j++)
				check_alone(k, (i + j) % 2 == 0 ? &eps : NULL,
				    heights[i], sizes[j].in, sizes[j].out,
				    (enum cw_act)((i + j / 2) % 4));
}

/* All weights and values at the ends of their range, where sums are largest. */
static void
test_the_largest_sums_of_8_bits_fit(void **state)
{
	enum { ROWS = 50, IN = 256, OUT = 64 };
	const struct cw_kernel *k;

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		for (int i = 0; i < OUT * IN; i++)
			w[i] = kind % 2 != 0 || i / 7 % 2 != 0 ? 1 : -1;
		for (int i = 0; i < ROWS * IN; i++)
			x[i] = kind / 2 != 0 || i / 5 % 3 != 0 ? 1 : -1;
		for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
			if (k->int8 && k->supported())
				check_alone(k, NULL, ROWS, IN, OUT,
				    CW_ACT_NONE);
	}
}

#define TEST(name)	cmocka_unit_test_setup(name, refill)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_units_of_rows_multiply_on_all_remainders),
		TEST(test_small_rows_lose_nothing_beside_large_ones),
		TEST(test_small_columns_lose_nothing_beside_large_ones),
		TEST(test_a_unit_without_scratch_keeps_none),
		TEST(test_a_unit_does_not_depend_on_another),
		TEST(test_sums_of_8_bits_are_exact_in_any_company),
		TEST(test_the_largest_sums_of_8_bits_fit),
	};

	return cmocka_run_group_tests_name("kernels, units", tests, set_up,
	    tear_down);
}
