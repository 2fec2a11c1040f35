/*
 * bank.c - see bank.h.
 */
#include "worker/bank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

#define BANK_MAGIC	0xba4c0de5u
/* Address space only: 8192 prompts of 2048 floats, twice, and the texts. */
#define BANK_BYTES	((size_t)256 << 20)
#define PLACE		"{}"
#define FRESH_FOLDS	4	/* prompts folded ahead by one explanation */
#define MIXED_MOST	256	/* adding up more costs as much as folding */

/* Where a bank index lies in its set. */
struct place {
	const struct cw_policy	 *policy;
	const struct cw_category *category;	/* NULL: a neutral prompt */
	const struct cw_prompt	 *prompt;
};

static struct place
place_of(const struct cw_policy_set *set, size_t bank)
{
	for (size_t i = 0; i < set->npolicies; i++) {
		const struct cw_policy *p = &set->policies[i];

		for (size_t k = 0; k < p->ncategories; k++) {
			const struct cw_category *c = &p->categories[k];

			if (bank >= c->bank && bank - c->bank < c->nprompts)
				return (struct place){ p, c,
					&c->prompts[bank - c->bank] };
		}
		if (bank >= p->neutral_bank &&
		    bank - p->neutral_bank < p->nneutral)
			return (struct place){ p, NULL,
				&p->neutral[bank - p->neutral_bank] };
	}
	CW_CHECK(!"a bank index is in the set");
	return (struct place){ 0 };
}

/* The template with the prompt in its place. */
static char *
filled(const char *template, const char *prompt, struct cw_arena *a)
{
	const char *at = strstr(template, PLACE);

	if (at == NULL)
		return cw_arena_strdup(a, prompt);
	return cw_arena_printf(a, "%.*s%s%s", (int)(at - template), template,
	    prompt, at + strlen(PLACE));
}

static enum cw_status
make_unit(float *v, int n)
{
	double sum = 0;
	float inv;

	for (int i = 0; i < n; i++)
		sum += (double)v[i] * v[i];
	if (!isfinite(sum) || sum < 1e-12)
		return CW_E_NUMERIC;
	inv = (float)(1 / sqrt(sum));
	for (int i = 0; i < n; i++)
		v[i] *= inv;
	return CW_OK;
}

/* Rows to encode, in one call: each prompt in each of its templates. */
struct batch {
	const struct cw_model *m;
	const int	**ids;		/* [CW_BANK_TEXTS] of n */
	int		*n;
	size_t		*bank;		/* [CW_BANK_TEXTS] whose text it is */
	int		 count;
	float		*vec;		/* [CW_BANK_TEXTS][E] */
	struct cw_arena	*scratch;
	size_t		 mark;		/* of scratch without its texts */
};

static enum cw_status
batch_make(struct batch *t, const struct cw_model *m,
    struct cw_arena *scratch, struct cw_err *err)
{
	const size_t n = CW_BANK_TEXTS, E = (size_t)cw_model_info(m)->E;

	*t = (struct batch){ .m = m, .scratch = scratch };
	t->ids = cw_arena_zalloc(scratch, n, sizeof(*t->ids));
	t->n = cw_arena_zalloc(scratch, n, sizeof(*t->n));
	t->bank = cw_arena_zalloc(scratch, n, sizeof(*t->bank));
	t->vec = cw_arena_floats(scratch, n * E);
	t->mark = cw_arena_mark(scratch);
	if (cw_arena_overflowed(scratch))
		return cw_err_set(err, CW_E_LIMIT, "no room for prompts");
	return CW_OK;
}

static enum cw_status
blame(const struct place *at, enum cw_status st, const struct cw_err *why,
    struct cw_err *err)
{
	return cw_err_set(err, st, "%s: prompt \"%.160s\": %s",
	    at->category != NULL ? at->category->id : at->policy->id,
	    at->prompt->text, why->text);
}

/* Encode what is in the batch, and add its vectors to their rows. */
static enum cw_status
batch_run(struct batch *t, struct cw_bank *b, const struct place *places,
    struct cw_err *err)
{
	struct cw_err why = { "" };
	enum cw_status st;
	int bad = 0;

	if (t->count == 0)
		return CW_OK;
	st = cw_model_encode_texts(t->m, t->ids, t->n, t->count, t->scratch,
	    t->vec, &bad, &why);
	if (st != CW_OK)
		return blame(&places[t->bank[bad]], st, &why, err);
	for (int i = 0; i < t->count; i++)
		for (int k = 0; k < b->E; k++)
			b->rows[t->bank[i] * (size_t)b->E + (size_t)k] +=
			    t->vec[(size_t)i * (size_t)b->E + (size_t)k];
	t->count = 0;
	cw_arena_release(t->scratch, t->mark);
	return CW_OK;
}

