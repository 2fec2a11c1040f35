/*
 * model_config.h - the numbers of a model, from its configuration files.
 *
 * Runs in: worker, at start.  Never: logs.
 *
 * A published config.json leaves out every value that equals its default.
 * All sizes are bounded here; whether they are true is found out when the
 * tensors are looked up with the shapes they imply.
 */
#ifndef CW_MODEL_CONFIG_H
#define CW_MODEL_CONFIG_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "model/linear.h"
#include "model/model.h"

#define CW_STAGES	4	/* of a ResNet */
#define CW_MODEL_GRID_MAX	64	/* patches a side, as in a verdict */

struct cw_encoder_config {
	int		width, layers, heads, hidden;	/* W L H, MLP */
	float		eps;
	enum cw_act	act;
};

struct cw_model_config {
	bool			 open_clip;	/* which file it came from */
	enum cw_tower_kind	 kind;
	int			 S, P, E;	/* P 0 for a ResNet */
	struct cw_encoder_config image, text;
	int			 stages[CW_STAGES];	/* blocks of a ResNet */
	int			 context, vocab;
	int			 eos;	/* 2: not said (old wrong files) */
	struct cw_pixel_rule	 pixels;
};

/*
 * Read config.json or open_clip_config.json (the one that goes with the
 * tensor names first) and preprocessor_config.json.  CW_E_MODEL with file,
 * key and what was wanted.
 */
CW_MUST_USE enum cw_status cw_model_config_read(int dirfd, const char *dir,
    bool openai_names, struct cw_arena *a, struct cw_model_config *out,
    struct cw_err *err);

#endif /* CW_MODEL_CONFIG_H */
