/*
 * test_explain.c - every map, layer term and remainder, and that they add up.
 */
#include "arrays.h"

#include "model/explain.h"
#include "model/kernels/kernel.h"

#define COMPLETE	1e-4	/* sum of all terms against the margin */
#define SETS_MAX	16
#define INT8_MAP	0.2	/* of a map's length; random weights */
#define INT7_MAP	0.4	/* where products leave room for 7 bits */
#define INT8_ROUNDING	0.02	/* of a cosine: CW_INT8_WITHIN */

/* The unit prompt vectors and their folds. */
struct prompts {
	size_t			 n;
	const float		*unit;		/* [n][E] */
	struct cw_fold		*fold;		/* [n] */
};

static void
fold_prompts(struct bench *b, int keep_layers, struct prompts *p)
{
	const size_t E = (size_t)b->i->E;
	struct cw_err err = { "" };
	size_t got;
	const float *rows = array(b, "text_embeds", sizeof(float), &got);

	p->n = got / E;
	p->unit = units(b, rows, p->n);
	p->fold = cw_arena_zalloc(b->a, p->n, sizeof(*p->fold));
	for (size_t i = 0; i < p->n; i++)
		must(cw_fold_make(b->m, CW_SIDE_IMAGE, p->unit + i * E,
		    keep_layers, b->a, &p->fold[i]), &err);
}

/* Encode all images with traces, a few at a time. */
static struct cw_trace *
trace_images(struct bench *b, unsigned want, int keep_layers, size_t *n,
    float **embed)
{
	const size_t pix = 3 * (size_t)b->i->S * (size_t)b->i->S;
	const size_t E = (size_t)b->i->E;
	struct cw_err err = { "" };
	const float *x = pixels_of(b, n);
	struct cw_trace *t = cw_arena_zalloc(b->a, *n, sizeof(*t));
	struct cw_arena *scratch;

	must(cw_arena_open(cw_model_scratch_bytes(b->m, 4), &scratch, &err),
	    &err);
	*embed = cw_arena_floats(b->a, *n * E);
	for (size_t at = 0; at < *n; at += 4) {
		int B = *n - at < 4 ? (int)(*n - at) : 4;

		must(cw_model_encode_images(b->m, x + at * pix, B, want,
		    keep_layers, scratch, *embed + at * E, NULL, t + at, b->a,
		    &err), &err);
	}
	cw_arena_close(&scratch);
	return t;
}

static float
sum_of(const struct cw_terms *t, int tokens)
{
	double sum = (double)t->read + t->mlp + t->out_bias + t->rest +
	    t->ln_bias;

	for (int i = 0; i < tokens; i++)
		sum += t->tokens[i];
	return (float)sum;
}

static double
dot(const float *a, const float *b, size_t n)
{
	double s = 0;

	for (size_t i = 0; i < n; i++)
		s += (double)a[i] * b[i];
	return s;
}

/* out [n] = sums of `each` consecutive values */
static float *
sums(const struct bench *b, const float *v, size_t n, size_t each)
{
	float *out = cw_arena_zalloc(b->a, n, sizeof(float));

	for (size_t i = 0; i < n * each; i++)
		out[i / each] += v[i];
	return out;
}

/* ---- one similarity: the terms of the shown prompts on image 0 ---- */

