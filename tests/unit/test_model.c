/*
 * test_model.c - both towers against the values of the reference.
 */
#include "arrays.h"

#include <sys/stat.h>

#include "model/kernels/kernel.h"

/* The promise of the project, on unit vectors. */
#define UNIT_TOLERANCE	2e-5
#define COSINE		0.999999

static void
check_units(struct bench *b, const char *label, const float *got,
    const float *want, size_t n)
{
	const size_t E = (size_t)b->i->E;

	close_to(b, label, got, want, n * E, UNIT_TOLERANCE);
	for (size_t r = 0; r < n; r++) {
		double dot = 0;

		for (size_t i = 0; i < E; i++)
			dot += (double)got[r * E + i] * want[r * E + i];
		if (!(dot >= COSINE))
			fail_msg("%s: %s %zu: cosine %.8f", b->dir, label, r,
			    dot);
	}
}

static void
images_agree(struct bench *b)
{
	const size_t E = (size_t)b->i->E;
	const size_t batches[] = { 1, 2, 8 };
	struct cw_err err = { "" };
	size_t n, pix;
	const float *x = pixels_of(b, &n), *want, *unit;
	float *got = cw_arena_floats(b->a, n * E);
	float *norm = cw_arena_floats(b->a, n);

	want = floats(b, "image_embeds", n * E);
	unit = units(b, want, n);
	pix = 3 * (size_t)b->i->S * (size_t)b->i->S;
	for (size_t k = 0; k < CW_COUNT(batches); k++) {
		for (size_t at = 0; at < n; at += batches[k]) {
			size_t B = n - at < batches[k] ? n - at : batches[k];

			must(cw_model_encode_images(b->m, x + at * pix,
			    (int)B, CW_WANT_EMBED, 0, b->a, got + at * E,
			    norm + at, NULL, NULL, &err), &err);
		}
		check_units(b, "image", got, unit, n);
		for (size_t i = 0; i < n * E; i++)
			got[i] *= norm[i / E];
		close_to(b, "image_embeds", got, want, n * E,
		    tolerance(b, "image_embeds"));
	}
}

static void
test_images_embed_as_in_the_reference(void **state)
{
	(void)state;
	each_model(images_agree);
}

static void
texts_agree(struct bench *b)
{
	const size_t E = (size_t)b->i->E;
	const size_t C = (size_t)b->i->text.tokens;
	struct cw_err err = { "" };
	size_t n;
	const int *ids = array(b, "ids", sizeof(int), &n);
	float *got, *unit;

	n /= C;
	unit = units(b, floats(b, "text_embeds", n * E), n);
	got = cw_arena_floats(b->a, n * E);
	for (size_t t = 0; t < n; t++)
		must(cw_model_encode_text(b->m, ids + t * C, (int)C, b->a,
		    got + t * E, NULL, 0, NULL, &err), &err);
	check_units(b, "text", got, unit, n);
}

static void
test_texts_embed_as_in_the_reference(void **state)
{
	(void)state;
	each_model(texts_agree);
}

/* ---- intermediate tensors ---- */

struct tapped {
	struct bench	*b;
	const float	*layers, *attention, *pool;
	int		 seen, tokens;
};

/* "layer.2" -> 2 when the name begins with what, else -1 */
static int
numbered(const char *name, const char *what)
{
	size_t n = strlen(what);

	return strncmp(name, what, n) == 0 && name[n] == '.' ?
	    atoi(name + n + 1) : -1;
}

static void
tap_vit(void *payload, const char *name, const float *v, int rows, int cols)
{
	struct tapped *t = payload;
	const struct cw_tower_info *i = &t->b->i->image;
	const size_t each = (size_t)i->tokens * (size_t)i->width;
	const size_t T = (size_t)i->tokens;
	double tol;
	int l;

	if (strcmp(name, "patch_embed") == 0) {
		tol = tolerance(t->b, "layers");
		assert_int_equal(rows * cols, each);
		close_to(t->b, "patch_embed", v, t->layers, each, tol);
		t->seen++;
	} else if ((l = numbered(name, "layer")) >= 0) {
		/* Of the last layer only the class row is computed. */
		tol = tolerance(t->b, "layers");
		close_to(t->b, name, v, t->layers + (size_t)(l + 1) * each,
		    l + 1 < i->layers ? each : (size_t)i->width, tol);
		t->seen++;
	} else if ((l = numbered(name, "attention")) >= 0) {
		tol = tolerance(t->b, "attention");
		assert_int_equal(cols, i->tokens);
		close_to(t->b, name, v, t->attention + (size_t)l * T * T,
		    (size_t)rows * T, tol);
		t->seen++;
	}
}

