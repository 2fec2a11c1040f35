/*
 * yaml.c - see yaml.h.
 *
 * libyaml's events with a stack of our own.  Its document API resolves
 * aliases and recurses, and its scanner takes quadratic time over many tag
 * directives, so the bytes are looked through first and directives refused.
 */
#include "conf/yaml.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/io.h"

struct reader {
	const char	*file;
	struct cw_arena	*arena;
	struct cw_err	*err;
	struct cw_yaml	*open[CW_YAML_DEPTH];	/* collections begun */
	struct cw_yaml	*last[CW_YAML_DEPTH];	/* newest child of each */
	size_t		 depth;
	size_t		 nodes;
	bool		 has_key;	/* a key waits for its value */
	const char	*key;
	struct cw_yaml_place key_at;
	struct cw_yaml	*root;
	bool		 done;		/* the document has ended */
};

enum cw_status
cw_yaml_err(struct cw_err *err, const struct cw_yaml_place *at,
    const char *fmt, ...)
{
	char text[CW_ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return cw_err_set(err, CW_E_CONFIG, "%s:%d:%d: %s", at->file,
	    at->line, at->column, text);
}

const char *
cw_yaml_quote(const char *s, char buf[CW_YAML_SHOW])
{
	const size_t most = CW_YAML_SHOW - 8;
	size_t len = strnlen(s, most + 1);

	if (len <= most) {
		snprintf(buf, CW_YAML_SHOW, "\"%s\"", s);
		return buf;
	}
	/* Cut between characters, not inside one. */
	for (len = most; len > 0 && (s[len] & 0xc0) == 0x80; len--)
		;
	snprintf(buf, CW_YAML_SHOW, "\"%.*s...\"", (int)len, s);
	return buf;
}

const char *
cw_yaml_show(const struct cw_yaml *n, char buf[CW_YAML_SHOW])
{
	if (n->kind == CW_YAML_MAP)
		return "a mapping";
	if (n->kind == CW_YAML_LIST)
		return "a list";
	return n->text[0] == '\0' ? "empty" : cw_yaml_quote(n->text, buf);
}

const struct cw_yaml *
cw_yaml_get(const struct cw_yaml *map, const char *key)
{
	if (map->kind != CW_YAML_MAP)
		return NULL;
	for (const struct cw_yaml *c = map->first; c != NULL; c = c->next)
		if (strcmp(c->key, key) == 0)
			return c;
	return NULL;
}

/* ---- the look through the bytes --------------------------------------- */

/* Length of the UTF-8 character at s and its value, or 0 when it is none. */
static size_t
utf8_next(const unsigned char *s, size_t left, unsigned *value)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 :
	    s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;
	unsigned v;

	if (n == 0 || n > left)
		return 0;
	v = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (s[i] & 0x3fu);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*value = v;
	return n;
}

static bool
is_allowed(unsigned v)
{
	return v == '\n' || v == '\r' || v == '\t' ||
	    (v >= 0x20 && v < 0x7f) || v == 0x85 ||
	    (v >= 0xa0 && v <= 0xfffd && v != 0xfeff) || v >= 0x10000;
}

static enum cw_status
look_through(const char *file, const char *bytes, size_t len,
    struct cw_err *err)
{
	struct cw_yaml_place at = { file, 1, 1 };
	bool indent = true;

	for (size_t i = 0, n; i < len; i += n) {
		unsigned v = 0;

		n = utf8_next((const unsigned char *)bytes + i, len - i, &v);
		if (n == 0)
			return cw_yaml_err(err, &at,
			    "byte 0x%02x is not UTF-8; want UTF-8 text",
			    (unsigned char)bytes[i]);
		if (!is_allowed(v))
			return cw_yaml_err(err, &at,
			    "control character U+%04X; want text", v);
		if (v == '\t' && indent)
			return cw_yaml_err(err, &at,
			    "tab as indentation; want spaces");
		if (v == '%' && at.column == 1)
			return cw_yaml_err(err, &at, "YAML directive; want none");
		if (v != ' ')
			indent = false;
		at.column++;
		if (v == '\n') {
			at.line++;
			at.column = 1;
			indent = true;
		}
	}
	return CW_OK;
}

/* ---- events -> tree ----------------------------------------------------- */

