/*
 * test_kernels.c - each kernel and instruction set against sums in double.
 *
 * Every row, column and depth remainder of a tile is met, results land in
 * rows wider than needed, and what lies beside them must stay untouched.
 */
#define MAX	(1 << 18)
#include "product.h"

/* ---- matrix products with packed weights ---- */

static void
check_product(const struct cw_kernel *k, int rows, int in, int out,
    enum cw_act act, bool with_bias, bool with_residual)
{
	check_units(k, rows, 1, in, out, act, with_bias, with_residual);
}

static void
test_every_kernel_multiplies_on_all_remainders(void **state)
{
	static const int depths[] = { 1, 2, 3, 4, 5, 7, 8, 16, 31, 64, 130,
	    1537, 1600 };
	static const int widths[] = { 1, 4, 7, 8, 15, 16, 17, 31, 32, 33, 48,
	    63, 64, 65, 100 };
	const struct cw_kernel *k;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
		if (!k->supported()) {
			print_message("this CPU lacks %s\n", k->name);
			continue;
		}
		for (int rows = 1; rows <= 31; rows++)
			check_product(k, rows, 37, 35, CW_ACT_NONE,
			    rows % 2 == 0, rows % 3 == 0);
		for (size_t i = 0; i < CW_COUNT(depths); i++)
			for (size_t j = 0; j < CW_COUNT(widths); j++)
				check_product(k, 9, depths[i], widths[j],
				    (enum cw_act)((i + j) % 4), i % 2 == 0,
				    j % 2 == 0);
	}
}

/* More rows than an int holds the square of: those of a large ResNet. */
static void
test_very_many_rows(void **state)
{
	const int rows = 220000;
	const struct cw_kernel *k;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
		const size_t mark = cw_arena_mark(arena);
		struct cw_linear l = { 1, 1, w, NULL, k, NULL };
		const struct cw_input in = { x, rows, 1, 1 };
		void *packed = cw_arena_alloc(arena, k->packed_bytes(1, 1));

		if (!k->supported())
			continue;
		k->pack(w, NULL, 1, 1, packed);
		l.packed = packed;
		k->apply(&l, &in, y, 1, CW_ACT_NONE, NULL, arena);
		assert_false(cw_arena_overflowed(arena));
		for (int i = 0; i < rows; i++)
			near(k->name, "row", i, 0, y[i], x[i] * w[0],
			    0.02 * fabs(x[i] * w[0]) + 1e-6);
		cw_arena_release(arena, mark);
	}
}

static void
test_every_activation_is_exact_to_rounding(void **state)
{
	const struct cw_isa *isa;
	enum { COUNT = 40001 };

	(void)state;
	for (size_t n = 0; (isa = cw_isa_at(n)) != NULL; n++) {
		if (!isa->supported())
			continue;
		for (int act = CW_ACT_NONE; act <= CW_ACT_RELU; act++) {
			for (int i = 0; i < COUNT; i++)
				x[i] = (float)(i - COUNT / 2) * 6e-4f;
			isa->finish(x, COUNT, 1, COUNT, NULL,
			    (enum cw_act)act, NULL, y, COUNT);
			for (int i = 0; i < COUNT; i++)
				near(isa->name, "act", act, i, y[i],
				    activated((enum cw_act)act, x[i]),
				    1e-7 + 3e-7 * fabs(x[i]));
		}
	}
}

static void
test_extreme_values_saturate_and_nan_stays_nan(void **state)
{
	static const float in[] = { 1e30f, -1e30f, INFINITY, 0, -0.0f, 1e-40f };
	static const float quick[] = { 1e30f, 0, INFINITY, 0, 0, 0 };
	const struct cw_isa *isa;

	(void)state;
	for (size_t n = 0; (isa = cw_isa_at(n)) != NULL; n++) {
		float nan = NAN, out[6];

		if (!isa->supported())
			continue;
		for (int act = CW_ACT_QUICK_GELU; act <= CW_ACT_RELU; act++) {
			isa->finish(in, 6, 1, 6, NULL, (enum cw_act)act, NULL,
			    out, 6);
			for (int i = 0; i < 6; i++)
				if (out[i] != quick[i] &&
				    !(fabsf(out[i] - quick[i]) < 1e-7f))
					fail_msg("%s: act %d of %g is %g",
					    isa->name, act, (double)in[i],
					    (double)out[i]);
			isa->finish(&nan, 1, 1, 1, NULL, (enum cw_act)act,
			    NULL, out, 1);
			assert_true(isnan(out[0]));
		}
	}
}

