/*
 * timer.h - a libevent timer in milliseconds.
 *
 * Runs in: supervisor.
 */
#ifndef CW_TIMER_H
#define CW_TIMER_H

#include <event2/event.h>
#include <stdint.h>

/* (Re)start it; libevent counts monotonic time. */
static inline void
cw_timer_set(struct event *timer, uint64_t ms)
{
	const struct timeval tv = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	(void)event_add(timer, &tv);
}

#endif /* CW_TIMER_H */