static struct cw_yaml_place
place(const struct reader *r, const yaml_mark_t *m)
{
	return (struct cw_yaml_place){ r->file, (int)m->line + 1,
		(int)m->column + 1 };
}

static enum cw_status
check_key(struct reader *r, const char *key, const struct cw_yaml_place *at)
{
	const struct cw_yaml *map = r->open[r->depth - 1];
	char show[CW_YAML_SHOW];

	if (map->n == CW_YAML_KEYS)
		return cw_yaml_err(r->err, at,
		    "more than %u keys in one mapping", CW_YAML_KEYS);
	for (const struct cw_yaml *c = map->first; c != NULL; c = c->next)
		if (strcmp(c->key, key) == 0)
			return cw_yaml_err(r->err, at,
			    "duplicate key %s; first on line %d",
			    cw_yaml_quote(key, show), c->key_at.line);
	return CW_OK;
}

/* Append a node to the innermost open collection, or make it the root. */
static enum cw_status
add_node(struct reader *r, enum cw_yaml_kind kind,
    const struct cw_yaml_place *at, struct cw_yaml **out)
{
	struct cw_yaml *n, *up;

	if (++r->nodes > CW_YAML_NODES)
		return cw_yaml_err(r->err, at, "more than %u values",
		    CW_YAML_NODES);
	n = cw_arena_zalloc(r->arena, 1, sizeof(*n));
	if (n == NULL)
		return cw_err_set(r->err, CW_E_LIMIT,
		    "%s: no room for its tree", r->file);
	n->kind = kind;
	n->at = *at;
	n->text = "";
	*out = n;
	if (r->depth == 0) {
		r->root = n;
		return CW_OK;
	}
	up = r->open[r->depth - 1];
	if (up->kind == CW_YAML_MAP) {
		n->key = r->key;
		n->key_at = r->key_at;
		r->has_key = false;
	}
	if (up->first == NULL)
		up->first = n;
	else
		r->last[r->depth - 1]->next = n;
	r->last[r->depth - 1] = n;
	up->n++;
	return CW_OK;
}

static bool
wants_key(const struct reader *r)
{
	return r->depth > 0 && !r->has_key &&
	    r->open[r->depth - 1]->kind == CW_YAML_MAP;
}

static enum cw_status
on_scalar(struct reader *r, const yaml_event_t *ev)
{
	const struct cw_yaml_place at = place(r, &ev->start_mark);
	const char *value = (const char *)ev->data.scalar.value;
	const size_t len = ev->data.scalar.length;
	enum cw_status st;
	struct cw_yaml *n;
	const char *text;

	if (memchr(value, '\0', len) != NULL)
		return cw_yaml_err(r->err, &at, "NUL character; want text");
	text = cw_arena_strndup(r->arena, value, len);
	if (text == NULL)
		return cw_err_set(r->err, CW_E_LIMIT,
		    "%s: no room for its text", r->file);
	if (wants_key(r)) {
		if ((st = check_key(r, text, &at)) != CW_OK)
			return st;
		r->has_key = true;
		r->key = text;
		r->key_at = at;
		return CW_OK;
	}
	if ((st = add_node(r, CW_YAML_SCALAR, &at, &n)) != CW_OK)
		return st;
	n->text = text;
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return CW_OK;
}

static enum cw_status
on_start(struct reader *r, const yaml_event_t *ev, enum cw_yaml_kind kind)
{
	const struct cw_yaml_place at = place(r, &ev->start_mark);
	enum cw_status st;
	struct cw_yaml *n;

	if (wants_key(r))
		return cw_yaml_err(r->err, &at, "%s as a key; want a word",
		    kind == CW_YAML_MAP ? "mapping" : "list");
	if (r->depth == CW_YAML_DEPTH)
		return cw_yaml_err(r->err, &at, "nested deeper than %u levels",
		    CW_YAML_DEPTH);
	if ((st = add_node(r, kind, &at, &n)) != CW_OK)
		return st;
	r->open[r->depth] = n;
	r->last[r->depth] = NULL;
	r->depth++;
	return CW_OK;
}

