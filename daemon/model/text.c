/*
 * text.c - the text tower; see towers.h.
 *
 * Causal, and read at the end mark: what stands behind it is never computed,
 * and texts that begin alike share the rows of what they have in common.  In
 * alphabetical order each shares with the one before it all that it can.
 */
#include "model/towers.h"

#include <string.h>

/*
 * Rows of texts that go through the tower together.  From a hundred on the
 * weights are read seldom enough (measured: 128 to 512 take the same time);
 * fewer share less, more of them only take memory.
 */
#define ROWS_AT_ONCE	256

struct texts {
	const int *const *ids;
	const int	*n;		/* [count] tokens, end mark included */
	int		 count;
	int		*order;		/* [count] of the alphabet */
};

/* Texts order[from] .. order[to - 1], equal ones once. */
struct chunk {
	int		 from, to;
	struct cw_seq	*seq;
	int		*text;		/* [nseq] whose ids those are */
	int		 nseq, rows, longest;
};

/* How many first tokens texts a and b share. */
static int
common(const struct texts *in, int a, int b)
{
	const int n = in->n[a] < in->n[b] ? in->n[a] : in->n[b];
	int i = 0;

	while (i < n && in->ids[a][i] == in->ids[b][i])
		i++;
	return i;
}

static bool
after(const struct texts *in, int a, int b)
{
	const int k = common(in, a, b);

	if (k == in->n[a] || k == in->n[b])
		return in->n[a] > in->n[b];
	return in->ids[a][k] > in->ids[b][k];
}

/* Fill in->order by merging longer and longer runs; room for count ints. */
static void
sort_texts(struct texts *in, int *room)
{
	const int n = in->count;

	for (int i = 0; i < n; i++)
		in->order[i] = i;
	for (int len = 1; len < n; len *= 2) {
		int *from = in->order;

		for (int at = 0, out = 0; at < n; at += 2 * len) {
			const int mid = n - at < len ? n : at + len;
			const int end = n - mid < len ? n : mid + len;
			int a = at, b = mid;

			while (a < mid || b < end)
				room[out++] = b == end || (a < mid &&
				    !after(in, from[a], from[b])) ?
				    from[a++] : from[b++];
		}
		in->order = room;
		room = from;
	}
}

/* Take texts from c->from on, while their rows stay few. */
static enum cw_status
plan_chunk(const struct texts *in, int context, struct cw_arena *a,
    struct chunk *c)
{
	const int left = in->count - c->from;
	const size_t most = (size_t)(left < ROWS_AT_ONCE ? left :
	    ROWS_AT_ONCE);
	/* the row of each token of the text before */
	int *row = cw_arena_zalloc(a, (size_t)context, sizeof(*row));

	c->seq = cw_arena_zalloc(a, most, sizeof(*c->seq));
	c->text = cw_arena_zalloc(a, most, sizeof(*c->text));
	for (c->to = c->from; c->to < in->count; c->to++) {
		const int t = in->order[c->to], n = in->n[t];
		const int shared = c->nseq == 0 ? 0 :
		    common(in, c->text[c->nseq - 1], t);
		const size_t bytes = (size_t)shared * sizeof(*row);
		int *rows;

		if (shared == n)	/* the same text again */
			continue;
		if (c->nseq > 0 && c->rows + n - shared > ROWS_AT_ONCE)
			break;
		rows = cw_arena_alloc(a, bytes);
		if (cw_arena_overflowed(a))
			return CW_E_LIMIT;
		memcpy(rows, row, bytes);
		c->text[c->nseq] = t;
		c->seq[c->nseq++] = (struct cw_seq){ .n = n, .read = n - 1,
		    .at = c->rows, .nshared = shared, .shared = rows };
		for (int i = shared; i < n; i++)
			row[i] = c->rows++;
		if (c->longest < n)
			c->longest = n;
	}
	return CW_OK;
}

/* Each row's token on its place. */
static void
embed_tokens(const struct cw_text_weights *t, const struct texts *in,
    const struct chunk *c, float *x)
{
	const size_t W = (size_t)t->enc.W;

	for (int s = 0; s < c->nseq; s++)
		for (int i = c->seq[s].nshared; i < c->seq[s].n; i++) {
			const int id = in->ids[c->text[s]][i];
			const float *pos = t->pos + (size_t)i * W, *tok;

			CW_CHECK(id >= 0 && id < t->vocab);
			tok = t->tok + (size_t)id * W;
			for (size_t j = 0; j < W; j++)
				*x++ = tok[j] + pos[j];
		}
}

