/*
 * model_config.c - see model_config.h.
 */
#include "model/model_config.h"

#include <math.h>
#include <string.h>

#include "model/doc.h"

#define CONFIG_MAX	(1u << 20)	/* bytes of a configuration file */

/* Bounds of what we call a possible CLIP; the largest published is bigG. */
#define WIDTH_MAX	16384
#define HIDDEN_MAX	65536
#define LAYERS_MAX	256
#define SIDE_MAX	4096		/* pixels */
#define CONTEXT_MAX	4096
#define VOCAB_MAX	(1 << 20)

static const struct cw_model_config defaults = {
	.kind = CW_TOWER_VIT,
	.S = 224, .P = 32, .E = 512,
	.image = { 768, 12, 12, 3072, 1e-5f, CW_ACT_QUICK_GELU },
	.text = { 512, 12, 8, 2048, 1e-5f, CW_ACT_QUICK_GELU },
	.context = 77, .vocab = 49408, .eos = 49407,
	.pixels = {
		.mean = { 0.48145466f, 0.4578275f, 0.40821073f },
		.std = { 0.26862954f, 0.26130258f, 0.27577711f },
	},
};

struct int_key {
	const char	*name;
	int		 min, max;
	int		*out;
};

static enum cw_status
read_ints(struct cw_val v, const struct int_key *keys, size_t n,
    struct cw_err *err)
{
	enum cw_status st = CW_OK;

	for (size_t i = 0; i < n && st == CW_OK; i++)
		st = cw_val_int(v, keys[i].name, keys[i].min, keys[i].max,
		    keys[i].out, err);
	return st;
}

static enum cw_status
wrong(struct cw_val v, struct cw_err *err, const char *key, const char *got,
    const char *want)
{
	return cw_err_set(err, CW_E_MODEL, "%s: %s%s%s is \"%.40s\"; want %s",
	    v.file, v.path, *v.path != '\0' ? "." : "", key, got, want);
}

static enum cw_status
check_heads(const char *file, const char *which,
    const struct cw_encoder_config *c, struct cw_err *err)
{
	if (c->heads < 1 || c->width % c->heads != 0)
		return cw_err_set(err, CW_E_MODEL, "%s: %s width %d does not "
		    "divide into %d heads", file, which, c->width, c->heads);
	return CW_OK;
}

/* ---- Hugging Face ---- */

static enum cw_status
read_act(struct cw_val v, enum cw_act *out, struct cw_err *err)
{
	const char *s = NULL;
	enum cw_status st = cw_val_str(v, "hidden_act", &s, err);

	if (st != CW_OK || s == NULL)
		return st;
	if (strcmp(s, "quick_gelu") == 0)
		*out = CW_ACT_QUICK_GELU;
	else if (strcmp(s, "gelu") == 0)
		*out = CW_ACT_GELU;
	else
		return wrong(v, err, "hidden_act", s, "quick_gelu or gelu");
	return CW_OK;
}

/* The keys that both towers have. */
static enum cw_status
read_encoder(struct cw_val v, struct cw_encoder_config *c, struct cw_err *err)
{
	const struct int_key keys[] = {
		{ "hidden_size", 1, WIDTH_MAX, &c->width },
		{ "intermediate_size", 1, HIDDEN_MAX, &c->hidden },
		{ "num_hidden_layers", 1, LAYERS_MAX, &c->layers },
		{ "num_attention_heads", 1, WIDTH_MAX, &c->heads },
	};
	double eps = c->eps;
	enum cw_status st;

	if ((st = read_ints(v, keys, CW_COUNT(keys), err)) != CW_OK ||
	    (st = cw_val_real(v, "layer_norm_eps", 1e-12, 1, &eps,
	    err)) != CW_OK)
		return st;
	c->eps = (float)eps;
	return read_act(v, &c->act, err);
}

