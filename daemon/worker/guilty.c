/*
 * guilty.c - see guilty.h.
 */
#include "worker/guilty.h"

#include "base/io.h"
#include "format/verdict.h"
#include "worker/score.h"

static bool
is_flagged(const struct cw_worker *w, const struct cw_task *t, uint32_t i)
{
	const struct cw_category *c;
	const struct cw_policy *p;

	cw_policy_set_category(&w->bank->set, i, &p, &c);
	return !p->shadow && t->image[i].source != CW_FROM_NONE &&
	    cw_thresholds_decide(&c->thresholds, t->image[i].score) !=
	    CW_ALLOW;
}

static struct cw_region
all_of(const struct cw_view *v)
{
	return (struct cw_region){ v->x, v->y, v->w, v->h, 1 };
}

int
cw_guilty_mapped(const struct cw_worker *w, const struct cw_task *t,
    uint32_t frame, struct cw_region *out)
{
	const bool all = t->job.explain_set &&
	    t->job.explain == CW_WHEN_ALWAYS;
	int n = 0;

	for (uint32_t i = 0; i < t->res.nmaps; i++) {
		const struct cw_map *m = &t->res.maps[i];

		if (t->frame_of[m->view] != frame ||
		    (!all && !is_flagged(w, t, m->category)))
			continue;
		for (uint32_t k = 0; k < m->nregions; k++)
			out[n++] = m->regions[k];
		if (m->nregions == 0)
			out[n++] = all_of(&t->res.views[m->view]);
	}
	return n;
}

/* Does a view of these cosines flag anything that the job asks for? */
static enum cw_status
score_alone(const struct cw_worker *w, const struct cw_task *t,
    const float *cos, bool *flagged, struct cw_err *err)
{
	const struct cw_policy_set *set = &w->bank->set;
	const size_t mark = cw_arena_mark(w->batch);
	struct cw_task alone = { .job = t->job };
	bool *better = cw_arena_zalloc(w->batch, set->ncategories,
	    sizeof(*better));
	enum cw_status st = CW_E_LIMIT;

	*flagged = false;
	if (better != NULL)
		st = cw_score_begin(w->bank, w->batch, &alone, err);
	if (st == CW_OK)
		st = cw_score_view(w, &alone, 0, cos, better, err);
	for (uint32_t i = 0; i < set->ncategories && st == CW_OK; i++)
		*flagged = *flagged || is_flagged(w, &alone, i);
	cw_arena_release(w->batch, mark);
	return st;
}

/* Encode n views of a picture and say which of them are flagged. */
static enum cw_status
judge(struct cw_worker *w, const struct cw_task *t, const struct cw_image *im,
    const struct cw_view *const *view, int n, bool *flagged,
    struct cw_err *err)
{
	const size_t T = w->bank->set.nprompts;
	enum cw_status st = CW_OK;
	float *cos;

	for (int i = 0; i < n && st == CW_OK; i++)
		st = cw_preprocess(im, view[i], &w->info->pixels, w->info->S,
		    w->picture, w->pixels + (size_t)i * cw_view_floats(w),
		    err);
	if (st != CW_OK)
		return st;
	cw_arena_reset(w->scratch, CW_KEEP_ALL);
	st = cw_model_encode_images(w->model, w->pixels, n, CW_WANT_EMBED, 0,
	    w->scratch, w->embeds, NULL, NULL, NULL, err);
	if (st != CW_OK)
		return st;
	cos = cw_arena_floats(w->scratch, (size_t)n * T);
	if (cos == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room");
	cw_score_cosines(w->bank, w->embeds, n, cos);
	for (int i = 0; i < n && st == CW_OK; i++)
		st = score_alone(w, t, cos + (size_t)i * T, &flagged[i], err);
	return st;
}

enum hidden { SHOWN, MOSAIC, GREY };

/* The views of one frame, and how much of each is hidden. */
struct views {
	const struct cw_view	*at[CW_VIEWS_MAX];
	enum hidden		 hidden[CW_VIEWS_MAX];
	int			 n;
};

/* Behind the regions of maps the views in mosaic, behind those the grey. */
static void
list_views(const struct views *v, int mapped, struct cw_region *list,
    struct cw_hide *hide)
{
	hide->region = list;
	hide->n = mapped;
	for (int i = 0; i < v->n; i++)
		if (v->hidden[i] == MOSAIC)
			list[hide->n++] = all_of(v->at[i]);
	hide->flat = 0;
	for (int i = 0; i < v->n; i++)
		if (v->hidden[i] == GREY) {
			list[hide->n++] = all_of(v->at[i]);
			hide->flat++;
		}
}

/* Hide more of those views of im, redacted so far, that are flagged. */
static enum cw_status
hide_more(struct cw_worker *w, const struct cw_task *t,
    const struct cw_image *im, uint64_t cpu_end_us, struct views *v,
    bool *more, struct cw_err *err)
{
	bool flagged[CW_VIEWS_MAX];
	enum cw_status st = CW_OK;

	for (int i = 0, m; i < v->n && st == CW_OK; i += m) {
		m = v->n - i < w->chunk ? v->n - i : w->chunk;
		for (int k = i; k < i + m; k++)
			flagged[k] = true;
		if (cw_cpu_us() < cpu_end_us)
			st = judge(w, t, im, v->at + i, m, flagged + i, err);
	}
	*more = false;
	for (int i = 0; i < v->n && st == CW_OK; i++)
		if (flagged[i] && v->hidden[i] != GREY) {
			v->hidden[i]++;
			*more = true;
		}
	return st;
}

enum cw_status
cw_guilty_regions(struct cw_worker *w, const struct cw_task *t,
    uint32_t frame, const struct cw_image *im, uint64_t cpu_end_us,
    struct cw_region *list, struct cw_hide *hide, struct cw_err *err)
{
	const int mapped = cw_guilty_mapped(w, t, frame, list);
	struct views v = { .n = 0 };
	enum cw_status st = CW_OK;
	bool more = true;

	for (uint32_t i = 0; i < t->res.nviews; i++)
		if (t->frame_of[i] == frame)
			v.at[v.n++] = &t->res.views[i];
	list_views(&v, mapped, list, hide);
	while (more && st == CW_OK) {
		const size_t mark = cw_arena_mark(w->picture);
		struct cw_image y;

		st = cw_redact_picture(im, hide, w->picture, &y, err);
		if (st == CW_OK)
			st = hide_more(w, t, &y, cpu_end_us, &v, &more, err);
		list_views(&v, mapped, list, hide);
		cw_arena_release(w->picture, mark);
	}
	return st;
}
