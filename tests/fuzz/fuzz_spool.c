/*
 * fuzz_spool.c - rows of the spool, as another program or a bad disk left
 * them.
 *
 *	u8	bit 0-1: a job, embeddings, a text vector, a verdict;
 *		bit 2: the blobs are stored as text
 *	i32	the row's number: bytes of the image, size of a vector
 *	u16	length of the first blob; the second is the rest
 */
#include <stdint.h>
#include <string.h>

#include "scratch.h"
#include "supervisor/spool.h"
#include "supervisor/spool_db.h"

#define HEAD	7u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* LeakSanitizer's, where there is one. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static struct cw_spool *sp;
static struct cw_arena *arena;

static void
must(enum cw_status st, const struct cw_err *err)
{
	if (st != CW_OK) {
		fprintf(stderr, "%s\n", err->text);
		abort();
	}
}

static void
tear_down(void)
{
	cw_spool_close(&sp);
}

static void
set_up(void)
{
	static struct cw_arena *boot;
	struct cw_err err;

	(void)scratch();
	/* An arena is no place where it looks for pointers. */
	if (__lsan_disable != NULL)
		__lsan_disable();
	must(cw_arena_open(4 << 20, &boot, &err), &err);
	must(cw_arena_open(4 << 20, &arena, &err), &err);
	must(cw_spool_open(scratch_path, boot, &sp, &err), &err);
	atexit(tear_down);
	must(cw_spool_write(sp, &err), &err);	/* one turn, never committed */
	if (__lsan_enable != NULL)
		__lsan_enable();
}

static bool
see_job(void *payload, const struct cw_spool_job *j)
{
	*(size_t *)payload += strlen(j->id) + strlen(j->sha256);
	return true;
}

static void
job(int64_t number, struct cw_bind header, struct cw_bind image)
{
	size_t seen = 0;
	struct cw_job out;
	struct cw_err err;

	must(CW_DB_RUN(sp->db, &err, "INSERT OR REPLACE INTO jobs VALUES(1,"
	    " 'x', 0, 0, 0, ?1, ?1, ?1, ?2, '', ?2, ?3, ?2)", CW_I(number),
	    header, image), &err);
	must(cw_spool_each_job(sp, 0, see_job, &seen, &err), &err);
	if (cw_spool_get_job(sp, 1, arena, &out, &err) == CW_OK &&
	    out.nimage != (uint64_t)number)
		abort();
}

static void
embeds(int64_t number, struct cw_bind views, struct cw_bind vectors)
{
	struct cw_spool_embeds out;
	struct cw_err err;

	must(CW_DB_RUN(sp->db, &err, "INSERT OR REPLACE INTO embeddings"
	    " VALUES(1, 'x', 'm', 0, ?1, ?2, ?1, ?1, ?1, ?2, ?3)",
	    CW_I(number), views, vectors), &err);
	if (cw_spool_get_embeds(sp, "x", "m", arena, &out, &err) == CW_OK)
		for (size_t i = 0; i < (size_t)out.nviews * out.embed; i++)
			if (!(out.vecs[i] >= -1.01f && out.vecs[i] <= 1.01f))
				abort();
}

static void
text_vector(int64_t number, struct cw_bind vector)
{
	float vec[64];
	struct cw_err err;

	must(CW_DB_RUN(sp->db, &err, "INSERT OR REPLACE INTO text_vectors"
	    " VALUES('m', 't', 'p', ?1)", vector), &err);
	(void)!cw_spool_get_text(sp, "m", "t", "p", vec,
	    (uint64_t)number % CW_COUNT(vec), &err);
}

static void
verdict(int64_t number, struct cw_bind json, struct cw_bind other)
{
	struct cw_stored out;
	struct cw_bytes pictures[2];
	struct cw_err err;
	uint32_t n;

	must(CW_DB_RUN(sp->db, &err, "INSERT OR REPLACE INTO verdicts"
	    " VALUES(1, 'x', ?2, ?3, ?2, ?1, ?1, ?3, ?3, 'key', ?3)",
	    CW_I(number), json, other), &err);
	must(CW_DB_RUN(sp->db, &err, "INSERT OR REPLACE INTO artifacts"
	    " VALUES('x', 0, ?1, ?2, ?3)", CW_I(number), json, other), &err);
	if (cw_spool_get_verdict(sp, "x", arena, &out, &err) == CW_OK &&
	    cw_spool_find_same(sp, "key", arena, &out, &err) != CW_OK)
		abort();
	(void)!cw_spool_get_artifacts(sp, "x", arena, pictures, 2, &n, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cw_bind first, second;
	int32_t number;
	uint16_t n;

	if (sp == NULL)
		set_up();
	if (size < HEAD)
		return 0;
	memcpy(&number, data + 1, 4);
	memcpy(&n, data + 5, 2);
	n = n < size - HEAD ? n : (uint16_t)(size - HEAD);
	first = (struct cw_bind)CW_B(data + HEAD, n);
	second = (struct cw_bind)CW_B(data + HEAD + n, size - HEAD - n);
	if (data[0] & 4) {
		first = (struct cw_bind)CW_T(cw_arena_strndup(arena,
		    first.p, first.n));
		second = (struct cw_bind)CW_T(cw_arena_strndup(arena,
		    second.p, second.n));
	}
	switch (data[0] & 3) {
	case 0: job(number, first, second); break;
	case 1: embeds(number, first, second); break;
	case 2: text_vector(number, first); break;
	case 3: verdict(number, first, second); break;
	}
	cw_arena_reset(arena, 1 << 20);
	return 0;
}
