/*
 * weights.h - the tensors of a model, as the towers use them.
 *
 * Runs in: worker, at start.  Never: logs.
 *
 * Float32 tensors are used where they lie in the mapped file; the others are
 * widened once into an arena.  Hugging Face names, and those of OpenAI and
 * open_clip (fused q/k/v, projections stored the other way round).
 *
 * The explanation reads `out` of every block, `proj` and the final norm as
 * they are here: whoever packs or folds weights for speed must leave w and b
 * of those alone.
 */
#ifndef CW_WEIGHTS_H
#define CW_WEIGHTS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "model/linear.h"
#include "model/model_config.h"
#include "model/safetensors.h"

struct cw_norm {
	const float	*w, *b;		/* [W]; NULL: folded into what follows */
};

/* One pre-norm residual block. */
struct cw_block_weights {
	struct cw_norm	 ln1;
	struct cw_linear q, k, v;	/* W to W; k has no bias: a softmax row
					   does not see it */
	struct cw_linear qkv;		/* W to 3W, prepared: see prepare.h */
	struct cw_linear out;		/* W to W */
	struct cw_norm	 ln2;
	struct cw_linear up, down;	/* W to hidden to W */
};

struct cw_encoder_weights {
	int			 W, L, H, hidden;
	float			 eps;
	float			 scale;	/* of q k': 1/sqrt(D), or 1 if folded */
	enum cw_act		 act;
	struct cw_block_weights	*block;	/* [L] */
	/* [H] of the last block, prepared: D to W, K' of read.h, and W to D */
	struct cw_linear	*key, *value;
};

struct cw_vit_weights {
	int			 S, P, G, T, E;
	struct cw_linear	 patch;		/* 3*P*P to W */
	const float		*cls;		/* [W] */
	const float		*pos;		/* [T][W] */
	struct cw_norm		 pre, post;
	struct cw_encoder_weights enc;
	struct cw_linear	 proj;		/* W to E, no bias */
};

struct cw_text_weights {
	int			 context, vocab, E;
	const float		*tok;		/* [vocab][W] */
	const float		*pos;		/* [context][W] */
	struct cw_encoder_weights enc;
	struct cw_norm		 final;
	struct cw_linear	 proj;		/* W to E, no bias */
};

/* A convolution over rows [side*side][in], its batch norm folded in. */
struct cw_conv {
	int			 k, stride;	/* 1 or 3; 3 is padded by 1 */
	struct cw_linear	 l;		/* k*k*in to out: ky, kx, channel */
};

struct cw_bottleneck {
	int			 stride;	/* average pool before conv[2] */
	struct cw_conv		 conv[3];	/* 1x1, 3x3, 1x1 */
	bool			 has_down;
	struct cw_conv		 down;		/* 1x1 of the shortcut */
};

struct cw_resnet_weights {
	int			 S, G, T, E;	/* G: side of the last map */
	int			 C, H;		/* pool: width and heads */
	float			 scale;		/* of its q k' */
	int			 stages[CW_STAGES];
	struct cw_conv		 stem[3];
	struct cw_bottleneck	*block;		/* all stages, in order */
	const float		*pos;		/* [T][C] */
	const float		*vpos;		/* [T][C] pos through v, with bias */
	struct cw_linear	 q, k, v;	/* C to C; k and v without bias */
	struct cw_linear	 proj;		/* C to E */
};

struct cw_weights {
	struct cw_vit_weights	 vit;		/* kind says which is filled */
	struct cw_resnet_weights resnet;
	struct cw_text_weights	 text;
	float			 logit_scale;	/* exp()ed */
};

/* Bytes an arena needs for what can't be used from the mapping. */
size_t cw_weights_bytes(const struct cw_safetensors *st);

/* Do the tensors have OpenAI's names? */
bool cw_weights_openai(const struct cw_safetensors *st);

/*
 * Look up every tensor with the shape c implies.  CW_E_MODEL names the tensor
 * and what was wanted.  a must live as long as the weights.
 */
CW_MUST_USE enum cw_status cw_weights_load(const struct cw_safetensors *st,
    const struct cw_model_config *c, struct cw_arena *a,
    struct cw_weights *out, struct cw_err *err);

#endif /* CW_WEIGHTS_H */
