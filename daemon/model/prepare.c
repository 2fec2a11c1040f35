/*
 * prepare.c - see prepare.h.
 *
 * The same plan fills a new file and points into an old one.
 */
#include "model/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "model/survey.h"
#include "model/kernels/openblas.h"
#include "model/kernels/step.h"
#include "model/plan.h"
#include "model/rounding.h"

#define MAGIC		"CWPACK6"	/* with its NUL; raise on any change */

struct prepare_head {
	char		magic[8];
	char		model[CW_SHA256_HEX];
	char		kernel[23];
	uint64_t	int8;
	uint64_t	bytes;		/* of the whole file */
	uint64_t	plan;		/* checksum of the matrices' places */
	uint64_t	body;		/* checksum of what follows the head */
};

/* ---- checksums: against damage, not against malice ---- */

#define SUM_LANES	8

static uint64_t
checksum(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint64_t lane[SUM_LANES], sum = n;

	for (size_t i = 0; i < SUM_LANES; i++)
		lane[i] = i;
	for (; n >= sizeof(lane); n -= sizeof(lane), p += sizeof(lane)) {
		uint64_t v[SUM_LANES];

		memcpy(v, p, sizeof(v));
		for (size_t i = 0; i < SUM_LANES; i++)
			lane[i] = (lane[i] ^ v[i]) * 0x9e3779b97f4a7c15u +
			    (lane[i] >> 32);
	}
	for (size_t i = 0; i < SUM_LANES; i++)
		sum = (sum ^ lane[i]) * 0x9e3779b97f4a7c15u + (sum >> 32);
	for (; n > 0; n--, p++)
		sum = (sum ^ *p) * 0x9e3779b97f4a7c15u + (sum >> 32);
	return sum;
}

static struct prepare_head
head_make(const struct cw_plan *p, const struct cw_kernel *k,
    const char *sha256)
{
	struct prepare_head h = { .magic = MAGIC, .bytes = p->bytes,
	    .int8 = k->int8 };

	snprintf(h.model, sizeof(h.model), "%s", sha256);
	snprintf(h.kernel, sizeof(h.kernel), "%s", k->name);
	for (size_t i = 0; i < p->n; i++) {
		const size_t at[] = { h.plan, p->m[i].w_at, p->m[i].b_at,
		    (size_t)p->m[i].in, (size_t)p->m[i].out };

		h.plan = checksum(at, sizeof(at));
	}
	return h;
}

/* ---- filling ---- */

/* m in float; w [out][in] is in scratch. */
static enum cw_status
fold(const struct cw_matrix *m, char *base, struct cw_arena *scratch,
    float **w, struct cw_err *err)
{
	*w = cw_arena_floats(scratch, (size_t)m->in * (size_t)m->out);
	if (*w == NULL)
		return cw_err_set(err, CW_E_LIMIT,
		    "no room to prepare a matrix of %d x %d", m->out, m->in);
	cw_matrix_fold(m, *w, (float *)(base + m->b_at));
	return CW_OK;
}

/* Pack w, rounded in view of gram if that is possible. */
static void
pack_rounded(const struct cw_matrix *m, float *w, float *gram, char *base,
    struct cw_arena *scratch)
{
	const int most = m->kernel->most;
	float *step = cw_arena_floats(scratch, (size_t)m->out);
	bool rounded = step != NULL && m->kernel->int8;

	for (int o = 0; o < m->out && rounded; o++) {
		step[o] = cw_weight_step(w + (size_t)o * (size_t)m->in, m->in,
		    most);
		rounded = step[o] > 0;
	}
	rounded = rounded && cw_round_weights(w, m->in, m->out, step, most,
	    gram, scratch);
	m->kernel->pack(w, rounded ? step : NULL, m->in, m->out,
	    base + m->w_at);
}

/* The matrices of one block. */
static enum cw_status
fill_block(const struct cw_matrix *m, struct cw_survey *c, char *base,
    struct cw_arena *scratch, struct cw_err *err)
{
	struct cw_linear l[CW_BLOCK_MATRICES];
	float *w[CW_BLOCK_MATRICES], *gram[CW_BLOCK_MATRICES];
	enum cw_status st = CW_OK;

	for (int i = 0; i < CW_BLOCK_MATRICES && st == CW_OK; i++) {
		st = fold(&m[i], base, scratch, &w[i], err);
		l[i] = (struct cw_linear){ .in = m[i].in, .out = m[i].out,
		    .w = w[i], .b = (const float *)(base + m[i].b_at) };
	}
	if (st != CW_OK ||
	    (st = cw_survey_block(c, l, gram, err)) != CW_OK)
		return st;
	for (int i = 0; i < CW_BLOCK_MATRICES; i++)
		pack_rounded(&m[i], w[i], gram[i], base, scratch);
	return CW_OK;
}