static void
vit_terms_agree(struct bench *b, const struct cw_trace *t,
    const struct prompts *p, const int *shown, size_t nshown)
{
	const struct cw_tower_info *i = &b->i->image;
	const size_t L = (size_t)i->layers, H = (size_t)i->heads;
	const size_t P = (size_t)i->tokens - 1;
	const float *patch = floats(b, "patch_terms", nshown * L * H * P);
	const float *cls = sums(b, floats(b, "cls_terms", nshown * L * H),
	    nshown, L * H);
	const float *bias = sums(b, floats(b, "out_bias_terms", nshown * L),
	    nshown, L);
	const float *mlp = sums(b, floats(b, "mlp_terms", nshown * L), nshown,
	    L);
	float *by_layer = cw_arena_floats(b->a, L * P);
	struct cw_err err = { "" };
	struct cw_terms terms;

	for (size_t k = 0; k < nshown; k++) {
		float *want = cw_arena_zalloc(b->a, L * P, sizeof(float));

		must(cw_explain(b->m, t, &p->fold[shown[k]], b->a, &terms,
		    by_layer), &err);
		for (size_t l = 0; l < L; l++)
			for (size_t h = 0; h < H; h++)
				for (size_t j = 0; j < P; j++)
					want[l * P + j] += patch[((k * L + l) *
					    H + h) * P + j];
		close_to(b, "patch_terms", by_layer, want, L * P,
		    (double)H * tolerance(b, "patch_terms"));
		close_to(b, "cls_terms", &terms.read, &cls[k], 1,
		    (double)(L * H) * tolerance(b, "cls_terms"));
		close_to(b, "out_bias_terms", &terms.out_bias, &bias[k], 1,
		    (double)L * tolerance(b, "out_bias_terms"));
		close_to(b, "mlp_terms", &terms.mlp, &mlp[k], 1,
		    (double)L * tolerance(b, "mlp_terms"));
		close_to(b, "x0_terms", &terms.rest,
		    &floats(b, "x0_terms", nshown)[k], 1,
		    tolerance(b, "x0_terms"));
		close_to(b, "ln_bias_terms", &terms.ln_bias,
		    &floats(b, "ln_bias_terms", nshown)[k], 1,
		    tolerance(b, "ln_bias_terms"));
	}
}

static void
resnet_terms_agree(struct bench *b, const struct cw_trace *t,
    const struct prompts *p, const int *shown, size_t nshown)
{
	const size_t H = (size_t)b->i->image.heads;
	const size_t P = (size_t)b->i->image.tokens - 1;
	const float *mean = floats(b, "mean_token_terms", nshown * H);
	const float *share = floats(b, "mean_share_terms", nshown * H * P);
	struct cw_err err = { "" };
	struct cw_terms terms;

	for (size_t k = 0; k < nshown; k++) {
		float want = 0;

		must(cw_explain(b->m, t, &p->fold[shown[k]], b->a, &terms,
		    NULL), &err);
		/* What the positions took of the mean token is gone there. */
		for (size_t i = 0; i < H; i++)
			want += mean[k * H + i];
		for (size_t i = 0; i < H * P; i++)
			want -= share[k * H * P + i];
		close_to(b, "mean_token_terms", &terms.read, &want, 1,
		    (double)H * tolerance(b, "mean_token_terms"));
		close_to(b, "bias_terms", &terms.ln_bias,
		    &floats(b, "bias_terms", nshown)[k], 1,
		    tolerance(b, "bias_terms"));
	}
}

static void
similarity_is_explained(struct bench *b)
{
	const size_t E = (size_t)b->i->E;
	const size_t P = (size_t)b->i->image.tokens - 1;
	struct cw_err err = { "" };
	struct prompts p;
	struct cw_trace *t;
	struct cw_terms terms;
	int shown[SETS_MAX];
	size_t n, nshown = numbers(b, "shown_prompts", shown, SETS_MAX);
	const float *maps;
	float *embed;

	t = trace_images(b, CW_WANT_TRACE, 0, &n, &embed);
	fold_prompts(b, 0, &p);
	if (b->i->kind == CW_TOWER_VIT)
		vit_terms_agree(b, t, &p, shown, nshown);
	else
		resnet_terms_agree(b, t, &p, shown, nshown);
	maps = floats(b, "sim_maps", n * nshown * P);
	for (size_t k = 0; k < n; k++) {
		for (size_t s = 0; s < nshown; s++) {
			must(cw_explain(b->m, &t[k], &p.fold[shown[s]], b->a,
			    &terms, NULL), &err);
			close_to(b, "sim_maps", terms.tokens,
			    maps + (k * nshown + s) * P, P,
			    tolerance(b, "sim_maps"));
		}
		for (size_t s = 0; s < p.n; s++) {
			float sum, want = (float)dot(p.unit + s * E,
			    embed + k * E, E);

			must(cw_explain(b->m, &t[k], &p.fold[s], b->a, &terms,
			    NULL), &err);
			sum = sum_of(&terms, (int)P);
			close_to(b, "sum of all terms", &sum, &want, 1, 2e-6);
		}
	}
}

