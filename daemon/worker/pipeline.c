/*
 * pipeline.c - see pipeline.h.
 *
 *	task 0   bytes -> picture -> views ---+
 *	task 1   bytes -> picture -> views ---+--> pixels [chunk][3][S][S]
 *	...                                   |         | full, or no task left
 *	                                      v         v
 *	         score, explain  <---  embeds [chunk][E], traces [chunk]
 *
 * Only one picture is decoded at a time, and views of several tasks share a
 * pass through the model.  Maps are made while the traces of their pass are
 * there; nothing is encoded twice for an explanation.
 */
#include "worker/pipeline.h"

#include <math.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "worker/artifacts.h"
#include "worker/channel.h"
#include "worker/explain.h"
#include "worker/faithfulness.h"
#include "worker/image.h"
#include "worker/score.h"
#include "worker/text.h"

/* The views waiting for the next pass. */
struct slots {
	struct slot {
		struct cw_task	*task;
		uint32_t	 view;
	} *at;			/* [chunk] */
	int	 n;
};

void
cw_task_fail(struct cw_worker *w, struct cw_task *t, enum cw_stage stage,
    const char *code, const char *message)
{
	if (t->res.failed)
		return;
	t->res.failed = true;
	t->res.stage = stage;
	t->res.code = code;
	t->res.message = cw_arena_strdup(w->batch, message);
	if (t->res.message == NULL)
		t->res.message = "";
}

void
cw_task_without(const struct cw_task *t, const char *what,
    const struct cw_err *why)
{
	cw_log(CW_LOG_WARNING, "without job=%s what=%s: %s", t->job.id, what,
	    why->text);
}

void
cw_task_spent(uint32_t *total, uint64_t t0)
{
	*total += (uint32_t)(cw_now_us() - t0);
}

uint64_t
cw_task_cpu_end(const struct cw_worker *w)
{
	return w->init.extras_ms == 0 ? UINT64_MAX :
	    cw_cpu_us() + w->init.extras_ms * UINT64_C(1000);
}

int
cw_pipeline_decode_side(const struct cw_worker *w)
{
	return w->init.exact_decode ? 0 : w->info->pixels.short_side;
}

/* ---- a pass through the model ---- */

/*
 * Encode n slots from the first on.  When a pass fails, each of its views is
 * tried alone, so that one image's NaN is its own.
 */
static enum cw_status
encode(struct cw_worker *w, int first, int n, unsigned want,
    struct cw_err *err)
{
	cw_arena_reset(w->scratch, CW_KEEP_ALL);
	return cw_model_encode_images(w->model,
	    w->pixels + (size_t)first * cw_view_floats(w), n, want,
	    w->keep_layers, w->scratch,
	    w->embeds + (size_t)first * (size_t)w->info->E, NULL,
	    want == CW_WANT_EMBED ? NULL : w->trace + first, w->traces, err);
}

static void
score_slot(struct cw_worker *w, struct slot *s, const float *embed,
    const float *cos, const struct cw_trace *trace)
{
	const size_t E = (size_t)w->info->E;
	struct cw_task *t = s->task;
	bool *better = cw_arena_zalloc(w->scratch,
	    w->bank->set.ncategories, sizeof(*better));
	const uint64_t t0 = cw_now_us();
	struct cw_err err = { "" };
	enum cw_status st;
	uint64_t t1;

	CW_CHECK(better != NULL);
	memcpy(t->res.embeds + s->view * E, embed, E * sizeof(*embed));
	st = cw_score_view(w, t, s->view, cos, better, &err);
	if (st != CW_OK) {
		cw_task_fail(w, t, CW_ST_SCORE, cw_status_name(st), err.text);
		return;
	}
	cw_task_spent(&t->res.timing.score, t0);
	if (trace == NULL)
		return;
	t1 = cw_now_us();
	st = cw_explain_view(w, t, s->view, cos, better, trace, &err);
	if (st != CW_OK)	/* a score without its map is still a score */
		cw_task_without(t, "map", &err);
	cw_task_spent(&t->res.timing.explain, t1);
}

