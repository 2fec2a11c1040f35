/*
 * tokenizer_load.c - the files of a tokenizer; see tokenizer.h.
 *
 *	vocab.json	{"!": 0, ...}
 *	merges.txt	#version line, then "left right" by rank
 *	tokenizer.json	both of them under "model", marks in "added_tokens"
 */
#include "model/tokenizer.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "model/doc.h"

#define CONFIG_MAX	(1u << 20)	/* bytes */
#define MERGES_MAX	(4u << 20)	/* pairs */

struct loader {
	int			 dirfd;
	const char		*dir;
	int			 vocab;		/* ids are below it */
	struct cw_arena		*a, *boot;
	struct cw_tokenizer	*t;
	struct cw_err		*err;
};

/* A copy of each entry's text, all in one piece, and its id. */
static enum cw_status
add_entries(struct loader *l, struct cw_val vocab, size_t merges)
{
	struct cw_val_iter it;
	size_t bytes = 0, n;
	char *pool;

	for (it = cw_val_first(vocab); it.at != NULL; cw_val_next(vocab, &it))
		bytes += strlen(it.key);
	pool = cw_arena_alloc(l->a, bytes);
	if (pool == NULL || !cw_bpe_init(&l->t->bpe, l->vocab, merges, l->a))
		return cw_err_set(l->err, CW_E_LIMIT, "%s: vocabulary too "
		    "large", vocab.file);
	for (it = cw_val_first(vocab); it.at != NULL;
	    cw_val_next(vocab, &it)) {
		int64_t id;

		n = strlen(it.key);
		if (!cw_val_whole(it.val, &id) || id < 0 || id >= l->vocab ||
		    n > CW_TOKEN_BYTES)
			return cw_err_set(l->err, CW_E_MODEL, "%s: entry "
			    "\"%.40s\": want an id from 0 to %d and at most "
			    "%u bytes", vocab.file, it.key, l->vocab - 1,
			    CW_TOKEN_BYTES);
		memcpy(pool, it.key, n);
		if (!cw_bpe_add(&l->t->bpe, pool, n, (int)id))
			return cw_err_set(l->err, CW_E_MODEL, "%s: entry "
			    "\"%.40s\": its id %lld is taken", vocab.file,
			    it.key, (long long)id);
		pool += n;
	}
	return CW_OK;
}

static enum cw_status
find_marks(struct loader *l, const char *file)
{
	struct cw_tokenizer *t = l->t;

	t->start = cw_bpe_find(&t->bpe, CW_TEXT_START, strlen(CW_TEXT_START));
	t->end = cw_bpe_find(&t->bpe, CW_TEXT_END, strlen(CW_TEXT_END));
	if (t->start < 0 || t->end < 0)
		return cw_err_set(l->err, CW_E_MODEL, "%s: no entry \"%s\"",
		    file, t->start < 0 ? CW_TEXT_START : CW_TEXT_END);
	cw_bpe_finish(&t->bpe, t->end);
	return CW_OK;
}

/* ---- vocab.json and merges.txt ---- */

static size_t
count_lines(const char *s, size_t n)
{
	size_t lines = 1;

	for (size_t i = 0; i < n; i++)
		lines += s[i] == '\n';
	return lines;
}

/* "left right" of n bytes */
static bool
split_pair(const char *s, size_t n, size_t *left)
{
	const char *gap = memchr(s, ' ', n);

	if (gap == NULL || gap == s || gap + 1 == s + n ||
	    memchr(gap + 1, ' ', n - (size_t)(gap + 1 - s)) != NULL)
		return false;
	*left = (size_t)(gap - s);
	return true;
}

static enum cw_status
add_merge_lines(struct loader *l, const char *s, size_t len)
{
	const char *end = s + len, *eol;
	uint32_t rank = 0;
	size_t left, n;

	for (unsigned line = 1; s < end; line++, s = eol + 1) {
		eol = memchr(s, '\n', (size_t)(end - s));
		if (eol == NULL)
			eol = end;
		n = (size_t)(eol - s);
		if (n > 0 && s[n - 1] == '\r')
			n--;
		if (n == 0 || (line == 1 && n >= 8 &&
		    memcmp(s, "#version", 8) == 0))
			continue;
		if (!split_pair(s, n, &left) ||
		    !cw_bpe_add_merge(&l->t->bpe, s, left, s + left + 1,
		    n - left - 1, rank++))
			return cw_err_set(l->err, CW_E_MODEL,
			    "%s/merges.txt:%u: want two entries of the "
			    "vocabulary that make a third", l->dir, line);
	}
	return CW_OK;
}

static enum cw_status
load_two_files(struct loader *l)
{
	struct cw_doc doc;
	struct cw_val root;
	enum cw_status st;
	char *merges;
	size_t len, lines;

	st = cw_doc_open(l->dirfd, l->dir, "vocab.json", CW_TOKENIZER_FILE_MAX,
	    l->boot, &doc, l->err);
	if (st != CW_OK)
		return st;
	root = cw_doc_root(&doc);
	st = cw_read_file(l->dirfd, "merges.txt", CW_TOKENIZER_FILE_MAX, l->boot,
	    &merges, &len, l->err);
	if (st == CW_E_NOT_FOUND)
		st = cw_err_set(l->err, CW_E_MODEL,
		    "%s/merges.txt: no such file", l->dir);
	if (st != CW_OK)
		goto undo;
	lines = count_lines(merges, len);
	if (lines > MERGES_MAX)
		st = cw_err_set(l->err, CW_E_MODEL,
		    "%s/merges.txt: more than %u lines", l->dir, MERGES_MAX);
	if (st == CW_OK && (st = add_entries(l, root, lines)) == CW_OK &&
	    (st = find_marks(l, doc.file)) == CW_OK)
		st = add_merge_lines(l, merges, len);
undo:
	cw_doc_close(&doc);
	return st;
}

