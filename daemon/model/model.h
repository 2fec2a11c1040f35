/*
 * model.h - a CLIP: two towers, a tokenizer, one space.
 *
 * Runs in: worker.  Never: logs, exits; allocates only from given arenas.
 *
 * Letters used for shapes in this directory:
 *	S  input side, pixels		P  patch side, pixels
 *	G  patches per side		T  tokens; 1 + G*G for images (class first)
 *	W  width of the residual stream	E  embedding size
 *	L  blocks			H  heads, each D = W/H wide
 *	B  images in a batch
 */
#ifndef CW_MODEL_H
#define CW_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "base/status.h"

struct cw_model;		/* opaque */

enum cw_tower_kind { CW_TOWER_VIT, CW_TOWER_RESNET };

struct cw_tower_info {
	int	width, layers, heads, tokens;	/* W L H T (text: context) */
	float	eps;				/* of its layer norms */
};

/* preprocessor_config.json, or CLIP's values */
struct cw_pixel_rule {
	int	short_side, crop;	/* pixels */
	float	mean[3], std[3];	/* of values in 0..1 */
};

struct cw_model_info {
	char			 name[64];
	char			 sha256[CW_SHA256_HEX];	/* of the weights */
	char			 config_sha256[CW_SHA256_HEX];	/* beside them */
	enum cw_tower_kind	 kind;
	int			 S, P, G, E;	/* P 0 for a ResNet */
	struct cw_tower_info	 image, text;
	int			 vocab;
	float			 logit_scale;	/* exp()ed */
	struct cw_pixel_rule	 pixels;
	uint64_t		 parameters, weight_bytes;
	const char		*precision;	/* "fp32", "int8" */
	const char		*kernel;	/* "openblas", "avx2", "avx512" ... */
};

struct cw_model_opts {
	const char	*cache_dir;	/* prepared weights; "" : none */
	bool		 int8;
	const char	*kernel;	/* "" : best; else forced, CW_E_CONFIG if
					   this CPU lacks it */
	int		 batch;		/* largest B that will be asked for */
	bool		 shallow_int8;	/* int8 in small models' matrices, too:
					   for tests */
};

/*
 * Load the directory dir (Hugging Face layout, or OpenAI/open_clip names).
 * Everything is checked before use; the error names file, tensor and what
 * was wanted.  owned: cw_model_close.
 */
CW_MUST_USE enum cw_status cw_model_open(const char *dir,
    const struct cw_model_opts *opts, struct cw_model **out,
    struct cw_err *err);
void cw_model_close(struct cw_model **m);
const struct cw_model_info *cw_model_info(const struct cw_model *m);

/* ---- text ---- */

/*
 * Token ids with both marks, truncated to the context.  A literal end mark in
 * the text is CW_E_FORMAT.  ids[] has room for info->text.tokens.
 */
CW_MUST_USE enum cw_status cw_model_tokenize(const struct cw_model *m,
    const char *text, struct cw_arena *scratch, int *ids, int *n,
    struct cw_err *err);
/*
 * How many ids the whole text makes, and how many of them are read: more than
 * that are cut off, the end mark apart.
 */
CW_MUST_USE enum cw_status cw_model_measure(const struct cw_model *m,
    const char *text, struct cw_arena *scratch, int *tokens, int *most,
    struct cw_err *err);
/* The token's bytes as people read them ("gun", "gun</w>" shown as "gun "):
 * valid UTF-8, bytes that are not become U+FFFD.  In the arena. */
const char *cw_model_token_text(const struct cw_model *m, int id,
    struct cw_arena *a);

/*
 * What a forward pass leaves behind for its explanation (EXPLAIN.md section
 * 3).  "Read token": class token of an image, end token of a text, mean token
 * of a ResNet's pool.  Layers are the last Lk of L.
 */
