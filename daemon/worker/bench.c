/*
 * bench.c - see bench.h.
 */
#include "worker/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "model/explain.h"
#include "worker/channel.h"
#include "worker/explain.h"
#include "worker/warm.h"

#define LASTS_US	3000000u	/* about */
#define ROUNDS_MIN	5u
#define ROUNDS_MAX	4096u
#define PROMPTS		21		/* one and its contrast set */

struct times {
	uint32_t	*encode;	/* [n] microseconds of wall clock */
	uint32_t	*plain, *traced;	/* [n] of this process's CPU */
	uint32_t	*map;		/* [n] wall clock again */
	uint32_t	 n;
};

static int
by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double
median_ms(uint32_t *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2] / 1e3;
}

/* For differences: a per cent can't be seen between medians when busy. */
static double
fastest_ms(const uint32_t *v, uint32_t n)
{
	uint32_t best = v[0];

	for (uint32_t i = 1; i < n; i++)
		best = v[i] < best ? v[i] : best;
	return best / 1e3;
}

static enum cw_status
encode(struct cw_worker *w, int batch, unsigned want, uint32_t *wall,
    uint32_t *cpu, struct cw_err *err)
{
	const uint64_t t0 = cw_now_us(), c0 = cw_cpu_us();
	enum cw_status st;

	cw_arena_reset(w->traces, CW_KEEP_ALL);
	st = cw_model_encode_images(w->model, w->pixels, batch, want,
	    w->keep_layers, w->scratch, w->embeds, NULL,
	    want == CW_WANT_EMBED ? NULL : w->trace, w->traces, err);
	*wall = (uint32_t)(cw_now_us() - t0);
	*cpu = (uint32_t)(cw_cpu_us() - c0);
	return st;
}

/* Folds of random directions stand for a category's prompts. */
static enum cw_status
make_folds(struct cw_worker *w, struct cw_fold *folds, struct cw_err *err)
{
	float *t = cw_arena_floats(w->batch, (size_t)w->info->E);
	enum cw_status st = t == NULL ? CW_E_LIMIT : CW_OK;
	uint32_t x = 12345;

	for (int i = 0; i < PROMPTS && st == CW_OK; i++) {
		for (int k = 0; k < w->info->E; k++) {
			x = x * 1664525u + 1013904223u;
			t[k] = (float)(x >> 8) / (1 << 23) - 1;
		}
		st = cw_fold_make(w->model, CW_SIDE_IMAGE, t, w->keep_layers,
		    w->batch, &folds[i]);
	}
	return st == CW_OK ? st : cw_err_set(err, st, "no room for folds");
}

/* What one explained category costs, once its folds are kept. */
static enum cw_status
explain_one(struct cw_worker *w, const struct cw_fold *folds, uint32_t *us)
{
	const size_t mark = cw_arena_mark(w->scratch);
	const struct cw_fold *f[PROMPTS];
	const uint64_t t0 = cw_now_us();
	float weight[PROMPTS];
	struct cw_terms terms;
	struct cw_fold mixed;
	enum cw_status st;

	for (int i = 0; i < PROMPTS; i++) {
		f[i] = &folds[i];
		weight[i] = i == 0 ? 1 : -1.0f / (PROMPTS - 1);
	}
	st = cw_fold_mix(f, weight, PROMPTS, w->scratch, &mixed);
	if (st == CW_OK)
		st = cw_explain(w->model, &w->trace[0], &mixed, w->scratch,
		    &terms, NULL);
	cw_arena_release(w->scratch, mark);
	*us = (uint32_t)(cw_now_us() - t0);
	return st;
}

/* Plain and traced passes take turns, so that a busy moment hits both. */
static enum cw_status
measure(struct cw_worker *w, const struct cw_bench_msg *m, int batch,
    struct times *ts, struct cw_err *err)
{
	const uint32_t most = m->rounds == 0 ? ROUNDS_MAX :
	    m->rounds < ROUNDS_MAX ? m->rounds : ROUNDS_MAX;
	struct cw_fold folds[PROMPTS];
	enum cw_status st;
	uint32_t wall, cpu;
	uint64_t t0;

