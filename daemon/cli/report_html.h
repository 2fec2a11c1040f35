/*
 * report_html.h - explanations on one page that stands alone.
 *
 * Runs in: cli.
 *
 * One HTML file: pictures as data URLs, no script, no network, no font but
 * the reader's own.  Blue and orange are told apart by every common kind of
 * colour blindness, and every colour is said in words or signs as well.
 */
#ifndef CW_REPORT_HTML_H
#define CW_REPORT_HTML_H

#include <stdio.h>

#include "cli/explain_run.h"

void cw_html_open(FILE *f, const struct cw_model_facts *m, size_t images);
void cw_html_add(FILE *f, const struct cw_explained *e);
void cw_html_close(FILE *f);

#endif /* CW_REPORT_HTML_H */