/* ---- tokenizer.json ---- */

/* "left right" or ["left", "right"] */
static bool
add_merge_value(struct cw_bpe *b, struct cw_val v, uint32_t rank)
{
	const char *s, *t;
	size_t n, m, left;

	if (cw_val_text(v, &s, &n))
		return split_pair(s, n, &left) && cw_bpe_add_merge(b, s, left,
		    s + left + 1, n - left - 1, rank);
	return cw_val_size(v) == 2 && cw_val_text(cw_val_at(v, 0), &s, &n) &&
	    cw_val_text(cw_val_at(v, 1), &t, &m) &&
	    cw_bpe_add_merge(b, s, n, t, m, rank);
}

/* The marks may stand among the added tokens only. */
static enum cw_status
add_added(struct loader *l, struct cw_val list)
{
	for (size_t i = 0; i < cw_val_size(list); i++) {
		struct cw_val v = cw_val_at(list, i);
		const char *s = "";
		size_t n = 0;
		int64_t id = -1;

		(void)cw_val_text(cw_val_get(v, "content"), &s, &n);
		(void)cw_val_whole(cw_val_get(v, "id"), &id);
		if (strcmp(s, CW_TEXT_START) != 0 &&
		    strcmp(s, CW_TEXT_END) != 0)
			continue;
		if (cw_bpe_find(&l->t->bpe, s, n) >= 0)
			continue;
		if (id < 0 || id >= l->vocab ||
		    !cw_bpe_add(&l->t->bpe, cw_arena_strdup(l->a, s), n,
		    (int)id))
			return cw_err_set(l->err, CW_E_MODEL, "%s: added "
			    "token \"%s\": want a free id from 0 to %d",
			    list.file, s, l->vocab - 1);
	}
	return CW_OK;
}

static enum cw_status
check_kind(struct cw_val model, struct cw_err *err)
{
	const char *type = "", *end = "";
	enum cw_status st;

	if ((st = cw_val_str(model, "type", &type, err)) != CW_OK ||
	    (st = cw_val_str(model, "end_of_word_suffix", &end,
	    err)) != CW_OK)
		return st;
	if (strcmp(type, "BPE") != 0 || strcmp(end, CW_WORD_END) != 0)
		return cw_err_set(err, CW_E_MODEL, "%s: model is \"%.20s\" "
		    "with end of word \"%.20s\"; want \"BPE\" with \"%s\"",
		    model.file, type, end, CW_WORD_END);
	return CW_OK;
}

static enum cw_status
add_model(struct loader *l, struct cw_val root)
{
	struct cw_val model = cw_val_get(root, "model");
	struct cw_val merges = cw_val_get(model, "merges");
	enum cw_status st;

	if ((st = check_kind(model, l->err)) != CW_OK)
		return st;
	if (!cw_val_is_array(merges) || cw_val_size(merges) > MERGES_MAX)
		return cw_err_set(l->err, CW_E_MODEL, "%s: want a list "
		    "model.merges of at most %u", root.file, MERGES_MAX);
	if ((st = add_entries(l, cw_val_get(model, "vocab"),
	    cw_val_size(merges))) != CW_OK ||
	    (st = add_added(l, cw_val_get(root, "added_tokens"))) != CW_OK ||
	    (st = find_marks(l, root.file)) != CW_OK)
		return st;
	for (size_t i = 0; i < cw_val_size(merges); i++)
		if (!add_merge_value(&l->t->bpe, cw_val_at(merges, i),
		    (uint32_t)i))
			return cw_err_set(l->err, CW_E_MODEL, "%s: merge %zu: "
			    "want two entries of the vocabulary that make a "
			    "third", root.file, i);
	return CW_OK;
}

static enum cw_status
load_one_file(struct loader *l)
{
	struct cw_doc doc;
	enum cw_status st;

	st = cw_doc_open(l->dirfd, l->dir, "tokenizer.json", CW_TOKENIZER_FILE_MAX,
	    l->boot, &doc, l->err);
	if (st != CW_OK)
		return st;
	st = add_model(l, cw_doc_root(&doc));
	cw_doc_close(&doc);
	return st;
}

/* model_max_length, where it is shorter than the tower's context. */
static enum cw_status
load_config(struct loader *l)
{
	struct cw_doc doc;
	double most = l->t->context;
	enum cw_status st;

	st = cw_doc_open(l->dirfd, l->dir, "tokenizer_config.json",
	    CONFIG_MAX, l->boot, &doc, l->err);
	if (st != CW_OK)
		return st == CW_E_NOT_FOUND ? CW_OK : st;
	st = cw_val_real(cw_doc_root(&doc), "model_max_length", 3, 1e300,
	    &most, l->err);
	if (most < l->t->context)
		l->t->context = (int)most;
	cw_doc_close(&doc);
	return st;
}

enum cw_status
cw_tokenizer_load(int dirfd, const char *dir, int context, int vocab,
    struct cw_arena *a, struct cw_arena *boot, struct cw_tokenizer *out,
    struct cw_err *err)
{
	struct loader l = { dirfd, dir, vocab, a, boot, out, err };
	enum cw_status st;

	*out = (struct cw_tokenizer){ .context = context };
	st = load_two_files(&l);
	if (st == CW_E_NOT_FOUND)
		st = load_one_file(&l);
	if (st == CW_E_NOT_FOUND)
		return cw_err_set(err, CW_E_MODEL, "%s: no tokenizer; want "
		    "vocab.json and merges.txt, or tokenizer.json", dir);
	return st != CW_OK ? st : load_config(&l);
}
