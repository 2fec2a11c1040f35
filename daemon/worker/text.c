/*
 * text.c - see text.h.
 */
#include "worker/text.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/io.h"
#include "format/verdict.h"
#include "model/explain.h"
#include "worker/channel.h"
#include "worker/explain.h"
#include "worker/pipeline.h"
#include "worker/score.h"

/* Content tokens that 32 windows of the widest context could ask for. */
#define IDS_MAX		8192
#define TOKEN_BYTES	255	/* of a token's text in a result */

/* ---- tokens ---- */

struct words {
	int	*ids;		/* [n] without marks */
	int	 n;
	int	 begin, end;	/* the marks */
	int	 room;		/* content tokens of one window */
};

static enum cw_status
add_span(const struct cw_worker *w, const char *s, size_t len,
    struct words *out, struct cw_err *err)
{
	const int T = w->info->text.tokens;
	const size_t mark = cw_arena_mark(w->scratch);
	char *span = cw_arena_strndup(w->scratch, s, len);
	int *ids = cw_arena_zalloc(w->scratch, (size_t)T, sizeof(*ids));
	size_t cut = len / 2;
	enum cw_status st;
	int n = 0;

	if (span == NULL || ids == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for the text");
	st = cw_model_tokenize(w->model, span, w->scratch, ids, &n, err);
	if (st == CW_OK && (n < T || len < 2)) {
		if (out->n + n - 2 > IDS_MAX)
			return cw_err_set(err, CW_E_LIMIT,
			    "more than %d tokens", IDS_MAX);
		/* what the vocabulary lacks has the end mark's id, and would
		 * end the text there */
		for (int i = 1; i < n - 1; i++)
			if (ids[i] != out->end)
				out->ids[out->n++] = ids[i];
	}
	cw_arena_release(w->scratch, mark);
	if (st != CW_OK || n < T || len < 2)
		return st;
	/* It fills the context, or was cut off there: in two, between words
	 * if it has any, else between characters. */
	while (cut > 0 && !isspace((unsigned char)s[cut]))
		cut--;
	if (cut == 0)
		for (cut = len / 2; cut > 1 &&
		    ((unsigned char)s[cut] & 0xc0) == 0x80; cut--)
			;
	st = add_span(w, s, cut, out, err);
	return st != CW_OK ? st : add_span(w, s + cut, len - cut, out, err);
}

/* Tokens of the whole text, however long. */
static enum cw_status
read_words(const struct cw_worker *w, const char *text, struct cw_arena *a,
    struct words *out, struct cw_err *err)
{
	char *s = cw_arena_strdup(a, text);
	enum cw_status st;
	int marks[2], n;

	*out = (struct words){ .room = w->info->text.tokens - 2 };
	out->ids = cw_arena_zalloc(a, IDS_MAX, sizeof(*out->ids));
	if (s == NULL || out->ids == NULL || out->room < 1)
		return cw_err_set(err, CW_E_LIMIT, "no room for the text");
	st = cw_model_tokenize(w->model, "", w->scratch, marks, &n, err);
	if (st != CW_OK)
		return st;
	CW_CHECK(n == 2);
	out->begin = marks[0];
	out->end = marks[1];
	/* A mark spelled out would end the text there, or make it an error. */
	for (char *p = strstr(s, "<|"); p != NULL; p = strstr(p, "<|"))
		*p = ' ';
	return add_span(w, s, strlen(s), out, err);
}

/* ---- windows ---- */

struct window {
	const int	*ids;		/* content, borrowed from words */
	int		 n;
	float		*cos;		/* [nprompts] */
	struct cw_trace	 trace;
};

/* A quarter of each window is seen again, so that no phrase is cut. */
static uint32_t
count_windows(const struct words *ws)
{
	const int stride = ws->room - ws->room / 4;

	return ws->n <= ws->room ? 1 :
	    1 + (uint32_t)((ws->n - ws->room + stride - 1) / stride);
}

static struct window
window_at(const struct words *ws, uint32_t i)
{
	const int stride = ws->room - ws->room / 4;
	struct window win = { .ids = ws->ids + (int)i * stride };
	const int left = ws->n - (int)i * stride;

	win.n = left < ws->room ? left : ws->room;
	return win;
}

static enum cw_status
encode_window(struct cw_worker *w, const struct words *ws,
    struct window *win, float *embed, struct cw_trace *trace,
    struct cw_err *err)
{
	int *ids = cw_arena_zalloc(w->scratch, (size_t)win->n + 2,
	    sizeof(*ids));

