/*
 * verdict_print.h - a verdict as one or a few lines for people.
 *
 * Runs in: cli.
 */
#ifndef CW_VERDICT_PRINT_H
#define CW_VERDICT_PRINT_H

#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"

/*
 * "name: block   violence.weapon 0.930 >= 0.850 "a gun" [TOS-4.1]" and a line
 * for each further flag.
 */
void cw_verdict_print(const struct cw_cli *cli, FILE *f, const char *name,
    const json_t *verdict);

/* A member's text, or "". */
const char *cw_json_text(const json_t *o, const char *key);

/* The text with what is not UTF-8 written as \xNN; control characters too. */
const char *cw_text_clean(const char *s, struct cw_arena *a);

#endif /* CW_VERDICT_PRINT_H */
