/*
 * stats.c - see stats.h.
 */
#include "supervisor/stats.h"

#include <math.h>

void
cw_histogram_add(struct cw_histogram *h, uint64_t us)
{
	const double at = us < 2 ? 0 : 4 * log2((double)us);
	const uint32_t last = CW_HISTOGRAM_BUCKETS - 1;

	h->n[at > last ? last : (uint32_t)at]++;
	h->count++;
	h->sum_us += us;
}

uint64_t
cw_histogram_at(const struct cw_histogram *h, double share)
{
	const double want = share * (double)h->count;
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	for (uint32_t i = 0; i < CW_HISTOGRAM_BUCKETS; i++) {
		seen += h->n[i];
		if ((double)seen >= want)
			return (uint64_t)exp2((i + 1) / 4.0);
	}
	return (uint64_t)exp2(CW_HISTOGRAM_BUCKETS / 4.0);
}