static void
run_slots(struct cw_worker *w, struct slots *sl, int first, int n)
{
	const size_t E = (size_t)w->info->E, T = w->bank->set.nprompts;
	const uint64_t t0 = cw_now_us();
	unsigned want = CW_WANT_EMBED;
	struct cw_err err = { "" };
	enum cw_status st;
	uint32_t us;
	float *cos;

	for (int i = first; i < first + n; i++)
		want |= cw_explain_want(w, sl->at[i].task);
	cw_arena_reset(w->traces, CW_KEEP_ALL);
	st = encode(w, first, n, want, &err);
	if (st != CW_OK && n > 1) {
		for (int i = first; i < first + n; i++)
			run_slots(w, sl, i, 1);
		return;
	}
	us = (uint32_t)((cw_now_us() - t0) / (uint64_t)n);
	if (st != CW_OK) {
		cw_task_fail(w, sl->at[first].task, CW_ST_ENCODE,
		    cw_status_name(st), err.text);
		return;
	}
	cos = cw_arena_floats(w->scratch, (size_t)n * T);
	CW_CHECK(cos != NULL);
	cw_score_cosines(w->bank, w->embeds + (size_t)first * E, n, cos);
	for (int i = 0; i < n; i++) {
		struct slot *s = &sl->at[first + i];

		s->task->res.timing.encode += us;
		if (!s->task->res.failed)
			score_slot(w, s, w->embeds + (size_t)(first + i) * E,
			    cos + (size_t)i * T, want == CW_WANT_EMBED ?
			    NULL : &w->trace[first + i]);
	}
}

static void
flush(struct cw_worker *w, struct slots *sl)
{
	int step = w->chunk;

	for (int i = 0; i < sl->n; i++)
		if (cw_explain_want(w, sl->at[i].task) != CW_WANT_EMBED)
			step = w->traced;
	for (int i = 0; i < sl->n; i += step)
		run_slots(w, sl, i, step < sl->n - i ? step : sl->n - i);
	sl->n = 0;
}

/* ---- one task ---- */

enum cw_status
cw_task_open_picture(struct cw_worker *w, const struct cw_task *t, int side,
    uint64_t cpu_end_us, struct cw_image **frames, int *n, const char **code,
    struct cw_err *err)
{
	struct cw_limits limits = w->init.limits;
	const uint64_t now = cw_cpu_us(),
	    left_ms = cpu_end_us > now ? (cpu_end_us - now) / 1000 : 0;

	if (left_ms < limits.cpu_ms)
		limits.cpu_ms = (uint32_t)left_ms;
	*code = "corrupt";
	cw_arena_reset(w->picture, CW_PICTURE_KEPT);
	return cw_decode_frames(t->job.image, t->job.nimage, &limits, side,
	    limits.frames, w->picture, frames, n, code, err);
}

static enum cw_status
first_look(struct cw_worker *w, struct cw_task *t, struct cw_image **frames,
    int *n)
{
	const uint64_t t0 = cw_now_us();
	const struct cw_image *im;
	struct cw_err err = { "" };
	enum cw_status st;
	const char *code;

	st = cw_task_open_picture(w, t, cw_pipeline_decode_side(w),
	    UINT64_MAX, frames, n, &code, &err);
	cw_task_spent(&t->res.timing.decode, t0);
	if (st != CW_OK) {
		cw_task_fail(w, t, CW_ST_DECODE, code, err.text);
		return st;
	}
	im = &(*frames)[0];
	t->res.format = im->format;
	t->res.width = (uint32_t)im->width;
	t->res.height = (uint32_t)im->height;
	t->res.frames = (uint32_t)im->frames;
	return CW_OK;
}

/*
 * Views of every frame, or of as many as there is room for, spread evenly like
 * the decoded ones are over the file: frames come before squares, lest the
 * shape of a picture hide frames of it.
 */
static enum cw_status
plan_views(struct cw_worker *w, struct cw_task *t,
    const struct cw_image *frames, int nframes)
{
	int squares, looks = cw_views_share(frames, nframes, &squares);
	struct cw_view *v = cw_arena_zalloc(w->batch, CW_VIEWS_MAX,
	    sizeof(*v));
	uint32_t n = 0;

	t->res.views = v;
	for (int i = 0; i < looks && v != NULL; i++) {
		const int k = cw_views_frame(i, looks, nframes);
		struct cw_view plan[CW_VIEWS_MAX];
		const int m = cw_views_plan(w->init.views, &frames[k],
		    squares, plan);

		CW_CHECK(m > 0 && n + (uint32_t)m <= CW_VIEWS_MAX);
		for (int j = 0; j < m; j++, n++) {
			v[n] = plan[j];
			v[n].frame = nframes > 1 ? (uint32_t)
			    (k * (frames[0].frames - 1) / (nframes - 1)) : 0;
			t->frame_of[n] = (uint8_t)k;
		}
	}
	t->res.embeds = cw_arena_floats(w->batch, n * (size_t)w->info->E);
	if (v == NULL || t->res.embeds == NULL) {
		cw_task_fail(w, t, CW_ST_PREPROCESS, "limit",
		    "no room for the views");
		return CW_E_LIMIT;
	}
	t->res.nviews = n;
	t->res.embed = (uint32_t)w->info->E;
	return CW_OK;
}

