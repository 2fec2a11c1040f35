/*
 * policy.h - a set of policies, as every process knows it.
 *
 * Runs in: everywhere.  Never: logs, reads YAML (conf/policy_file.h does).
 *
 * A set is immutable and lives in one arena.  Its prompts form the *bank*, in
 * this fixed order, which cosines and text vectors follow everywhere:
 *
 *	for each policy: for each category its prompts; then its neutral ones
 *
 *	bank index	0 .. nprompts - 1
 */
#ifndef CW_POLICY_H
#define CW_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "base/status.h"
#include "format/pack.h"

#define CW_POLICIES_MAX		64u
#define CW_CATEGORIES_MAX	64u	/* per policy */
#define CW_PROMPTS_MAX		8192u	/* bank of a whole set */
#define CW_TEMPLATES_MAX	100u	/* per policy */
#define CW_PROMPT_BYTES		1024u	/* one prompt or template */
#define CW_ID_BYTES		128u	/* policy and category ids */

/* In order of harshness; ERROR stands outside it. */
enum cw_action { CW_ALLOW, CW_REVIEW, CW_BLOCK, CW_ERROR, CW_ACTIONS };
enum cw_severity { CW_LOW, CW_MEDIUM, CW_HIGH, CW_CRITICAL, CW_SEVERITIES };
enum cw_scoring { CW_SOFTMAX, CW_MARGIN, CW_COSINE, CW_SCORINGS };
enum cw_when { CW_WHEN_FLAGGED, CW_WHEN_ALWAYS, CW_WHEN_NEVER, CW_WHENS };

const char *cw_action_name(enum cw_action v);		/* "allow" ... */
const char *cw_severity_name(enum cw_severity v);
const char *cw_scoring_name(enum cw_scoring v);
const char *cw_when_name(enum cw_when v);
/* The name's value, or -1. */
int cw_action_parse(const char *s);
int cw_severity_parse(const char *s);
int cw_scoring_parse(const char *s);
int cw_when_parse(const char *s);

struct cw_prompt {
	const char	*text;
	float		 weight;	/* > 0; prior odds, 1 is neutral */
};

struct cw_thresholds {
	float		 review, block;	/* in units of the score */
};

struct cw_reason {
	const char	*code, *dsa, *text;	/* "" when absent */
};

/* p = 1 / (1 + exp(-(a x + b))), x the uncalibrated score's margin. */
struct cw_calibration {
	bool		 present;
	double		 a, b;
	char		 model[CW_SHA256_HEX];	/* of the weights it belongs to */
	uint32_t	 n;			/* labelled images behind it */
	const char	*date;			/* "" or YYYY-MM-DD */
};

struct cw_category {
	const char		*id, *title;
	enum cw_severity	 severity;
	struct cw_prompt	*prompts;	/* [nprompts] */
	size_t			 nprompts;
	size_t			 bank;		/* bank index of prompts[0] */
	struct cw_reason	 reason;
	struct cw_thresholds	 thresholds;	/* own, or the policy's */
	struct cw_calibration	 calibration;	/* own, or the policy's */
};

struct cw_policy_test {
	const char	*image;		/* path beside the policy file */
	enum cw_action	 expect;
	int		 line, column;	/* of image in the file */
};

struct cw_policy {
	const char		*id, *title;
	const char		*file;		/* where it was read, "" else */
	uint32_t		 version;
	const char		**templates;	/* [ntemplates], each with one {} */
	size_t			 ntemplates;
	struct cw_category	*categories;	/* [ncategories] */
	size_t			 ncategories;
	struct cw_prompt	*neutral;	/* [nneutral] the contrast set */
	size_t			 nneutral;
	size_t			 neutral_bank;	/* bank index of neutral[0] */
	enum cw_scoring		 scoring;
	enum cw_when		 explain_when;
	uint32_t		 explain_top;	/* maps per image at most */
	bool			 faithfulness;	/* measure each map */
	enum cw_action		 on_error;	/* REVIEW or BLOCK: advice for
						   the receiver of an error */
	bool			 shadow;	/* recorded, never decides */
	struct cw_policy_test	*tests;		/* [ntests] */
	size_t			 ntests;
};

struct cw_policy_set {
	uint64_t		 generation;	/* counts reloads; not hashed */
	char			 hash[CW_SHA256_HEX];
	struct cw_policy	*policies;	/* [npolicies] */
	size_t			 npolicies;
	size_t			 nprompts;	/* bank size */
	size_t			 ncategories;	/* of all policies together */
};

/*
 * Number the bank, count categories, and hash the packed form.  Call once
 * after filling policies.  CW_E_LIMIT when a bound above is exceeded.
 */
CW_MUST_USE enum cw_status cw_policy_set_finish(struct cw_policy_set *set,
    struct cw_arena *scratch, struct cw_err *err);

/*
 * The score's scale for one category: with unit vectors, cos[] by bank index
 * and s = exp(logit scale), and w_i the prompts' weights,
 *	softmax: max_i  l_i - log sum_j exp l_j, l = s cos + log w, as
 *		 sigma(.) = exp(l_i) / (exp(l_i) + sum_j exp(l_j))
 *	margin:	 max_i (cos_i + log(w_i) / s) - max_j (cos_j + log(w_j) / s)
 *	cosine:	 max_i (cos_i + log(w_i) / s)
 * and, where there is a calibration of this model, 1/(1+exp(-(a x + b))) with
 * x the log-odds (softmax) or the value itself (margin, cosine).
 * model may be "" (no calibration applies).
 */
struct cw_score {
	float		 score;		/* what thresholds compare with */
	float		 margin;	/* x above: log-odds or cosine units */
	uint32_t	 prompt;	/* index of the winner in the category */
	bool		 calibrated;
};

/*
 * What the formulas above take away: the log of the sum, the largest, or 0.
 * The same for every category of the policy, so asked for once.  NaN in a
 * neutral cosine, or softmax and margin without neutral prompts, give
 * CW_E_NUMERIC.
 */
CW_MUST_USE enum cw_status cw_policy_contrast(const struct cw_policy *p,
    const float *cos, float logit_scale, double *out);

/*
 * contrast is cw_policy_contrast's for the same cosines and scale.
 * each, if not NULL: [c->nprompts] receives what every prompt would score on
 * its own; the largest is out->score.  NaN in any cosine used gives
 * CW_E_NUMERIC.
 */
CW_MUST_USE enum cw_status cw_policy_score(const struct cw_policy *p,
    const struct cw_category *c, const float *cos, double contrast,
    float logit_scale, const char *model, float *each, struct cw_score *out);

/* At or above block: BLOCK; at or above review: REVIEW; NaN: REVIEW. */
enum cw_action cw_thresholds_decide(const struct cw_thresholds *t,
    float score);

void cw_policy_set_pack(const struct cw_policy_set *set, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_policy_set_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_policy_set *out, struct cw_err *err);

#endif /* CW_POLICY_H */
