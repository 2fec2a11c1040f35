/*
 * config_write.c - the settings as people read them: config.yaml, and what a
 * setting takes.  See config.h and config_keys.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/config_keys.h"
#include "conf/value.h"

#define COLUMNS	78u	/* of a comment */

static const struct {
	const char	*name, *help;
} sections[] = {
	{ "model", "The CLIP model." },
	{ "policies", NULL },
	{ "queue", "Where images come from. An endpoint beyond loopback needs "
	    "curve." },
	{ "verdicts", "Where every verdict is published." },
	{ "curve", "Encryption and client keys of the three endpoints." },
	{ "workers", "The processes that decode and score." },
	{ "limits", "Bounds on one image, and on what waits. Sizes take K, M "
	    "or G (powers of 1024)." },
	{ "views", NULL },
	{ "explain", "Attention maps." },
	{ "spool", "What is kept on disk. Times take ms, s, m, h or d." },
	{ "control", "The operator's socket." },
	{ "http", "Health and metrics over HTTP." },
	{ "log", "One line per event." },
	{ "plugins", NULL },
};

static void
show_number(const struct cw_config_key *k, uint64_t v, char buf[CW_VALUE_MAX])
{
	if (v == 0 && k->zero != NULL)
		snprintf(buf, CW_VALUE_MAX, "%s", k->zero);
	else if (k->type == KEY_BYTES)
		cw_value_show_bytes(v, buf);
	else if (k->type == KEY_MSEC)
		cw_value_show_msec(v, buf);
	else if (k->type == KEY_BOOL)
		snprintf(buf, CW_VALUE_MAX, "%s", v ? "true" : "false");
	else
		snprintf(buf, CW_VALUE_MAX, "%" PRIu64, v);
}

static void
want_words(const struct cw_config_key *k, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (uint64_t v = 0; v < CW_CONFIG_WORDS; v++) {
		const char *word = k->word(v);

		if (word != NULL && len < size)
			len += (size_t)snprintf(buf + len, size - len, "%s%s",
			    len > 0 ? ", " : "", word);
	}
}

void
cw_config_key_want(const struct cw_config_key *k, char *buf, size_t size)
{
	char lo[CW_VALUE_MAX], hi[CW_VALUE_MAX];

	switch (k->type) {
	case KEY_COUNT:
	case KEY_BYTES:
	case KEY_MSEC:
		show_number(k, k->min, lo);
		show_number(k, k->max, hi);
		snprintf(buf, size, "%s to %s%s%s", lo, hi,
		    k->zero != NULL ? ", or " : "",
		    k->zero != NULL ? k->zero : "");
		break;
	case KEY_BOOL:
		snprintf(buf, size, "true or false");
		break;
	case KEY_ENUM:
		want_words(k, buf, size);
		break;
	case KEY_STRING:
		snprintf(buf, size, "a word of at most %" PRIu64 " bytes",
		    k->max);
		break;
	case KEY_PATH:
	case KEY_DATA_PATH:
		snprintf(buf, size, "a path");
		break;
	case KEY_STRINGS:
		snprintf(buf, size, "a list of at most %" PRIu64 " endpoints",
		    k->max);
		break;
	case KEY_DATA_PATHS:
		snprintf(buf, size, "a path or a list of at most %" PRIu64
		    " paths", k->max);
		break;
	case KEY_PLUGINS:
		snprintf(buf, size, "a list of at most %" PRIu64
		    " names, paths or {path: ..., option: ...}", k->max);
		break;
	}
}

/* ---- config.yaml -------------------------------------------------------- */

static void
put_comment(FILE *f, const char *indent, const char *text)
{
	while (*text != '\0') {
		const size_t room = COLUMNS - strlen(indent) - 2;
		size_t n = strlen(text);

		if (n > room)
			for (n = room; n > 0 && text[n] != ' '; n--)
				;
		fprintf(f, "%s# %.*s\n", indent, (int)n, text);
		text += n;
		text += strspn(text, " ");
	}
}