static enum cw_status
read_text(struct cw_val v, struct cw_model_config *c, struct cw_err *err)
{
	const struct int_key keys[] = {
		{ "max_position_embeddings", 3, CONTEXT_MAX, &c->context },
		{ "vocab_size", 2, VOCAB_MAX, &c->vocab },
		{ "eos_token_id", 0, VOCAB_MAX, &c->eos },
	};
	enum cw_status st;

	if ((st = read_ints(v, keys, CW_COUNT(keys), err)) != CW_OK)
		return st;
	return read_encoder(v, &c->text, err);
}

static enum cw_status
read_vision(struct cw_val v, struct cw_model_config *c, struct cw_err *err)
{
	int channels = 3;
	const struct int_key keys[] = {
		{ "image_size", 1, SIDE_MAX, &c->S },
		{ "patch_size", 1, SIDE_MAX, &c->P },
		{ "num_channels", 3, 3, &channels },
	};
	enum cw_status st;

	if ((st = read_ints(v, keys, CW_COUNT(keys), err)) != CW_OK)
		return st;
	return read_encoder(v, &c->image, err);
}

static enum cw_status
read_hf(struct cw_val root, struct cw_model_config *c, struct cw_err *err)
{
	/* The *_dict form wins when both are there. */
	static const char *const text[] = { "text_config",
	    "text_config_dict" };
	static const char *const vision[] = { "vision_config",
	    "vision_config_dict" };
	const char *type = "clip";
	enum cw_status st;

	if ((st = cw_val_str(root, "model_type", &type, err)) != CW_OK)
		return st;
	if (strcmp(type, "clip") != 0)
		return wrong(root, err, "model_type", type, "clip");
	st = cw_val_int(root, "projection_dim", 1, WIDTH_MAX, &c->E, err);
	for (size_t i = 0; i < CW_COUNT(text) && st == CW_OK; i++)
		st = read_text(cw_val_get(root, text[i]), c, err);
	for (size_t i = 0; i < CW_COUNT(vision) && st == CW_OK; i++)
		st = read_vision(cw_val_get(root, vision[i]), c, err);
	return st;
}

/* ---- open_clip ---- */

/* Parts that other models of the same file format have, and we do not. */
static enum cw_status
refuse_foreign(struct cw_val v, struct cw_err *err)
{
	static const char *const keys[] = {
		"timm_model_name", "hf_model_name", "ls_init_value",
		"attentional_pool", "input_patchnorm", "no_ln_pre",
		"embed_cls", "act_kwargs",
	};

	for (size_t i = 0; i < CW_COUNT(keys); i++) {
		struct cw_val got = cw_val_get(v, keys[i]);
		bool on = true;

		if (got.j == NULL)
			continue;
		if (cw_val_bool(v, keys[i], &on, NULL) == CW_OK && !on)
			continue;
		return cw_err_set(err, CW_E_MODEL, "%s: %s.%s is not part of "
		    "a CLIP we read", v.file, v.path, keys[i]);
	}
	return CW_OK;
}

static enum cw_status
read_hidden(struct cw_val v, struct cw_encoder_config *c, struct cw_err *err)
{
	double ratio = 4;
	enum cw_status st;

	st = cw_val_real(v, "mlp_ratio", 0.01, 16, &ratio, err);
	c->hidden = (int)((double)c->width * ratio);
	if (st == CW_OK && (c->hidden < 1 || c->hidden > HIDDEN_MAX))
		return cw_err_set(err, CW_E_MODEL,
		    "%s: %s.mlp_ratio gives %d hidden units", v.file, v.path,
		    c->hidden);
	return st;
}

static enum cw_status
read_open_clip_text(struct cw_val v, struct cw_model_config *c,
    struct cw_err *err)
{
	const struct int_key keys[] = {
		{ "context_length", 3, CONTEXT_MAX, &c->context },
		{ "vocab_size", 2, VOCAB_MAX, &c->vocab },
		{ "width", 1, WIDTH_MAX, &c->text.width },
		{ "heads", 1, WIDTH_MAX, &c->text.heads },
		{ "layers", 1, LAYERS_MAX, &c->text.layers },
	};
	enum cw_status st;