static enum cw_status
fill_all(const struct cw_plan *p, struct cw_survey *c, char *base,
    struct cw_arena *scratch, struct cw_err *err)
{
	enum cw_status st = CW_OK;

	for (size_t i = 0, n; i < p->n && st == CW_OK; i += n) {
		const struct cw_matrix *m = &p->m[i];
		const size_t mark = cw_arena_mark(scratch);
		float *w;

		n = m->surveyed ? CW_BLOCK_MATRICES : 1;
		if (m->surveyed)
			st = fill_block(m, c, base, scratch, err);
		else if ((st = fold(m, base, scratch, &w, err)) == CW_OK)
			m->kernel->pack(w, NULL, m->in, m->out,
			    base + m->w_at);
		cw_arena_release(scratch, mark);
	}
	return st;
}

/* Floats that filling takes at a time: those of a block, or of a matrix. */
static size_t
floats_at_once(const struct cw_plan *p)
{
	size_t most = 0;

	for (size_t i = 0, n; i < p->n; i += n) {
		size_t all = 0, rounding = 0;

		n = p->m[i].surveyed ? CW_BLOCK_MATRICES : 1;
		for (size_t j = i; j < i + n; j++) {
			const size_t in = (size_t)p->m[j].in;
			const size_t out = (size_t)p->m[j].out;

			all += in * out + out;
			if (n > 1 && rounding < cw_round_floats(in, out))
				rounding = cw_round_floats(in, out);
		}
		most = all + rounding > most ? all + rounding : most;
	}
	return most;
}

static enum cw_status
fill(const struct cw_plan *p, char *base, struct cw_err *err)
{
	/* with more, sums depend on how many there are */
	const int threads = cw_blas_threads(1);
	struct cw_survey *c = NULL;
	struct cw_arena *scratch;
	enum cw_status st;

	st = cw_arena_open(floats_at_once(p) * sizeof(float) + (1u << 20),
	    &scratch, err);
	if (st == CW_OK && p->vit != NULL)
		st = cw_survey_open(p->vit, &c, err);
	if (st == CW_OK)
		st = fill_all(p, c, base, scratch, err);
	cw_survey_close(&c);
	cw_arena_close(&scratch);
	(void)cw_blas_threads(threads);
	return st;
}

/* ---- pointing ---- */

static void
point(const struct cw_plan *p, const char *base)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct cw_matrix *m = &p->m[i];
		struct cw_linear *l = m->to;

		l->in = m->in;
		l->out = m->out;
		l->kernel = m->kernel;
		l->packed = base + m->w_at;
		/* what is joined, cut or folded has no other form any more */
		if (m->parts > 1 || l->w == NULL || m->norm.w != NULL ||
		    m->norm.b != NULL) {
			l->w = NULL;
			l->b = (const float *)(base + m->b_at);
		}
	}
}

static void
point_encoder(struct cw_encoder_weights *e)
{
	for (int i = 0; i < e->L; i++) {
		struct cw_block_weights *b = &e->block[i];

		if (i < e->L - 1)
			b->q = (struct cw_linear){ 0 };
		b->k = b->v = (struct cw_linear){ 0 };
		b->ln1 = b->ln2 = (struct cw_norm){ 0 };
	}
	e->scale = 1;
}

/* ---- the file ---- */

/*
 * Every pass walks through all of the weights, a new page each microsecond:
 * with pages of 2 MiB a pass at batch 1 is 2 to 5 % shorter.  A file's pages get
 * their size when they are first read or written: ask before that.  Where the
 * kernel can't (it says no for some file systems), nothing is lost.
 */
static void
prefer_huge_pages(void *base, size_t bytes)
{
	(void)madvise(base, bytes, MADV_HUGEPAGE);
}

static enum cw_status
private_copy(const struct cw_plan *p, struct cw_prepared *out,
    struct cw_err *err)
{
	void *base = mmap(NULL, p->bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	enum cw_status st;

	if (base == MAP_FAILED)
		return cw_err_sys(err, "%zu bytes for the weights", p->bytes);
	prefer_huge_pages(base, p->bytes);
	if ((st = fill(p, base, err)) != CW_OK) {
		munmap(base, p->bytes);
		return st;
	}
	mprotect(base, p->bytes, PROT_READ);
	*out = (struct cw_prepared){ base, p->bytes, false };
	return CW_OK;
}

/* Map the file and compare it with what it should be. */
static bool
file_open(int dir, const char *name, const struct prepare_head *want,
    struct cw_prepared *out)
{
	struct prepare_head got;
	struct stat sb;
	void *base = MAP_FAILED;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0 && fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) &&
	    (uint64_t)sb.st_size == want->bytes)
		base = mmap(NULL, want->bytes, PROT_READ, MAP_SHARED, fd, 0);
	cw_close(&fd);
	if (base == MAP_FAILED)
		return false;
	prefer_huge_pages(base, want->bytes);
	memcpy(&got, base, sizeof(got));
	if (got.body != checksum((char *)base + CW_PLAN_HEAD,
	    want->bytes - CW_PLAN_HEAD))
		got.plan = ~want->plan;
	got.body = want->body;
	if (memcmp(&got, want, sizeof(got)) != 0) {
		munmap(base, want->bytes);
		return false;
	}
	*out = (struct cw_prepared){ base, want->bytes, true };
	return true;
}

