/*
 * warm.h - one of everything before the sandbox, and a look at the results.
 *
 * Runs in: worker, before its sandbox.
 *
 * Libraries take memory, read clocks and set themselves up on first use; all
 * of that happens here.  It is a self-test too: a model whose numbers are not
 * finite, or whose explanations do not add up, never becomes READY.
 */
#ifndef CW_WARM_H
#define CW_WARM_H

#include "base/status.h"
#include "worker/worker.h"

/* CW_E_NUMERIC or CW_E_MODEL says what the self-test found. */
CW_MUST_USE enum cw_status cw_warm(struct cw_worker *w, struct cw_err *err);

/* Fill n views of w->pixels with noise as a normalised picture has it. */
void cw_warm_noise(struct cw_worker *w, int n, uint32_t seed);

#endif /* CW_WARM_H */
