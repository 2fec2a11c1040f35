/*
 * faithfulness.c - see faithfulness.h.
 */
#include "worker/faithfulness.h"

#include <math.h>
#include <string.h>

#include "base/io.h"
#include "format/verdict.h"
#include "worker/image.h"
#include "worker/pipeline.h"
#include "worker/score.h"

#define RANDOM_ORDERS	8		/* for the number: its mean settles */
#define CURVE_ORDERS	3		/* for the curves: each is 22 passes */
#define SEED		0x9e3779b9u	/* the same masks every time */

/* One view of one map, ready to be masked again and again. */
struct probe {
	struct cw_worker	 *w;
	const struct cw_policy	 *policy;
	const struct cw_category *category;
	uint32_t		 prompt;
	const float		*base;		/* [3][S][S] unmasked */
	uint32_t		 cells;
	uint64_t		 cpu_end_us;	/* no pass begins after it */
	int			 pending;	/* views in w->pixels */
	float			*sink[64];	/* where their margins go */
};

static uint32_t
next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* ---- orders of patches ---- */

static void
order_by_value(const float *v, uint32_t n, uint16_t *order)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = i;

		while (at > 0 && v[order[at - 1]] < v[i]) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = (uint16_t)i;
	}
}

static void
order_at_random(uint32_t n, uint32_t *seed, uint16_t *order)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = (uint16_t)i;
	for (uint32_t i = n; i > 1; i--) {
		const uint32_t k = next_random(seed) % i;
		const uint16_t swap = order[k];

		order[k] = order[i - 1];
		order[i - 1] = swap;
	}
}

/* ---- masked views ---- */

static void
copy_patch(const struct probe *p, uint32_t cell, const float *from, float *to)
{
	const size_t S = (size_t)p->w->info->S, G = (size_t)cw_grid(p->w);
	const size_t x0 = cell % G * S / G, x1 = (cell % G + 1) * S / G;
	const size_t y0 = cell / G * S / G, y1 = (cell / G + 1) * S / G;

	for (size_t c = 0; c < 3; c++)
		for (size_t y = y0; y < y1; y++) {
			float *row = to + (c * S + y) * S;

			if (from == NULL)
				memset(row + x0, 0, (x1 - x0) * sizeof(*row));
			else
				memcpy(row + x0, from + (c * S + y) * S + x0,
				    (x1 - x0) * sizeof(*row));
		}
}