/*
 * The whole file under a temporary name, then under its own.  The directory is
 * locked.
 */
static enum cw_status
file_make(int dir, const char *name, const struct cw_plan *p,
    struct prepare_head head, struct cw_err *err)
{
	char temporary[256];
	enum cw_status st;
	void *base = MAP_FAILED;
	int fd;

	/* one name: what is left of a process that was killed is written over */
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	fd = openat(dir, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC |
	    O_NOFOLLOW, 0644);
	if (fd < 0)
		return cw_err_sys(err, "%s", temporary);
	/* reserved: a full disk is told here, not by SIGBUS below */
	errno = posix_fallocate(fd, 0, (off_t)p->bytes);
	if (errno == 0)
		base = mmap(NULL, p->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, 0);
	if (base == MAP_FAILED) {
		st = cw_err_sys(err, "%s: %zu bytes", temporary, p->bytes);
		goto undo;
	}
	prefer_huge_pages(base, p->bytes);
	st = fill(p, base, err);
	if (st == CW_OK) {
		head.body = checksum((char *)base + CW_PLAN_HEAD,
		    p->bytes - CW_PLAN_HEAD);
		memcpy(base, &head, sizeof(head));
	}
	munmap(base, p->bytes);
	if (st == CW_OK && (fsync(fd) != 0 ||
	    renameat(dir, temporary, dir, name) != 0))
		st = cw_err_sys(err, "%s", name);
undo:
	if (st != CW_OK)
		unlinkat(dir, temporary, 0);
	cw_close(&fd);
	return st;
}

/* Open the file or make it first, one process at a time. */
static enum cw_status
from_cache(const struct cw_plan *p, const struct cw_kernel *k,
    const char *sha256, const char *cache_dir, struct cw_prepared *out,
    struct cw_err *err)
{
	const struct prepare_head head = head_make(p, k, sha256);
	enum cw_status st = CW_OK;
	char name[128];
	int dir;

	if (mkdir(cache_dir, 0755) != 0 && errno != EEXIST)
		return cw_err_sys(err, "%s", cache_dir);
	dir = open(cache_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return cw_err_sys(err, "%s", cache_dir);
	snprintf(name, sizeof(name), "%.32s-%s-%s.packed", sha256,
	    k->int8 ? "int8" : "fp32", k->name);
	if (!file_open(dir, name, &head, out)) {
		if (flock(dir, LOCK_EX) != 0)
			st = cw_err_sys(err, "%s: cannot be locked",
			    cache_dir);
		else if (!file_open(dir, name, &head, out) &&
		    (st = file_make(dir, name, p, head, err)) == CW_OK &&
		    !file_open(dir, name, &head, out))
			st = cw_err_set(err, CW_E_SYSTEM, "%s/%s: not what "
			    "was just written", cache_dir, name);
	}
	cw_close(&dir);
	return st;
}

enum cw_status
cw_prepare(struct cw_weights *w, enum cw_tower_kind kind,
    const struct cw_kernel *kernel, int deep, const char *sha256,
    const char *cache_dir, struct cw_arena *scratch, struct cw_prepared *out,
    struct cw_err *err)
{
	const size_t mark = cw_arena_mark(scratch);
	enum cw_status st;
	struct cw_plan p;

	st = cw_plan_make(&p, w, kind, kernel, deep, scratch, err);
	if (st != CW_OK)
		return st;
	st = CW_E_NOT_FOUND;
	if (cache_dir[0] != '\0' && cw_sha256_valid(sha256))
		st = from_cache(&p, kernel, sha256, cache_dir, out, err);
	/* no such file and none to be made: each its own copy */
	if (st != CW_OK && !cw_arena_overflowed(scratch))
		st = private_copy(&p, out, err);
	if (st == CW_OK) {
		point(&p, out->base);
		if (kind == CW_TOWER_VIT)
			point_encoder(&w->vit.enc);
		point_encoder(&w->text.enc);
	}
	cw_arena_release(scratch, mark);
	return st;
}

void
cw_prepared_close(struct cw_prepared *p)
{
	if (p->base != NULL)
		munmap((void *)(uintptr_t)p->base, p->bytes);
	*p = (struct cw_prepared){ 0 };
}