static void
test_a_full_scratch_leaves_the_result_alone(void **state)
{
	const struct cw_kernel *k;
	struct cw_err err;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
		struct cw_linear l = { 64, 64, w, NULL, k, NULL };
		struct cw_arena *small;
		size_t mark = cw_arena_mark(arena);
		void *p = cw_arena_alloc(arena, k->packed_bytes(64, 64));

		if (!k->supported())
			continue;
		assert_int_equal(cw_arena_open(4096, &small, &err), CW_OK);
		k->pack(w, NULL, 64, 64, p);
		l.packed = p;
		fill(y, 100 * 64);
		cw_linear_apply(&l, &(struct cw_input){ x, 100, 64, 1 }, y, 64,
		    CW_ACT_NONE, y, small);
		assert_true(cw_arena_overflowed(small));
		for (int i = 0; i < 100 * 64; i++)
			assert_true(y[i] == CANARY);
		cw_arena_close(&small);
		cw_arena_release(arena, mark);
	}
}

/* The largest error of k, as a share of the largest result. */
static double
worst_share(const struct cw_kernel *k, int rows, int in, int out)
{
	size_t mark = cw_arena_mark(arena);
	void *p = cw_arena_alloc(arena, k->packed_bytes(in, out));
	struct cw_linear l = { in, out, w, NULL, k, p };
	double worst = 0, top = 0;

	k->pack(w, NULL, in, out, p);
	cw_linear_apply(&l, &(struct cw_input){ x, rows, in, 1 }, y, out,
	    CW_ACT_NONE, NULL, arena);
	for (int r = 0; r < rows; r++)
		for (int o = 0; o < out; o++) {
			double sum = 0;

			for (int i = 0; i < in; i++)
				sum += (double)x[r * in + i] * w[o * in + i];
			worst = fmax(worst, fabs(sum - y[r * out + o]));
			top = fmax(top, fabs(sum));
		}
	cw_arena_release(arena, mark);
	return worst / top;
}

static void
test_values_that_stick_out_cost_no_accuracy(void **state)
{
	enum { ROWS = 5, IN = 256, OUT = 40 };
	const struct cw_kernel *k;

	(void)state;
	/* few: each is cut; many: the range widens, and nothing is lost */
	for (int few = 0; few <= 1; few++) {
		refill(NULL);
		for (int r = 0; r < ROWS; r++)
			for (int i = 0; i < (few ? 3 : 30); i++)
				x[r * IN + (7 * r + 8 * i) % IN] *= 100;
		for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
			if (k->supported() && k->int8)
				near(k->name, "worst", few, 0, worst_share(k,
				    ROWS, IN, OUT), 0, few ? 0.01 : 0.03);
	}
}

/*
 * The least value of a row, half a step from a whole one: it may not come out
 * below all steps, which is above them.
 */