	if ((st = refuse_foreign(v, err)) != CW_OK ||
	    (st = read_ints(v, keys, CW_COUNT(keys), err)) != CW_OK)
		return st;
	return read_hidden(v, &c->text, err);
}

static enum cw_status
read_stages(struct cw_val v, struct cw_val list, struct cw_model_config *c,
    struct cw_err *err)
{
	if (cw_val_size(list) != CW_STAGES)
		return wrong(v, err, "layers", "a list",
		    "a number, or four of them");
	for (size_t i = 0; i < CW_STAGES; i++) {
		int64_t n;

		if (!cw_val_whole(cw_val_at(list, i), &n) || n < 1 ||
		    n > LAYERS_MAX)
			return wrong(v, err, "layers", "a list",
			    "four whole numbers from 1 to 256");
		c->stages[i] = (int)n;
	}
	c->kind = CW_TOWER_RESNET;
	c->P = 0;
	return CW_OK;
}

static enum cw_status
read_open_clip_vision(struct cw_val v, struct cw_model_config *c,
    struct cw_err *err)
{
	struct cw_val layers = cw_val_get(v, "layers");
	int head = 64, width = c->image.width;
	const struct int_key keys[] = {
		{ "image_size", 1, SIDE_MAX, &c->S },
		{ "patch_size", 1, SIDE_MAX, &c->P },
		{ "width", 1, WIDTH_MAX, &width },
		{ "head_width", 1, WIDTH_MAX, &head },
	};
	enum cw_status st;

	if ((st = refuse_foreign(v, err)) != CW_OK ||
	    (st = read_ints(v, keys, CW_COUNT(keys), err)) != CW_OK)
		return st;
	if (!cw_val_is_array(layers)) {
		c->image.width = width;
		c->image.heads = width / head;
		st = cw_val_int(v, "layers", 1, LAYERS_MAX, &c->image.layers,
		    err);
		return st != CW_OK ? st : read_hidden(v, &c->image, err);
	}
	if ((st = read_stages(v, layers, c, err)) != CW_OK)
		return st;
	/* The pool works on 32 times the width of the stem. */
	if (width < 2 || width % 2 != 0 || width > WIDTH_MAX / 32)
		return cw_err_set(err, CW_E_MODEL, "%s: %s.width is %d; want "
		    "an even number up to %d", v.file, v.path, width,
		    WIDTH_MAX / 32);
	c->image.width = 32 * width;
	c->image.heads = 32 * width / head;
	c->image.layers = 1;
	c->image.hidden = 0;
	return CW_OK;
}

static enum cw_status
read_means(struct cw_val v, const char *key, double min, float out[3],
    struct cw_err *err)
{
	struct cw_val list = cw_val_get(v, key);
	double x[3];

	if (list.j == NULL)
		return CW_OK;
	for (size_t i = 0; i < 3; i++)
		if (cw_val_size(list) != 3 ||
		    !cw_val_number(cw_val_at(list, i), &x[i]) ||
		    !(x[i] >= min && x[i] <= 1e3))
			return cw_err_set(err, CW_E_MODEL, "%s: %s: want a "
			    "list of three numbers from %g to 1000", v.file,
			    key, min);
	for (size_t i = 0; i < 3; i++)
		out[i] = (float)x[i];
	return CW_OK;
}

/* open_clip's words for what is done to a picture, where it says any. */
static enum cw_status
check_open_clip_steps(struct cw_val pre, struct cw_err *err)
{
	static const struct {
		const char	*key, *want;
	} words[] = {
		{ "interpolation", "bicubic" }, { "resize_mode", "shortest" },
		{ "mode", "RGB" },
	};
	enum cw_status st;

	for (size_t i = 0; i < CW_COUNT(words); i++) {
		const char *s = words[i].want;

		if ((st = cw_val_str(pre, words[i].key, &s, err)) != CW_OK)
			return st;
		if (strcmp(s, words[i].want) != 0)
			return wrong(pre, err, words[i].key, s,
			    words[i].want);
	}
	return CW_OK;
}