static void
test_the_terms_of_a_similarity_are_those_of_the_reference(void **state)
{
	(void)state;
	each_model(similarity_is_explained);
}

/* ---- the decision: positive prompts against neutral ones ---- */

/* Weights of the log-sum-exp over set; *lse its value. */
static void
soften(const double *logit, const int *set, size_t n, float *w, double *lse)
{
	double top = -INFINITY, sum = 0;

	for (size_t i = 0; i < n; i++)
		top = fmax(top, logit[set[i]]);
	for (size_t i = 0; i < n; i++)
		sum += exp(logit[set[i]] - top);
	*lse = top + log(sum);
	for (size_t i = 0; i < n; i++)
		w[i] = (float)exp(logit[set[i]] - *lse);
}

struct decision {
	double		 margin, entropy;
	struct cw_fold	 fold;
};

static void
decide(struct bench *b, const struct prompts *p, const float *embed,
    struct decision *d)
{
	const struct cw_fold *f[2 * SETS_MAX];
	const size_t E = (size_t)b->i->E;
	const double scale = b->i->logit_scale;
	double *logit = cw_arena_zalloc(b->a, p->n, sizeof(double));
	double pos, neu, linear = 0;
	float w[2 * SETS_MAX];
	int set[2 * SETS_MAX];
	struct cw_err err = { "" };
	size_t np = numbers(b, "positive", set, SETS_MAX);
	size_t nn = numbers(b, "neutral", set + np, SETS_MAX);

	for (size_t i = 0; i < p->n; i++)
		logit[i] = scale * dot(p->unit + i * E, embed, E);
	soften(logit, set, np, w, &pos);
	soften(logit, set + np, nn, w + np, &neu);
	for (size_t i = 0; i < np + nn; i++) {
		w[i] *= (float)(i < np ? scale : -scale);
		linear += w[i] * logit[set[i]] / scale;
		f[i] = &p->fold[set[i]];
	}
	d->margin = pos - neu;
	d->entropy = d->margin - linear;
	must(cw_fold_mix(f, w, (int)(np + nn), b->a, &d->fold), &err);
}

static void
margin_is_explained(struct bench *b)
{
	const bool vit = b->i->kind == CW_TOWER_VIT;
	const size_t L = vit ? (size_t)b->i->image.layers : 1;
	const size_t P = (size_t)b->i->image.tokens - 1;
	const size_t E = (size_t)b->i->E;
	struct cw_err err = { "" };
	struct prompts p;
	struct cw_trace *t;
	float *by_layer = cw_arena_floats(b->a, L * P), *embed;
	const float *margin;
	size_t n;

	t = trace_images(b, CW_WANT_TRACE, 0, &n, &embed);
	fold_prompts(b, 0, &p);
	margin = floats(b, "margin", n);
	for (size_t k = 0; k < n; k++) {
		struct decision d;
		struct cw_terms m;
		float sum;

		decide(b, &p, embed + k * E, &d);
		must(cw_explain(b->m, &t[k], &d.fold, b->a, &m, by_layer),
		    &err);
		sum = sum_of(&m, (int)P) + (float)d.entropy;
		close_to(b, "margin", &(float){ (float)d.margin }, &margin[k],
		    1, tolerance(b, "margin"));
		close_to(b, "sum of the margin's terms", &sum,
		    &(float){ (float)d.margin }, 1, COMPLETE);
		if (!vit)
			continue;
		close_to(b, "margin_maps", m.tokens, floats(b, "margin_maps",
		    n * P) + k * P, P, tolerance(b, "margin_maps"));
		close_to(b, "margin_layers", by_layer, floats(b,
		    "margin_layers", n * L * P) + k * L * P, L * P,
		    tolerance(b, "margin_layers"));
		close_to(b, "margin_rest", (float[]){ m.read, m.out_bias,
		    m.mlp, m.rest, m.ln_bias, (float)d.entropy },
		    floats(b, "margin_rest", n * 6) + k * 6, 6,
		    tolerance(b, "margin_rest"));
	}
}