static void
test_the_ends_of_a_row_stay_in_its_range(void **state)
{
	enum { IN = 16, ROWS = 200000 };
	const struct cw_kernel *k;

	(void)state;
	for (int i = 0; i < IN; i++)
		w[i] = i < 2;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
		size_t mark = cw_arena_mark(arena);
		void *p = cw_arena_alloc(arena, k->packed_bytes(IN, 1));
		struct cw_linear l = { IN, 1, w, NULL, k, p };

		if (!k->int8 || !k->supported())
			continue;
		k->pack(w, NULL, IN, 1, p);
		for (int r = 0; r < ROWS; r++) {
			const float step = 0.01f + 0.0001f * fabsf(noise());
			const int levels = r % 2 == 0 ? 126 : 254;

			for (int i = 0; i < IN; i++)
				x[i] = step * noise();
			x[0] = -step * ((float)(r / 2 % levels) + 0.5f);
			x[2] = x[0] + step * (float)levels;
			cw_linear_apply(&l, &(struct cw_input){ x, 1, IN, 1 },
			    y, 1, CW_ACT_NONE, NULL, arena);
			near(k->name, "least", r, 0, y[0], (double)x[0] + x[1],
			    5 * step);
		}
		cw_arena_release(arena, mark);
	}
}

static void
test_a_nan_or_infinity_is_not_quantised_away(void **state)
{
	static const float bad[] = { NAN, INFINITY, -INFINITY };
	const struct cw_kernel *k;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
		for (size_t i = 0; i < CW_COUNT(bad) && k->supported(); i++) {
			size_t mark = cw_arena_mark(arena);
			void *p = cw_arena_alloc(arena,
			    k->packed_bytes(40, 40));
			struct cw_linear l = { 40, 40, w, NULL, k, p };

			refill(NULL);
			x[40 + 17] = bad[i];
			w[3 * 40 + 5] = bad[i];
			k->pack(w, NULL, 40, 40, p);
			cw_linear_apply(&l, &(struct cw_input){ x, 3, 40, 1 },
			    y, 40, CW_ACT_NONE, NULL, arena);
			assert_false(isfinite(y[40]));
			assert_false(isfinite(y[40 + 39]));
			assert_false(isfinite(y[3]));
			assert_true(isfinite(y[0]) && isfinite(y[2 * 40]));
			cw_arena_release(arena, mark);
		}
}

static void
test_a_row_does_not_depend_on_its_neighbours(void **state)
{
	enum { ROWS = 31, IN = 100, OUT = 70 };
	const struct cw_kernel *k;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
		size_t mark = cw_arena_mark(arena);
		void *p = cw_arena_alloc(arena, k->packed_bytes(IN, OUT));
		struct cw_linear l = { IN, OUT, w, bias, k, p };

		/* a library's sums are its own business */
		if (!k->supported() || strcmp(k->name, "openblas") == 0)
			continue;
		k->pack(w, NULL, IN, OUT, p);
		cw_linear_apply(&l, &(struct cw_input){ x, ROWS, IN, 1 }, y,
		    OUT, CW_ACT_QUICK_GELU, NULL, arena);
		for (int r = 0; r < ROWS; r++) {
			cw_linear_apply(&l, &(struct cw_input){ x + r * IN, 1,
			    IN, 1 }, res, OUT, CW_ACT_QUICK_GELU, NULL, arena);
			assert_memory_equal(res, y + r * OUT,
			    OUT * sizeof(*y));
		}
		cw_arena_release(arena, mark);
	}
}

/* One input, one weight that is 1: what the activation makes of it. */
static float
activate_one(const struct cw_kernel *k, float v, enum cw_act act, int out)
{
	size_t mark = cw_arena_mark(arena);
	void *p = cw_arena_alloc(arena, k->packed_bytes(1, out));
	struct cw_linear l = { 1, out, w, NULL, k, p };

	for (int o = 0; o < out; o++)
		w[o] = 1;
	k->pack(w, NULL, 1, out, p);
	cw_linear_apply(&l, &(struct cw_input){ &v, 1, 1, 1 }, y, out, act,
	    NULL, arena);
	for (int o = 1; o < out; o++)
		assert_true(y[o] == y[0] || (isnan(y[o]) && isnan(y[0])));
	cw_arena_release(arena, mark);
	return y[0];
}

