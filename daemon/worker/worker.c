/*
 * worker.c - see worker.h: a worker's memory, sized from its model.
 */
#include "worker/worker.h"

#include <string.h>

#define MB		((size_t)1 << 20)
/*
 * Traces kept in one pass, in bytes: 25 images of a ViT-B/32, 6 of a B/16, 1
 * of an L/14.  Larger models gain nothing from larger passes, and their
 * traces would be most of a worker's memory.
 */
#define TRACES_BYTES	(48 * MB)
/* Address space beside what is computed; pages exist once written. */
#define FRAMES_BYTES	(128 * MB)	/* a policy set with all its vectors */
#define BATCH_BYTES	(512 * MB)	/* results and pictures for people */
#define SCRATCH_BYTES	(256 * MB)
/* Pages that stay from batch to batch; what a large job took goes back. */
#define FRAMES_KEPT	(4 * MB)
#define BATCH_KEPT	(2 * MB)
#define FRAME_OVERHEAD	(64u << 10)	/* a job beside its image */

/* Bytes of one trace; with the head means of every layer if asked. */
static size_t
trace_bytes(const struct cw_tower_info *t, int keep_layers, bool rollout)
{
	const size_t L = (size_t)t->layers, T = (size_t)t->tokens,
	    W = (size_t)t->width, H = (size_t)t->heads;
	const size_t Lk = keep_layers > 0 && (size_t)keep_layers < L ?
	    (size_t)keep_layers : L;
	/* values and class rows; MLPs; two rows; a ResNet's shares */
	size_t floats = Lk * T * (W + H) + Lk * W + 2 * W + T * W;

	if (rollout)
		floats += L * T * T;
	return floats * sizeof(float) + 16 * CW_ARENA_ALIGN;
}

static enum cw_status
open_arenas(struct cw_worker *w, struct cw_err *err)
{
	const size_t batch = w->init.batch;
	const struct {
		struct cw_arena	**arena;
		size_t		 bytes;
	} all[] = {
		{ &w->frames, FRAMES_BYTES + batch *
		    (w->init.limits.bytes + FRAME_OVERHEAD) },
		{ &w->batch, BATCH_BYTES },
		{ &w->picture, 2 * w->init.limits.decoded_bytes + BATCH_BYTES },
		{ &w->scratch, SCRATCH_BYTES +
		    cw_model_scratch_bytes(w->model, (int)batch) +
		    cw_model_text_scratch_bytes(w->model, CW_BANK_TEXTS) },
		{ &w->traces, trace_bytes(&w->info->text, 0, false) +
		    (size_t)w->traced * trace_bytes(&w->info->image,
		    w->keep_layers, true) },
		{ &w->lasting, MB + batch * (sizeof(*w->trace) +
		    (cw_view_floats(w) + (size_t)w->info->E) *
		    sizeof(float)) },
	};
	enum cw_status st = CW_OK;

	for (size_t i = 0; i < CW_COUNT(all) && st == CW_OK; i++)
		st = cw_arena_open(all[i].bytes, all[i].arena, err);
	return st;
}

enum cw_status
cw_worker_open(struct cw_worker *w, struct cw_err *err)
{
	const struct cw_init *init = &w->init;
	const struct cw_model_opts opts = {
		.cache_dir = init->cache_dir,
		.int8 = init->precision == CW_PREC_INT8,
		.kernel = init->kernel,
		.batch = (int)init->batch,
	};
	enum cw_status st;
	size_t fit;

	st = cw_model_open(init->model_dir, &opts, &w->model, err);
	if (st != CW_OK)
		return st;
	w->info = cw_model_info(w->model);
	w->chunk = (int)init->batch;
	w->keep_layers = (int)init->explain_layers < w->info->image.layers ?
	    (int)init->explain_layers : 0;
	fit = TRACES_BYTES / trace_bytes(&w->info->image, w->keep_layers,
	    false);
	w->traced = fit < 1 ? 1 : fit > init->batch ? w->chunk : (int)fit;
	if ((st = open_arenas(w, err)) != CW_OK)
		return st;
	w->pixels = cw_arena_floats(w->lasting,
	    (size_t)w->chunk * cw_view_floats(w));
	w->embeds = cw_arena_floats(w->lasting,
	    (size_t)w->chunk * (size_t)w->info->E);
	w->trace = cw_arena_zalloc(w->lasting, (size_t)w->chunk,
	    sizeof(*w->trace));
	if (cw_arena_overflowed(w->lasting))
		return cw_err_set(err, CW_E_LIMIT, "no room for a batch of %d",
		    w->chunk);
	w->magic = CW_WORKER_MAGIC;
	return CW_OK;
}

void
cw_worker_forget(struct cw_worker *w)
{
	cw_arena_reset(w->picture, CW_PICTURE_KEPT);
	cw_arena_reset(w->batch, BATCH_KEPT);
	cw_arena_reset(w->frames, FRAMES_KEPT);
}