struct cw_trace {
	int	 Lk, T, W, H;
	int	 read;		/* index of the read token in T */
	float	*v;		/* [Lk][T][W] values, bias included, per head slices */
	float	*att;		/* [Lk][H][T] read row of the probabilities */
	float	*mean_att;	/* [L][T][T] head mean, or NULL (rollout only) */
	float	*mlp;		/* [Lk][W] read row of the MLP output */
	float	*rest;		/* [W] read row entering the first kept layer */
	float	*z;		/* [W] read row after the last layer */
	float	*share;		/* ResNet: [T-1][W] values of the positions without
				   position and bias, for the mean token's share;
				   NULL else */
	float	 scale;		/* 1 / (sigma |u|) (ResNet: 1/|u|) */
	float	 inv_norm;	/* 1 / |u| */
};

enum cw_want {
	CW_WANT_EMBED = 0,
	CW_WANT_TRACE = 1,	/* keep what cw_explain needs */
	CW_WANT_ROLLOUT = 2,	/* also mean_att */
};

/*
 * Encode a text of n ids up to its end mark (exact: the tower is causal).
 * embed [E] unit length.  trace may be NULL; its arrays go to `keep`, which
 * is another arena than scratch.
 * CW_E_NUMERIC when the embedding is not finite.
 */
CW_MUST_USE enum cw_status cw_model_encode_text(const struct cw_model *m,
    const int *ids, int n, struct cw_arena *scratch, float *embed,
    struct cw_trace *trace, int keep_layers, struct cw_arena *keep,
    struct cw_err *err);

/*
 * The same of many texts, far faster: what texts have in common at their
 * beginning is computed once, and many read the weights together.  Each
 * vector is the one that cw_model_encode_text gives, to rounding.
 *
 *	ids	[count] texts of n [count] ids, in any order, equal ones too.
 *	embeds	[count][E] unit length, written on CW_OK.
 *	bad	on CW_E_NUMERIC the index of the text at fault.
 *	scratch	cw_model_text_scratch_bytes; released before return.
 *
 * CW_E_LIMIT when scratch is too small.
 */
CW_MUST_USE enum cw_status cw_model_encode_texts(const struct cw_model *m,
    const int *const *ids, const int *n, int count, struct cw_arena *scratch,
    float *embeds, int *bad, struct cw_err *err);

/* Scratch bytes that cw_model_encode_texts needs for count texts. */
size_t cw_model_text_scratch_bytes(const struct cw_model *m, int count);

/* ---- images ---- */

/*
 * Encode B images in one pass.
 *
 *	pixels	[B][3][S][S] planar RGB, normalised.
 *	want	CW_WANT_TRACE keeps per image 4 * Lk * T * (W + H) bytes.
 *	embed	[B][E] unit length, written on CW_OK.
 *	norm	[B] |u| before normalisation, may be NULL.
 *	traces	[B], when wanted; arrays go to `keep`, another arena than
 *		scratch.
 *	keep_layers 0: all.
 *	scratch	released again before return.
 *
 * CW_E_LIMIT when an arena is too small, CW_E_NUMERIC on a NaN or infinity.
 */
CW_MUST_USE enum cw_status cw_model_encode_images(const struct cw_model *m,
    const float *pixels, int B, unsigned want, int keep_layers,
    struct cw_arena *scratch, float *embed, float *norm,
    struct cw_trace *traces, struct cw_arena *keep, struct cw_err *err);

/* Scratch bytes that cw_model_encode_images needs for up to B images. */
size_t cw_model_scratch_bytes(const struct cw_model *m, int B);

/*
 * Debug and golden tests: called with each named intermediate tensor
 * ("patch_embed", "layer.0", ...).  NULL ends it.  Off in production.
 */
typedef void cw_tap_fn(void *payload, const char *name, const float *v,
    int rows, int cols);
void cw_model_tap(struct cw_model *m, cw_tap_fn *fn, void *payload);

#endif /* CW_MODEL_H */
