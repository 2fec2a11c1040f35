/*
 * verdict_print.c - see verdict_print.h.
 */
#include "cli/verdict_print.h"

#include <string.h>

#include "format/utf8.h"

const char *
cw_json_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

const char *
cw_text_clean(const char *s, struct cw_arena *a)
{
	const size_t n = strlen(s);
	const bool valid = cw_utf8_valid(s, n);
	char *out = cw_arena_alloc(a, n * 4 + 1), *at = out;

	if (out == NULL)
		return "?";
	for (; *s != '\0'; s++) {
		const unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !valid))
			at += sprintf(at, "\\x%02x", c);
		else
			*at++ = (char)c;
	}
	*at = '\0';
	return out;
}

/* The highest score of any prompt that counted. */
static const json_t *
highest(const json_t *verdict)
{
	const json_t *list = json_object_get(verdict, "scores"), *best = NULL;
	const json_t *s;
	size_t i;

	json_array_foreach(list, i, s) {
		if (!json_is_true(json_object_get(s, "applied")))
			continue;
		if (best == NULL ||
		    json_number_value(json_object_get(s, "score")) >
		    json_number_value(json_object_get(best, "score")))
			best = s;
	}
	return best;
}

static void
print_flag(FILE *f, const json_t *flag)
{
	const char *code = cw_json_text(json_object_get(flag, "reason"),
	    "code");

	fprintf(f, "%s %.3f >= %.3f \"%s\"%s%s%s%s",
	    cw_json_text(flag, "category"),
	    json_number_value(json_object_get(flag, "score")),
	    json_number_value(json_object_get(flag, "threshold")),
	    cw_json_text(flag, "prompt"), code[0] != '\0' ? " [" : "", code,
	    code[0] != '\0' ? "]" : "",
	    strcmp(cw_json_text(flag, "source"), "text") == 0 ?
	    " (the text)" : "");
}

/* The flag that made the decision first, then the others, indented. */
static void
print_flags(FILE *f, const json_t *verdict, const char *decision)
{
	const json_t *list = json_object_get(verdict, "flags"), *flag;
	const json_t *first = NULL;
	size_t i;

	json_array_foreach(list, i, flag) {
		if (strcmp(cw_json_text(flag, "decision"), decision) == 0 &&
		    (first == NULL ||
		    json_number_value(json_object_get(flag, "score")) >
		    json_number_value(json_object_get(first, "score"))))
			first = flag;
	}
	if (first != NULL)
		print_flag(f, first);
	json_array_foreach(list, i, flag) {
		if (flag == first)
			continue;
		fprintf(f, "\n    %s: ", cw_json_text(flag, "decision"));
		print_flag(f, flag);
	}
}

void
cw_verdict_print(const struct cw_cli *cli, FILE *f, const char *name,
    const json_t *verdict)
{
	const char *decision = cw_json_text(verdict, "decision");
	const json_t *error = json_object_get(verdict, "error");
	const json_t *best = highest(verdict);

	fprintf(f, "%s: %s%-6s%s ", name, cw_tint(cli, cw_tint_of(decision)),
	    decision, cw_tint(cli, CW_PLAIN));
	if (error != NULL)
		fprintf(f, "%s: %s: %s", cw_json_text(error, "stage"),
		    cw_json_text(error, "code"),
		    cw_json_text(error, "message"));
	else if (strcmp(decision, "allow") != 0)
		print_flags(f, verdict, decision);
	else if (best != NULL)
		fprintf(f, "%shighest %s %.3f \"%s\"%s",
		    cw_tint(cli, CW_FAINT), cw_json_text(best, "category"),
		    json_number_value(json_object_get(best, "score")),
		    cw_json_text(best, "prompt"), cw_tint(cli, CW_PLAIN));
	fputc('\n', f);
}
