/*
 * fetch.c - see fetch.h.
 */
#include "supervisor/fetch.h"

#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "conf/config.h"
#include "supervisor/sink.h"
#include "supervisor/spool.h"
#include "supervisor/timer.h"
#include "supervisor/worker.h"

#define UNREAD_LATE_MS	60000		/* a row that nothing can read is tried
					   again this often */

/* Must the picture itself be seen, to explain or to draw? */
static bool
needs_image(const struct cw_generation *g, const struct cw_job *j)
{
	if (j->artifacts != 0)
		return true;
	if (j->explain_set)
		return j->explain == CW_WHEN_ALWAYS;
	for (size_t i = 0; i < g->set.npolicies; i++)
		if (g->set.policies[i].explain_when == CW_WHEN_ALWAYS)
			return true;
	return false;
}

/* The same bytes were seen before: their embedding stands for them. */
static void
use_embeds(struct cw_daemon *d, const struct cw_generation *g,
    struct cw_slot *s, struct cw_job *j)
{
	struct cw_spool_embeds e;
	struct cw_err err;

	s->from_embeds = false;
	if (s->no_embeds || d->cfg->spool.embeddings == 0 ||
	    needs_image(g, j) || cw_spool_get_embeds(d->spool, s->sha256,
	    cw_pool_model_key(d), d->pool->scratch, &e, &err) != CW_OK ||
	    e.embed != d->pool->facts.embed)
		return;
	j->embeds = e.vecs;
	j->nembeds = (size_t)e.nviews * e.embed;
	j->image = NULL;
	j->nimage = 0;
	s->from_embeds = true;
}

static bool
any_policy(const struct cw_generation *g, const struct cw_job *j)
{
	for (size_t i = 0; i < j->npolicies; i++)
		if (cw_generation_has_policy(g, j->policies[i]))
			return true;
	return j->npolicies == 0;
}

/*
 * Its row can't be read.  That may pass, and meanwhile the others go on; when
 * it does not, the bytes go to the quarantine and the sender hears of it.
 */
static void
unreadable(struct cw_daemon *d, struct cw_slot *s, const struct cw_err *why)
{
	const uint64_t now = cw_now_ms();
	struct cw_err err;

	if (s->unread == 0)
		cw_log(CW_LOG_ERR, "spool job=%s can't be read error=%s",
		    s->id, cw_quote(why->text).text);
	cw_timer_set(d->pool->wait, 1);
	if (!cw_slot_unread(s, now))
		return;
	if (cw_spool_set_aside(d->spool, s->seq, "unreadable", cw_wall_us(),
	    &err) != CW_OK) {
		s->again_ms = now + UNREAD_LATE_MS;
		return;
	}
	cw_log(CW_LOG_WARNING, "quarantine job=%s reads=%u", s->id,
	    s->unread);
	cw_sink_error(d, s, CW_ST_QUEUE, "spool",
	    "the stored job can't be read", &d->stats.quarantined);
}

bool
cw_fetch_job(struct cw_daemon *d, const struct cw_generation *g,
    struct cw_slot *s, struct cw_bytes *body, bool *stop)
{
	struct cw_arena *a = d->pool->scratch;
	struct cw_pack w;
	struct cw_job j;
	enum cw_status st;
	struct cw_err err;

	st = cw_spool_get_job(d->spool, s->seq, a, &j, &err);
	if (st != CW_OK && st != CW_E_NOT_FOUND) {
		*stop = true;
		unreadable(d, s, &err);
		return false;
	}
	s->unread = 0;
	if (st == CW_E_NOT_FOUND) {
		cw_sink_error(d, s, CW_ST_QUEUE, "spool",
		    "the stored job can't be read", NULL);
		return false;
	}
	if (!any_policy(g, &j)) {
		cw_sink_error(d, s, CW_ST_QUEUE, "unknown_policy",
		    "none of its policies is loaded any more", NULL);
		return false;
	}
	strncpy(s->surface, j.surface, sizeof(s->surface) - 1);
	s->explain = j.explain;
	s->explain_set = j.explain_set;
	use_embeds(d, g, s, &j);
	cw_pack_init(&w, a, j.nimage + j.nembeds * sizeof(float) + 32768);
	cw_job_pack(&j, &w);
	if (!cw_pack_ok(&w)) {
		*stop = true;
		return false;
	}
	*body = (struct cw_bytes){ w.p, w.len };
	return true;
}
