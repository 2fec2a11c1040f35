/*
 * artifacts.c - see artifacts.h.
 */
#include "worker/artifacts.h"

#include <math.h>
#include <string.h>

#include "base/io.h"
#include "format/verdict.h"
#include "worker/channel.h"
#include "worker/faithfulness.h"
#include "worker/image.h"
#include "worker/pipeline.h"
#include "worker/plot.h"

double
cw_artifacts_margin_at(const struct cw_policy *p,
    const struct cw_category *c, const char *model, float threshold)
{
	const struct cw_calibration *k = &c->calibration;
	const bool calibrated = k->present && strcmp(k->model, model) == 0;
	double x = threshold;

	if (calibrated || p->scoring == CW_SOFTMAX)
		x = log(x / (1 - x));
	if (calibrated)
		x = (x - k->b) / k->a;
	return isfinite(x) ? x : NAN;
}

static const char *
caption(struct cw_worker *w, const struct cw_map *m)
{
	const struct cw_category *c;
	const struct cw_policy *p;
	double line;

	cw_policy_set_category(&w->bank->set, m->category, &p, &c);
	if (m->method == CW_M_RAW || m->method == CW_M_ROLLOUT)
		return cw_arena_printf(w->batch, "%s: %s  (%s attention)",
		    c->id, c->prompts[m->prompt].text,
		    cw_method_name(m->method));
	if (m->method == CW_M_SIMILARITY)
		return cw_arena_printf(w->batch, "%s: %s  cosine %.3f",
		    c->id, c->prompts[m->prompt].text, m->total);
	line = cw_artifacts_margin_at(p, c, w->info->sha256,
	    c->thresholds.review);
	if (isnan(line))
		return cw_arena_printf(w->batch, "%s: %s  margin %+.2f",
		    c->id, c->prompts[m->prompt].text, m->total);
	return cw_arena_printf(w->batch, "%s: %s  margin %+.2f, review at "
	    "%+.2f", c->id, c->prompts[m->prompt].text, m->total, line);
}

static enum cw_status
send_bytes(struct cw_worker *w, const struct cw_task *t,
    enum cw_artifact kind, const char *name, const uint8_t *bytes, size_t n,
    struct cw_err *err)
{
	struct cw_pack pack;

	cw_pack_init(&pack, w->batch, n + 1024);
	cw_put_u32(&pack, kind);
	cw_put_str(&pack, name);
	cw_put_blob(&pack, bytes, n);
	return cw_channel_send(w->fd, CW_F_ARTIFACT, t->id, &pack, err);
}

static enum cw_status
send_overlay(struct cw_worker *w, const struct cw_task *t,
    const struct cw_image *frames, const struct cw_map *m, const char *name,
    struct cw_err *err)
{
	const struct cw_view *v = &t->res.views[m->view];
	const size_t mark = cw_arena_mark(w->picture);
	const char *words = caption(w, m);
	struct cw_err why = { "no room" };
	enum cw_status st = CW_E_LIMIT;
	uint8_t *png;
	size_t n;

	if (words != NULL)
		st = cw_overlay_png(&frames[t->frame_of[m->view]], v, m,
		    words, w->picture, &png, &n, &why);
	if (st != CW_OK)
		cw_task_without(t, "overlay", &why);
	else
		st = send_bytes(w, t, CW_ART_OVERLAY, name, png, n, err);
	cw_arena_release(w->picture, mark);
	return st == CW_E_CLOSED || st == CW_E_SYSTEM ? st : CW_OK;
}

/* ---- redaction ---- */

static bool
is_flagged(const struct cw_worker *w, const struct cw_task *t, uint32_t i)
{
	const struct cw_category *c;
	const struct cw_policy *p;

	cw_policy_set_category(&w->bank->set, i, &p, &c);
	return cw_thresholds_decide(&c->thresholds, t->image[i].score) !=
	    CW_ALLOW;
}

/*
 * Regions of every map whose category fired; of all maps when the job asked
 * for maps of whatever scored highest.  A map that points nowhere stands for
 * all that its view saw.
 */
static int
guilty(struct cw_worker *w, const struct cw_task *t, uint32_t frame,
    struct cw_region *out)
{
	const bool all = t->job.explain_set &&
	    t->job.explain == CW_WHEN_ALWAYS;
	int n = 0;

	for (uint32_t i = 0; i < t->res.nmaps; i++) {
		const struct cw_map *m = &t->res.maps[i];
		const struct cw_view *v = &t->res.views[m->view];

		if (t->frame_of[m->view] != frame ||
		    (!all && !is_flagged(w, t, m->category)))
			continue;
		for (uint32_t k = 0; k < m->nregions; k++)
			out[n++] = m->regions[k];
		if (m->nregions == 0)
			out[n++] = (struct cw_region){ v->x, v->y, v->w, v->h,
				1 };
	}
	return n;
}

