/*
 * curve.c - see curve.h.
 */
#include "conf/curve.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"

#define KEY_CHARS	40u		/* Z85 of 32 bytes */
#define NAME_CHARS	64u
#define FILE_BYTES	(1u << 20)

static const char z85[] = "0123456789abcdefghijklmnopqrstuvwxyz"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

static const struct {
	const char	*name;
	uint32_t	 right;
} rights[] = {
	{ "submit", CW_R_SUBMIT }, { "watch", CW_R_WATCH },
	{ "reload", CW_R_RELOAD },
};

/* The next word of a line, or NULL; the line is cut up. */
static char *
next_word(char **line)
{
	char *word;

	*line += strspn(*line, " \t\r");
	if (**line == '\0')
		return NULL;
	word = *line;
	*line += strcspn(*line, " \t\r");
	if (**line != '\0')
		*(*line)++ = '\0';
	return word;
}

static bool
is_key(const char *s)
{
	return strlen(s) == KEY_CHARS && strspn(s, z85) == KEY_CHARS;
}

enum cw_status
cw_curve_secret(const char *path, struct cw_arena *a, char key[41],
    struct cw_err *err)
{
	enum cw_status st;
	struct stat sb;
	char *text, *word;
	size_t len;

	st = cw_read_file(AT_FDCWD, path, FILE_BYTES, a, &text, &len, err);
	if (st != CW_OK)
		return st;
	if (stat(path, &sb) == 0 && (sb.st_mode & 077) != 0)
		return cw_err_set(err, CW_E_CONFIG,
		    "%s: mode %04o lets others read the secret key; want 0600",
		    path, (unsigned)(sb.st_mode & 07777));
	text[strcspn(text, "\n")] = '\0';
	word = next_word(&text);
	if (word == NULL || !is_key(word) || next_word(&text) != NULL)
		return cw_err_set(err, CW_E_CONFIG,
		    "%s:1:1: not a Z85 key; want %u characters alone", path,
		    KEY_CHARS);
	memcpy(key, word, KEY_CHARS + 1);
	return CW_OK;
}

/* "submit,watch" -> bits; the word that is no right goes to *bad. */
static bool
parse_rights(char *list, uint32_t *out, const char **bad)
{
	char *save = NULL;

	*out = 0;
	for (char *w = strtok_r(list, ",", &save); w != NULL;
	    w = strtok_r(NULL, ",", &save)) {
		size_t i = 0;

		while (i < CW_COUNT(rights) && strcmp(rights[i].name, w) != 0)
			i++;
		*bad = w;
		if (i == CW_COUNT(rights))
			return false;
		*out |= rights[i].right;
	}
	*bad = "";
	return *out != 0;
}

static bool
is_name(const char *s)
{
	return s[0] != '\0' && strlen(s) <= NAME_CHARS && strspn(s,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789._-") == strlen(s);
}

enum cw_status
cw_curve_client_check(const char *list, const char *name, struct cw_arena *a,
    struct cw_err *err)
{
	char *copy = cw_arena_strdup(a, list);
	const char *bad;
	uint32_t bits;

	if (copy == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room for the rights");
	if (!parse_rights(copy, &bits, &bad))
		return cw_err_set(err, CW_E_CONFIG, "right \"%.32s\"; want "
		    "submit, watch, reload between commas", bad);
	if (!is_name(name))
		return cw_err_set(err, CW_E_CONFIG, "name \"%.64s\"; want up "
		    "to %u of [A-Za-z0-9._-]", name, NAME_CHARS);
	return CW_OK;
}

static enum cw_status
parse_client(const char *path, int line, char *text, struct cw_arena *a,
    struct cw_curve_client *c, struct cw_err *err)
{
	const char *key = next_word(&text);
	char *list = next_word(&text);
	const char *name = next_word(&text), *bad;

	if (list == NULL || name == NULL || next_word(&text) != NULL)
		return cw_err_set(err, CW_E_CONFIG,
		    "%s:%d:1: not a client; want KEY RIGHTS NAME", path, line);
	if (!is_key(key))
		return cw_err_set(err, CW_E_CONFIG,
		    "%s:%d:1: not a Z85 key; want %u characters", path, line,
		    KEY_CHARS);
	if (!parse_rights(list, &c->rights, &bad))
		return cw_err_set(err, CW_E_CONFIG,
		    "%s:%d:%u: right \"%.32s\"; want submit, watch, reload "
		    "between commas", path, line, KEY_CHARS + 2, bad);
	if (!is_name(name))
		return cw_err_set(err, CW_E_CONFIG,
		    "%s:%d:1: name \"%.64s\"; want up to %u of "
		    "[A-Za-z0-9._-]", path, line, name, NAME_CHARS);
	memcpy(c->key, key, KEY_CHARS + 1);
	c->name = cw_arena_strdup(a, name);
	return c->name != NULL ? CW_OK :
	    cw_err_set(err, CW_E_LIMIT, "%s: no room for its clients", path);
}

enum cw_status
cw_curve_clients(const char *path, struct cw_arena *a,
    struct cw_curve_client **out, uint32_t *n, struct cw_err *err)
{
	struct cw_curve_client *list;
	enum cw_status st;
	uint32_t count = 0;
	char *text, *end;
	size_t len;
	int line = 1;

	st = cw_read_file(AT_FDCWD, path, FILE_BYTES, a, &text, &len, err);
	if (st != CW_OK)
		return st;
	list = cw_arena_zalloc(a, CW_CURVE_CLIENTS_MAX, sizeof(*list));
	if (list == NULL)
		return cw_err_set(err, CW_E_LIMIT,
		    "%s: no room for its clients", path);
	for (; text != NULL; text = end, line++) {
		end = strchr(text, '\n');
		if (end != NULL)
			*end++ = '\0';
		text += strspn(text, " \t\r");
		/* A key may begin with '#' too. */
		if (*text == '\0' || (*text == '#' &&
		    strcspn(text, " \t\r") != KEY_CHARS))
			continue;
		if (count == CW_CURVE_CLIENTS_MAX)
			return cw_err_set(err, CW_E_LIMIT,
			    "%s:%d:1: more than %u clients", path, line,
			    CW_CURVE_CLIENTS_MAX);
		st = parse_client(path, line, text, a, &list[count], err);
		if (st != CW_OK)
			return st;
		for (uint32_t i = 0; i < count; i++)
			if (strcmp(list[i].key, list[count].key) == 0)
				return cw_err_set(err, CW_E_CONFIG,
				    "%s:%d:1: key of %s again", path, line,
				    list[i].name);
		count++;
	}
	*out = list;
	*n = count;
	return CW_OK;
}
