/*
 * generation.c - see generation.h.
 */
#include "supervisor/generation.h"

#include <math.h>
#include <string.h>

#include "base/io.h"

#define GENERATION_MAGIC	0x6e4e8a70u
/* Vectors of the largest set, twice: packed they are a second copy. */
#define VECTOR_BYTES	(2u * CW_PROMPTS_MAX * CW_EMBED_MAX * sizeof(float))

enum cw_status
cw_generation_read(const struct cw_config *cfg, uint64_t number,
    struct cw_generation **out, struct cw_err *err)
{
	const struct cw_policy_defaults defaults = {
		.explain_when = (enum cw_when)cfg->explain.when,
		.explain_top = (uint32_t)cfg->explain.top,
	};
	struct cw_generation *g;
	struct cw_arena *a;
	enum cw_status st;

	st = cw_arena_open(CW_POLICY_ARENA + VECTOR_BYTES, &a, err);
	if (st != CW_OK)
		return st;
	g = cw_arena_zalloc(a, 1, sizeof(*g));
	g->magic = GENERATION_MAGIC;
	g->refs = 1;
	g->arena = a;
	g->loaded_us = cw_wall_us();
	st = cw_policy_files_read(&cfg->policies, &defaults, a, &g->set,
	    &g->warnings, err);
	if (st != CW_OK) {
		cw_generation_unref(&g);
		return st;
	}
	g->set.generation = number;
	*out = g;
	return CW_OK;
}

struct cw_generation *
cw_generation_ref(struct cw_generation *g)
{
	CW_CHECK_OBJ(g, GENERATION_MAGIC);
	g->refs++;
	return g;
}

void
cw_generation_unref(struct cw_generation **gp)
{
	struct cw_generation *g = *gp;
	struct cw_arena *a;

	*gp = NULL;
	if (g == NULL)
		return;
	CW_CHECK_OBJ(g, GENERATION_MAGIC);
	CW_CHECK(g->refs > 0);
	if (--g->refs > 0)
		return;
	g->magic = 0;
	a = g->arena;
	cw_arena_close(&a);
}

/* ---- the bank, prompt by prompt ---- */

/* Prompts are cached under the hash of the templates they were put in. */
static void
templates_key(const struct cw_policy *p, char hex[CW_SHA256_HEX])
{
	struct cw_bytes parts[CW_TEMPLATES_MAX];
	size_t n = p->ntemplates;

	if (n > CW_TEMPLATES_MAX)
		n = CW_TEMPLATES_MAX;
	for (size_t i = 0; i < n; i++)
		parts[i] = (struct cw_bytes){ p->templates[i],
		    strlen(p->templates[i]) + 1 };
	cw_sha256(parts, n, hex);
}

typedef enum cw_status bank_fn(struct cw_generation *g, size_t bank,
    const char *templates, const char *prompt, void *payload,
    struct cw_err *err);

static enum cw_status
each_prompt(struct cw_generation *g, bank_fn *fn, void *payload,
    struct cw_err *err)
{
	for (size_t i = 0; i < g->set.npolicies; i++) {
		const struct cw_policy *p = &g->set.policies[i];
		char key[CW_SHA256_HEX];
		enum cw_status st;

		templates_key(p, key);
		for (size_t k = 0; k < p->ncategories; k++) {
			const struct cw_category *c = &p->categories[k];

			for (size_t j = 0; j < c->nprompts; j++)
				if ((st = fn(g, c->bank + j, key,
				    c->prompts[j].text, payload, err)) !=
				    CW_OK)
					return st;
		}
		for (size_t j = 0; j < p->nneutral; j++)
			if ((st = fn(g, p->neutral_bank + j, key,
			    p->neutral[j].text, payload, err)) != CW_OK)
				return st;
	}
	return CW_OK;
}

struct store {
	struct cw_spool	*sp;
	const char	*model;
	const bool	*fresh;		/* [nprompts] or NULL */
};

/* Also false when any number is none. */
static bool
is_unit(const float *v, uint32_t n)
{
	double norm = 0;

	for (uint32_t i = 0; i < n; i++)
		norm += (double)v[i] * v[i];
	return fabs(norm - 1) < 1e-3;
}

static enum cw_status
recall_one(struct cw_generation *g, size_t bank, const char *templates,
    const char *prompt, void *payload, struct cw_err *err)
{
	const struct store *s = payload;
	enum cw_status st;

	if (s->sp == NULL)
		return CW_OK;
	st = cw_spool_get_text(s->sp, s->model, templates, prompt,
	    g->vecs + bank * g->embed, g->embed, err);
	if (st == CW_OK && is_unit(g->vecs + bank * g->embed, g->embed)) {
		g->have[bank] = true;
		g->missing--;
	}
	/* A vector that can't be read is made again. */
	return CW_OK;
}