/* JPEG begins FF D8; everything else that redaction writes is PNG. */
static const char *
ending(const uint8_t *bytes, size_t n)
{
	return n > 2 && bytes[0] == 0xff && bytes[1] == 0xd8 ? "jpg" : "png";
}

static enum cw_status
send_redacted(struct cw_worker *w, const struct cw_task *t,
    const struct cw_image *frames, bool invert, struct cw_err *err)
{
	const enum cw_artifact kind = invert ? CW_ART_INVERTED :
	    CW_ART_REDACTED;
	const uint32_t frame = t->res.nmaps > 0 ?
	    t->frame_of[t->res.maps[0].view] : 0;
	const size_t mark = cw_arena_mark(w->picture);
	struct cw_region *list = cw_arena_zalloc(w->picture,
	    CW_MAPS_MAX * CW_REGIONS_MAX, sizeof(*list));
	struct cw_err why = { "no room" };
	enum cw_status st = CW_E_LIMIT;
	uint8_t *bytes;
	size_t n;
	int regions;

	if (list != NULL && (regions = guilty(w, t, frame, list)) > 0)
		st = cw_redact(&frames[frame], list, regions, invert,
		    w->picture, &bytes, &n, &why);
	else if (list != NULL)
		st = cw_err_set(&why, CW_E_NOT_FOUND, "nothing is flagged");
	if (st != CW_OK)
		cw_task_without(t, "redaction", &why);
	else
		st = send_bytes(w, t, kind, cw_arena_printf(w->batch, "%s.%s",
		    invert ? "inverted" : "redacted", ending(bytes, n)),
		    bytes, n, err);
	cw_arena_release(w->picture, mark);
	return st == CW_E_CLOSED || st == CW_E_SYSTEM ? st : CW_OK;
}

/* ---- curves ---- */

static enum cw_status
send_curves(struct cw_worker *w, const struct cw_task *t,
    const struct cw_map *m, const char *name, struct cw_err *err)
{
	struct cw_err why = { "no room" };
	const char *words = caption(w, m);
	struct cw_curves curves;
	enum cw_status st = CW_E_LIMIT;
	uint8_t *png;
	size_t n;

	if (words != NULL)
		st = cw_faithfulness_curves(w, t, m, &curves, &why);
	if (st == CW_OK)
		st = cw_plot_curves(&curves, words, w->picture, &png, &n,
		    &why);
	if (st != CW_OK)
		cw_task_without(t, "curves", &why);
	else
		st = send_bytes(w, t, CW_ART_CURVES, name, png, n, err);
	return st == CW_E_CLOSED || st == CW_E_SYSTEM ? st : CW_OK;
}

/* "violence.weapon.png"; ids are the operator's own words. */
static const char *
name_of(struct cw_worker *w, const struct cw_map *m)
{
	const struct cw_category *c;
	const struct cw_policy *p;

	cw_policy_set_category(&w->bank->set, m->category, &p, &c);
	return cw_arena_printf(w->batch, "%s.png", c->id);
}

static enum cw_status
send_pictures(struct cw_worker *w, const struct cw_task *t,
    struct cw_err *err)
{
	struct cw_err why = { "" };
	struct cw_image *frames;
	enum cw_status st;
	const char *code;
	int n;

	/* At full size: these are for people, and nothing may shine through. */
	st = cw_task_open_picture(w, t, 0, &frames, &n, &code, &why);
	if (st != CW_OK) {
		cw_task_without(t, "pictures", &why);
		return CW_OK;
	}
	for (uint32_t i = 0; i < t->res.nmaps && st == CW_OK; i++)
		if (t->job.artifacts & CW_ART_OVERLAY)
			st = send_overlay(w, t, frames, &t->res.maps[i],
			    name_of(w, &t->res.maps[i]), err);
	if (st == CW_OK && (t->job.artifacts & CW_ART_REDACTED))
		st = send_redacted(w, t, frames, false, err);
	if (st == CW_OK && (t->job.artifacts & CW_ART_INVERTED))
		st = send_redacted(w, t, frames, true, err);
	return st;
}

enum cw_status
cw_artifacts_send(struct cw_worker *w, struct cw_task *t, struct cw_err *err)
{
	const uint64_t t0 = cw_now_us();
	enum cw_status st = CW_OK;

	if (t->job.nimage == 0)
		return CW_OK;
	if (t->job.artifacts & ~(unsigned)CW_ART_CURVES)
		st = send_pictures(w, t, err);
	for (uint32_t i = 0; i < t->res.nmaps && st == CW_OK; i++)
		if (t->job.artifacts & CW_ART_CURVES)
			st = send_curves(w, t, &t->res.maps[i],
			    name_of(w, &t->res.maps[i]), err);
	cw_task_spent(&t->res.timing.explain, t0);
	return st;
}
