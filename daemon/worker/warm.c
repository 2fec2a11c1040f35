/*
 * warm.c - see warm.h.
 */
#include "worker/warm.h"

#include <math.h>
#include <string.h>

#include "model/explain.h"
#include "worker/explain.h"
#include "worker/image.h"

#define DUMMY_W		160	/* pixels; wide enough for several views */
#define DUMMY_H		96

void
cw_warm_noise(struct cw_worker *w, int n, uint32_t seed)
{
	const size_t floats = (size_t)n * cw_view_floats(w);
	uint32_t x = seed | 1;

	for (size_t i = 0; i < floats; i++) {
		x = x * 1664525u + 1013904223u;
		w->pixels[i] = (float)(x >> 8) / (1 << 23) - 1;	/* -1 .. 1 */
	}
}

/* Is t . u/|u| the sum of its parts? */
static enum cw_status
check_sum(const struct cw_worker *w, const struct cw_terms *s, int tokens,
    const float *t, const float *embed, const char *tower,
    struct cw_err *err)
{
	double parts = (double)s->read + s->mlp + s->out_bias + s->rest +
	    s->ln_bias, cosine = 0;

	for (int i = 0; i < tokens; i++)
		parts += s->tokens[i];
	for (int i = 0; i < w->info->E; i++)
		cosine += (double)t[i] * embed[i];
	if (cw_explain_adds_up(w->info, cosine - parts, 1))
		return CW_OK;
	return cw_err_set(err, CW_E_NUMERIC, "self-test: the parts of the %s "
	    "tower's explanation sum to %.6f; want %.6f", tower, parts,
	    cosine);
}

static enum cw_status
check_unit(const float *embed, int E, const char *tower, struct cw_err *err)
{
	double sum = 0;

	for (int i = 0; i < E; i++)
		sum += (double)embed[i] * embed[i];
	if (fabs(sum - 1) < 1e-3)
		return CW_OK;
	return cw_err_set(err, CW_E_NUMERIC,
	    "self-test: the %s tower's vector has length %g; want 1", tower,
	    sqrt(sum));
}

/* A text through its tower, explained along itself; its vector goes out. */
static enum cw_status
warm_text(struct cw_worker *w, float *embed, struct cw_err *err)
{
	int *ids = cw_arena_zalloc(w->batch, (size_t)w->info->text.tokens,
	    sizeof(*ids));
	struct cw_trace trace;
	struct cw_terms terms;
	struct cw_fold fold;
	enum cw_status st;
	int n;

	if (ids == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room");
	st = cw_model_tokenize(w->model, "a photo", w->scratch, ids, &n, err);
	if (st == CW_OK)
		st = cw_model_encode_text(w->model, ids, n, w->scratch, embed,
		    &trace, 0, w->traces, err);
	if (st == CW_OK)
		st = check_unit(embed, w->info->E, "text", err);
	if (st != CW_OK)
		return st;
	st = cw_fold_make(w->model, CW_SIDE_TEXT, embed, 0, w->scratch, &fold);
	if (st == CW_OK)
		st = cw_explain(w->model, &trace, &fold, w->scratch, &terms,
		    NULL);
	if (st != CW_OK)
		return cw_err_set(err, st, "self-test: no room");
	return check_sum(w, &terms, trace.T - 1, embed, embed, "text", err);
}

/* A batch of noise, each image explained along a text's vector. */
static enum cw_status
warm_images(struct cw_worker *w, const float *t, struct cw_err *err)
{
	const int E = w->info->E;
	/* A single thread has seen it all after two. */
	const int n = w->init.threads > 1 || w->traced < 2 ? w->traced : 2;
	struct cw_fold fold;
	enum cw_status st;

	cw_warm_noise(w, n, 1);
	cw_arena_reset(w->traces, CW_KEEP_ALL);
	st = cw_model_encode_images(w->model, w->pixels, n,
	    CW_WANT_TRACE, w->keep_layers, w->scratch, w->embeds, NULL,
	    w->trace, w->traces, err);
	if (st != CW_OK)
		return st;
	st = cw_fold_make(w->model, CW_SIDE_IMAGE, t, w->keep_layers,
	    w->scratch, &fold);
	if (st != CW_OK)
		return cw_err_set(err, st, "self-test: no room");
	for (int i = 0; i < n && st == CW_OK; i++) {
		const float *embed = w->embeds + (size_t)i * (size_t)E;
		struct cw_terms terms;

		st = check_unit(embed, E, "image", err);
		if (st == CW_OK)
			st = cw_explain(w->model, &w->trace[i], &fold,
			    w->scratch, &terms, NULL);
		if (st == CW_OK)
			st = check_sum(w, &terms, w->trace[i].T - 1, t, embed,
			    "image", err);
	}
	return st;
}

/* A grey picture, encoded by ourselves, decoded, looked at, drawn on. */
static enum cw_status
warm_pictures(struct cw_worker *w, struct cw_err *err)
{
	struct cw_image im = { .format = "jpeg", .width = DUMMY_W,
		.height = DUMMY_H, .frames = 1, .w = DUMMY_W, .h = DUMMY_H };
	const struct cw_region part = { 0, 0, DUMMY_W / 2, DUMMY_H / 2, 1 };
	const struct cw_hide hide = { .region = &part, .n = 1 };
	const uint32_t G = (uint32_t)cw_grid(w);
	struct cw_map map = { .gw = G, .gh = G };
	struct cw_view views[CW_VIEWS_MAX];
	const char *code = "";
	enum cw_status st;
	uint8_t *bytes, *png;
	size_t n;

	im.rgb = cw_arena_zalloc(w->picture, DUMMY_W * DUMMY_H, 3);
	map.values = cw_arena_zalloc(w->picture, (size_t)G * G,
	    sizeof(*map.values));
	if (im.rgb == NULL || map.values == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room");
	memset(im.rgb, 0x77, DUMMY_W * DUMMY_H * 3);
	st = cw_redact(&im, &hide, w->picture, &bytes, &n, err);
	if (st == CW_OK)
		st = cw_decode(bytes, n, &w->init.limits, 0, w->picture, &im,
		    &code, err);
	if (st != CW_OK)
		return st;
	for (int i = cw_views_plan(w->init.views, &im, CW_SQUARES_MAX, views) - 1;
	    i >= 0 && st == CW_OK; i--)
		st = cw_preprocess(&im, &views[i], &w->info->pixels,
		    w->info->S, w->picture, w->pixels, err);
	if (st == CW_OK)
		st = cw_overlay_png(&im, &views[0], &map, "self-test",
		    w->picture, &png, &n, err);
	return st;
}

enum cw_status
cw_warm(struct cw_worker *w, struct cw_err *err)
{
	float *embed = cw_arena_floats(w->batch, (size_t)w->info->E);
	enum cw_status st;

	if (embed == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room");
	st = warm_pictures(w, err);
	if (st == CW_OK)
		st = warm_text(w, embed, err);
	if (st == CW_OK)
		st = warm_images(w, embed, err);
	cw_arena_reset(w->picture, 0);
	cw_arena_reset(w->batch, 0);
	cw_arena_reset(w->scratch, CW_KEEP_ALL);
	cw_arena_reset(w->traces, CW_KEEP_ALL);
	return st;
}