/* Encode what is pending and hand out the margins. */
static enum cw_status
settle(struct probe *p, struct cw_err *err)
{
	struct cw_worker *w = p->w;
	const size_t T = w->bank->set.nprompts;
	enum cw_status st;
	float *cos;

	if (p->pending == 0)
		return CW_OK;
	if (cw_cpu_us() >= p->cpu_end_us)
		return cw_err_set(err, CW_E_LIMIT, "it took longer than %u ms",
		    w->init.extras_ms);
	cw_arena_reset(w->scratch, CW_KEEP_ALL);
	st = cw_model_encode_images(w->model, w->pixels, p->pending,
	    CW_WANT_EMBED, 0, w->scratch, w->embeds, NULL, NULL, NULL, err);
	if (st != CW_OK)
		return st;
	cos = cw_arena_floats(w->scratch, (size_t)p->pending * T);
	if (cos == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room");
	cw_score_cosines(w->bank, w->embeds, p->pending, cos);
	for (int i = 0; i < p->pending; i++) {
		const float m = cw_score_margin(w, p->policy, p->category,
		    p->prompt, cos + (size_t)i * T);

		if (!isfinite(m))
			return cw_err_set(err, CW_E_NUMERIC,
			    "a masked view's margin is not a number");
		*p->sink[i] = m;
	}
	p->pending = 0;
	return CW_OK;
}

/*
 * Queue the view with the first k patches of an order masked (or, inserted,
 * with nothing but them); its margin will be in *margin after settle().
 */
static enum cw_status
ask(struct probe *p, const uint16_t *order, uint32_t k, bool inserted,
    float *margin, struct cw_err *err)
{
	const size_t floats = cw_view_floats(p->w);
	float *view = p->w->pixels + (size_t)p->pending * floats;

	if (inserted)
		memset(view, 0, floats * sizeof(*view));
	else
		memcpy(view, p->base, floats * sizeof(*view));
	for (uint32_t i = 0; i < k; i++)
		copy_patch(p, order[i], inserted ? p->base : NULL, view);
	p->sink[p->pending++] = margin;
	if (p->pending == p->w->chunk ||
	    p->pending == (int)CW_COUNT(p->sink))
		return settle(p, err);
	return CW_OK;
}

/* Decode and preprocess the map's view once more. */
static enum cw_status
open_probe(struct cw_worker *w, const struct cw_task *t,
    const struct cw_map *m, uint64_t cpu_end_us, struct probe *p,
    struct cw_err *err)
{
	float *base = cw_arena_floats(w->batch, cw_view_floats(w));
	const int frame = t->frame_of[m->view];
	struct cw_image *frames;
	enum cw_status st;
	const char *code;
	int n;

	if (base == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room");
	st = cw_task_open_picture(w, t, cw_pipeline_decode_side(w),
	    cpu_end_us, &frames, &n, &code, err);
	if (st != CW_OK)
		return st;
	CW_CHECK(frame < n);	/* the same bytes, the same limits */
	st = cw_preprocess(&frames[frame], &t->res.views[m->view],
	    &w->info->pixels, w->info->S, w->picture, base, err);
	*p = (struct probe){ .w = w, .prompt = m->prompt, .base = base,
		.cpu_end_us = cpu_end_us, .cells = m->gw * m->gh };
	cw_policy_set_category(&w->bank->set, m->category, &p->policy,
	    &p->category);
	return st;
}

/* ---- the number ---- */

static enum cw_status
measure(struct cw_worker *w, const struct cw_task *t, struct cw_map *m,
    uint64_t cpu_end_us, struct cw_err *err)
{
	const uint32_t cells = m->gw * m->gh, k = (cells + 9) / 10;
	uint16_t order[CW_GRID_MAX * CW_GRID_MAX];
	float plain, masked, random[RANDOM_ORDERS];
	uint32_t seed = SEED;
	enum cw_status st;
	double mean = 0;
	struct probe p;

	if ((st = open_probe(w, t, m, cpu_end_us, &p, err)) != CW_OK)
		return st;
	p.cpu_end_us = UINT64_MAX;	/* a map begun is measured */
	order_by_value(m->values, cells, order);
	st = ask(&p, order, 0, false, &plain, err);
	if (st == CW_OK)
		st = ask(&p, order, k, false, &masked, err);
	for (int i = 0; i < RANDOM_ORDERS && st == CW_OK; i++) {
		order_at_random(cells, &seed, order);
		st = ask(&p, order, k, false, &random[i], err);
	}
	if (st == CW_OK)
		st = settle(&p, err);
	if (st != CW_OK)
		return st;
	for (int i = 0; i < RANDOM_ORDERS; i++)
		mean += random[i] / (double)RANDOM_ORDERS;
	m->measured = true;
	m->masked = k;
	m->drop = plain - masked;
	m->random_drop = (float)(plain - mean);
	return CW_OK;
}

void
cw_faithfulness_measure(struct cw_worker *w, struct cw_task *t)
{
	const uint64_t t0 = cw_now_us(), cpu_end = cw_task_cpu_end(w);
	bool late = false;

	for (uint32_t i = 0; i < t->res.nmaps && !late; i++) {
		const size_t mark = cw_arena_mark(w->batch);
		const struct cw_category *c;
		const struct cw_policy *p;
		struct cw_err err = { "" };

		cw_policy_set_category(&w->bank->set,
		    t->res.maps[i].category, &p, &c);
		if (!p->faithfulness && !t->job.faithfulness)
			continue;
		late = cw_cpu_us() >= cpu_end;
		if (late)
			(void)cw_err_set(&err, CW_E_LIMIT,
			    "the other maps took %u ms", w->init.extras_ms);
		if (late ||
		    measure(w, t, &t->res.maps[i], cpu_end, &err) != CW_OK)
			cw_task_without(t, "faithfulness", &err);
		cw_arena_release(w->batch, mark);
		cw_arena_forgive(w->batch);
	}
	cw_task_spent(&t->res.timing.explain, t0);
}

/* ---- the curves ---- */

static enum cw_status
curve(struct probe *p, const uint16_t *order, float *deletion,
    float *insertion, struct cw_err *err)
{
	enum cw_status st = CW_OK;

	for (uint32_t i = 0; i < CW_CURVE_STEPS && st == CW_OK; i++) {
		const uint32_t k = p->cells * i / (CW_CURVE_STEPS - 1);

		st = ask(p, order, k, false, &deletion[i], err);
		if (st == CW_OK)
			st = ask(p, order, k, true, &insertion[i], err);
	}
	return st == CW_OK ? settle(p, err) : st;
}

enum cw_status
cw_faithfulness_curves(struct cw_worker *w, const struct cw_task *t,
    const struct cw_map *m, uint64_t cpu_end_us, struct cw_curves *out,
    struct cw_err *err)
{
	uint16_t order[CW_GRID_MAX * CW_GRID_MAX];
	float deletion[CW_CURVE_STEPS], insertion[CW_CURVE_STEPS];
	uint32_t seed = SEED;
	enum cw_status st;
	struct probe p;

	*out = (struct cw_curves){ 0 };
	if ((st = open_probe(w, t, m, cpu_end_us, &p, err)) != CW_OK)
		return st;
	order_by_value(m->values, p.cells, order);
	st = curve(&p, order, out->deletion, out->insertion, err);
	for (int i = 0; i < CURVE_ORDERS && st == CW_OK; i++) {
		order_at_random(p.cells, &seed, order);
		st = curve(&p, order, deletion, insertion, err);
		for (uint32_t s = 0; s < CW_CURVE_STEPS && st == CW_OK; s++) {
			out->random_deletion[s] += deletion[s] / CURVE_ORDERS;
			out->random_insertion[s] += insertion[s] / CURVE_ORDERS;
		}
	}
	return st;
}
