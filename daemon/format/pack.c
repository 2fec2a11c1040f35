/*
 * pack.c - see pack.h.
 */
#include "format/pack.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "frames are copied as they stand in memory");

void
cw_pack_init(struct cw_pack *w, struct cw_arena *a, size_t room)
{
	*w = (struct cw_pack){ .arena = a, .room = room < 64 ? 64 : room };
	w->p = cw_arena_alloc(a, w->room);
	w->bad = w->p == NULL;
}

bool
cw_pack_ok(const struct cw_pack *w)
{
	return !w->bad;
}

uint8_t *
cw_pack_reserve(struct cw_pack *w, size_t n)
{
	size_t room = w->room;
	uint8_t *q;

	if (w->bad)
		return NULL;
	if (n <= w->room - w->len)
		return w->p + w->len;
	while (room - w->len < n) {
		if (room > SIZE_MAX / 2) {
			w->bad = true;
			return NULL;
		}
		room *= 2;
	}
	q = cw_arena_alloc(w->arena, room);
	if (q == NULL) {
		w->bad = true;
		return NULL;
	}
	memcpy(q, w->p, w->len);
	w->p = q;
	w->room = room;
	return w->p + w->len;
}

static void
put(struct cw_pack *w, const void *p, size_t n)
{
	uint8_t *to = cw_pack_reserve(w, n);

	if (to == NULL)
		return;
	if (n > 0)
		memcpy(to, p, n);
	w->len += n;
}

void cw_put_u8(struct cw_pack *w, uint8_t v) { put(w, &v, sizeof(v)); }
void cw_put_u32(struct cw_pack *w, uint32_t v) { put(w, &v, sizeof(v)); }
void cw_put_u64(struct cw_pack *w, uint64_t v) { put(w, &v, sizeof(v)); }
void cw_put_f32(struct cw_pack *w, float v) { put(w, &v, sizeof(v)); }
void cw_put_f64(struct cw_pack *w, double v) { put(w, &v, sizeof(v)); }

void
cw_put_blob(struct cw_pack *w, const void *p, size_t n)
{
	if (n > UINT32_MAX) {
		w->bad = true;
		return;
	}
	cw_put_u32(w, (uint32_t)n);
	put(w, p, n);
}

void
cw_put_raw(struct cw_pack *w, const void *p, size_t n)
{
	put(w, p, n);
}

void
cw_put_str(struct cw_pack *w, const char *s)
{
	cw_put_blob(w, s == NULL ? "" : s, s == NULL ? 0 : strlen(s));
}

void
cw_put_floats(struct cw_pack *w, const float *v, size_t n)
{
	if (n > UINT32_MAX) {
		w->bad = true;
		return;
	}
	cw_put_u32(w, (uint32_t)n);
	put(w, v, n * sizeof(*v));
}

void
cw_unpack_init(struct cw_unpack *r, const void *p, size_t n)
{
	*r = (struct cw_unpack){ .p = p, .left = n };
}

bool
cw_unpack_end(const struct cw_unpack *r)
{
	return !r->bad && r->left == 0;
}

static void
get(struct cw_unpack *r, void *p, size_t n)
{
	if (r->bad || n > r->left) {
		r->bad = true;
		memset(p, 0, n);
		return;
	}
	memcpy(p, r->p, n);
	r->p += n;
	r->left -= n;
}

uint8_t
cw_get_u8(struct cw_unpack *r)
{
	uint8_t v;

	get(r, &v, sizeof(v));
	return v;
}

uint32_t
cw_get_u32(struct cw_unpack *r)
{
	uint32_t v;

	get(r, &v, sizeof(v));
	return v;
}

uint64_t
cw_get_u64(struct cw_unpack *r)
{
	uint64_t v;

	get(r, &v, sizeof(v));
	return v;
}

float
cw_get_f32(struct cw_unpack *r)
{
	float v;

	get(r, &v, sizeof(v));
	return v;
}

double
cw_get_f64(struct cw_unpack *r)
{
	double v;

	get(r, &v, sizeof(v));
	return v;
}

uint32_t
cw_get_below(struct cw_unpack *r, uint32_t bound)
{
	uint32_t v = cw_get_u32(r);

	if (v >= bound) {
		r->bad = true;
		return 0;
	}
	return v;
}

const void *
cw_get_blob(struct cw_unpack *r, size_t max, size_t *n)
{
	const void *p;
	uint32_t len = cw_get_u32(r);

	*n = 0;
	if (r->bad || len > max || len > r->left) {
		r->bad = true;
		return NULL;
	}
	p = r->p;
	r->p += len;
	r->left -= len;
	*n = len;
	return p;
}

const char *
cw_get_str(struct cw_unpack *r, size_t max, struct cw_arena *a)
{
	const char *p, *s;
	size_t n;

	p = cw_get_blob(r, max, &n);
	if (r->bad || memchr(p, '\0', n) != NULL) {
		r->bad = true;
		return "";
	}
	s = cw_arena_strndup(a, p, n);
	if (s == NULL) {
		r->bad = true;
		return "";
	}
	return s;
}

float *
cw_get_floats(struct cw_unpack *r, size_t max, struct cw_arena *a, size_t *n)
{
	uint32_t count = cw_get_u32(r);
	float *v;

	*n = 0;
	if (r->bad || count > max || count > r->left / sizeof(*v)) {
		r->bad = true;
		return NULL;
	}
	v = cw_arena_floats(a, count);
	if (v == NULL) {
		r->bad = true;
		return NULL;
	}
	get(r, v, count * sizeof(*v));
	*n = count;
	return v;
}
