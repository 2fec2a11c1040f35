/*
 * worker.h - what the stages of a worker share.
 *
 * Runs in: worker.
 *
 * One image, one way (pipeline.c calls them in this order):
 *
 *	decode.c views.c preprocess.c	bytes -> [3][S][S] per view
 *	model/				[B][3][S][S] -> [B][E] and traces
 *	score.c				cosines, the harshest view per category
 *	explain.c regions.c		a map for what fired
 *	faithfulness.c text.c artifacts.c	on request
 *
 * Lifetimes: `lasting` until exit, the bank's own arenas until the next
 * policies, `frames` and `batch` until the results of a batch are sent,
 * `picture` for one decoded image, `scratch` and `traces` for one call.
 */
#ifndef CW_WORKER_H
#define CW_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "format/job.h"
#include "format/result.h"
#include "format/worker_msg.h"
#include "model/model.h"
#include "worker/bank.h"

#define CW_WORKER_MAGIC	0x3ab1e0c4u
#define CW_KEEP_ALL	(SIZE_MAX / 2)	/* cw_arena_reset: give no page back */

struct cw_worker {
	uint32_t	 magic;
	int		 fd;		/* channel to the parent */
	struct cw_init	 init;
	struct cw_model	*model;
	const struct cw_model_info *info;	/* borrowed from model */
	struct cw_bank	*bank;		/* NULL before the first POLICY */
	int		 chunk;		/* views encoded in one pass, at most */
	int		 traced;	/* ... when their traces are kept */
	int		 keep_layers;	/* explained; 0: all */
	struct cw_arena	*lasting, *frames, *batch, *picture, *scratch, *traces;
	float		*pixels;	/* [chunk][3][S][S] */
	float		*embeds;	/* [chunk][E] */
	struct cw_trace	*trace;		/* [chunk] */
};

/*
 * Open the model that w->init names and take memory for it; w is otherwise
 * zero.  CW_E_MODEL, CW_E_CONFIG and the like from cw_model_open.
 */
CW_MUST_USE enum cw_status cw_worker_open(struct cw_worker *w,
    struct cw_err *err);

/* A frame is answered: empty what lives as long as a batch. */
void cw_worker_forget(struct cw_worker *w);

#define CW_PICTURE_KEPT	((size_t)8 << 20)	/* of w->picture, pages */

/* One job in hand.  Everything in the batch arena. */
struct cw_task {
	uint64_t	 id;		/* of its frame */
	struct cw_job	 job;
	struct cw_result res;
	bool		*applied;	/* [npolicies] asked for by the job */
	/* per category: what its image alone scored, whatever the text says */
	struct cw_cat_result *image;	/* [ncategories] */
	/* [CW_VIEWS_MAX][nprompts] neutral cosines of views after the first
	 * that were a policy's harshest; the rest is never written */
	float		*neutral;
	struct cw_map	*maps;		/* [ncategories]; values NULL: none */
	/* which of the decoded frames each view is of */
	uint8_t		 frame_of[CW_VIEWS_MAX];
};

/* Floats of one preprocessed view. */
static inline size_t
cw_view_floats(const struct cw_worker *w)
{
	return 3 * (size_t)w->info->S * (size_t)w->info->S;
}

/* Patches per side of the grid that maps have. */
static inline int
cw_grid(const struct cw_worker *w)
{
	return w->info->G;
}

#endif /* CW_WORKER_H */
