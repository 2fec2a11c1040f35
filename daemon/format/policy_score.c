/*
 * policy_score.c - see policy.h: from cosines to a score and an action.
 *
 * The maximum over a category's prompts is taken of one number per prompt
 * that grows with its score, so the winner is the same for every scoring.
 */
#include "format/policy.h"

#include <math.h>
#include <string.h>

/* log sum_j exp(s cos_j + log w_j) over the contrast set; -inf when empty. */
static double
neutral_logsumexp(const struct cw_policy *p, const float *cos, double s)
{
	double top = -INFINITY, sum = 0;

	for (size_t j = 0; j < p->nneutral; j++)
		top = fmax(top, s * cos[p->neutral_bank + j] +
		    log(p->neutral[j].weight));
	if (p->nneutral == 0)
		return top;
	for (size_t j = 0; j < p->nneutral; j++)
		sum += exp(s * cos[p->neutral_bank + j] +
		    log(p->neutral[j].weight) - top);
	return top + log(sum);
}

static double
neutral_max(const struct cw_policy *p, const float *cos, double s)
{
	double top = -INFINITY;

	for (size_t j = 0; j < p->nneutral; j++)
		top = fmax(top, cos[p->neutral_bank + j] +
		    log(p->neutral[j].weight) / s);
	return top;
}

static double
sigmoid(double x)
{
	return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static bool
all_finite(const float *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(v[i]))
			return false;
	return true;
}

/* The number thresholds compare with, from x of policy.h. */
static float
finish(const struct cw_policy *p, const struct cw_calibration *k,
    bool calibrated, double x)
{
	if (calibrated)
		return (float)sigmoid(k->a * x + k->b);
	return (float)(p->scoring == CW_SOFTMAX ? sigmoid(x) : x);
}

enum cw_status
cw_policy_contrast(const struct cw_policy *p, const float *cos,
    float logit_scale, double *out)
{
	double contrast = 0;

	if (!all_finite(cos + p->neutral_bank, p->nneutral))
		return CW_E_NUMERIC;
	if (p->scoring == CW_SOFTMAX)
		contrast = neutral_logsumexp(p, cos, logit_scale);
	else if (p->scoring == CW_MARGIN)
		contrast = neutral_max(p, cos, logit_scale);
	/* An empty contrast set leaves nothing to compare with. */
	if (!isfinite(contrast))
		return CW_E_NUMERIC;
	*out = contrast;
	return CW_OK;
}

enum cw_status
cw_policy_score(const struct cw_policy *p, const struct cw_category *c,
    const float *cos, double contrast, float logit_scale, const char *model,
    float *each, struct cw_score *out)
{
	const struct cw_calibration *k = &c->calibration;
	const double s = logit_scale;
	const double unit = p->scoring == CW_SOFTMAX ? s : 1;
	double best = -INFINITY;
	struct cw_score sc = { 0 };

	if (!all_finite(cos + c->bank, c->nprompts))
		return CW_E_NUMERIC;
	sc.calibrated = k->present && model[0] != '\0' &&
	    strcmp(k->model, model) == 0;
	for (size_t i = 0; i < c->nprompts; i++) {
		double x = unit * (cos[c->bank + i] +
		    log(c->prompts[i].weight) / s) - contrast;

		if (each != NULL)
			each[i] = finish(p, k, sc.calibrated, x);
		if (x > best) {
			best = x;
			sc.prompt = (uint32_t)i;
		}
	}
	sc.margin = (float)best;
	sc.score = finish(p, k, sc.calibrated, best);
	*out = sc;
	return CW_OK;
}

enum cw_action
cw_thresholds_decide(const struct cw_thresholds *t, float score)
{
	if (isnan(score))
		return CW_REVIEW;
	if (score >= t->block)
		return CW_BLOCK;
	return score >= t->review ? CW_REVIEW : CW_ALLOW;
}