static void
test_a_product_is_activated_at_any_size(void **state)
{
	static const float sizes[] = { 0, 0.01f, 0.5f, 1, 2, 5, 10, 30, 51, 60,
	    1000, 1e30f };
	const struct cw_kernel *k;

	(void)state;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
		for (int act = CW_ACT_NONE; act <= CW_ACT_RELU &&
		    k->supported(); act++) {
			for (size_t i = 0; i < 2 * CW_COUNT(sizes); i++) {
				float v = i % 2 ? -sizes[i / 2] : sizes[i / 2];

				/* a whole panel, and one of which a part is used */
				for (int out = 32; out < 34; out++)
					near(k->name, "act", act, (int)i,
					    activate_one(k, v, (enum cw_act)act,
					    out), activated((enum cw_act)act,
					    v), 2e-4 * fabs(v) + 1e-6);
			}
			assert_true(isnan(activate_one(k, NAN,
			    (enum cw_act)act, 33)));
		}
}

/* x after a layer norm, in double */
static void
normed(const float *row, int n, double eps, double *to)
{
	double mean = 0, var = 0;

	for (int i = 0; i < n; i++)
		mean += row[i];
	mean /= n;
	for (int i = 0; i < n; i++)
		var += (row[i] - mean) * (row[i] - mean);
	for (int i = 0; i < n; i++)
		to[i] = (row[i] - mean) / sqrt(var / n + eps);
}

static void
check_normed(const struct cw_kernel *k, int rows, int in, int out,
    enum cw_act act)
{
	const int ldx = in + 3, ldy = out + 5;
	size_t mark = cw_arena_mark(arena);
	void *p = cw_arena_alloc(arena, k->packed_bytes(in, out));
	float *norm = cw_arena_floats(arena, (size_t)(rows * in));
	struct cw_linear l = { in, out, w, bias, k, p };
	double v[256];

	k->pack(w, NULL, in, out, p);
	fill(y, rows * ldy);
	cw_linear_apply_normed(&l, 1e-5f, &(struct cw_input){ x, rows, ldx, 1 },
	    norm, y, ldy, act, arena);
	for (int r = 0; r < rows; r++) {
		normed(x + r * ldx, in, 1e-5, v);
		for (int o = 0; o < out; o++) {
			double sum = bias[o];

			for (int i = 0; i < in; i++)
				sum += v[i] * w[o * in + i];
			near(k->name, "normed", r, o, y[r * ldy + o],
			    activated(act, sum), (k->int8 ? 0.03 : 1e-5) *
			    sqrt(in) + 1e-3);
		}
		for (int o = out; o < ldy; o++)
			assert_true(y[r * ldy + o] == CANARY);
	}
	cw_arena_release(arena, mark);
}

static void
test_a_layer_norm_goes_before_a_product(void **state)
{
	const struct cw_kernel *k;

	(void)state;
	for (int shift = 0; shift <= 5; shift += 5) {
		refill(NULL);
		for (int i = 0; i < 40 * 256; i++)
			x[i] += (float)shift;
		for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
			for (int in = 2; in <= 70 && k->supported(); in++)
				check_normed(k, 5, in, 35, CW_ACT_NONE);
			for (int rows = 1; rows <= 30 && k->supported();
			    rows++)
				check_normed(k, rows, 133, 64,
				    CW_ACT_QUICK_GELU);
		}
	}
}

static void
test_what_sticks_out_of_a_normed_row_is_kept(void **state)
{
	enum { IN = 250 };
	const struct cw_kernel *k;

	(void)state;
	for (int r = 0; r < 9; r++)
		for (int i = 0; i < r % 4; i++)
			x[r * (IN + 3) + (31 * r + 80 * i) % IN] *= 60;
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++)
		for (int act = CW_ACT_NONE; act <= CW_ACT_RELU &&
		    k->supported(); act++)
			check_normed(k, 9, IN, 70, (enum cw_act)act);
	for (size_t n = 0; (k = cw_kernel_at(n)) != NULL; n++) {
		size_t mark = cw_arena_mark(arena);
		void *p = cw_arena_alloc(arena, k->packed_bytes(IN, 40));
		struct cw_linear l = { IN, 40, w, NULL, k, p };

		if (!k->supported())
			continue;
		k->pack(w, NULL, IN, 40, p);
		x[IN + 17] = NAN;
		cw_linear_apply_normed(&l, 1e-5f, &(struct cw_input){ x, 3, IN, 1 },
		    res, y, 40, CW_ACT_QUICK_GELU, arena);
		assert_true(isnan(y[40]) && isnan(y[40 + 39]));
		assert_true(isfinite(y[0]) && isfinite(y[2 * 40]));
		cw_arena_release(arena, mark);
	}
}