static void
tap_resnet(void *payload, const char *name, const float *v, int rows,
    int cols)
{
	struct tapped *t = payload;
	const char *array_name = strcmp(name, "stem") == 0 ? "stem" :
	    strcmp(name, "stage.4") == 0 ? "layer4" : NULL;
	const size_t n = (size_t)rows * (size_t)cols;
	float *planar;
	const float *want;

	if (strcmp(name, "pool_attention") == 0) {
		close_to(t->b, name, v, t->pool, n,
		    tolerance(t->b, "pool_attention"));
		t->seen++;
	}
	if (array_name == NULL)
		return;
	want = floats(t->b, array_name, n);
	planar = cw_arena_floats(t->b->a, n);
	for (int r = 0; r < rows; r++)
		for (int c = 0; c < cols; c++)
			planar[c * rows + r] = v[r * cols + c];
	close_to(t->b, name, planar, want, n, tolerance(t->b, array_name));
	t->seen++;
}

static void
stages_agree(struct bench *b)
{
	const bool vit = b->i->kind == CW_TOWER_VIT;
	const struct cw_tower_info *i = &b->i->image;
	const size_t T = (size_t)i->tokens;
	struct tapped t = { .b = b };
	struct cw_err err = { "" };
	struct cw_arena *scratch;
	float *embed;
	size_t n;

	if (!has_array(b, "pixels"))
		return;
	if (vit) {
		t.layers = floats(b, "layers", ((size_t)i->layers + 1) * T *
		    (size_t)i->width);
		t.attention = floats(b, "attention", (size_t)i->layers *
		    (size_t)i->heads * T * T);
	} else {
		t.pool = floats(b, "pool_attention", (size_t)i->heads * T);
	}
	must(cw_arena_open(cw_model_scratch_bytes(b->m, 1), &scratch, &err),
	    &err);
	embed = cw_arena_floats(b->a, (size_t)b->i->E);
	cw_model_tap(b->m, vit ? tap_vit : tap_resnet, &t);
	must(cw_model_encode_images(b->m, array(b, "pixels", 4, &n), 1,
	    CW_WANT_EMBED, 0, scratch, embed, NULL, NULL, NULL, &err), &err);
	cw_model_tap(b->m, NULL, NULL);
	assert_int_equal(t.seen, vit ? 1 + i->layers * (1 + i->heads) : 3);
	assert_int_equal(cw_arena_used(scratch), 0);
	cw_arena_close(&scratch);
}

static void
test_every_stage_of_an_image_is_as_in_the_reference(void **state)
{
	(void)state;
	each_model(stages_agree);
}

static void
tap_text(void *payload, const char *name, const float *v, int rows, int cols)
{
	struct tapped *t = payload;
	const size_t each = (size_t)t->b->i->text.tokens * (size_t)cols;
	int l = strcmp(name, "text_embed") == 0 ? 0 :
	    numbered(name, "layer") + 1;

	if (l == 0 && strcmp(name, "text_embed") != 0)
		return;
	if (l == t->b->i->text.layers) {	/* only the end token's row */
		assert_int_equal(rows, 1);
		close_to(t->b, name, v, t->layers + (size_t)l * each +
		    (size_t)(t->tokens - 1) * (size_t)cols, (size_t)cols,
		    tolerance(t->b, "text_layers"));
	} else {
		t->tokens = rows;
		close_to(t->b, name, v, t->layers + (size_t)l * each,
		    (size_t)rows * (size_t)cols,
		    tolerance(t->b, "text_layers"));
	}
	t->seen++;
}

