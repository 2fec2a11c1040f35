/*
 * adhoc.c - see adhoc.h.
 */
#include "cli/adhoc.h"

/* What most pictures show: a contrast for any prompt. */
static const char *const everyday[] = {
	"a person", "a face", "people at a table", "a crowd", "a dog", "a cat",
	"an animal", "a bird", "a car", "a street", "a building", "a house",
	"a room", "a landscape", "a tree", "a flower", "the sky", "the sea",
	"food on a plate", "a phone", "a book", "a page of text", "a drawing",
	"a pattern", "an object on a table", "nothing",
};

static const char *const templates[] = {
	"a photo of {}.", "a picture of {}.", "a drawing of {}.",
};

static struct cw_prompt *
prompts(const char *const *text, size_t n, struct cw_arena *a)
{
	struct cw_prompt *p = cw_arena_zalloc(a, n, sizeof(*p));

	for (size_t i = 0; p != NULL && i < n; i++)
		p[i] = (struct cw_prompt){ .text = text[i], .weight = 1 };
	return p;
}

enum cw_status
cw_adhoc_policy(const char *prompt, const struct cw_strings *neutral,
    struct cw_arena *a, struct cw_policy_set *out, struct cw_err *err)
{
	const bool own = neutral->n > 0;
	struct cw_policy *p = cw_arena_zalloc(a, 1, sizeof(*p));
	struct cw_category *c = cw_arena_zalloc(a, 1, sizeof(*c));

	if (p == NULL || c == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for a policy");
	*c = (struct cw_category){
		.id = "prompt.prompt", .title = prompt,
		.severity = CW_MEDIUM,
		.prompts = prompts(&prompt, 1, a), .nprompts = 1,
		.reason = { "", "", "" },
		.thresholds = { 0.5f, 0.9f },
		.calibration = { .date = "" },
	};
	*p = (struct cw_policy){
		.id = "prompt", .title = prompt, .file = "", .version = 1,
		.templates = cw_arena_zalloc(a, CW_COUNT(templates),
		    sizeof(*p->templates)),
		.ntemplates = CW_COUNT(templates),
		.categories = c, .ncategories = 1,
		.neutral = own ? prompts(neutral->item, neutral->n, a) :
		    prompts(everyday, CW_COUNT(everyday), a),
		.nneutral = own ? neutral->n : CW_COUNT(everyday),
		.scoring = CW_SOFTMAX,
		.explain_when = CW_WHEN_ALWAYS, .explain_top = 1,
		.on_error = CW_REVIEW,
	};
	if (p->templates == NULL || p->neutral == NULL || c->prompts == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for a policy");
	for (size_t i = 0; i < CW_COUNT(templates); i++)
		p->templates[i] = templates[i];
	*out = (struct cw_policy_set){ .policies = p, .npolicies = 1 };
	return cw_policy_set_finish(out, a, err);
}