/* One more text, the template with the row's prompt. */
static enum cw_status
batch_add(struct batch *t, struct cw_bank *b, const struct place *places,
    size_t bank, const char *template, struct cw_err *err)
{
	const size_t T = (size_t)cw_model_info(t->m)->text.tokens;
	struct cw_err why = { "" };
	enum cw_status st;
	const char *text;
	int *ids;

	if (t->count == CW_BANK_TEXTS &&
	    (st = batch_run(t, b, places, err)) != CW_OK)
		return st;
	text = filled(template, places[bank].prompt->text, t->scratch);
	ids = cw_arena_zalloc(t->scratch, T, sizeof(*ids));
	if (text == NULL || ids == NULL)
		st = cw_err_set(&why, CW_E_LIMIT, "no room for it");
	else
		st = cw_model_tokenize(t->m, text, t->scratch, ids,
		    &t->n[t->count], &why);
	if (st != CW_OK)
		return blame(&places[bank], st, &why, err);
	t->ids[t->count] = ids;
	t->bank[t->count++] = bank;
	return CW_OK;
}

/* Rows of the n prompts in bank[], each the mean over its templates. */
static enum cw_status
encode_rows(struct cw_bank *b, const struct cw_model *m,
    const struct place *places, const size_t *bank, size_t n,
    struct cw_arena *scratch, struct cw_err *err)
{
	static const char *const bare[] = { PLACE };
	const size_t mark = cw_arena_mark(scratch), E = (size_t)b->E;
	struct cw_err why = { "its vector is not finite" };
	struct batch t;
	enum cw_status st;

	st = batch_make(&t, m, scratch, err);
	for (size_t i = 0; i < n && st == CW_OK; i++) {
		const struct cw_policy *p = places[bank[i]].policy;
		const char *const *templates = p->ntemplates > 0 ?
		    (const char *const *)p->templates : bare;
		const size_t each = p->ntemplates > 0 ? p->ntemplates : 1;

		memset(b->rows + bank[i] * E, 0, E * sizeof(float));
		for (size_t k = 0; k < each && st == CW_OK; k++)
			st = batch_add(&t, b, places, bank[i], templates[k],
			    err);
	}
	if (st == CW_OK)
		st = batch_run(&t, b, places, err);
	for (size_t i = 0; i < n && st == CW_OK; i++)
		if ((st = make_unit(b->rows + bank[i] * E, b->E)) != CW_OK)
			blame(&places[bank[i]], st, &why, err);
	cw_arena_release(scratch, mark);
	return st;
}

static bool
same_templates(const struct cw_policy *a, const struct cw_policy *b)
{
	if (a == b)
		return true;
	if (a->ntemplates != b->ntemplates)
		return false;
	for (size_t i = 0; i < a->ntemplates; i++)
		if (strcmp(a->templates[i], b->templates[i]) != 0)
			return false;
	return true;
}

/* Policies share neutral prompts: the row of an equal one before it, or NULL. */
static const float *
twin(const struct cw_bank *b, const struct place *places, size_t bank)
{
	for (size_t i = 0; i < bank; i++)
		if (strcmp(places[i].prompt->text,
		    places[bank].prompt->text) == 0 &&
		    same_templates(places[i].policy, places[bank].policy))
			return b->rows + i * (size_t)b->E;
	return NULL;
}

/* Fill every row: brought along, equal to an earlier one, or encoded. */
static enum cw_status
fill_rows(struct cw_bank *b, const struct cw_model *m,
    const struct cw_policy_msg *msg, struct cw_arena *scratch,
    struct cw_policy_done *done, struct cw_err *err)
{
	const size_t n = b->set.nprompts, E = (size_t)b->E;
	const uint64_t t0 = cw_now_ms();
	struct place *places = cw_arena_zalloc(b->arena, n, sizeof(*places));
	bool *have = cw_arena_zalloc(b->arena, n, sizeof(*have));
	struct cw_bank_row *fresh = cw_arena_zalloc(b->arena, n,
	    sizeof(*fresh));
	const float **from = cw_arena_zalloc(b->arena, n, sizeof(*from));
	size_t *todo = cw_arena_zalloc(b->arena, n, sizeof(*todo)), ntodo = 0;
	enum cw_status st;

