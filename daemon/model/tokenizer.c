/*
 * tokenizer.c - see tokenizer.h.
 */
#include "model/tokenizer.h"

#include <stdbool.h>
#include <string.h>

#include <utf8proc.h>

static bool
is_space(int32_t c)
{
	const utf8proc_category_t k = utf8proc_category(c);

	return (c >= 9 && c <= 13) || c == 0x85 || k == UTF8PROC_CATEGORY_ZS ||
	    k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
}

static bool
is_letter(int32_t c)
{
	const utf8proc_category_t k = utf8proc_category(c);

	return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

static bool
is_number(int32_t c)
{
	const utf8proc_category_t k = utf8proc_category(c);

	return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

struct runes {
	int32_t	*c;		/* code points */
	size_t	 n;
};

/*
 * NFC, as code points in the back half of a buffer in the arena; *front is
 * its front half, so that clean() can go through it in place.
 */
static enum cw_status
compose(const char *text, size_t len, struct cw_arena *a, struct runes *out,
    int32_t **front, struct cw_err *err)
{
	const utf8proc_option_t how = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
	const utf8proc_uint8_t *s = (const utf8proc_uint8_t *)text;
	utf8proc_ssize_t n;

	n = utf8proc_decompose(s, (utf8proc_ssize_t)len, NULL, 0, how);
	if (n < 0)
		return cw_err_set(err, CW_E_FORMAT, "the text is not UTF-8");
	*front = cw_arena_alloc(a, ((size_t)n + 1) * 2 * sizeof(**front));
	if (*front == NULL)
		return cw_err_set(err, CW_E_LIMIT, "text too long");
	out->c = *front + n + 1;
	n = utf8proc_decompose(s, (utf8proc_ssize_t)len, out->c, n, how);
	CW_CHECK(n >= 0);
	n = utf8proc_normalize_utf32(out->c, n, how);
	CW_CHECK(n >= 0);
	out->n = (size_t)n;
	return CW_OK;
}

/*
 * One space for each run of white space, lower case.  out grows by at most
 * two code points for each one read, so it never meets the reader: see
 * compose().
 */
static struct runes
clean(struct runes composed, int32_t *front)
{
	struct runes out = { .c = front }, *r = &out;
	bool pending = false;

	for (size_t i = 0; i < composed.n; i++) {
		const int32_t c = composed.c[i];

		if (is_space(c)) {
			pending = true;
			continue;
		}
		if (pending && r->n > 0)
			r->c[r->n++] = ' ';
		pending = false;
		/* The only letter whose lower case is two code points. */
		if (c == 0x130) {
			r->c[r->n++] = 'i';
			r->c[r->n++] = 0x307;
		} else {
			r->c[r->n++] = utf8proc_tolower(c);
		}
	}
	return out;
}

/* Does the ASCII string s stand at r.c[i]? */
static bool
stands_at(const struct runes *r, size_t i, const char *s)
{
	for (; *s != '\0'; s++, i++)
		if (i >= r->n || r->c[i] != *s)
			return false;
	return true;
}

/* The end of the piece that begins at i, which is no space. */
static size_t
piece_end(const struct runes *r, size_t i)
{
	static const char *const contractions[] = {
		"'s", "'t", "'re", "'ve", "'m", "'ll", "'d",
	};
	size_t j = i + 1;

	for (size_t k = 0; k < CW_COUNT(contractions); k++)
		if (stands_at(r, i, contractions[k]))
			return i + strlen(contractions[k]);
	if (is_number(r->c[i]))
		return j;
	if (is_letter(r->c[i])) {
		while (j < r->n && is_letter(r->c[j]))
			j++;
		return j;
	}
	while (j < r->n && !is_space(r->c[j]) && !is_letter(r->c[j]) &&
	    !is_number(r->c[j]) && !stands_at(r, j, CW_TEXT_START))
		j++;
	return j;
}

/* Bytes of the code points from i to j, in the arena. */
static char *
piece_bytes(const struct runes *r, size_t i, size_t j, struct cw_arena *a,
    size_t *len)
{
	char *s = cw_arena_alloc(a, 4 * (j - i));

	*len = 0;
	if (s == NULL)
		return NULL;
	for (; i < j; i++)
		*len += (size_t)utf8proc_encode_char(r->c[i],
		    (utf8proc_uint8_t *)s + *len);
	return s;
}

/* most: ids at the most, both marks among them. */
static enum cw_status
encode_pieces(const struct cw_tokenizer *t, const struct runes *r, int most,
    struct cw_arena *a, int *ids, int *n, struct cw_err *err)
{
	const int room = most - 1;	/* the last is the end mark */
	const size_t mark = cw_arena_mark(a);
	size_t i = 0, j, len;
	int got;

	ids[0] = t->start;
	*n = 1;
	for (; i < r->n && *n < room; i = j) {
		const char *s;

		j = i + 1;
		if (is_space(r->c[i]))
			continue;
		if (stands_at(r, i, CW_TEXT_START)) {
			ids[(*n)++] = t->start;
			j = i + strlen(CW_TEXT_START);
			continue;
		}
		j = piece_end(r, i);
		s = piece_bytes(r, i, j, a, &len);
		if (s == NULL || cw_bpe_encode(&t->bpe, s, len, a, ids + *n,
		    room - *n, &got) != CW_OK)
			return cw_err_set(err, CW_E_LIMIT, "text too long");
		*n += got;
		cw_arena_release(a, mark);
	}
	ids[(*n)++] = t->end;
	return CW_OK;
}

/* The text as it is cut into pieces, in scratch. */
static enum cw_status
prepare(const char *text, struct cw_arena *scratch, struct runes *r,
    struct cw_err *err)
{
	const size_t len = strlen(text);
	enum cw_status st;
	int32_t *front;

	if (len > CW_TEXT_MAX)
		return cw_err_set(err, CW_E_LIMIT,
		    "text of %zu bytes; want at most %u", len, CW_TEXT_MAX);
	/* The mark itself would cut the text off there: refused, not read. */
	if (strstr(text, CW_TEXT_END) != NULL)
		return cw_err_set(err, CW_E_FORMAT,
		    "the text holds a literal %s", CW_TEXT_END);
	if ((st = compose(text, len, scratch, r, &front, err)) != CW_OK)
		return st;
	*r = clean(*r, front);
	return CW_OK;
}

enum cw_status
cw_tokenizer_encode(const struct cw_tokenizer *t, const char *text,
    struct cw_arena *scratch, int *ids, int *n, struct cw_err *err)
{
	const size_t mark = cw_arena_mark(scratch);
	enum cw_status st;
	struct runes r;

	if ((st = prepare(text, scratch, &r, err)) != CW_OK)
		return st;
	st = encode_pieces(t, &r, t->context, scratch, ids, n, err);
	cw_arena_release(scratch, mark);
	return st;
}

enum cw_status
cw_tokenizer_measure(const struct cw_tokenizer *t, const char *text,
    struct cw_arena *scratch, int *n, struct cw_err *err)
{
	const size_t mark = cw_arena_mark(scratch);
	enum cw_status st;
	struct runes r;
	int *ids, most;

	if ((st = prepare(text, scratch, &r, err)) != CW_OK)
		return st;
	most = 4 * (int)r.n + 2;	/* a token is a byte at least */
	ids = cw_arena_alloc(scratch, (size_t)most * sizeof(*ids));
	st = ids == NULL ? cw_err_set(err, CW_E_LIMIT, "text too long") :
	    encode_pieces(t, &r, most, scratch, ids, n, err);
	cw_arena_release(scratch, mark);
	return st;
}

/* The bytes of an entry without "</w>"; false: not written in the alphabet. */
static bool
entry_bytes(const struct cw_bpe_token *e, size_t n, char *out, size_t *len)
{
	size_t i = 0;

	*len = 0;
	while (i < n) {
		utf8proc_int32_t c;
		utf8proc_ssize_t k = utf8proc_iterate(
		    (const utf8proc_uint8_t *)e->s + i,
		    (utf8proc_ssize_t)(n - i), &c);
		int b = k < 1 ? -1 : cw_bpe_byte(c);

		if (b < 0)
			return false;
		out[(*len)++] = (char)b;
		i += (size_t)k;
	}
	return true;
}

const char *
cw_tokenizer_text(const struct cw_tokenizer *t, int id, struct cw_arena *a)
{
	char bytes[CW_TOKEN_BYTES];
	const struct cw_bpe_token *e;
	size_t n, len, at = 0;
	bool ends;
	char *s;

	if (id < 0 || id >= t->bpe.size || t->bpe.token[id].s == NULL)
		return "";
	e = &t->bpe.token[id];
	n = e->n;
	ends = n > 4 && memcmp(e->s + n - 4, CW_WORD_END, 4) == 0;
	if (id == t->start || id == t->end ||
	    !entry_bytes(e, ends ? n - 4 : n, bytes, &len))
		return cw_arena_strndup(a, e->s, n);
	s = cw_arena_alloc(a, 3 * len + 2);
	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < len;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t k = utf8proc_iterate(
		    (const utf8proc_uint8_t *)bytes + i,
		    (utf8proc_ssize_t)(len - i), &c);

		if (k < 1) {			/* part of a character */
			c = 0xfffd;
			k = 1;
		}
		i += (size_t)k;
		at += (size_t)utf8proc_encode_char(c,
		    (utf8proc_uint8_t *)s + at);
	}
	if (ends)
		s[at++] = ' ';
	s[at] = '\0';
	return s;
}
