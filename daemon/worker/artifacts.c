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
#include "worker/guilty.h"
#include "worker/image.h"
#include "worker/pipeline.h"
#include "worker/plot.h"

/*
 * The margin at which a score reaches a threshold: where a map's caption puts
 * the line.  NaN when there is none (a threshold of 0 or 1).
 */
static double
margin_at(const struct cw_policy *p, const struct cw_category *c,
    const char *model, float threshold)
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
	line = margin_at(p, c, w->info->sha256, c->thresholds.review);
	if (isnan(line))
		return cw_arena_printf(w->batch, "%s: %s  margin %+.2f",
		    c->id, c->prompts[m->prompt].text, m->total);
	return cw_arena_printf(w->batch, "%s: %s  margin %+.2f, review at "
	    "%+.2f", c->id, c->prompts[m->prompt].text, m->total, line);
}

/* One job's pictures in the making. */
struct making {
	struct cw_worker	*w;
	const struct cw_task	*t;
	uint32_t		 left;		/* may still be made */
	uint64_t		 cpu_end_us;	/* UINT64_MAX: no end */
	bool			 over;		/* and it was said why */
};

/*
 * May another picture be made, keeping some for later?  The first that may
 * not is the job's line in the log.
 */
static bool
may_make(struct making *k, uint32_t keep)
{
	struct cw_err why;

	if (k->over)
		return false;
	if (cw_cpu_us() >= k->cpu_end_us) {
		k->over = true;
		(void)cw_err_set(&why, CW_E_LIMIT, "the others took %u ms",
		    k->w->init.extras_ms);
	} else if (k->left > keep)
		return true;
	else
		(void)cw_err_set(&why, CW_E_LIMIT, "%u pictures are enough",
		    k->w->init.pictures);
	cw_task_without(k->t, "pictures", &why);
	return false;
}

/* A picture larger than an answer may hold is left out. */
static enum cw_status
send_bytes(struct making *k, enum cw_artifact kind, const char *name,
    const uint8_t *bytes, size_t n, struct cw_err *err)
{
	struct cw_err why;
	struct cw_pack pack;
	enum cw_status st;

	if (n > CW_ARTIFACT_BYTES) {
		(void)cw_err_set(&why, CW_E_LIMIT, "%zu bytes; want at most %u",
		    n, CW_ARTIFACT_BYTES);
		cw_task_without(k->t, cw_artifact_name(kind), &why);
		return CW_OK;
	}
	k->left--;
	cw_pack_init(&pack, k->w->batch, 1024);
	cw_put_u32(&pack, kind);
	cw_put_str(&pack, name);
	cw_put_u32(&pack, (uint32_t)n);		/* a blob: length, bytes */
	st = cw_channel_send_with(k->w->fd, CW_F_ARTIFACT, k->t->id, &pack,
	    bytes, n, err);
	if (st == CW_E_LIMIT)
		cw_task_without(k->t, cw_artifact_name(kind), err);
	return st;
}

