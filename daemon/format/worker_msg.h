/*
 * worker_msg.h - bodies of the frames between a worker and its parent.
 *
 * Runs in: supervisor, worker, cli.  Never: logs.
 *
 * A worker's life:  INIT -> READY, then any of  POLICY -> POLICY_DONE,
 * JOB (batch) -> RESULT each, TEXT -> TEXT_DONE, BENCH -> BENCH_DONE, one
 * after another in the order sent, until its channel closes.  The sandbox is
 * entered before READY.  LOG frames may come at any time; FATAL only before
 * READY (the worker exits right after it).
 */
#ifndef CW_WORKER_MSG_H
#define CW_WORKER_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "base/status.h"
#include "format/pack.h"
#include "format/policy.h"

#define CW_PLUGINS_MAX	16u

enum cw_precision { CW_PREC_AUTO, CW_PREC_FP32, CW_PREC_INT8, CW_PRECISIONS };
const char *cw_precision_name(enum cw_precision p);
int cw_precision_parse(const char *s);
enum cw_views { CW_VIEWS_AUTO, CW_VIEWS_CENTER, CW_VIEWS_WHOLE, CW_VIEWS_COVER, CW_VIEWS };
const char *cw_views_name(enum cw_views v);
int cw_views_parse(const char *s);

/* Bounds on one image; 0 is never "unlimited". */
struct cw_limits {
	uint64_t	 bytes;		/* encoded */
	uint64_t	 decoded_bytes;	/* estimated memory for its pixels */
	uint64_t	 pixels;
	uint32_t	 scans;		/* of a progressive JPEG */
	uint32_t	 frames;	/* of an animation that are looked at */
	uint32_t	 cpu_ms;	/* decoding may take */
};

struct cw_init {
	const char	*model_dir;	/* opened before the sandbox */
	const char	*cache_dir;	/* for prepared weights; "" : none */
	enum cw_precision precision;
	const char	*kernel;	/* "" : the best this CPU has */
	uint32_t	 batch;		/* most jobs in one batch */
	uint32_t	 threads;	/* BLAS threads */
	enum cw_views	 views;
	uint32_t	 explain_layers; /* last so many; 0: all */
	bool		 exact_decode;	/* full-size decode, reference pixels */
	bool		 sandbox;	/* false only in tests and debug builds */
	struct cw_limits limits;
	uint32_t	 pictures;	/* ARTIFACTs of one job; 0: any number */
	uint32_t	 extras_ms;	/* of CPU, for a job's pictures, and as much
					   for measuring its maps; 0: any */
	const char	**plugins;	/* [nplugins] paths of .so files */
	uint32_t	 nplugins;
};

/* READY */
struct cw_model_facts {
	const char	*name;		/* "starter", or the directory's name */
	const char	*sha256;	/* of the weights file(s) */
	const char	*config_sha256;	/* of what stands beside them */
	const char	*tower;		/* "vit" or "resnet" */
	uint32_t	 image_size, patch, width, layers, heads, embed;
	uint32_t	 text_width, text_layers, text_heads, context, vocab;
	float		 logit_scale;	/* already exp()ed */
	uint64_t	 parameters, weight_bytes;
	const char	*precision, *kernel;
	const char	*sandbox;	/* "seccomp+landlock", "seccomp", "off" */
	const char	*plugins;	/* names, separated by spaces */
	uint32_t	 start_ms;
};

/*
 * POLICY: the set, and for each bank index its text vector if it is cached.
 * A vector is the ensemble over the policy's templates, unit length.
 * POLICY_DONE gives the vectors that were missing.
 */
struct cw_bank_row {
	uint32_t	 bank;
	const float	*vec;		/* [embed] */
};

struct cw_policy_msg {
	struct cw_policy_set set;
	struct cw_bank_row *rows;	/* [nrows] */
	uint32_t	 nrows, embed;
};

/* A prompt that, in one of its templates, is longer than the model reads. */
struct cw_long_prompt {
	uint32_t	 bank;
	uint32_t	 tokens;	/* with both marks */
};

struct cw_policy_done {
	bool		 ok;
	const char	*message;	/* when not ok: prompt and why */
	struct cw_bank_row *rows;	/* [nrows] newly encoded */
	uint32_t	 nrows, embed;
	uint32_t	 encode_ms;
	struct cw_long_prompt *longs;	/* [nlongs] */
	uint32_t	 nlongs;
	uint32_t	 context;	/* tokens of a text that are read */
};

enum cw_text_want { CW_TEXT_TOKENS, CW_TEXT_EMBED, CW_TEXT_WORDS, CW_TEXT_WANTS };
#define CW_TEXT_BYTES	65536u	/* of one TEXT */
struct cw_text_msg {		/* TEXT */
	enum cw_text_want want;
	const char	*text;
};
struct cw_text_done {		/* TEXT_DONE */
	bool		 ok;
	const char	*message;
	const uint32_t	*ids;		/* [nids] with both marks */
	uint32_t	 nids;
	uint32_t	 length;	/* ids of the whole text: above nids
					   its end was cut off */
	const char	**tokens;	/* [nids] as shown to people */
	const float	*embed;		/* [nembed] unit length, or none */
	uint32_t	 nembed;
	/* WORDS: the text scored against the bank, decomposed for its harshest
	 * category (index over the set); the marks' own parts are in the
	 * remainder.  ncategories of the set bounds the index. */
	const float	*values;	/* [nids], or NULL: no bank */
	uint32_t	 category;
	float		 total, remainder;
};

struct cw_bench_msg {		/* BENCH */
	uint32_t	 batch, rounds;	/* rounds 0: about three seconds */
	bool		 explain;	/* also time explanation */
};

void cw_init_pack(const struct cw_init *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_init_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_init *out, struct cw_err *err);
void cw_model_facts_pack(const struct cw_model_facts *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_model_facts_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_model_facts *out, struct cw_err *err);
void cw_policy_msg_pack(const struct cw_policy_msg *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_policy_msg_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_policy_msg *out, struct cw_err *err);
void cw_policy_done_pack(const struct cw_policy_done *m, struct cw_pack *w);
/* nprompts bounds the bank indices; vectors must be finite. */
CW_MUST_USE enum cw_status cw_policy_done_unpack(struct cw_unpack *r,
    size_t nprompts, struct cw_arena *a, struct cw_policy_done *out,
    struct cw_err *err);
void cw_text_msg_pack(const struct cw_text_msg *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_text_msg_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_text_msg *out, struct cw_err *err);
void cw_text_done_pack(const struct cw_text_done *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_text_done_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_text_done *out, struct cw_err *err);
void cw_bench_msg_pack(const struct cw_bench_msg *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_bench_msg_unpack(struct cw_unpack *r,
    struct cw_bench_msg *out, struct cw_err *err);

#endif /* CW_WORKER_MSG_H */
