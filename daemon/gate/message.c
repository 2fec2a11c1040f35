/*
 * message.c - see message.h.
 */
#include "gate/message.h"

#include <jansson.h>
#include <string.h>
#include <sys/random.h>

#define SHOWN_BYTES	24	/* of a peer's bytes in a message to it */

void
cw_message_prepare(void)
{
	json_object_seed(0);
}

static bool
frame_is(const struct cw_bytes *b, const char *s)
{
	return b->n == strlen(s) && memcmp(b->p, s, b->n) == 0;
}

/* A peer's bytes as a string fit to be shown: short, printable ASCII. */
static const char *
shown(const struct cw_bytes *b, char buf[SHOWN_BYTES + 1])
{
	const unsigned char *p = b->p;
	size_t n = b->n < SHOWN_BYTES ? b->n : SHOWN_BYTES;

	for (size_t i = 0; i < n; i++)
		buf[i] = p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' ?
		    (char)p[i] : '?';
	buf[n] = '\0';
	return buf;
}

/* The id in a header that was refused, so that the peer can tell which. */
static const char *
id_of_broken(const struct cw_bytes *header, struct cw_arena *a)
{
	const char *id, *copy = NULL;
	json_t *root;

	if (header->n > CW_JOB_JSON_BYTES)
		return "";
	root = json_loadb(header->p, header->n, 0, NULL);
	id = json_string_value(json_object_get(root, "id"));
	if (id != NULL && cw_job_id_valid(id))
		copy = cw_arena_strdup(a, id);
	json_decref(root);
	return copy != NULL ? copy : "";
}

static const char *
new_id(struct cw_arena *a)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char r[16];
	char hex[33];

	CW_CHECK(getrandom(r, sizeof(r), 0) == sizeof(r));
	for (size_t i = 0; i < sizeof(r); i++) {
		hex[2 * i] = digits[r[i] >> 4];
		hex[2 * i + 1] = digits[r[i] & 15];
	}
	hex[32] = '\0';
	return cw_arena_strdup(a, hex);
}

/* *code: the word of clipward-protocol(7) where it is not the status's. */
static enum cw_status
check_image(const struct cw_job *j, uint64_t max_bytes, const char **code,
    struct cw_err *err)
{
	const struct cw_bytes image = { j->image, j->nimage };
	char hex[CW_SHA256_HEX];

	if (j->nimage == 0) {
		*code = "no_image";
		return cw_err_set(err, CW_E_FORMAT, "the image has no bytes");
	}
	if (j->nimage > max_bytes) {
		*code = "too_large";
		return cw_err_set(err, CW_E_LIMIT, "image of %zu bytes; want "
		    "at most %ju (limits.bytes)", j->nimage,
		    (uintmax_t)max_bytes);
	}
	if (j->sha256[0] == '\0')
		return CW_OK;
	cw_sha256(&image, 1, hex);
	if (strcmp(hex, j->sha256) == 0)
		return CW_OK;
	*code = "sha256";
	return cw_err_set(err, CW_E_FORMAT,
	    "sha256 of the image is %s; the header says %s", hex, j->sha256);
}

/* Frames 0 and 1, and how many there may be after them. */
static enum cw_status
read_verb(const struct cw_bytes *f, size_t n, enum cw_verb *verb,
    struct cw_err *err)
{
	char buf[SHOWN_BYTES + 1];
	size_t most;
	int v;

	if (n == 0 || !frame_is(&f[0], CW_WIRE_VERSION))
		return cw_err_set(err, CW_E_FORMAT,
		    "frame 0 is \"%s\"; want " CW_WIRE_VERSION,
		    n == 0 ? "" : shown(&f[0], buf));
	if (n == 1)
		return cw_err_set(err, CW_E_FORMAT, "no verb; want SUBMIT, "
		    "GET, CANCEL, PING or RELOAD");
	v = cw_verb_parse(f[1].p, f[1].n);
	if (v == -1)
		return cw_err_set(err, CW_E_FORMAT, "verb \"%s\"; want "
		    "SUBMIT, GET, CANCEL, PING or RELOAD", shown(&f[1], buf));
	*verb = (enum cw_verb)v;
	most = v == CW_V_SUBMIT ? 4 : 3;
	if (n > most)
		return cw_err_set(err, CW_E_FORMAT,
		    "%s of %zu frames; want %zu", cw_verb_name(*verb), n,
		    most);
	return CW_OK;
}