static enum cw_status
run_chunk(const struct cw_text_weights *t, const struct texts *in,
    struct chunk *c, const struct cw_encode *job, float *embeds, int *bad,
    struct cw_err *err)
{
	const size_t E = (size_t)t->E;
	struct cw_run r = { .causal = true, .scratch = job->scratch,
	    .traces = job->traces, .tap = job->tap };
	enum cw_status st;
	float *vec;
	int s = 0;

	st = plan_chunk(in, t->context, r.scratch, c);
	r.seq = c->seq;
	r.nseq = c->nseq;
	r.rows = r.unit = c->rows;
	r.longest = c->longest;
	vec = cw_arena_floats(r.scratch, (size_t)c->nseq * E);
	if (st != CW_OK || cw_run_make(&r, &t->enc, 0) != CW_OK)
		return cw_err_set(err, CW_E_LIMIT, "scratch is too small");
	embed_tokens(t, in, c, r.x);
	cw_tap_call(r.tap, "text_embed", -1, r.x, r.rows, t->enc.W);
	cw_encoder_run(&t->enc, &r);
	st = cw_encoder_finish(&t->enc, &t->final, &t->proj, &r, vec, NULL,
	    &s, err);
	if (st == CW_E_NUMERIC)
		*bad = c->text[s];
	if (st != CW_OK)
		return st;
	s = 0;
	for (int i = c->from; i < c->to; i++) {
		const int text = in->order[i];

		if (common(in, c->text[s], text) < in->n[text])
			s++;
		memcpy(embeds + (size_t)text * E, vec + (size_t)s * E,
		    E * sizeof(float));
	}
	return CW_OK;
}

/*
 * Encode what fits into a chunk from c->from on.  What is no number spreads to
 * other texts, whose rows are shared or summed with its own: a chunk that fails
 * is gone through text by text, for the one that fails alone.
 */
static enum cw_status
encode_chunk(const struct cw_text_weights *t, const struct texts *in,
    struct chunk *c, const struct cw_encode *job, float *embeds, int *bad,
    struct cw_err *err)
{
	const size_t mark = cw_arena_mark(job->scratch);
	enum cw_status st = run_chunk(t, in, c, job, embeds, bad, err);
	enum cw_status alone = CW_OK;
	struct texts one = *in;

	cw_arena_release(job->scratch, mark);
	if (st != CW_E_NUMERIC || c->nseq == 1)
		return st;
	for (int i = c->from; i < c->to && alone == CW_OK; i++) {
		struct chunk only = { .from = i };

		one.count = i + 1;
		alone = run_chunk(t, &one, &only, job, embeds, bad, err);
		cw_arena_release(job->scratch, mark);
	}
	return st;
}

size_t
cw_text_scratch_bytes(const struct cw_text_weights *t, int count)
{
	const size_t C = (size_t)t->context;
	size_t rows = (size_t)count * C;

	if (rows > ROWS_AT_ONCE)
		rows = C > ROWS_AT_ONCE ? C : ROWS_AT_ONCE;
	return cw_run_bytes(&t->enc, (int)rows, t->context, 0) +
	    rows * (sizeof(struct cw_seq) + (C + 1) * sizeof(int) +
	    CW_ARENA_ALIGN + (size_t)t->E * sizeof(float)) +
	    2 * ((size_t)count * sizeof(int) + CW_ARENA_ALIGN);
}

enum cw_status
cw_text_encode(const struct cw_text_weights *t, const int *const *ids,
    const int *n, int count, const struct cw_encode *job, float *embeds,
    int *bad, struct cw_err *err)
{
	struct texts in = { .ids = ids, .n = n, .count = count };
	enum cw_status st = CW_OK;
	struct chunk c = { 0 };
	int *room;

	CW_CHECK(count > 0 && (job->traces == NULL || count == 1));
	for (int i = 0; i < count; i++)
		CW_CHECK(n[i] > 0 && n[i] <= t->context);
	if (job->traces != NULL && cw_trace_make(job->traces, &t->enc, n[0],
	    n[0] - 1, job->keep_layers, (job->want & CW_WANT_ROLLOUT) != 0,
	    job->keep) != CW_OK)
		return cw_err_set(err, CW_E_LIMIT,
		    "no room to keep an explanation");
	in.order = cw_arena_zalloc(job->scratch, (size_t)count, sizeof(int));
	room = cw_arena_zalloc(job->scratch, (size_t)count, sizeof(int));
	if (cw_arena_overflowed(job->scratch))
		return cw_err_set(err, CW_E_LIMIT, "scratch is too small");
	sort_texts(&in, room);
	while (c.to < count && st == CW_OK) {
		c = (struct chunk){ .from = c.to };
		st = encode_chunk(t, &in, &c, job, embeds, bad, err);
	}
	return st;
}