enum cw_status
cw_generation_recall(struct cw_generation *g, uint32_t embed,
    const char *model_key, struct cw_spool *sp, struct cw_err *err)
{
	struct store s = { sp, model_key, NULL };

	CW_CHECK_OBJ(g, GENERATION_MAGIC);
	CW_CHECK(g->vecs == NULL);
	g->embed = embed;
	g->missing = (uint32_t)g->set.nprompts;
	g->vecs = cw_arena_floats(g->arena, g->set.nprompts * embed);
	g->have = cw_arena_zalloc(g->arena, g->set.nprompts,
	    sizeof(*g->have));
	if (cw_arena_overflowed(g->arena))
		return cw_err_set(err, CW_E_LIMIT, "policies: no room for "
		    "%zu vectors", g->set.nprompts);
	return each_prompt(g, recall_one, &s, err);
}

enum cw_status
cw_generation_pack(const struct cw_generation *g, struct cw_arena *a,
    struct cw_bytes *out, struct cw_err *err)
{
	struct cw_policy_msg m = { .set = g->set, .embed = g->embed };
	struct cw_pack w;

	CW_CHECK_OBJ(g, GENERATION_MAGIC);
	m.rows = cw_arena_zalloc(a, g->set.nprompts, sizeof(*m.rows));
	for (size_t i = 0; m.rows != NULL && i < g->set.nprompts; i++)
		if (g->have[i])
			m.rows[m.nrows++] = (struct cw_bank_row){
			    (uint32_t)i, g->vecs + i * g->embed };
	cw_pack_init(&w, a, (size_t)m.nrows * (g->embed * sizeof(float) + 8) +
	    65536);
	if (m.rows != NULL)
		cw_policy_msg_pack(&m, &w);
	if (m.rows == NULL || !cw_pack_ok(&w))
		return cw_err_set(err, CW_E_LIMIT, "policies: no room");
	*out = (struct cw_bytes){ w.p, w.len };
	return CW_OK;
}

static enum cw_status
store_one(struct cw_generation *g, size_t bank, const char *templates,
    const char *prompt, void *payload, struct cw_err *err)
{
	const struct store *s = payload;

	if (!s->fresh[bank])
		return CW_OK;
	return cw_spool_put_text(s->sp, s->model, templates, prompt,
	    g->vecs + bank * g->embed, g->embed, err);
}

/*
 * They are kept for good: none that a worker makes up, and none for a prompt
 * that nobody asked about.  fresh[] of each is set.
 */
static enum cw_status
check_rows(const struct cw_generation *g, const struct cw_policy_done *done,
    bool *fresh, struct cw_err *err)
{
	for (uint32_t i = 0; i < done->nrows; i++) {
		const uint32_t b = done->rows[i].bank;

		if (g->have[b] || fresh[b])
			return cw_err_set(err, CW_E_FORMAT, "POLICY_DONE: "
			    "prompt %u has its vector", b);
		if (!is_unit(done->rows[i].vec, g->embed))
			return cw_err_set(err, CW_E_FORMAT, "POLICY_DONE: "
			    "the vector of prompt %u is not of length 1", b);
		fresh[b] = true;
	}
	return CW_OK;
}

enum cw_status
cw_generation_learn(struct cw_generation *g,
    const struct cw_policy_done *done, const char *model_key,
    struct cw_spool *sp, struct cw_err *err)
{
	struct store s = { sp, model_key, NULL };
	enum cw_status st;
	bool *fresh;

	CW_CHECK_OBJ(g, GENERATION_MAGIC);
	fresh = cw_arena_zalloc(g->arena, g->set.nprompts, sizeof(*fresh));
	if (fresh == NULL)
		return cw_err_set(err, CW_E_LIMIT, "policies: no room");
	if (done->nrows > 0 && done->embed != g->embed)
		return cw_err_set(err, CW_E_FORMAT, "POLICY_DONE: vectors of "
		    "%u numbers; want %u", done->embed, g->embed);
	if ((st = check_rows(g, done, fresh, err)) != CW_OK)
		return st;
	for (uint32_t i = 0; i < done->nrows; i++) {
		const size_t b = done->rows[i].bank;

		g->missing--;
		g->have[b] = true;
		memcpy(g->vecs + b * g->embed, done->rows[i].vec,
		    g->embed * sizeof(float));
	}
	if (g->missing > 0)
		return cw_err_set(err, CW_E_FORMAT,
		    "POLICY_DONE: %u prompts without a vector", g->missing);
	s.fresh = fresh;
	if (sp != NULL)
		(void)each_prompt(g, store_one, &s, err);
	return CW_OK;
}

bool
cw_generation_has_policy(const struct cw_generation *g, const char *id)
{
	for (size_t i = 0; i < g->set.npolicies; i++)
		if (strcmp(g->set.policies[i].id, id) == 0)
			return true;
	return false;
}

bool
cw_generation_has_tests(const struct cw_generation *g)
{
	for (size_t i = 0; i < g->set.npolicies; i++)
		if (g->set.policies[i].ntests > 0)
			return true;
	return false;
}
