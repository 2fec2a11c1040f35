/*
 * result.h - what a worker says about one job: numbers, hardly a string.
 *
 * Runs in: everywhere.  Never: logs.
 *
 * A worker has read hostile bytes, so its result carries no text of ours that
 * it could forge: prompts, categories and ids are indices into the policy set
 * that its parent also holds.  cw_result_unpack checks every count and index
 * against that set and refuses NaN and infinity; verdict.h turns a checked
 * result into JSON.
 */
#ifndef CW_RESULT_H
#define CW_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "format/job.h"
#include "format/pack.h"
#include "format/policy.h"

#define CW_MAPS_MAX	64u
#define CW_GRID_MAX	64u	/* patches per side */
#define CW_REGIONS_MAX	32u	/* per map */
#define CW_TOKENS_MAX	512u	/* of an accompanying text */
#define CW_CODE_BYTES	64u

enum cw_stage {
	CW_ST_QUEUE, CW_ST_DECODE, CW_ST_PREPROCESS, CW_ST_ENCODE, CW_ST_SCORE,
	CW_ST_EXPLAIN, CW_ST_WORKER, CW_STAGES
};
const char *cw_stage_name(enum cw_stage s);	/* "decode" ... */

enum cw_view_kind { CW_VIEW_CENTER, CW_VIEW_WHOLE, CW_VIEW_COVER, CW_VIEW_KINDS };
enum cw_background { CW_BG_STORED, CW_BG_WHITE, CW_BG_BLACK, CW_BGS };
const char *cw_view_name(enum cw_view_kind k);	/* "center" ... */
const char *cw_background_name(enum cw_background b);

/* One square that the model saw; x y w h in pixels of the turned image
 * (`whole` may reach outside it: padding). */
struct cw_view {
	enum cw_view_kind	 kind;
	enum cw_background	 background;
	int32_t			 x, y, w, h;
	uint32_t		 frame;		/* of an animation, from 0 */
};

/* Where a category's score came from. */
enum cw_source { CW_FROM_NONE, CW_FROM_IMAGE, CW_FROM_TEXT, CW_SOURCES };
const char *cw_source_name(enum cw_source s);	/* "image", "text" */

/* Why a category that its image flagged has no map. */
enum cw_no_map {
	CW_MAP_MADE,		/* it has one, or none was to be expected */
	CW_NO_MAP_NEVER,	/* job or policy: explain never */
	CW_NO_MAP_STORED,	/* scored from embeddings, without the image */
	CW_NO_MAP_TOP,		/* harsher ones took the policy's explain.top */
	CW_NO_MAP_INCOMPLETE,	/* its parts did not add up to the margin */
	CW_NO_MAP_ROOM,		/* no memory was left for it */
	CW_NO_MAPS
};
const char *cw_no_map_name(enum cw_no_map m);	/* "never" ... */

struct cw_cat_result {		/* in the set's order of categories */
	enum cw_source	 source;	/* of score: the harsher; NONE: not applied */
	float		 score;		/* against the thresholds */
	float		 margin;	/* logits for softmax, else cosine units */
	uint32_t	 prompt;	/* winner, index within the category */
	uint32_t	 view;		/* index into views */
	float		 text_score;	/* of the accompanying text, when given */
	enum cw_no_map	 no_map;
};

struct cw_region {
	int32_t		 x, y, w, h;	/* pixels of the turned image */
	float		 share;		/* of the map's positive mass, 0..1 */
};

struct cw_map {
	uint32_t	 category;	/* index over all categories of the set */
	uint32_t	 prompt;	/* within it */
	enum cw_method	 method;
	uint32_t	 view;
	uint32_t	 gw, gh;	/* grid, patches */
	float		*values;	/* [gh][gw]; additive: logits (or the
					   score's own unit) */
	float		 total;		/* the margin explained */
	float		 remainder;	/* total - sum of values */
	/* remainder, broken down (additive): they add up to it */
	float		 class_token, mlp, out_bias, embedding, ln_bias, entropy;
	float		 rounding;	/* what 8-bit weights round and the fold
					   does not; nearly 0 in fp32 */
	bool		 measured;	/* the next three are there */
	uint32_t	 masked;	/* k patches masked */
	float		 drop, random_drop;	/* of the margin */
	struct cw_region *regions;	/* [nregions] */
	uint32_t	 nregions;
};

/*
 * Of a measured map: does masking its strongest patches not lower the margin,
 * or no further than masking random ones?
 */
bool cw_map_weak(const struct cw_map *m);

struct cw_text_result {		/* the accompanying text, if any */
	uint32_t	 ntokens;	/* 0: none */
	const char	**tokens;	/* [ntokens] valid UTF-8 as shown to people */
	float		*values;	/* [ntokens] for the harshest category */
	uint32_t	 category;
	float		 total, remainder;
};

struct cw_timing {		/* microseconds */
	uint32_t	 decode, preprocess, encode, score, explain;
};

struct cw_result {
	/* error: stage and code, everything below but image is absent */
	bool		 failed;
	enum cw_stage	 stage;
	const char	*code;		/* [a-z0-9_]+ "truncated", "too_large" */
	const char	*message;

	const char	*format;	/* "jpeg", "png" ... [a-z0-9]+, "" unknown */
	uint32_t	 width, height, frames;	/* after EXIF turning; 0 unknown */
	struct cw_view	*views;		/* [nviews] */
	uint32_t	 nviews;
	float		*embeds;	/* [nviews][embed] unit length */
	uint32_t	 embed;
	struct cw_cat_result *cats;	/* [set->ncategories] */
	float		*cosines;	/* [set->nprompts] each at its category's
					   view (neutral: the first of the
					   policy's cw_result_views) */
	float		*further;	/* [cw_result_nfurther] policy by policy
					   and view by view: the neutral cosines
					   at the others of cw_result_views */
	float		*scores;	/* [set->nprompts] each prompt's own score at
					   that view; 0 for neutral ones */
	struct cw_map	*maps;		/* [nmaps] */
	uint32_t	 nmaps;
	struct cw_text_result text;
	struct cw_timing timing;
};

/*
 * The views that a policy's categories were scored on, bit by number; the
 * first one when no category was.  cats: [p->ncategories] of the policy.
 */
uint32_t cw_result_views(const struct cw_policy *p,
    const struct cw_cat_result *cats);
/*
 * Floats of further.  What is in it follows from the categories' views, so a
 * frame says it once and can't say it wrong.  cats: [set->ncategories].
 */
size_t cw_result_nfurther(const struct cw_policy_set *set,
    const struct cw_cat_result *cats);

void cw_result_pack(const struct cw_result *res,
    const struct cw_policy_set *set, struct cw_pack *w);
/*
 * Distrustful: every count, index, enum and number is checked against set.
 * Everything lands in the arena.  CW_E_FORMAT says what was wrong.
 */
CW_MUST_USE enum cw_status cw_result_unpack(struct cw_unpack *r,
    const struct cw_policy_set *set, struct cw_arena *a,
    struct cw_result *out, struct cw_err *err);

#endif /* CW_RESULT_H */