	b->rows = cw_arena_floats(b->arena, n * E);
	b->fold[CW_SIDE_IMAGE] = cw_arena_zalloc(b->arena, n, sizeof(void *));
	b->fold[CW_SIDE_TEXT] = cw_arena_zalloc(b->arena, n, sizeof(void *));
	if (cw_arena_overflowed(b->arena))
		return cw_err_set(err, CW_E_LIMIT,
		    "no room for %zu prompts", n);
	for (uint32_t i = 0; i < msg->nrows; i++) {
		float *row = b->rows + msg->rows[i].bank * E;

		memcpy(row, msg->rows[i].vec, E * sizeof(*row));
		if (make_unit(row, b->E) != CW_OK)
			return cw_err_set(err, CW_E_NUMERIC,
			    "POLICY: vector %u has no direction",
			    msg->rows[i].bank);
		have[msg->rows[i].bank] = true;
	}
	for (size_t i = 0; i < n; i++)
		places[i] = place_of(&b->set, i);
	for (size_t i = 0; i < n; i++)
		if (!have[i] && (from[i] = twin(b, places, i)) == NULL)
			todo[ntodo++] = i;
	if ((st = encode_rows(b, m, places, todo, ntodo, scratch, err)) !=
	    CW_OK)
		return st;
	for (size_t i = 0; i < n; i++) {
		float *row = b->rows + i * E;

		if (from[i] != NULL)
			memcpy(row, from[i], E * sizeof(*row));
		if (!have[i])
			fresh[done->nrows++] = (struct cw_bank_row){
				(uint32_t)i, row };
	}
	done->rows = fresh;
	done->embed = (uint32_t)E;
	done->encode_ms = (uint32_t)(cw_now_ms() - t0);
	return CW_OK;
}

/* The most tokens of a prompt in any of its templates; 0: all are short. */
static enum cw_status
most_tokens(const struct place *at, const struct cw_model *m, size_t context,
    struct cw_arena *scratch, uint32_t *tokens, struct cw_err *err)
{
	const size_t n = at->policy->ntemplates;
	enum cw_status st = CW_OK;
	int got = 0, most;

	*tokens = 0;
	for (size_t k = 0; k < (n > 0 ? n : 1) && st == CW_OK; k++) {
		const size_t mark = cw_arena_mark(scratch);
		const char *text = filled(n > 0 ? at->policy->templates[k] :
		    PLACE, at->prompt->text, scratch);

		if (text == NULL)
			return cw_err_set(err, CW_E_LIMIT, "no room for a "
			    "prompt");
		/* A token is a byte at least, so most need no counting. */
		if (strlen(text) + 2 > context)
			st = cw_model_measure(m, text, scratch, &got, &most,
			    err);
		if ((uint32_t)got > *tokens)
			*tokens = (uint32_t)got;
		cw_arena_release(scratch, mark);
	}
	return st;
}

/* Which prompts are cut off: scored they are, by their beginning. */
static enum cw_status
find_long(struct cw_bank *b, const struct cw_model *m,
    struct cw_arena *scratch, struct cw_policy_done *done,
    struct cw_err *err)
{
	const size_t n = b->set.nprompts;
	enum cw_status st;
	int none, context;

	st = cw_model_measure(m, "", scratch, &none, &context, err);
	if (st != CW_OK)
		return st;
	done->context = (uint32_t)context;
	done->longs = cw_arena_zalloc(b->arena, n, sizeof(*done->longs));
	if (done->longs == NULL)
		return cw_err_set(err, CW_E_LIMIT,
		    "no room for %zu prompts", n);
	for (size_t i = 0; i < n; i++) {
		const struct place at = place_of(&b->set, i);
		uint32_t tokens;

		st = most_tokens(&at, m, done->context, scratch, &tokens,
		    err);
		if (st != CW_OK)
			return st;
		if (tokens > done->context)
			done->longs[done->nlongs++] = (struct
			    cw_long_prompt){ (uint32_t)i, tokens };
	}
	return CW_OK;
}

static enum cw_status
bank_fill(struct cw_bank *b, const struct cw_model *m, const void *body,
    size_t len, struct cw_arena *scratch, struct cw_policy_done *done,
    struct cw_err *err)
{
	const struct cw_tower_info *wide = &cw_model_info(m)->image,
	    *text = &cw_model_info(m)->text;
	struct cw_policy_msg msg = { 0 };
	struct cw_unpack r;
	enum cw_status st;
	size_t floats;

