/*
 * text.h - the words beside a picture, scored against the same bank.
 *
 * Runs in: worker.
 *
 * A text longer than the tower's context is read in overlapping windows, so
 * that nothing hides behind its end.  The harshest window decides.
 */
#ifndef CW_TEXT_H
#define CW_TEXT_H

#include "base/status.h"
#include "format/frame.h"
#include "worker/worker.h"

/*
 * Tokens of all windows of one text together: 8 KB of English with CLIP's
 * vocabulary, some 3 s of a ViT-B/32's text tower.  A text that needs more is
 * an error "text_too_long", never unseen.
 */
#define CW_TEXT_TOKENS	2464u

/*
 * Score t->job.text: fills text_score of each applied category, and where
 * that is harsher than the image's score, takes its place; res.text says
 * which words drove the harshest category.  A failure is the task's.
 */
void cw_text_score(struct cw_worker *w, struct cw_task *t);

/* Answer a TEXT frame with a TEXT_DONE. */
CW_MUST_USE enum cw_status cw_text_answer(struct cw_worker *w,
    const struct cw_frame *f, struct cw_err *err);

#endif /* CW_TEXT_H */
