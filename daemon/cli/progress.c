/*
 * progress.c - see progress.h.
 */
#include "cli/progress.h"

#include <stdio.h>

#include "base/io.h"

#define WAIT_MS		1000u	/* shorter work shows nothing */
#define REDRAW_MS	100u
#define WIDTH		30u

void
cw_progress_open(struct cw_progress *p, bool on, size_t total)
{
	*p = (struct cw_progress){ .on = on && total > 1, .total = total,
		.start_ms = cw_now_ms() };
}

void
cw_progress_hide(struct cw_progress *p)
{
	if (!p->shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	p->shown = false;
}

void
cw_progress_step(struct cw_progress *p)
{
	const uint64_t now = cw_now_ms(), spent = now - p->start_ms;
	char bar[WIDTH + 1];
	size_t filled;

	p->done++;
	if (!p->on || spent < WAIT_MS)
		return;
	if (p->done == p->total) {
		cw_progress_hide(p);
		return;
	}
	if (p->shown && now - p->last_ms < REDRAW_MS)
		return;
	p->last_ms = now;
	p->shown = true;
	filled = p->done * WIDTH / p->total;
	for (size_t i = 0; i < WIDTH; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %zu/%zu  %.1f/s  %llu s left\033[K", bar,
	    p->done, p->total, (double)p->done * 1e3 / (double)spent,
	    (unsigned long long)(spent * (p->total - p->done) / p->done /
	    1000));
	fflush(stderr);
}