static void
add_image(struct cw_worker *w, struct cw_task *t, struct slots *sl)
{
	struct cw_image *frames;
	int nframes;

	if (first_look(w, t, &frames, &nframes) != CW_OK ||
	    plan_views(w, t, frames, nframes) != CW_OK)
		return;
	for (uint32_t i = 0; i < t->res.nviews && !t->res.failed; i++) {
		const uint64_t t0 = cw_now_us();
		const size_t mark = cw_arena_mark(w->picture);
		struct cw_err err = { "" };
		enum cw_status st;

		st = cw_preprocess(&frames[t->frame_of[i]], &t->res.views[i],
		    &w->info->pixels, w->info->S, w->picture,
		    w->pixels + (size_t)sl->n * cw_view_floats(w), &err);
		cw_arena_release(w->picture, mark);
		cw_task_spent(&t->res.timing.preprocess, t0);
		if (st != CW_OK) {
			cw_task_fail(w, t, CW_ST_PREPROCESS,
			    cw_status_name(st), err.text);
			return;
		}
		sl->at[sl->n++] = (struct slot){ t, i };
		if (sl->n == w->chunk)
			flush(w, sl);
	}
}

/* Stored embeddings of views whose squares nobody kept: scores, no maps. */
static void
add_embeds(struct cw_worker *w, struct cw_task *t)
{
	const size_t E = (size_t)w->info->E, n = t->job.nembeds / E;
	const uint32_t nviews = (uint32_t)n;
	float *cos;

	if (n == 0 || n > CW_VIEWS_MAX || t->job.nembeds % E != 0) {
		cw_task_fail(w, t, CW_ST_SCORE, "wrong_embedding",
		    "stored embeddings are not of this model");
		return;
	}
	t->res.views = cw_arena_zalloc(w->batch, n, sizeof(*t->res.views));
	t->res.embeds = cw_arena_floats(w->batch, n * E);
	cw_arena_reset(w->scratch, CW_KEEP_ALL);
	cos = cw_arena_floats(w->scratch, n * w->bank->set.nprompts);
	if (cw_arena_overflowed(w->batch) || cos == NULL) {
		cw_task_fail(w, t, CW_ST_SCORE, "limit", "no room");
		return;
	}
	t->res.nviews = nviews;
	t->res.embed = (uint32_t)E;
	for (size_t i = 0; i < n; i++) {
		const float *from = t->job.embeds + i * E;
		float *to = t->res.embeds + i * E;
		double sum = 0;

		for (size_t k = 0; k < E; k++)
			sum += (double)from[k] * from[k];
		/* Half precision leaves a length off by a thousandth. */
		for (size_t k = 0; k < E; k++)
			to[k] = (float)(from[k] / sqrt(sum));
	}
	cw_score_cosines(w->bank, t->res.embeds, (int)n, cos);
	for (uint32_t i = 0; i < nviews && !t->res.failed; i++) {
		struct slot s = { t, i };

		score_slot(w, &s, t->res.embeds + i * E,
		    cos + i * w->bank->set.nprompts, NULL);
	}
}

static void
begin_task(struct cw_worker *w, struct cw_task *t, struct slots *sl)
{
	struct cw_err err = { "" };
	enum cw_status st;

	cw_arena_forgive(w->batch);
	t->res.format = t->res.message = t->res.code = "";
	st = cw_score_begin(w->bank, w->batch, t, &err);
	if (st != CW_OK)
		cw_task_fail(w, t, CW_ST_SCORE, st == CW_E_NOT_FOUND ?
		    "unknown_policy" : cw_status_name(st), err.text);
	else if (t->job.nembeds > 0)
		add_embeds(w, t);
	else if (t->job.nimage == 0)
		cw_task_fail(w, t, CW_ST_DECODE, "empty",
		    "the image has no bytes");
	else
		add_image(w, t, sl);
}

/* What the passes through the model did not give: lists, words, measures. */
static void
complete(struct cw_worker *w, struct cw_task *t)
{
	const uint64_t t0 = cw_now_us();
	struct cw_err why = { "" };

	if (cw_score_settle(w->bank, w->batch, t, &why) != CW_OK) {
		cw_task_fail(w, t, CW_ST_SCORE, "limit", why.text);
		return;
	}
	if (cw_explain_settle(w, t, &why) != CW_OK)
		cw_task_fail(w, t, CW_ST_EXPLAIN, "limit", why.text);
	cw_task_spent(&t->res.timing.explain, t0);
	if (!t->res.failed && t->job.text != NULL && t->job.text[0] != '\0')
		cw_text_score(w, t);
	if (!t->res.failed && t->res.nmaps > 0)
		cw_faithfulness_measure(w, t);
}

