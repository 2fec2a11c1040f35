/*
 * float_text.h - a float as the decimal number that JSON has for it.
 *
 * Runs in: everywhere.  Never: allocates, logs.
 */
#ifndef CW_FLOAT_TEXT_H
#define CW_FLOAT_TEXT_H

#define CW_FLOAT_TEXT_MAX	16u	/* bytes of it at most */

/*
 * Seven significant digits, rounded as printf's %.7g rounds, and a form that
 * is a real number in every reader: 0.5, 1.0, 1.5e-5, 1e30.  null for what is
 * no number.  At p there is room for CW_FLOAT_TEXT_MAX bytes, all of which
 * may be written; returns where the text ends, with no NUL.
 */
char *cw_float_text(char *p, float v);

#endif /* CW_FLOAT_TEXT_H */
