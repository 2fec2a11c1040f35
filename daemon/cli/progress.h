/*
 * progress.h - a bar on a terminal, for work over a second.
 *
 * Runs in: cli.
 */
#ifndef CW_PROGRESS_H
#define CW_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cw_progress {
	bool		 on;		/* stderr is a terminal */
	bool		 shown;		/* a bar stands on the line */
	size_t		 total, done;
	uint64_t	 start_ms, last_ms;
};

void cw_progress_open(struct cw_progress *p, bool on, size_t total);
void cw_progress_step(struct cw_progress *p);	/* one more is done */
/* Before other output: take the bar away; the next step draws it again. */
void cw_progress_hide(struct cw_progress *p);

#endif /* CW_PROGRESS_H */