/* Frame 2 and the image; *code as check_image has it. */
static enum cw_status
read_job(const struct cw_bytes *f, size_t n, uint64_t max_bytes,
    struct cw_arena *a, struct cw_request *q, const char **code,
    struct cw_err *err)
{
	enum cw_status st;

	if (n < 3)
		return cw_err_set(err, CW_E_FORMAT,
		    "%s without a header frame", cw_verb_name(q->verb));
	st = cw_job_from_json(f[2].p, f[2].n, a, &q->job, err);
	if (st != CW_OK)
		return st;
	q->has_job = true;
	if (q->verb != CW_V_SUBMIT)
		return q->job.id != NULL ? CW_OK : cw_err_set(err,
		    CW_E_FORMAT, "%s without an id", cw_verb_name(q->verb));
	if (n < 4) {
		*code = "no_image";
		return cw_err_set(err, CW_E_FORMAT,
		    "SUBMIT without an image frame");
	}
	q->job.image = f[3].p;
	q->job.nimage = f[3].n;
	if ((st = check_image(&q->job, max_bytes, code, err)) != CW_OK)
		return st;
	if (q->job.id == NULL)
		q->job.id = new_id(a);
	return q->job.id != NULL ? CW_OK :
	    cw_err_set(err, CW_E_LIMIT, "header: no room");
}

enum cw_status
cw_message_read(const struct cw_multipart *m, bool routed,
    uint64_t max_bytes, struct cw_arena *a, struct cw_message *out,
    struct cw_err *err)
{
	struct cw_request *q = &out->request;
	const struct cw_bytes *f = m->part;
	const char *code = NULL;
	size_t n = m->total;
	enum cw_status st;

	*out = (struct cw_message){ .id = "",
		.code = cw_status_name(CW_E_FORMAT) };
	if (routed && n > 0) {
		out->identity = *f++;
		n--;
	}
	if (routed && n > 0 && f[0].n == 0) {
		out->delimiter = true;
		f++;
		n--;
	}
	if ((st = read_verb(f, n, &q->verb, err)) != CW_OK)
		return st;
	if (q->verb > CW_V_CANCEL)
		return CW_OK;	/* PING, RELOAD: their header says nothing */
	st = read_job(f, n, max_bytes, a, q, &code, err);
	out->code = code != NULL ? code : cw_status_name(st);
	if (st == CW_OK || q->job.id != NULL)
		out->id = q->job.id;
	else if (n >= 3)
		out->id = id_of_broken(&f[2], a);
	return st;
}

/* s as the inside of a JSON string, in ASCII. */
static const char *
escaped(struct cw_arena *a, const char *s)
{
	const size_t n = strlen(s);
	char *out = cw_arena_alloc(a, 2 * n + 1), *p = out;

	if (out == NULL)
		return "";
	for (size_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			*p++ = '\\';
		*p++ = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	*p = '\0';
	return out;
}

const char *
cw_message_rejected(struct cw_arena *a, const char *id, const char *code,
    const char *why)
{
	const char *s = cw_arena_printf(a,
	    "{\"id\":\"%s\",\"code\":\"%s\",\"message\":\"%s\"}", id,
	    code, escaped(a, why));

	return s != NULL ? s : "{}";
}

const char *
cw_message_busy(struct cw_arena *a, const char *id, uint32_t retry_ms)
{
	const char *s = cw_arena_printf(a,
	    "{\"id\":\"%s\",\"retry_after_ms\":%u}", id, retry_ms);

	return s != NULL ? s : "{}";
}