static void
text_stages_agree(struct bench *b)
{
	const struct cw_tower_info *i = &b->i->text;
	const size_t C = (size_t)i->tokens;
	struct tapped t = { .b = b };
	struct cw_err err = { "" };
	float *embed = cw_arena_floats(b->a, (size_t)b->i->E);
	const int *ids;
	size_t n;

	t.layers = floats(b, "text_layers", ((size_t)i->layers + 1) * C *
	    (size_t)i->width);
	ids = array(b, "ids", sizeof(int), &n);
	cw_model_tap(b->m, tap_text, &t);
	must(cw_model_encode_text(b->m, ids + 5 * C, (int)C, b->a, embed,
	    NULL, 0, NULL, &err), &err);
	cw_model_tap(b->m, NULL, NULL);
	assert_int_equal(t.seen, i->layers + 1);
}

static void
test_every_stage_of_a_text_is_as_in_the_reference(void **state)
{
	(void)state;
	each_model(text_stages_agree);
}

/* ---- what bad numbers and bad directories get ---- */

static void
nan_is_refused(struct bench *b)
{
	const size_t n = 3 * (size_t)b->i->S * (size_t)b->i->S;
	float *x = cw_arena_zalloc(b->a, n, sizeof(float));
	float *embed = cw_arena_floats(b->a, (size_t)b->i->E);
	struct cw_err err = { "" };

	x[n / 2] = NAN;
	assert_int_equal(cw_model_encode_images(b->m, x, 1, CW_WANT_EMBED, 0,
	    b->a, embed, NULL, NULL, NULL, &err), CW_E_NUMERIC);
	assert_true(err.text[0] != '\0');
}

static void
test_a_pixel_that_is_no_number_gives_no_embedding(void **state)
{
	(void)state;
	each_model(nan_is_refused);
}

static void
test_a_small_scratch_is_an_error_and_not_a_crash(void **state)
{
	struct cw_err err = { "" };
	struct cw_arena *scratch;
	struct bench b;
	float *embed;
	size_t n;
	const float *x;

	(void)state;
	bench_open(&b, "tests/golden/vit");
	x = pixels_of(&b, &n);
	embed = cw_arena_floats(b.a, (size_t)b.i->E);
	for (size_t bytes = 4096; bytes < 100000; bytes += 4096) {
		enum cw_status st;

		must(cw_arena_open(bytes, &scratch, &err), &err);
		st = cw_model_encode_images(b.m, x, 1, CW_WANT_EMBED, 0,
		    scratch, embed, NULL, NULL, NULL, &err);
		assert_true(st == CW_OK || st == CW_E_LIMIT);
		cw_arena_close(&scratch);
	}
	bench_close(&b);
}

/* A batch may go through in other parts than a larger one. */
static void
test_scratch_for_a_batch_does_for_every_smaller_one(void **state)
{
	size_t bytes = 0;
	struct bench b;

	(void)state;
	bench_open(&b, "tests/golden/vit");
	for (int n = 1; n <= 64; n++) {
		assert_true(cw_model_scratch_bytes(b.m, n) >= bytes);
		bytes = cw_model_scratch_bytes(b.m, n);
	}
	bench_close(&b);
}