static void
test_the_terms_of_a_margin_are_those_of_the_reference(void **state)
{
	(void)state;
	each_model(margin_is_explained);
}

static void
last_layers_agree(struct bench *b)
{
	const size_t P = (size_t)b->i->image.tokens - 1;
	const size_t E = (size_t)b->i->E;
	struct cw_err err = { "" };

	if (b->i->kind != CW_TOWER_VIT)
		return;
	for (int keep = 1; keep <= b->i->image.layers; keep++) {
		struct prompts p;
		struct cw_trace *t;
		float *embed;
		size_t n;

		t = trace_images(b, CW_WANT_TRACE, keep, &n, &embed);
		fold_prompts(b, keep, &p);
		for (size_t k = 0; k < n; k++) {
			struct decision d;
			struct cw_terms m;
			float sum;

			decide(b, &p, embed + k * E, &d);
			must(cw_explain(b->m, &t[k], &d.fold, b->a, &m, NULL),
			    &err);
			sum = sum_of(&m, (int)P) + (float)d.entropy;
			close_to(b, "sum with fewer layers", &sum,
			    &(float){ (float)d.margin }, 1, COMPLETE);
			if (keep == 1)
				close_to(b, "margin_last", m.tokens,
				    floats(b, "margin_last", n * P) + k * P,
				    P, tolerance(b, "margin_last"));
		}
		/* Twelve layers of a full-size model would say no more. */
		if (keep == 2)
			break;
	}
}

static void
test_the_last_layers_alone_add_up_too(void **state)
{
	(void)state;
	each_model(last_layers_agree);
}

/* ---- 8-bit weights ---- */

/* Length of the difference, as a share of want's. */
static double
off_by(const float *got, const float *want, size_t n)
{
	double all = 0, off = 0;

	for (size_t i = 0; i < n; i++) {
		const double d = (double)got[i] - (double)want[i];

		all += (double)want[i] * (double)want[i];
		off += d * d;
	}
	return sqrt(off / all);
}

/*
 * The model in 8 bits explains itself: its maps are nearly those of the
 * reference, and what the terms leave of its own margin is rounding.
 */
static void
int8_agrees_on(struct bench *b, const char *kernel, double most)
{
	const struct cw_model_opts opts = { .int8 = true, .shallow_int8 = true,
		.cache_dir = "", .kernel = kernel, .batch = 8 };
	const size_t P = (size_t)b->i->image.tokens - 1;
	const size_t E = (size_t)b->i->E;
	struct cw_err err = { "" };
	double left = 0, off = 0;
	struct prompts p;
	struct cw_trace *t;
	float *embed;
	size_t n;

	if (b->i->kind != CW_TOWER_VIT)
		return;
	cw_model_close(&b->m);
	must(cw_model_open(b->dir, &opts, &b->m, &err), &err);
	b->i = cw_model_info(b->m);
	assert_string_equal(b->i->precision, "int8");
	t = trace_images(b, CW_WANT_TRACE, 0, &n, &embed);
	fold_prompts(b, 0, &p);
	for (size_t k = 0; k < n; k++) {
		struct decision d;
		struct cw_terms m;

		decide(b, &p, embed + k * E, &d);
		must(cw_explain(b->m, &t[k], &d.fold, b->a, &m, NULL), &err);
		left = fmax(left, fabs((double)sum_of(&m, (int)P) +
		    d.entropy - d.margin) / (2 * b->i->logit_scale));
		off = fmax(off, off_by(m.tokens, floats(b, "margin_maps",
		    n * P) + k * P, P));
	}
	print_message("%s: %s changes a map by %.3f of its length, and "
	    "rounds %.5f of a cosine\n", b->dir, kernel, off, left);
	assert_true(off < most);
	assert_true(left < INT8_ROUNDING);
}