static enum cw_status
read_open_clip(struct cw_val root, struct cw_model_config *c,
    struct cw_err *err)
{
	struct cw_val v = cw_val_get(root, "model_cfg");
	struct cw_val pre = cw_val_get(root, "preprocess_cfg");
	bool quick = false;
	enum cw_status st;

	if (v.j == NULL)
		v = root;
	c->open_clip = true;
	c->eos = 2;
	if ((st = cw_val_int(v, "embed_dim", 1, WIDTH_MAX, &c->E,
	    err)) != CW_OK ||
	    (st = cw_val_bool(v, "quick_gelu", &quick, err)) != CW_OK ||
	    (st = read_open_clip_text(cw_val_get(v, "text_cfg"), c,
	    err)) != CW_OK ||
	    (st = read_open_clip_vision(cw_val_get(v, "vision_cfg"), c,
	    err)) != CW_OK ||
	    (st = check_open_clip_steps(pre, err)) != CW_OK ||
	    (st = read_means(pre, "mean", -1e3, c->pixels.mean,
	    err)) != CW_OK ||
	    (st = read_means(pre, "std", 1e-6, c->pixels.std, err)) != CW_OK)
		return st;
	c->text.act = c->image.act = quick ? CW_ACT_QUICK_GELU : CW_ACT_GELU;
	return CW_OK;
}

/* ---- preprocessor_config.json ---- */

/*
 * 224, or {"shortest_edge": 224}; of a crop {"height": 224, "width": 224}.
 * A size of height and width would squash the picture.
 */
static enum cw_status
read_side(struct cw_val root, const char *key, bool crop, int *out,
    struct cw_err *err)
{
	struct cw_val v = cw_val_get(root, key);
	int height = 0, width = 0, edge = 0;
	const struct int_key keys[] = {
		{ "shortest_edge", 1, SIDE_MAX, &edge },
		{ "height", 1, SIDE_MAX, &height },
		{ "width", 1, SIDE_MAX, &width },
	};
	enum cw_status st;

	if (!cw_val_is_object(v))
		return cw_val_int(root, key, 1, SIDE_MAX, out, err);
	if ((st = read_ints(v, keys, CW_COUNT(keys), err)) != CW_OK)
		return st;
	if (crop && edge == 0 && height == width)
		edge = height;
	if (edge == 0)
		return cw_err_set(err, CW_E_MODEL, "%s: %s: want a number%s",
		    root.file, key, crop ? ", or height and width that are "
		    "equal" : " or shortest_edge");
	*out = edge;
	return CW_OK;
}

/* What is done to a picture is what CLIP does: another model is refused. */
static enum cw_status
check_steps(struct cw_val root, struct cw_err *err)
{
	static const char *const steps[] = { "do_resize", "do_center_crop",
	    "do_rescale", "do_normalize" };
	int resample = 3;
	double factor = 1.0 / 255;
	enum cw_status st;

	for (size_t i = 0; i < CW_COUNT(steps); i++) {
		bool on = true;

		if ((st = cw_val_bool(root, steps[i], &on, err)) != CW_OK)
			return st;
		if (!on)
			return cw_err_set(err, CW_E_MODEL,
			    "%s: %s is false; want true", root.file, steps[i]);
	}
	if ((st = cw_val_int(root, "resample", 0, 16, &resample, err)) !=
	    CW_OK || (st = cw_val_real(root, "rescale_factor", 0, 1, &factor,
	    err)) != CW_OK)
		return st;
	if (resample != 3)
		return cw_err_set(err, CW_E_MODEL, "%s: resample is %d; want "
		    "3, bicubic", root.file, resample);
	if (fabs(factor * 255 - 1) > 1e-5)
		return cw_err_set(err, CW_E_MODEL, "%s: rescale_factor is "
		    "%.9g; want 1/255", root.file, factor);
	return CW_OK;
}

