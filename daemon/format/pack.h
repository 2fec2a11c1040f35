/*
 * pack.h - typed values in and out of a byte string, with bounds.
 *
 * Runs in: everywhere.  Never: logs.
 *
 * The body of every frame between our processes.  Little-endian, no padding,
 * a blob is a u32 length and its bytes.  Writing and reading are both sticky:
 * put or get freely, then ask once with cw_pack_ok or cw_unpack_end.
 * cw_unpack_end is false when a value was missing or bytes are left over.
 */
#ifndef CW_PACK_H
#define CW_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct cw_pack {
	struct cw_arena	*arena;		/* borrowed; grows by doubling in it */
	uint8_t		*p;
	size_t		 len, room;
	bool		 bad;
};

struct cw_unpack {
	const uint8_t	*p;		/* borrowed */
	size_t		 left;
	bool		 bad;
};

void cw_pack_init(struct cw_pack *w, struct cw_arena *a, size_t room);
bool cw_pack_ok(const struct cw_pack *w);
void cw_put_u8(struct cw_pack *w, uint8_t v);
void cw_put_u32(struct cw_pack *w, uint32_t v);
void cw_put_u64(struct cw_pack *w, uint64_t v);
void cw_put_f32(struct cw_pack *w, float v);
void cw_put_f64(struct cw_pack *w, double v);
void cw_put_blob(struct cw_pack *w, const void *p, size_t n);
void cw_put_str(struct cw_pack *w, const char *s);	/* NULL is "" */
/* Bytes as they are, without a length. */
void cw_put_raw(struct cw_pack *w, const void *p, size_t n);
void cw_put_floats(struct cw_pack *w, const float *v, size_t n);
/*
 * Where the next n bytes may be written, or NULL when they don't fit (and
 * bad).  Whoever writes there adds to len what was written.
 */
uint8_t *cw_pack_reserve(struct cw_pack *w, size_t n);

void cw_unpack_init(struct cw_unpack *r, const void *p, size_t n);
bool cw_unpack_end(const struct cw_unpack *r);
/* On any error the value is 0 / empty and the reader stays bad. */
uint8_t cw_get_u8(struct cw_unpack *r);
uint32_t cw_get_u32(struct cw_unpack *r);
uint64_t cw_get_u64(struct cw_unpack *r);
float cw_get_f32(struct cw_unpack *r);
double cw_get_f64(struct cw_unpack *r);
/* A value below the bound, else bad: for enums and counts. */
uint32_t cw_get_below(struct cw_unpack *r, uint32_t bound);
/* Borrowed from the input; *n set.  bad when longer than max. */
const void *cw_get_blob(struct cw_unpack *r, size_t max, size_t *n);
/* Copied to the arena with a NUL; bad when longer than max or holding NUL. */
const char *cw_get_str(struct cw_unpack *r, size_t max, struct cw_arena *a);
/* Copied to the arena (aligned); bad when more than max. */
float *cw_get_floats(struct cw_unpack *r, size_t max, struct cw_arena *a,
    size_t *n);

#endif /* CW_PACK_H */