static void
int8_agrees(struct bench *b)
{
	static const struct {
		const char	*kernel;
		double		 most;
	} all[] = {
		{ "avx512vnni", INT8_MAP }, { "avxvnni", INT8_MAP },
		{ "avx2", INT7_MAP }, { "plain", INT8_MAP },
	};

	for (size_t i = 0; i < CW_COUNT(all); i++)
		if (cw_kernel_find(all[i].kernel, true) != NULL)
			int8_agrees_on(b, all[i].kernel, all[i].most);
}

static void
test_maps_of_8_bit_weights_are_nearly_those_of_the_reference(void **state)
{
	(void)state;
	each_model(int8_agrees);
}

/* ---- rivals ---- */

static void
rivals_agree(struct bench *b)
{
	const size_t P = (size_t)b->i->image.tokens - 1;
	float *map = cw_arena_floats(b->a, P), *embed;
	struct cw_err err = { "" };
	struct cw_trace *t;
	size_t n;

	t = trace_images(b, CW_WANT_TRACE | CW_WANT_ROLLOUT, 0, &n, &embed);
	for (size_t k = 0; k < n; k++) {
		must(cw_explain_raw(&t[k], map), &err);
		if (b->i->kind != CW_TOWER_VIT) {
			assert_int_equal(cw_explain_rollout(b->m, &t[k], b->a,
			    map), CW_E_UNSUPPORTED);
			continue;
		}
		close_to(b, "raw", map, floats(b, "raw", n * P) + k * P, P,
		    tolerance(b, "raw"));
		must(cw_explain_rollout(b->m, &t[k], b->a, map), &err);
		close_to(b, "rollout", map, floats(b, "rollout", n * P) +
		    k * P, P, tolerance(b, "rollout"));
	}
}

static void
test_raw_attention_and_rollout_are_those_of_the_reference(void **state)
{
	(void)state;
	each_model(rivals_agree);
}

/* ---- words ---- */

/* A text against an image: the same sum, over the words. */
static void
words_add_up(struct bench *b)
{
	const size_t E = (size_t)b->i->E, C = (size_t)b->i->text.tokens;
	struct cw_err err = { "" };
	size_t n, nids;
	const float *images = array(b, "image_embeds", sizeof(float), &n);
	const int *ids = array(b, "ids", sizeof(int), &nids);
	const float *t = units(b, images, 1);
	float *embed = cw_arena_floats(b->a, E);
	struct cw_arena *scratch;

	must(cw_arena_open((size_t)1 << 30, &scratch, &err), &err);
	for (int keep = 0; keep < 2; keep++) {
		struct cw_fold f;

		must(cw_fold_make(b->m, CW_SIDE_TEXT, t, keep, b->a, &f),
		    &err);
		for (size_t k = 0; k < nids / C; k++) {
			struct cw_trace tr;
			struct cw_terms m;
			float sum, want;

			must(cw_model_encode_text(b->m, ids + k * C, (int)C,
			    scratch, embed, &tr, keep, b->a, &err), &err);
			assert_int_equal(tr.read, tr.T - 1);
			must(cw_explain(b->m, &tr, &f, b->a, &m, NULL), &err);
			sum = sum_of(&m, tr.T - 1);
			want = (float)dot(t, embed, E);
			close_to(b, "sum over the words", &sum, &want, 1,
			    2e-6);
		}
	}
	cw_arena_close(&scratch);
}

static void
test_the_words_of_a_text_add_up_to_its_similarity(void **state)
{
	(void)state;
	each_model(words_add_up);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_the_terms_of_a_similarity_are_those_of_the_reference),
		cmocka_unit_test(
		    test_the_terms_of_a_margin_are_those_of_the_reference),
		cmocka_unit_test(test_the_last_layers_alone_add_up_too),
		cmocka_unit_test(
		    test_maps_of_8_bit_weights_are_nearly_those_of_the_reference),
		cmocka_unit_test(
		    test_raw_attention_and_rollout_are_those_of_the_reference),
		cmocka_unit_test(
		    test_the_words_of_a_text_add_up_to_its_similarity),
	};

	return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