/* A copy of tests/golden/vit whose config.json is `config`. */
static void
put_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A copy of a golden model, one of its files another. */
static void
copy_dir(char *dir, const char *golden, const char *name, const char *text)
{
	char cmd[512];

	strcpy(dir, "/tmp/cw-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(cmd, sizeof(cmd), "cp tests/golden/%s/*.* %s", golden, dir);
	assert_int_equal(system(cmd), 0);
	put_file(dir, name, text);
}

static void
remove_dir(const char *dir)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

/* Such a model is refused with these words; NULL: it opens. */
static void
opens_or_says(const char *golden, const char *name, const char *text,
    const char *want)
{
	struct cw_err err = { "" };
	struct cw_model *m = NULL;
	enum cw_status st;
	char dir[32];

	copy_dir(dir, golden, name, text);
	st = cw_model_open(dir, &plain_opts, &m, &err);
	remove_dir(dir);
	if (want == NULL) {
		must(st, &err);
		cw_model_close(&m);
		return;
	}
	if (st != CW_E_MODEL || strstr(err.text, want) == NULL)
		fail_msg("%.200s\ngot %s \"%s\"; want \"%s\"", text,
		    cw_status_name(st), err.text, want);
	assert_null(m);
}

/* The golden model's own sizes; *_dict, where present, wins. */
#define CONFIG(more)							\
	"{\"projection_dim\": 16, "					\
	"\"vision_config\": {\"hidden_size\": 32, "			\
	"\"intermediate_size\": 128, \"num_hidden_layers\": 2, "	\
	"\"num_attention_heads\": 4, \"image_size\": 24, "		\
	"\"patch_size\": 8}, "						\
	"\"text_config\": {\"hidden_size\": 32, "			\
	"\"intermediate_size\": 128, \"num_hidden_layers\": 2, "	\
	"\"num_attention_heads\": 2, \"vocab_size\": 600, "		\
	"\"max_position_embeddings\": 20, \"eos_token_id\": 599}" more "}"

static void
test_a_wrong_configuration_is_refused_in_words(void **state)
{
	static const struct {
		const char	*what, *config, *want;
	} cases[] = {
		{ "not JSON", "{", "config.json:1:" },
		{ "a list", "[]", "not a JSON object" },
		{ "deep", "{\"a\":{\"a\":{\"a\":{\"a\":[[[[[[[[", "config.json:" },
		{ "another model", "{\"model_type\": \"siglip\"}", "want clip" },
		{ "no sizes said", "{}", "want the model's image_size 224" },
		{ "a width as text", "{\"vision_config\": {\"hidden_size\": "
		    "\"big\"}}", "vision_config.hidden_size is \"big\"" },
		{ "a huge width", "{\"vision_config\": {\"hidden_size\": "
		    "99999999999}}", "want a whole number from 1 to" },
		{ "half a head", "{\"vision_config\": {\"hidden_size\": 32, "
		    "\"num_attention_heads\": 5}}",
		    "width 32 does not divide into 5 heads" },
		{ "no heads", "{\"text_config\": {\"num_attention_heads\": "
		    "0}}", "text_config.num_attention_heads is 0" },
		{ "negative", "{\"text_config\": {\"num_hidden_layers\": -3}}",
		    "num_hidden_layers is -3" },
		{ "a fraction", "{\"vision_config\": {\"patch_size\": 7.5}}",
		    "patch_size is 7.5" },
		{ "gray", "{\"vision_config\": {\"num_channels\": 1}}",
		    "want a whole number from 3 to 3" },
		{ "tanh gelu", "{\"text_config\": {\"hidden_act\": "
		    "\"gelu_new\"}}", "want quick_gelu or gelu" },
		{ "zero eps", "{\"text_config\": {\"layer_norm_eps\": 0}}",
		    "layer_norm_eps" },
		{ "a patch too large", "{\"vision_config\": {\"image_size\": "
		    "16, \"patch_size\": 32}}",
		    "patch_size 32 is larger than image_size 16" },
		{ "a million patches", "{\"vision_config\": {\"image_size\": "
		    "4096, \"patch_size\": 1}}", "want at most 64 by 64" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++)
		opens_or_says("vit", "config.json", cases[i].config,
		    cases[i].want);
}

static void
test_pictures_are_prepared_as_for_clip_or_not_at_all(void **state)
{
	static const struct {
		const char	*steps, *want;	/* NULL: it opens */
	} cases[] = {
		{ "{\"resample\": 3, \"do_resize\": true, \"size\": 24, "
		    "\"rescale_factor\": 0.00392156862745098}", NULL },
		{ "{\"resample\": 2}", "resample is 2; want 3, bicubic" },
		{ "{\"do_center_crop\": false}",
		    "do_center_crop is false; want true" },
		{ "{\"do_normalize\": false}", "do_normalize is false" },
		{ "{\"rescale_factor\": 0.0078125}",
		    "rescale_factor is 0.0078125; want 1/255" },
		{ "{\"size\": 32, \"crop_size\": 24}",
		    "size is 32; want that of crop_size, 24" },
		{ "{\"size\": {\"shortest_edge\": 24}, \"crop_size\": "
		    "{\"height\": 24, \"width\": 24}}", NULL },
		{ "{\"size\": {\"height\": 24, \"width\": 24}}",
		    "size: want a number or shortest_edge" },
		{ "{\"crop_size\": {\"height\": 24, \"width\": 20}}",
		    "crop_size: want a number, or height and width that are "
		    "equal" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++)
		opens_or_says("vit", "preprocessor_config.json",
		    cases[i].steps, cases[i].want);
}

/* The golden open_clip models' own numbers, and how they prepare pictures. */
#define OPEN_CLIP(vision, size, pre)					\
	"{\"model_cfg\": {\"embed_dim\": 16, \"vision_cfg\": {" vision	\
	", \"image_size\": " size "}, \"text_cfg\": "			\
	"{\"context_length\": 20, \"vocab_size\": 600, \"width\": 32, "	\
	"\"heads\": 2, \"layers\": 2}}, \"preprocess_cfg\": {" pre "}}"
#define OPEN_VIT(pre)							\
	OPEN_CLIP("\"patch_size\": 6, \"width\": 48, \"layers\": 3, "	\
	"\"head_width\": 16, \"mlp_ratio\": 2.0", "20", pre)
#define OPEN_RESNET(size)						\
	OPEN_CLIP("\"width\": 4, \"layers\": [1, 1, 2, 1]", size, "")

static void
test_open_clips_words_for_pictures_and_their_sizes(void **state)
{
	static const struct {
		const char	*golden, *config, *want;
	} cases[] = {
		{ "openai", OPEN_VIT("\"mode\": \"RGB\", \"interpolation\": \"bicubic\", "
		    "\"resize_mode\": \"shortest\""), NULL },
		{ "openai", OPEN_VIT("\"interpolation\": \"bilinear\""),
		    "interpolation is \"bilinear\"; want bicubic" },
		{ "openai", OPEN_VIT("\"resize_mode\": \"squash\""),
		    "resize_mode is \"squash\"; want shortest" },
		{ "openai", OPEN_VIT("\"mode\": \"L\""), "mode is \"L\"; want RGB" },
		{ "resnet", OPEN_RESNET("64"), NULL },
		{ "resnet", OPEN_RESNET("2080"), "65 by 65 cells to pool; want at most "
		    "64 by 64" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++)
		opens_or_says(cases[i].golden, "open_clip_config.json",
		    cases[i].config, cases[i].want);
}

static void
test_a_configuration_that_the_weights_deny_names_the_tensor(void **state)
{
	static const struct {
		const char	*what, *config, *want;
	} cases[] = {
		{ "a layer too many", CONFIG(", \"vision_config_dict\": "
		    "{\"num_hidden_layers\": 3}"),
		    "no tensor \"vision_model.encoder.layers.2." },
		{ "a layer too few", CONFIG(", \"text_config_dict\": "
		    "{\"num_hidden_layers\": 1}"),
		    "text_model.encoder.layers.1.layer_norm1.weight\" is one "
		    "layer too many" },
		{ "more patches", CONFIG(", \"vision_config_dict\": "
		    "{\"patch_size\": 4}"), "patch_embedding.weight" },
		{ "another end mark", CONFIG(", \"text_config_dict\": "
		    "{\"eos_token_id\": 7}"), "want 599" },
		{ "a larger vocabulary", CONFIG(", \"text_config_dict\": "
		    "{\"vocab_size\": 1048576}"), "BF16 [1048576][32]" },
		{ "a smaller vocabulary", CONFIG(", \"text_config_dict\": "
		    "{\"vocab_size\": 599}"), "[599][32]" },
		{ "another width of the MLP", CONFIG(", \"text_config_dict\": "
		    "{\"intermediate_size\": 64}"),
		    "want F32, F16 or BF16 [64][32]" },
		{ "another width", CONFIG(", \"vision_config_dict\": "
		    "{\"hidden_size\": 16}"),
		    "want F32, F16 or BF16 [16]" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++)
		opens_or_says("vit", "config.json", cases[i].config,
		    cases[i].want);
}

/* What the model's hash is made of is there, is not, or is an error. */
static void
test_a_file_that_cannot_be_read_is_no_absent_one(void **state)
{
	struct cw_err err = { "" };
	struct cw_model *m = NULL;
	char dir[32], path[64];

	(void)state;
	copy_dir(dir, "vit", "config.json", CONFIG(""));
	snprintf(path, sizeof(path), "%s/tokenizer.json", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(cw_model_open(dir, &plain_opts, &m, &err),
	    CW_E_MODEL);
	remove_dir(dir);
	assert_non_null(strstr(err.text, "tokenizer.json"));
}

static void
test_every_kernel_of_this_cpu_gives_the_same_embeddings(void **state)
{
	static const char *const models[] = { "vit", "openai", "resnet" };
	const struct cw_kernel *k;
	char dir[64];

	(void)state;
	for (size_t i = 0; (k = cw_kernel_at(i)) != NULL; i++) {
		if (k->int8 || !k->supported())
			continue;
		for (size_t j = 0; j < CW_COUNT(models); j++) {
			struct cw_model_opts o = plain_opts;
			struct cw_err err = { "" };
			struct bench b;

			snprintf(dir, sizeof(dir), "tests/golden/%s",
			    models[j]);
			bench_open(&b, dir);
			cw_model_close(&b.m);
			o.kernel = k->name;
			must(cw_model_open(dir, &o, &b.m, &err), &err);
			b.i = cw_model_info(b.m);
			assert_string_equal(b.i->kernel, k->name);
			images_agree(&b);
			texts_agree(&b);
			bench_close(&b);
		}
	}
}

static void
test_a_kernel_that_there_is_not_is_refused(void **state)
{
	struct cw_model_opts o = plain_opts;
	struct cw_err err = { "" };
	struct cw_model *m = NULL;

	(void)state;
	o.kernel = "abacus";
	assert_int_equal(cw_model_open("tests/golden/vit", &o, &m, &err),
	    CW_E_CONFIG);
	assert_non_null(strstr(err.text, "no kernel \"abacus\""));
	assert_null(m);
}

static void
test_no_directory_and_an_empty_one_are_told_apart(void **state)
{
	struct cw_err err = { "" };
	struct cw_model *m = NULL;
	char dir[] = "/tmp/cw-test-XXXXXX";

	(void)state;
	assert_int_equal(cw_model_open("/nonexistent", &plain_opts, &m, &err),
	    CW_E_MODEL);
	assert_non_null(strstr(err.text, "want a model directory"));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(cw_model_open(dir, &plain_opts, &m, &err),
	    CW_E_MODEL);
	assert_non_null(strstr(err.text, "want model.safetensors"));
	rmdir(dir);
	assert_null(m);
}

static void
test_a_model_has_its_directorys_name_and_its_weights_hash(void **state)
{
	struct cw_err err = { "" };
	struct cw_model *m;

	(void)state;
	must(cw_model_open("tests/golden/vit/", &plain_opts, &m, &err), &err);
	assert_true(cw_sha256_valid(cw_model_info(m)->sha256));
	assert_string_equal(cw_model_info(m)->name, "vit");
	cw_model_close(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images_embed_as_in_the_reference),
		cmocka_unit_test(test_texts_embed_as_in_the_reference),
		cmocka_unit_test(
		    test_every_stage_of_an_image_is_as_in_the_reference),
		cmocka_unit_test(
		    test_every_stage_of_a_text_is_as_in_the_reference),
		cmocka_unit_test(
		    test_a_pixel_that_is_no_number_gives_no_embedding),
		cmocka_unit_test(
		    test_a_small_scratch_is_an_error_and_not_a_crash),
		cmocka_unit_test(
		    test_scratch_for_a_batch_does_for_every_smaller_one),
		cmocka_unit_test(
		    test_a_wrong_configuration_is_refused_in_words),
		cmocka_unit_test(
		    test_pictures_are_prepared_as_for_clip_or_not_at_all),
		cmocka_unit_test(
		    test_a_file_that_cannot_be_read_is_no_absent_one),
		cmocka_unit_test(
		    test_open_clips_words_for_pictures_and_their_sizes),
		cmocka_unit_test(
		    test_a_configuration_that_the_weights_deny_names_the_tensor),
		cmocka_unit_test(
		    test_every_kernel_of_this_cpu_gives_the_same_embeddings),
		cmocka_unit_test(
		    test_a_kernel_that_there_is_not_is_refused),
		cmocka_unit_test(
		    test_no_directory_and_an_empty_one_are_told_apart),
		cmocka_unit_test(
		    test_a_model_has_its_directorys_name_and_its_weights_hash),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