	if (ids == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for the text");
	ids[0] = ws->begin;
	memcpy(ids + 1, win->ids, (size_t)win->n * sizeof(*ids));
	ids[win->n + 1] = ws->end;
	return cw_model_encode_text(w->model, ids, win->n + 2, w->scratch,
	    embed, trace, 0, w->traces, err);
}

static enum cw_status
window_cosines(struct cw_worker *w, const struct words *ws,
    struct window *win, struct cw_trace *trace, struct cw_err *err)
{
	float *embed = cw_arena_floats(w->scratch, (size_t)w->info->E);
	enum cw_status st;

	if (embed == NULL || win->cos == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for the text");
	st = encode_window(w, ws, win, embed, trace, err);
	if (st == CW_OK)
		cw_score_cosines(w->bank, embed, 1, win->cos);
	return st;
}

/* ---- scores ---- */

/* The harshest window of each category, and the harshest category of all. */
struct outcome {
	struct cw_score	*score;		/* [ncategories] */
	uint32_t	*window;	/* [ncategories] */
	bool		*scored;	/* [ncategories] */
	bool		 any;
	uint32_t	 category;
};

static enum cw_status
score_window(struct cw_worker *w, const bool *applied, uint32_t window,
    const float *cos, struct outcome *o, struct cw_err *err)
{
	const struct cw_policy_set *set = &w->bank->set;
	uint32_t i = 0;

	for (size_t k = 0; k < set->npolicies; k++) {
		const struct cw_policy *p = &set->policies[k];
		double contrast = 0;
		enum cw_status st;

		st = cw_policy_contrast(p, cos, w->info->logit_scale,
		    &contrast);
		for (size_t j = 0; j < p->ncategories; j++, i++) {
			struct cw_score s = { 0 };

			if (applied != NULL && !applied[k])
				continue;
			if (st == CW_OK)
				st = cw_policy_score(p, &p->categories[j],
				    cos, contrast, w->info->logit_scale,
				    w->info->sha256, NULL, &s);
			if (st != CW_OK || !isfinite(s.score))
				return cw_err_set(err, CW_E_NUMERIC,
				    "%s: the text's score is not a number",
				    p->categories[j].id);
			if (o->scored[i] && s.score <= o->score[i].score)
				continue;
			o->scored[i] = true;
			o->score[i] = s;
			o->window[i] = window;
		}
	}
	return CW_OK;
}

static enum cw_status
score_windows(struct cw_worker *w, const struct words *ws,
    const bool *applied, struct outcome *o, struct cw_err *err)
{
	const size_t n = w->bank->set.ncategories;
	const uint32_t windows = count_windows(ws);
	enum cw_status st = CW_OK;

	if (windows > 1 && windows * (uint32_t)ws->room > CW_TEXT_TOKENS)
		return cw_err_set(err, CW_E_LIMIT, "text of %d tokens; want "
		    "at most %u windows of %d", ws->n,
		    CW_TEXT_TOKENS / (uint32_t)ws->room, ws->room);
	*o = (struct outcome){
		.score = cw_arena_zalloc(w->batch, n, sizeof(*o->score)),
		.window = cw_arena_zalloc(w->batch, n, sizeof(*o->window)),
		.scored = cw_arena_zalloc(w->batch, n, sizeof(*o->scored)),
	};
	if (cw_arena_overflowed(w->batch))
		return cw_err_set(err, CW_E_LIMIT, "no room for the text");
	for (uint32_t i = 0; i < windows && st == CW_OK; i++) {
		const size_t mark = cw_arena_mark(w->scratch);
		struct window win = window_at(ws, i);

		win.cos = cw_arena_floats(w->scratch, w->bank->set.nprompts);
		st = window_cosines(w, ws, &win, NULL, err);
		if (st == CW_OK)
			st = score_window(w, applied, i, win.cos, o, err);
		cw_arena_release(w->scratch, mark);
	}
	for (uint32_t i = 0; i < n && st == CW_OK; i++) {
		if (!o->scored[i] || (o->any && !cw_score_harsher(
		    &w->bank->set, i, o->score[i].score, o->category,
		    o->score[o->category].score)))
			continue;
		o->any = true;
		o->category = i;
	}
	return st;
}

/* ---- which words ---- */

struct drivers {
	struct window	 win;
	float		*values;	/* [win.n] */
	double		 total, remainder;
};

static enum cw_status
find_drivers(struct cw_worker *w, const struct words *ws,
    const struct outcome *o, struct drivers *d, struct cw_err *err)
{
	const struct cw_category *c;
	const struct cw_policy *p;
	struct cw_contrast k;
	struct cw_terms terms;
	struct cw_trace trace;
	struct cw_fold fold;
	enum cw_status st;
	double words = 0, parts, reach = 0;

	cw_policy_set_category(&w->bank->set, o->category, &p, &c);
	d->win = window_at(ws, o->window[o->category]);
	d->win.cos = cw_arena_floats(w->scratch, w->bank->set.nprompts);
	d->values = cw_arena_zalloc(w->batch, (size_t)d->win.n,
	    sizeof(*d->values));
	cw_arena_reset(w->traces, CW_KEEP_ALL);
	if (d->values == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for the words");
	st = window_cosines(w, ws, &d->win, &trace, err);
	if (st != CW_OK)
		return st;
	st = cw_contrast_make(p, c, o->score[o->category].prompt,
	    d->win.cos, w->info->logit_scale, w->scratch, &k);
	if (st == CW_OK)
		st = cw_bank_fold(w->bank, w->model, CW_SIDE_TEXT, k.bank,
		    k.weight, k.n, w->scratch, &fold);
	if (st == CW_OK)
		st = cw_explain(w->model, &trace, &fold, w->scratch, &terms,
		    NULL);
	if (st != CW_OK)
		return cw_err_set(err, st, "no room for the words");
	CW_CHECK(trace.T == d->win.n + 2);
	/* tokens[0] is the begin mark, the end mark is the one read. */
	memcpy(d->values, terms.tokens + 1,
	    (size_t)d->win.n * sizeof(*d->values));
	for (int i = 0; i < d->win.n; i++)
		words += d->values[i];
	d->total = o->score[o->category].margin;
	d->remainder = d->total - words;
	parts = (double)terms.tokens[0] + terms.read + terms.mlp +
	    terms.out_bias + terms.rest + terms.ln_bias + k.constant;
	for (int i = 0; i < k.n; i++)
		reach += fabsf(k.weight[i]);
	if (!cw_explain_adds_up(w->info, d->remainder - parts, reach))
		return cw_err_set(err, CW_E_NUMERIC,
		    "parts of a text sum to %.6f; want %.6f", words + parts,
		    d->total);
	return CW_OK;
}

/* A token as a result may carry it. */
static const char *
shown(struct cw_worker *w, int id)
{
	const char *s = cw_model_token_text(w->model, id, w->batch);
	size_t n;

	if (s == NULL)
		return "";
	n = strnlen(s, TOKEN_BYTES + 1);
	if (n <= TOKEN_BYTES)
		return s;
	for (n = TOKEN_BYTES; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80;)
		n--;
	s = cw_arena_strndup(w->batch, s, n);
	return s == NULL ? "" : s;
}

static enum cw_status
text_result(struct cw_worker *w, const struct drivers *d,
    const struct outcome *o, struct cw_text_result *out, struct cw_err *err)
{
	const uint32_t n = (uint32_t)d->win.n < CW_TOKENS_MAX ?
	    (uint32_t)d->win.n : CW_TOKENS_MAX;
	const char **tokens = cw_arena_zalloc(w->batch, n, sizeof(*tokens));

	if (tokens == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for the words");
	for (uint32_t i = 0; i < n; i++)
		tokens[i] = shown(w, d->win.ids[i]);
	*out = (struct cw_text_result){ .ntokens = n, .tokens = tokens,
		.values = d->values, .category = o->category,
		.total = (float)d->total, .remainder = (float)d->remainder };
	return CW_OK;
}

/* Where the text is harsher than the picture, it is what the verdict says. */
static void
merge(struct cw_task *t, const struct outcome *o, size_t ncategories)
{
	for (size_t i = 0; i < ncategories; i++) {
		const struct cw_score *s = &o->score[i];
		struct cw_cat_result *r = &t->res.cats[i];

		if (!o->scored[i])
			continue;
		r->text_score = s->score;
		if (r->source == CW_FROM_IMAGE && s->score <= r->score)
			continue;
		r->source = CW_FROM_TEXT;
		r->score = s->score;
		r->margin = s->margin;
		r->prompt = s->prompt;
	}
}

void
cw_text_score(struct cw_worker *w, struct cw_task *t)
{
	const uint64_t t0 = cw_now_us();
	struct cw_err err = { "" };
	struct drivers d = { 0 };
	struct outcome o;
	struct words ws;
	enum cw_status st;
	uint64_t t1;

	cw_arena_reset(w->scratch, CW_KEEP_ALL);
	st = read_words(w, t->job.text, w->batch, &ws, &err);
	if (st == CW_OK && ws.n == 0)
		return;		/* white space */
	if (st == CW_OK)
		st = score_windows(w, &ws, t->applied, &o, &err);
	cw_task_spent(&t->res.timing.score, t0);
	if (st != CW_OK) {
		cw_task_fail(w, t, CW_ST_SCORE, st == CW_E_LIMIT ?
		    "text_too_long" : cw_status_name(st), err.text);
		return;
	}
	if (!o.any)
		return;
	merge(t, &o, w->bank->set.ncategories);
	t1 = cw_now_us();
	st = find_drivers(w, &ws, &o, &d, &err);
	if (st == CW_OK)
		st = text_result(w, &d, &o, &t->res.text, &err);
	if (st != CW_OK)
		cw_task_without(t, "words", &err);
	cw_task_spent(&t->res.timing.explain, t1);
}

/* ---- TEXT frames ---- */

static enum cw_status
answer_plain(struct cw_worker *w, const struct cw_text_msg *m,
    struct cw_text_done *out, struct cw_err *err)
{
	const size_t T = (size_t)w->info->text.tokens;
	int *ids = cw_arena_zalloc(w->batch, T, sizeof(*ids));
	float *embed = cw_arena_floats(w->batch, (size_t)w->info->E);
	uint32_t *wide = cw_arena_zalloc(w->batch, T, sizeof(*wide));
	const char **tokens = cw_arena_zalloc(w->batch, T, sizeof(*tokens));
	int n, length = 0, most;
	enum cw_status st;

	if (cw_arena_overflowed(w->batch))
		return cw_err_set(err, CW_E_LIMIT, "no room for the text");
	st = cw_model_tokenize(w->model, m->text, w->scratch, ids, &n, err);
	if (st == CW_OK)
		st = cw_model_measure(w->model, m->text, w->scratch, &length,
		    &most, err);
	if (st != CW_OK)
		return st;
	for (int i = 0; i < n; i++) {
		wide[i] = (uint32_t)ids[i];
		tokens[i] = shown(w, ids[i]);
	}
	out->ids = wide;
	out->tokens = tokens;
	out->nids = (uint32_t)n;
	out->length = (uint32_t)length;
	if (m->want != CW_TEXT_EMBED)
		return CW_OK;
	st = cw_model_encode_text(w->model, ids, n, w->scratch, embed, NULL,
	    0, NULL, err);
	if (st != CW_OK)
		return st;
	out->embed = embed;
	out->nembed = (uint32_t)w->info->E;
	return CW_OK;
}

static enum cw_status
answer_words(struct cw_worker *w, const struct cw_text_msg *m,
    struct cw_text_done *out, struct cw_err *err)
{
	struct drivers d = { 0 };
	struct outcome o;
	struct words ws;
	enum cw_status st;
	const char **tokens;
	uint32_t *ids;
	float *values;
	size_t n;

	if (w->bank == NULL || w->bank->set.ncategories == 0)
		return answer_plain(w, m, out, err);
	st = read_words(w, m->text, w->batch, &ws, err);
	if (st == CW_OK)
		st = score_windows(w, &ws, NULL, &o, err);
	if (st == CW_OK)
		st = find_drivers(w, &ws, &o, &d, err);
	if (st != CW_OK)
		return st;
	n = (size_t)d.win.n + 2;
	tokens = cw_arena_zalloc(w->batch, n, sizeof(*tokens));
	ids = cw_arena_zalloc(w->batch, n, sizeof(*ids));
	values = cw_arena_zalloc(w->batch, n, sizeof(*values));
	if (cw_arena_overflowed(w->batch))
		return cw_err_set(err, CW_E_LIMIT, "no room for the words");
	ids[0] = (uint32_t)ws.begin;
	ids[n - 1] = (uint32_t)ws.end;
	for (size_t i = 1; i + 1 < n; i++) {
		ids[i] = (uint32_t)d.win.ids[i - 1];
		values[i] = d.values[i - 1];
	}
	for (size_t i = 0; i < n; i++)
		tokens[i] = shown(w, (int)ids[i]);
	out->ids = ids;
	out->tokens = tokens;
	out->values = values;
	out->nids = out->length = (uint32_t)n;
	out->category = o.category;
	out->total = (float)d.total;
	out->remainder = (float)d.remainder;
	return CW_OK;
}

enum cw_status
cw_text_answer(struct cw_worker *w, const struct cw_frame *f,
    struct cw_err *err)
{
	struct cw_text_done done = { .message = "" };
	struct cw_err why = { "" };
	struct cw_text_msg m;
	struct cw_unpack r;
	struct cw_pack pack;
	enum cw_status st;

	cw_unpack_init(&r, f->body, f->len);
	if ((st = cw_text_msg_unpack(&r, w->batch, &m, err)) != CW_OK)
		return st;
	cw_arena_reset(w->scratch, CW_KEEP_ALL);
	st = m.want == CW_TEXT_WORDS ? answer_words(w, &m, &done, &why) :
	    answer_plain(w, &m, &done, &why);
	if (st != CW_OK)
		done = (struct cw_text_done){ .message = why.text };
	done.ok = st == CW_OK;
	cw_pack_init(&pack, w->batch, 4096);
	cw_text_done_pack(&done, &pack);
	return cw_channel_send(w->fd, CW_F_TEXT_DONE, f->id, &pack, err);
}