/* A scalar, in quotes unless YAML reads it back as it is. */
static void
put_string(FILE *f, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";

	if (s[0] != '\0' && s[0] != '-' && strspn(s, plain) == strlen(s)) {
		fputs(s, f);
		return;
	}
	fputc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

static void
put_strings(FILE *f, const struct cw_strings *l)
{
	fputc('[', f);
	for (size_t i = 0; i < l->n; i++) {
		if (i > 0)
			fputs(", ", f);
		put_string(f, l->item[i]);
	}
	fputc(']', f);
}

static void
put_plugins(FILE *f, const struct cw_config *cfg)
{
	fputc('[', f);
	for (size_t i = 0; i < cfg->nplugins; i++) {
		const struct cw_plugin_conf *p = &cfg->plugins[i];

		fprintf(f, "%s{path: ", i > 0 ? ", " : "");
		put_string(f, p->path);
		for (size_t j = 0; j < p->options.n; j++) {
			const char *o = p->options.item[j];
			const char *eq = strchr(o, '=');

			fprintf(f, ", %.*s: ", (int)(eq - o), o);
			put_string(f, eq + 1);
		}
		fputc('}', f);
	}
	fputc(']', f);
}

static void
put_value(FILE *f, const struct cw_config *cfg, const struct cw_config_key *k)
{
	const void *at = (const char *)cfg + k->at;
	char buf[CW_VALUE_MAX];
	uint64_t v;

	switch (k->type) {
	case KEY_STRING:
	case KEY_PATH:
	case KEY_DATA_PATH:
		put_string(f, *(const char *const *)at);
		break;
	case KEY_STRINGS:
	case KEY_DATA_PATHS:
		put_strings(f, at);
		break;
	case KEY_PLUGINS:
		put_plugins(f, cfg);
		break;
	case KEY_ENUM:
		memcpy(&v, at, sizeof(v));
		fputs(k->word(v), f);
		break;
	default:
		memcpy(&v, at, sizeof(v));
		show_number(k, v, buf);
		fputs(buf, f);
	}
}

static void
put_section(FILE *f, size_t s, const struct cw_config *cfg)
{
	const struct cw_config_key *keys;
	const size_t len = strlen(sections[s].name);
	size_t n;

	if (sections[s].help != NULL) {
		put_comment(f, "", sections[s].help);
		fprintf(f, "%s:\n", sections[s].name);
	}
	keys = cw_config_keys(&n);
	for (size_t i = 0; i < n; i++) {
		const struct cw_config_key *k = &keys[i];
		const char *indent = sections[s].help != NULL ? "  " : "";

		if (strncmp(k->name, sections[s].name, len) != 0 ||
		    k->name[len] != (sections[s].help != NULL ? '.' : '\0'))
			continue;
		put_comment(f, indent, k->help);
		fprintf(f, "%s%s: ", indent,
		    sections[s].help != NULL ? k->name + len + 1 : k->name);
		if (cfg == NULL)
			fputs(k->def, f);
		else
			put_value(f, cfg, k);
		fputc('\n', f);
	}
}

const char *
cw_config_yaml(const struct cw_config *cfg, struct cw_arena *a)
{
	const char *copy = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *f;

	f = open_memstream(&text, &len);
	if (f == NULL)
		return NULL;
	put_comment(f, "", cfg == NULL ?
	    "Configuration of clipwardd(8); clipward-config(5) is its manual. "
	    "Every setting stands here at its default. Relative paths start "
	    "at this file's directory." : "The settings in force.");
	for (size_t s = 0; s < CW_COUNT(sections); s++) {
		fputc('\n', f);
		put_section(f, s, cfg);
	}
	if (fclose(f) == 0)
		copy = cw_arena_strndup(a, text, len);
	free(text);
	return copy;
}