/* ---- products of two activations ---- */

static void
check_gemm(const struct cw_isa *isa, int m, int n, int k, bool transposed)
{
	int lda = k + 2, ldb = (transposed ? k : n) + 1, ldc = n + 4;

	fill(y, m * ldc);
	isa->gemm(m, n, k, 0.5f, x, lda, w, ldb, transposed, y, ldc);
	for (int i = 0; i < m; i++) {
		for (int j = 0; j < n; j++) {
			double sum = 0;

			for (int p = 0; p < k; p++)
				sum += (double)x[i * lda + p] * (transposed ?
				    w[j * ldb + p] : w[p * ldb + j]);
			near(isa->name, "c", i, j, y[i * ldc + j], 0.5 * sum,
			    2e-7 * k + 1e-6);
		}
		for (int j = n; j < ldc; j++)
			assert_true(y[i * ldc + j] == CANARY);
	}
}

static void
test_attention_products_work_in_any_shape(void **state)
{
	static const int sizes[] = { 1, 3, 4, 8, 9, 15, 17, 32, 50, 65 };
	static const int depths[] = { 1, 4, 50, 64, 95, 96, 97, 197 };
	const struct cw_isa *isa;

	(void)state;
	for (size_t n = 0; (isa = cw_isa_at(n)) != NULL; n++) {
		if (!isa->supported())
			continue;
		for (size_t i = 0; i < CW_COUNT(sizes); i++)
			for (size_t j = 0; j < CW_COUNT(depths); j++) {
				int s = sizes[i], t = sizes[(i + j) % 10];

				check_gemm(isa, s, t, depths[j], false);
				check_gemm(isa, t, s, depths[j], true);
			}
	}
}

/* ---- rows ---- */

static void
check_layernorm(const struct cw_isa *isa, int W, float shift)
{
	enum { ROWS = 3 };
	int ldx = W + 1, ldy = W + 2;

	for (int i = 0; i < ROWS * ldx; i++)
		x[i] = noise() + shift;
	fill(y, ROWS * ldy);
	isa->layernorm(x, ROWS, W, ldx, W % 2 ? w : NULL, W % 3 ? bias : NULL,
	    1e-5f, y, ldy);
	for (int r = 0; r < ROWS; r++) {
		double mean = 0, var = 0;

		for (int i = 0; i < W; i++)
			mean += x[r * ldx + i];
		mean /= W;
		for (int i = 0; i < W; i++)
			var += pow(x[r * ldx + i] - mean, 2);
		for (int i = 0; i < W; i++)
			near(isa->name, "norm", r, i, y[r * ldy + i],
			    (x[r * ldx + i] - mean) / sqrt(var / W + 1e-5) *
			    (W % 2 ? w[i] : 1) + (W % 3 ? bias[i] : 0),
			    2e-6 + 3e-7 * (1 + fabs(shift)) /
			    sqrt(var / W + 1e-5));
		assert_true(y[r * ldy + W] == CANARY);
	}
}

static void
test_layernorm_is_right_at_every_width(void **state)
{
	const struct cw_isa *isa;

	(void)state;
	for (size_t n = 0; (isa = cw_isa_at(n)) != NULL; n++)
		for (int W = 1; W <= 70 && isa->supported(); W++) {
			check_layernorm(isa, W, 0);
			check_layernorm(isa, W, 10);
		}
}