	ts->encode = cw_arena_zalloc(w->batch, most, sizeof(*ts->encode));
	ts->plain = cw_arena_zalloc(w->batch, most, sizeof(*ts->plain));
	ts->traced = cw_arena_zalloc(w->batch, most, sizeof(*ts->traced));
	ts->map = cw_arena_zalloc(w->batch, most, sizeof(*ts->map));
	if (cw_arena_overflowed(w->batch))
		return cw_err_set(err, CW_E_LIMIT, "no room");
	if (m->explain && (st = make_folds(w, folds, err)) != CW_OK)
		return st;
	st = encode(w, batch, CW_WANT_EMBED, &wall, &cpu, err);
	if (st != CW_OK)
		return st;
	for (t0 = cw_now_us(); ts->n < most; ts->n++) {
		if (m->rounds == 0 && ts->n >= ROUNDS_MIN &&
		    cw_now_us() - t0 > LASTS_US)
			break;
		st = encode(w, batch, CW_WANT_EMBED, &ts->encode[ts->n],
		    &ts->plain[ts->n], err);
		if (st == CW_OK && m->explain)
			st = encode(w, batch, CW_WANT_TRACE, &wall,
			    &ts->traced[ts->n], err);
		if (st == CW_OK && m->explain)
			st = explain_one(w, folds, &ts->map[ts->n]);
		if (st != CW_OK)
			return st;
	}
	return CW_OK;
}

static const char *
report(struct cw_worker *w, const struct cw_bench_msg *m, int batch,
    struct times *ts)
{
	const double encode_ms = median_ms(ts->encode, ts->n);
	const double one_ms = encode_ms / batch;
	const double cpu_ms = median_ms(ts->plain, ts->n);
	const char *explain = "";

	if (m->explain) {
		const double map = median_ms(ts->map, ts->n);
		const double keep = fmax(fastest_ms(ts->traced, ts->n) -
		    fastest_ms(ts->plain, ts->n), 0) / batch;
		const double pass = fastest_ms(ts->plain, ts->n) / batch;

		explain = cw_arena_printf(w->batch, ",\"explain\":{"
		    "\"keep_ms\":%.4f,\"map_ms\":%.4f,\"percent\":%.3f}",
		    keep, map, 100 * (keep + map) / pass);
	}
	return cw_arena_printf(w->batch, "{\"images_per_s\":%.2f,"
	    "\"ms\":{\"encode\":%.3f,\"cpu\":%.3f},\"precision\":\"%s\","
	    "\"kernel\":\"%s\",\"batch\":%d,\"threads\":%u,"
	    "\"rounds\":%u%s}", 1e3 / one_ms, encode_ms, cpu_ms, w->info->precision,
	    w->info->kernel, batch, w->init.threads, ts->n, explain);
}

enum cw_status
cw_bench_answer(struct cw_worker *w, const struct cw_frame *f,
    struct cw_err *err)
{
	struct times ts = { .n = 0 };
	struct cw_bench_msg m;
	struct cw_unpack r;
	struct cw_pack pack;
	const char *line;
	enum cw_status st;
	int batch;

	cw_unpack_init(&r, f->body, f->len);
	if ((st = cw_bench_msg_unpack(&r, &m, err)) != CW_OK)
		return st;
	batch = m.explain ? w->traced : w->chunk;
	if (m.batch > 0 && (int)m.batch < batch)
		batch = (int)m.batch;
	cw_arena_reset(w->scratch, CW_KEEP_ALL);
	cw_warm_noise(w, batch, 7);
	if ((st = measure(w, &m, batch, &ts, err)) != CW_OK)
		return st;
	line = report(w, &m, batch, &ts);
	cw_pack_init(&pack, w->batch, 1024);
	if (line != NULL)
		cw_put_raw(&pack, line, strlen(line));
	return cw_channel_send(w->fd, CW_F_BENCH_DONE, f->id, &pack, err);
}
