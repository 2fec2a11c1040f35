/*
 * model_state.h - what stands behind struct cw_model.
 *
 * Runs in: worker.  Private to daemon/model.
 */
#ifndef CW_MODEL_STATE_H
#define CW_MODEL_STATE_H

#include "model/model.h"
#include "model/model_config.h"
#include "model/prepare.h"
#include "model/safetensors.h"
#include "model/tokenizer.h"
#include "model/towers.h"
#include "model/weights.h"

#define CW_MODEL_MAGIC	0xc11b0de1u

struct cw_model {
	uint32_t		 magic;
	struct cw_arena		*tables;	/* holds this struct, too */
	struct cw_arena		*wide;		/* weights not used in place */
	struct cw_safetensors	 files;
	struct cw_model_config	 config;
	struct cw_weights	 weights;
	const struct cw_kernel	*kernel;
	struct cw_prepared	 prepared;	/* what weights point into */
	struct cw_tokenizer	 tokenizer;
	struct cw_model_info	 info;
	struct cw_tap		 tap;
};

#endif /* CW_MODEL_STATE_H */