static void
check_softmax(const struct cw_isa *isa, int cols, int causal_from, float scale)
{
	enum { ROWS = 5 };
	int ld = cols + 3;

	for (int i = 0; i < ROWS * ld; i++)
		res[i] = y[i] = scale * noise();
	isa->softmax(y, ROWS, cols, ld, causal_from);
	for (int r = 0; r < ROWS; r++) {
		int seen = causal_from < 0 || causal_from + r >= cols ? cols :
		    causal_from + r + 1;
		double top = -INFINITY, sum = 0;

		for (int i = 0; i < seen; i++)
			top = fmax(top, res[r * ld + i]);
		for (int i = 0; i < seen; i++)
			sum += exp(res[r * ld + i] - top);
		for (int i = 0; i < cols; i++)
			near(isa->name, "p", r, i, y[r * ld + i], i < seen ?
			    exp(res[r * ld + i] - top) / sum : 0, 3e-7);
		for (int i = cols; i < ld; i++)
			assert_true(y[r * ld + i] == res[r * ld + i]);
	}
}

static void
test_softmax_sums_to_one_and_sees_no_future(void **state)
{
	const struct cw_isa *isa;

	(void)state;
	for (size_t n = 0; (isa = cw_isa_at(n)) != NULL; n++)
		for (int cols = 1; cols <= 70 && isa->supported(); cols++) {
			check_softmax(isa, cols, -1, 3);
			check_softmax(isa, cols, -1, 3e4f);
			check_softmax(isa, cols, 0, 3);
			check_softmax(isa, cols, cols - 3 < 0 ? 0 : cols - 3,
			    3);
		}
}

static void
test_a_nan_in_a_row_spoils_that_row_only(void **state)
{
	const struct cw_isa *isa;

	(void)state;
	for (size_t n = 0; (isa = cw_isa_at(n)) != NULL; n++)
		for (int at = 0; at < 37 && isa->supported(); at++) {
			for (int i = 0; i < 2 * 37; i++)
				x[i] = noise();
			x[at] = NAN;
			isa->layernorm(x, 2, 37, 37, NULL, NULL, 1e-5f, y, 37);
			assert_true(isnan(y[0]) && isnan(y[36]));
			assert_false(isnan(y[37]));
			isa->softmax(x, 2, 37, 37, -1);
			assert_true(isnan(x[0]) && isnan(x[36]));
			assert_false(isnan(x[37]));
		}
}

static void
test_a_kernel_is_found_by_name_or_best_first(void **state)
{
	const struct cw_kernel *best = cw_kernel_find("", false);

	(void)state;
	assert_non_null(best);
	assert_ptr_equal(cw_kernel_find(best->name, false), best);
	assert_string_equal(cw_kernel_find("plain", false)->name, "plain");
	assert_string_equal(cw_kernel_find("openblas", false)->name,
	    "openblas");
	assert_null(cw_kernel_find("abacus", false));
	assert_true(cw_isa_best()->supported());
}

#define TEST(f)	cmocka_unit_test_setup(f, refill)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_kernel_multiplies_on_all_remainders),
		TEST(test_very_many_rows),
		TEST(test_every_activation_is_exact_to_rounding),
		TEST(test_extreme_values_saturate_and_nan_stays_nan),
		TEST(test_a_full_scratch_leaves_the_result_alone),
		TEST(test_values_that_stick_out_cost_no_accuracy),
		TEST(test_the_ends_of_a_row_stay_in_its_range),
		TEST(test_a_nan_or_infinity_is_not_quantised_away),
		TEST(test_a_row_does_not_depend_on_its_neighbours),
		TEST(test_a_product_is_activated_at_any_size),
		TEST(test_a_layer_norm_goes_before_a_product),
		TEST(test_what_sticks_out_of_a_normed_row_is_kept),
		TEST(test_attention_products_work_in_any_shape),
		TEST(test_layernorm_is_right_at_every_width),
		TEST(test_softmax_sums_to_one_and_sees_no_future),
		TEST(test_a_nan_in_a_row_spoils_that_row_only),
		TEST(test_a_kernel_is_found_by_name_or_best_first),
	};

	return cmocka_run_group_tests_name("kernels", tests, set_up, tear_down);
}
