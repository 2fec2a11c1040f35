/*
 * text.c - the text tower; see towers.h.
 *
 * Causal, and read at the end mark: what stands behind it is never computed.
 */
#include "model/towers.h"

enum cw_status
cw_text_encode(const struct cw_text_weights *t, const int *ids, int n,
    const struct cw_encode *job, float *embed, struct cw_err *err)
{
	const size_t W = (size_t)t->enc.W;
	struct cw_run r = { .B = 1, .T = n, .read = n - 1, .causal = true,
	    .scratch = job->scratch, .traces = job->traces,
	    .tap = job->tap };

	CW_CHECK(n > 0 && n <= t->context);
	if (job->traces != NULL && cw_trace_make(job->traces, &t->enc, n,
	    n - 1, job->keep_layers, (job->want & CW_WANT_ROLLOUT) != 0,
	    job->keep) != CW_OK)
		return cw_err_set(err, CW_E_LIMIT,
		    "no room to keep an explanation");
	if (cw_run_make(&r, &t->enc, 0) != CW_OK)
		return cw_err_set(err, CW_E_LIMIT, "scratch is too small");
	for (size_t i = 0; i < (size_t)n; i++) {
		const float *tok;

		CW_CHECK(ids[i] >= 0 && ids[i] < t->vocab);
		tok = t->tok + (size_t)ids[i] * W;
		for (size_t j = 0; j < W; j++)
			r.x[i * W + j] = tok[j] + t->pos[i * W + j];
	}
	cw_tap_call(r.tap, "text_embed", -1, r.x, n, t->enc.W);
	cw_encoder_run(&t->enc, &r);
	return cw_encoder_finish(&t->enc, &t->final, &t->proj, &r, embed,
	    NULL, err);
}