/* What a node may not carry: `&name` and `!type`. */
static enum cw_status
refuse_marks(struct reader *r, const yaml_event_t *ev,
    const yaml_char_t *anchor, const yaml_char_t *tag)
{
	const struct cw_yaml_place at = place(r, &ev->start_mark);

	if (anchor != NULL)
		return cw_yaml_err(r->err, &at,
		    "anchor \"&%.64s\"; want plain values only", anchor);
	if (tag != NULL)
		return cw_yaml_err(r->err, &at,
		    "tag \"%.64s\"; want plain values only", tag);
	return CW_OK;
}

static enum cw_status
on_event(struct reader *r, const yaml_event_t *ev)
{
	const struct cw_yaml_place at = place(r, &ev->start_mark);
	enum cw_status st = CW_OK;

	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->done)
			return cw_yaml_err(r->err, &at,
			    "second document; want one");
		return CW_OK;
	case YAML_DOCUMENT_END_EVENT:
		r->done = true;
		return CW_OK;
	case YAML_ALIAS_EVENT:
		return cw_yaml_err(r->err, &at,
		    "alias \"*%.64s\"; want plain values only",
		    ev->data.alias.anchor);
	case YAML_SCALAR_EVENT:
		st = refuse_marks(r, ev, ev->data.scalar.anchor,
		    ev->data.scalar.tag);
		return st != CW_OK ? st : on_scalar(r, ev);
	case YAML_SEQUENCE_START_EVENT:
		st = refuse_marks(r, ev, ev->data.sequence_start.anchor,
		    ev->data.sequence_start.tag);
		return st != CW_OK ? st : on_start(r, ev, CW_YAML_LIST);
	case YAML_MAPPING_START_EVENT:
		st = refuse_marks(r, ev, ev->data.mapping_start.anchor,
		    ev->data.mapping_start.tag);
		return st != CW_OK ? st : on_start(r, ev, CW_YAML_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		return CW_OK;
	default:
		return CW_OK;
	}
}

/* libyaml's own words, at its own place. */
static enum cw_status
scanner_err(const struct reader *r, const yaml_parser_t *p)
{
	const struct cw_yaml_place at = place(r, &p->problem_mark);

	if (p->error == YAML_MEMORY_ERROR)
		return cw_err_set(r->err, CW_E_LIMIT, "%s: out of memory",
		    r->file);
	return cw_yaml_err(r->err, &at, "%s%s%s",
	    p->problem != NULL ? p->problem : "not YAML",
	    p->context != NULL ? " " : "",
	    p->context != NULL ? p->context : "");
}

enum cw_status
cw_yaml_parse(const char *file, const char *bytes, size_t len,
    struct cw_arena *a, struct cw_yaml **root, struct cw_err *err)
{
	struct reader r = { .file = file, .arena = a, .err = err };
	const struct cw_yaml_place top = { file, 1, 1 };
	enum cw_status st;
	yaml_parser_t parser;
	yaml_event_t ev;
	bool end = false;

	if (len > CW_YAML_BYTES)
		return cw_yaml_err(err, &top, "%zu bytes; want at most %u", len,
		    CW_YAML_BYTES);
	if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
		bytes += 3;	/* a byte order mark, as some editors add */
		len -= 3;
	}
	if ((st = look_through(file, bytes, len, err)) != CW_OK)
		return st;
	if (!yaml_parser_initialize(&parser))
		return cw_err_set(err, CW_E_LIMIT, "%s: out of memory", file);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)bytes,
	    len);
	while (st == CW_OK && !end) {
		if (!yaml_parser_parse(&parser, &ev)) {
			st = scanner_err(&r, &parser);
			break;
		}
		st = on_event(&r, &ev);
		end = ev.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&parser);
	if (st == CW_OK && r.root == NULL)
		st = add_node(&r, CW_YAML_MAP, &top, &r.root);
	if (st == CW_OK)
		*root = r.root;
	return st;
}

enum cw_status
cw_yaml_read(const char *path, size_t max, struct cw_arena *a,
    struct cw_yaml **root, struct cw_err *err)
{
	enum cw_status st;
	char *bytes;
	size_t len;

	st = cw_read_file(AT_FDCWD, path, max, a, &bytes, &len, err);
	return st != CW_OK ? st : cw_yaml_parse(path, bytes, len, a, root, err);
}