	cw_unpack_init(&r, body, len);
	st = cw_policy_msg_unpack(&r, b->arena, &msg, err);
	if (st != CW_OK)
		return st;
	if (msg.nrows > 0 && msg.embed != (uint32_t)b->E)
		return cw_err_set(err, CW_E_FORMAT,
		    "POLICY: vectors of %u values; want %d", msg.embed, b->E);
	b->set = msg.set;
	/* A ResNet's fold is as wide as its pool; a fold of a ViT is
	 * [Lk + 1][W].  Twice that covers alignment and what is beside it. */
	if (text->width * text->layers > wide->width * wide->layers)
		wide = text;
	floats = (size_t)wide->width * (size_t)(wide->layers + 1);
	b->fold_bytes = 2 * floats * sizeof(float) + 4096;
	st = fill_rows(b, m, &msg, scratch, done, err);
	return st != CW_OK ? st : find_long(b, m, scratch, done, err);
}

enum cw_status
cw_bank_open(const struct cw_model *m, int keep_layers, const void *body,
    size_t len, struct cw_arena *scratch, struct cw_policy_done *done,
    struct cw_bank **out, struct cw_err *err)
{
	struct cw_arena *arena = NULL;
	struct cw_bank *b;
	enum cw_status st;

	*done = (struct cw_policy_done){ .message = "" };
	if ((st = cw_arena_open(BANK_BYTES, &arena, err)) != CW_OK)
		return st;
	b = cw_arena_zalloc(arena, 1, sizeof(*b));
	b->magic = BANK_MAGIC;
	b->arena = arena;
	b->E = cw_model_info(m)->E;
	b->keep_layers = keep_layers;
	st = cw_arena_open(CW_FOLDS_BYTES, &b->folds, err);
	if (st == CW_OK)
		st = bank_fill(b, m, body, len, scratch, done, err);
	if (st != CW_OK) {
		cw_bank_close(&b);
		return st;
	}
	done->ok = true;
	*out = b;
	return CW_OK;
}

void
cw_bank_close(struct cw_bank **bank)
{
	struct cw_bank *b = *bank;
	struct cw_arena *arena;

	if (b == NULL)
		return;
	CW_CHECK_OBJ(b, BANK_MAGIC);
	*bank = NULL;
	b->magic = 0;
	arena = b->arena;	/* b itself lives in it */
	cw_arena_close(&b->folds);
	cw_arena_close(&arena);
}

/*
 * The kept fold of one prompt; made now if there is room and fresh allows, or
 * else NULL.
 */
static const struct cw_fold *
kept_fold(struct cw_bank *b, const struct cw_model *m, enum cw_side side,
    uint32_t bank, int *fresh)
{
	struct cw_fold **f = &b->fold[side][bank];

	if (*f != NULL)
		return *f;
	if (*fresh == 0 || cw_arena_used(b->folds) + b->fold_bytes >
	    CW_FOLDS_BYTES)
		return NULL;
	--*fresh;
	*f = cw_arena_zalloc(b->folds, 1, sizeof(**f));
	if (*f != NULL && cw_fold_make(m, side,
	    b->rows + bank * (size_t)b->E,
	    side == CW_SIDE_IMAGE ? b->keep_layers : 0, b->folds, *f) != CW_OK)
		*f = NULL;
	return *f;
}

/* Fold the weighted sum itself. */
static enum cw_status
fold_sum(struct cw_bank *b, const struct cw_model *m, enum cw_side side,
    const uint32_t *bank, const float *weight, int n, struct cw_arena *a,
    struct cw_fold *out)
{
	float *t = cw_arena_zalloc(a, (size_t)b->E, sizeof(*t));

	if (t == NULL)
		return CW_E_LIMIT;
	for (int i = 0; i < n; i++) {
		const float *row = b->rows + bank[i] * (size_t)b->E;

		for (int k = 0; k < b->E; k++)
			t[k] += weight[i] * row[k];
	}
	return cw_fold_make(m, side, t,
	    side == CW_SIDE_IMAGE ? b->keep_layers : 0, a, out);
}

enum cw_status
cw_bank_fold(struct cw_bank *b, const struct cw_model *m, enum cw_side side,
    const uint32_t *bank, const float *weight, int n, struct cw_arena *a,
    struct cw_fold *out)
{
	const struct cw_fold **f = cw_arena_zalloc(a, (size_t)n, sizeof(*f));
	int fresh = FRESH_FOLDS;
	bool all = true;

	CW_CHECK_OBJ(b, BANK_MAGIC);
	if (f == NULL)
		return CW_E_LIMIT;
	if (n > MIXED_MOST)
		return fold_sum(b, m, side, bank, weight, n, a, out);
	for (int i = 0; i < n; i++)
		if ((f[i] = kept_fold(b, m, side, bank[i], &fresh)) == NULL)
			all = false;
	return all ? cw_fold_mix(f, weight, n, a, out) :
	    fold_sum(b, m, side, bank, weight, n, a, out);
}