/* A picture is sent, or not to be had: its memory is the next one's. */
static enum cw_status
done(struct making *k, size_t batch, size_t picture, enum cw_status st)
{
	cw_arena_release(k->w->batch, batch);
	cw_arena_forgive(k->w->batch);
	cw_arena_release(k->w->picture, picture);
	cw_arena_forgive(k->w->picture);
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
send_overlay(struct making *k, const struct cw_image *frames,
    const struct cw_map *m, struct cw_err *err)
{
	struct cw_worker *w = k->w;
	const size_t batch = cw_arena_mark(w->batch),
	    picture = cw_arena_mark(w->picture);
	const char *name = name_of(w, m), *words = caption(w, m);
	struct cw_err why = { "no room" };
	enum cw_status st = CW_E_LIMIT;
	uint8_t *png;
	size_t n;

	if (words != NULL)
		st = cw_overlay_png(&frames[k->t->frame_of[m->view]],
		    &k->t->res.views[m->view], m, words, w->picture, &png, &n,
		    &why);
	if (st != CW_OK)
		cw_task_without(k->t, "overlay", &why);
	else
		st = send_bytes(k, CW_ART_OVERLAY, name, png, n, err);
	return done(k, batch, picture, st);
}

/* ---- redaction ---- */

/* JPEG begins FF D8; everything else that redaction writes is PNG. */
static const char *
ending(const uint8_t *bytes, size_t n)
{
	return n > 2 && bytes[0] == 0xff && bytes[1] == 0xd8 ? "jpg" : "png";
}

static enum cw_status
send_redacted(struct making *k, const struct cw_image *frames, bool invert,
    struct cw_err *err)
{
	const enum cw_artifact kind = invert ? CW_ART_INVERTED :
	    CW_ART_REDACTED;
	struct cw_worker *w = k->w;
	const struct cw_task *t = k->t;
	const uint32_t frame = t->res.nmaps > 0 ?
	    t->frame_of[t->res.maps[0].view] : 0;
	const size_t batch = cw_arena_mark(w->batch),
	    picture = cw_arena_mark(w->picture);
	struct cw_region *list = cw_arena_zalloc(w->picture, CW_GUILTY_MAX,
	    sizeof(*list));
	struct cw_hide hide = { .region = list, .others = invert };
	struct cw_err why = { "no room" };
	enum cw_status st = CW_E_LIMIT;
	uint8_t *bytes;
	size_t n;

	if (list != NULL && invert) {
		hide.n = cw_guilty_mapped(w, t, frame, list);
		st = CW_OK;
	} else if (list != NULL)
		st = cw_guilty_regions(w, t, frame, &frames[frame],
		    k->cpu_end_us, list, &hide, &why);
	if (st == CW_OK && hide.n == 0)
		st = cw_err_set(&why, CW_E_NOT_FOUND, "nothing is flagged");
	if (st == CW_OK)
		st = cw_redact(&frames[frame], &hide, w->picture, &bytes, &n,
		    &why);
	if (st != CW_OK)
		cw_task_without(t, "redaction", &why);
	else
		st = send_bytes(k, kind, cw_arena_printf(w->batch, "%s.%s",
		    invert ? "inverted" : "redacted", ending(bytes, n)),
		    bytes, n, err);
	return done(k, batch, picture, st);
}

/*
 * Of the whole picture first, one of each; then the maps, harshest first.
 * Where there are more than may be, curves are left at least one.
 */
static enum cw_status
send_pictures(struct making *k, struct cw_err *err)
{
	const uint32_t asked = k->t->job.artifacts;
	const uint32_t keep = asked & CW_ART_CURVES && k->t->res.nmaps > 0;
	struct cw_err why = { "" };
	struct cw_image *frames;
	enum cw_status st;
	const char *code;
	int n;

	/* At full size: these are for people, and nothing may shine through. */
	st = cw_task_open_picture(k->w, k->t, 0, k->cpu_end_us, &frames, &n,
	    &code, &why);
	if (st != CW_OK) {
		cw_task_without(k->t, "pictures", &why);
		return CW_OK;
	}
	if (asked & CW_ART_REDACTED && may_make(k, 0))
		st = send_redacted(k, frames, false, err);
	if (st == CW_OK && asked & CW_ART_INVERTED && may_make(k, 0))
		st = send_redacted(k, frames, true, err);
	if (asked & CW_ART_OVERLAY)
		for (uint32_t i = 0; i < k->t->res.nmaps && st == CW_OK &&
		    may_make(k, keep); i++)
			st = send_overlay(k, frames, &k->t->res.maps[i], err);
	return st;
}

/* ---- curves ---- */

static enum cw_status
send_curves(struct making *k, const struct cw_map *m, struct cw_err *err)
{
	struct cw_worker *w = k->w;
	const size_t batch = cw_arena_mark(w->batch);
	const char *name = name_of(w, m), *words = caption(w, m);
	struct cw_err why = { "no room" };
	enum cw_status st = CW_E_LIMIT;
	struct cw_curves curves;
	uint8_t *png;
	size_t n;

	if (words != NULL)
		st = cw_faithfulness_curves(w, k->t, m, k->cpu_end_us,
		    &curves, &why);
	if (st == CW_OK)
		st = cw_plot_curves(&curves, words, w->picture, &png, &n,
		    &why);
	if (st != CW_OK)
		cw_task_without(k->t, "curves", &why);
	else
		st = send_bytes(k, CW_ART_CURVES, name, png, n, err);
	return done(k, batch, 0, st);
}

enum cw_status
cw_artifacts_send(struct cw_worker *w, struct cw_task *t, struct cw_err *err)
{
	const uint64_t t0 = cw_now_us();
	struct making k = { .w = w, .t = t,
		.left = w->init.pictures > 0 ? w->init.pictures : UINT32_MAX,
		.cpu_end_us = cw_task_cpu_end(w) };
	enum cw_status st = CW_OK;

	if (t->job.nimage == 0)
		return CW_OK;
	if (t->job.artifacts & ~(unsigned)CW_ART_CURVES)
		st = send_pictures(&k, err);
	if (t->job.artifacts & CW_ART_CURVES)
		for (uint32_t i = 0; i < t->res.nmaps && st == CW_OK &&
		    may_make(&k, 0); i++)
			st = send_curves(&k, &t->res.maps[i], err);
	cw_task_spent(&t->res.timing.explain, t0);
	return st;
}
