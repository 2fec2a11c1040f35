/*
 * stats.h - what the daemon has counted since it started.
 *
 * Runs in: supervisor.  Never: logs.
 *
 * Whoever does a thing counts it; report.c and http.c read.
 */
#ifndef CW_STATS_H
#define CW_STATS_H

#include <stdint.h>

#include "format/policy.h"

#define CW_HISTOGRAM_BUCKETS	112u	/* four an octave, 1 us to 4 minutes */

struct cw_histogram {
	uint64_t	 n[CW_HISTOGRAM_BUCKETS];
	uint64_t	 count, sum_us;
};

struct cw_stats {
	uint64_t	 pushed_lost;	/* at the end, with a spool that is sick */
	uint64_t	 accepted, duplicates, rejected, busy;
	uint64_t	 verdicts[CW_ACTIONS];	/* by enum cw_action */
	uint64_t	 cached;	/* answered from another id's verdict */
	uint64_t	 embeds_reused;	/* scored from a stored embedding */
	uint64_t	 retries, quarantined, expired, cancelled;
	uint64_t	 batches, batch_jobs;
	uint64_t	 worker_deaths, gate_deaths;
	uint64_t	 reloads, reload_failures;
	uint64_t	 spool_failures, commits;
	uint64_t	 sink_failures, deleted;
	struct cw_histogram total;	/* reception to stored verdict */
	struct cw_histogram queue;	/* reception to dispatch */
};

void cw_histogram_add(struct cw_histogram *h, uint64_t us);
/* Upper edge of the bucket that holds that share (0..1) of values, us. */
uint64_t cw_histogram_at(const struct cw_histogram *h, double share);

#endif /* CW_STATS_H */
