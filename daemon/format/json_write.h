/*
 * json_write.h - JSON written straight into a growing buffer.
 *
 * Runs in: everywhere.  Never: logs.
 *
 * A value is put where the last one ended; the comma between two of a list or
 * an object comes by itself:
 *
 *	cw_json_put_open(w, '{');
 *	cw_json_put_key(w, "score");
 *	cw_json_put_float(w, 0.5f);
 *	cw_json_put_close(w, '}');		{"score":0.5}
 *
 * Sticky like all of pack.h: put freely, then ask cw_pack_ok once.  Brackets
 * and keys are the caller's: nothing checks that they match.
 */
#ifndef CW_JSON_WRITE_H
#define CW_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/pack.h"

void cw_json_put_open(struct cw_pack *w, char bracket);	/* '{' or '[' */
void cw_json_put_close(struct cw_pack *w, char bracket);	/* '}' or ']' */
/* A key that needs no escape: one of ours. */
void cw_json_put_key(struct cw_pack *w, const char *key);
/* A value that is JSON already, n bytes. */
void cw_json_put_raw(struct cw_pack *w, const char *json, size_t n);
/* With its quotes; where it is not UTF-8, bytes above 0x7f become '?'. */
void cw_json_put_string(struct cw_pack *w, const char *s);
/* "key":string, or nothing at all for "" and NULL. */
void cw_json_put_text(struct cw_pack *w, const char *key, const char *s);
void cw_json_put_int(struct cw_pack *w, int64_t v);
void cw_json_put_bool(struct cw_pack *w, bool v);
/* v / 1000 with all its digits: 12 is 0.012, 2000 is 2.0. */
void cw_json_put_thousandths(struct cw_pack *w, int64_t v);

/* As cw_float_text has it: 0.5, 1.0, 1.5e-5; null for what is no number. */
void cw_json_put_float(struct cw_pack *w, float v);

#endif /* CW_JSON_WRITE_H */