static enum cw_status
read_pixels(struct cw_val root, struct cw_model_config *c, struct cw_err *err)
{
	enum cw_status st;

	if ((st = check_steps(root, err)) != CW_OK ||
	    (st = read_side(root, "size", false, &c->pixels.short_side,
	    err)) != CW_OK)
		return st;
	c->pixels.crop = c->pixels.short_side;
	if ((st = read_side(root, "crop_size", true, &c->pixels.crop,
	    err)) != CW_OK ||
	    (st = read_means(root, "image_mean", -1e3, c->pixels.mean,
	    err)) != CW_OK ||
	    (st = read_means(root, "image_std", 1e-6, c->pixels.std,
	    err)) != CW_OK)
		return st;
	if (c->pixels.crop != c->S)
		return cw_err_set(err, CW_E_MODEL, "%s: crop_size is %d; want "
		    "the model's image_size %d", root.file, c->pixels.crop,
		    c->S);
	/* else views, maps and what is redacted would lie elsewhere */
	if (c->pixels.short_side != c->pixels.crop)
		return cw_err_set(err, CW_E_MODEL, "%s: size is %d; want that "
		    "of crop_size, %d", root.file, c->pixels.short_side,
		    c->pixels.crop);
	return CW_OK;
}

/* ---- all of it ---- */

static enum cw_status
read_main(int dirfd, const char *dir, const char *name, bool open_clip,
    struct cw_arena *a, struct cw_model_config *c, struct cw_err *err)
{
	struct cw_doc doc;
	enum cw_status st;

	st = cw_doc_open(dirfd, dir, name, CONFIG_MAX, a, &doc, err);
	if (st != CW_OK)
		return st;
	st = open_clip ? read_open_clip(cw_doc_root(&doc), c, err) :
	    read_hf(cw_doc_root(&doc), c, err);
	if (st == CW_OK)
		st = check_heads(doc.file, "text", &c->text, err);
	if (st == CW_OK)
		st = check_heads(doc.file, "image", &c->image, err);
	if (st == CW_OK && c->kind == CW_TOWER_VIT && c->P > c->S)
		st = cw_err_set(err, CW_E_MODEL, "%s: patch_size %d is larger "
		    "than image_size %d", doc.file, c->P, c->S);
	if (st == CW_OK && c->kind == CW_TOWER_VIT &&
	    c->S / c->P > CW_MODEL_GRID_MAX)
		st = cw_err_set(err, CW_E_MODEL, "%s: %d by %d patches; want "
		    "at most %d by %d", doc.file, c->S / c->P, c->S / c->P,
		    CW_MODEL_GRID_MAX, CW_MODEL_GRID_MAX);
	cw_doc_close(&doc);
	return st;
}

enum cw_status
cw_model_config_read(int dirfd, const char *dir, bool openai_names,
    struct cw_arena *a, struct cw_model_config *out, struct cw_err *err)
{
	static const char *const names[] = { "config.json",
	    "open_clip_config.json" };
	struct cw_model_config c = defaults;
	struct cw_doc doc;
	enum cw_status st;

	st = read_main(dirfd, dir, names[openai_names], openai_names, a, &c,
	    err);
	if (st == CW_E_NOT_FOUND)
		st = read_main(dirfd, dir, names[!openai_names],
		    !openai_names, a, &c, err);
	if (st == CW_E_NOT_FOUND)
		return cw_err_set(err, CW_E_MODEL, "%s/%s: no such file", dir,
		    names[openai_names]);
	if (st != CW_OK)
		return st;
	c.pixels.short_side = c.pixels.crop = c.S;
	st = cw_doc_open(dirfd, dir, "preprocessor_config.json", CONFIG_MAX, a,
	    &doc, err);
	if (st == CW_OK) {
		st = read_pixels(cw_doc_root(&doc), &c, err);
		cw_doc_close(&doc);
	} else if (st == CW_E_NOT_FOUND) {
		st = CW_OK;
	}
	if (st == CW_OK)
		*out = c;
	return st;
}