static enum cw_status
send_result(struct cw_worker *w, struct cw_task *t, struct cw_err *err)
{
	struct cw_pack pack;

	cw_arena_forgive(w->batch);
	cw_pack_init(&pack, w->batch, 4096);
	cw_result_pack(&t->res, &w->bank->set, &pack);
	if (!cw_pack_ok(&pack)) {
		/* Its parts are too many: say so in a few bytes. */
		cw_arena_reset(w->scratch, CW_KEEP_ALL);
		t->res.failed = false;
		cw_task_fail(w, t, CW_ST_WORKER, "limit", "");
		cw_pack_init(&pack, w->scratch, 4096);
		cw_result_pack(&t->res, &w->bank->set, &pack);
	}
	return cw_channel_send(w->fd, CW_F_RESULT, t->id, &pack, err);
}

/* Everything after the image's own scores; its memory is the next task's. */
static enum cw_status
finish_task(struct cw_worker *w, struct cw_task *t, struct cw_err *err)
{
	const size_t mark = cw_arena_mark(w->batch);
	enum cw_status st = CW_OK;

	cw_arena_forgive(w->batch);
	if (!t->res.failed)
		complete(w, t);
	if (!t->res.failed && t->job.artifacts != 0)
		st = cw_artifacts_send(w, t, err);
	if (st == CW_OK)
		st = send_result(w, t, err);
	cw_arena_release(w->batch, mark);
	return st;
}

/* Does it ask for pictures or measures, which may take seconds? */
static bool
is_slow(const struct cw_task *t)
{
	return t->job.artifacts != 0 || t->job.faithfulness;
}

/* ---- the batch ---- */

static enum cw_status
take_job(struct cw_worker *w, const struct cw_frame *f, struct cw_task *t,
    struct cw_err *err)
{
	struct cw_unpack r;
	enum cw_status st;

	*t = (struct cw_task){ .id = f->id };
	cw_unpack_init(&r, f->body, f->len);
	st = cw_job_unpack(&r, w->batch, &t->job, err);
	if (st == CW_OK && !cw_unpack_end(&r))
		st = cw_err_set(err, CW_E_FORMAT, "JOB: bytes left over");
	return st;
}

/* The whole batch off the channel. */
static enum cw_status
collect(struct cw_worker *w, const struct cw_frame *first,
    struct cw_task *tasks, uint32_t *n, struct cw_err *err)
{
	struct cw_frame f = *first;
	enum cw_status st;

	for (*n = 0;;) {
		if (f.type != CW_F_JOB || *n == w->init.batch)
			return cw_err_set(err, CW_E_FORMAT,
			    "%s frame as number %u of a batch of at most %u "
			    "jobs", cw_frame_name(f.type), *n + 1,
			    w->init.batch);
		if ((st = take_job(w, &f, &tasks[*n], err)) != CW_OK)
			return st;
		++*n;
		if ((f.flags & CW_F_MORE) == 0)
			return CW_OK;
		st = cw_frame_read(w->fd, CW_FRAME_MAX, w->frames, &f, err);
		if (st != CW_OK)
			return st;
	}
}

enum cw_status
cw_pipeline_batch(struct cw_worker *w, const struct cw_frame *first,
    struct cw_err *err)
{
	struct cw_task *tasks = cw_arena_zalloc(w->batch, w->init.batch,
	    sizeof(*tasks));
	struct slots sl = { .n = 0 };
	enum cw_status st;
	uint32_t n;

	CW_CHECK_OBJ(w, CW_WORKER_MAGIC);
	sl.at = cw_arena_zalloc(w->batch, (size_t)w->chunk, sizeof(*sl.at));
	CW_CHECK(tasks != NULL && sl.at != NULL);
	if (w->bank == NULL)
		return cw_err_set(err, CW_E_FORMAT, "JOB before any POLICY");
	st = collect(w, first, tasks, &n, err);
	if (st != CW_OK)
		return st;
	for (uint32_t i = 0; i < n; i++)
		begin_task(w, &tasks[i], &sl);
	flush(w, &sl);
	/* Nobody waits for a neighbour's pictures. */
	for (int slow = 0; slow <= 1; slow++)
		for (uint32_t i = 0; i < n && st == CW_OK; i++)
			if (is_slow(&tasks[i]) == (slow != 0))
				st = finish_task(w, &tasks[i], err);
	return st;
}
