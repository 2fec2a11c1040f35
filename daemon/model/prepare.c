/*
 * prepare.c - see prepare.h.
 *
 * First a plan: a list of matrices, each of one to three parts, with its place
 * in the file.  The same plan fills a new file and points into an old one.
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

#define MAGIC		"CWPACK5"	/* with its NUL; raise on any change */
#define PAGE		4096u		/* at which each matrix begins */
#define HEAD_BYTES	PAGE
#define PARTS_MAX	3		/* q, k and v */

struct prepare_head {
	char		magic[8];
	char		model[CW_SHA256_HEX];
	char		kernel[23];
	uint64_t	int8;
	uint64_t	bytes;		/* of the whole file */
	uint64_t	plan;		/* checksum of the matrices' places */
	uint64_t	body;		/* checksum of what follows the head */
};

enum part_kind {
	PLAIN,
	UNBIASED,		/* k: the norm's shift drops out as well */
	TURNED,			/* K' of read.h: so, and the norm is behind it */
};

struct part {
	const float	*w, *b;		/* [out][in], turned [in][out]; b [out]
					   or NULL */
	int		 out;
	float		 scale;
	enum part_kind	 kind;
};

struct matrix {
	struct cw_linear	*to;
	const struct cw_kernel	*kernel;
	struct part		 part[PARTS_MAX];
	int			 parts, in, out;
	struct cw_norm		 norm;	/* before it, NULL: none */
	size_t			 w_at, b_at;	/* in the file */
};

struct plan {
	struct matrix	*m;
	size_t		 n, max;
	size_t		 bytes;		/* of the file */
	int		 deep;		/* inputs from which 8 bits pay */
};

/* ---- the plan ---- */

/*
 * The kernel of a matrix so deep.  Over short rows the errors of 8 bits do not
 * average out, and there is little time to win: in a trained tower of width
 * 128, 1 - cosine is 3e-5 with those in float and 5e-4 without (with 7 bits
 * 6e-5 and 9e-4), and 8 bits make it 1.15 times as fast instead of 1.6.  No
 * published CLIP is as narrow.
 */
static const struct cw_kernel *
kernel_for(const struct plan *p, const struct cw_kernel *k, int in)
{
	if (!k->int8 || in >= p->deep)
		return k;
	return k->fine != NULL ? k->fine : cw_kernel_find("", false);
}

static struct matrix *
plan_add(struct plan *p, const struct cw_kernel *k, struct cw_linear *to,
    const struct cw_norm *norm)
{
	struct matrix *m = &p->m[p->n++];

	CW_CHECK(p->n <= p->max);
	*m = (struct matrix){ .to = to, .kernel = k };
	if (norm != NULL)
		m->norm = *norm;
	return m;
}

static void
add_part(struct matrix *m, const struct cw_linear *l, float scale,
    enum part_kind kind)
{
	m->part[m->parts++] = (struct part){ l->w, l->b, l->out, scale, kind };
	m->in = l->in;
	m->out += l->out;
}

static void
plan_one(struct plan *p, const struct cw_kernel *k, struct cw_linear *l,
    const struct cw_norm *norm)
{
	if (l->in > 0)
		add_part(plan_add(p, kernel_for(p, k, l->in), l, norm), l, 1,
		    PLAIN);
}

static void
plan_qkv(struct plan *p, const struct cw_kernel *k, struct cw_block_weights *b,
    float scale)
{
	struct matrix *m = plan_add(p, kernel_for(p, k, b->q.in), &b->qkv,
	    &b->ln1);

	add_part(m, &b->q, scale, PLAIN);
	add_part(m, &b->k, 1, UNBIASED);
	add_part(m, &b->v, 1, PLAIN);
}

/*
 * What stands for q, k and v in the last block: see read.h.  Its values are a
 * row for a picture, so it costs nothing to spare them the errors of 7 bits.
 */
static void
plan_read(struct plan *p, const struct cw_kernel *k,
    struct cw_encoder_weights *e)
{
	struct cw_block_weights *b = &e->block[e->L - 1];
	const struct cw_kernel *fine = k->fine != NULL ? k->fine :
	    kernel_for(p, k, e->W);
	const int W = e->W, D = W / e->H;

	add_part(plan_add(p, kernel_for(p, k, W), &b->q, &b->ln1), &b->q,
	    e->scale, PLAIN);
	for (int h = 0; h < e->H; h++) {
		const size_t at = (size_t)(h * D) * (size_t)W;
		const struct cw_linear key = { .in = D, .out = W,
		    .w = b->k.w + at };

		add_part(plan_add(p, kernel_for(p, k, D), &e->key[h],
		    &b->ln1), &key, 1, TURNED);
	}
	for (int h = 0; h < e->H; h++) {
		const size_t at = (size_t)(h * D) * (size_t)W;
		const struct cw_linear value = { .in = W, .out = D,
		    .w = b->v.w + at,
		    .b = b->v.b != NULL ? b->v.b + h * D : NULL };

		add_part(plan_add(p, fine, &e->value[h],
		    &b->ln1), &value, 1, PLAIN);
	}
}

static void
plan_rest(struct plan *p, const struct cw_kernel *k,
    struct cw_block_weights *b)
{
	/*
	 * In 7 bits `out` makes a fifth of the error with a twelfth of the
	 * work: on seeded ViT-B/32 weights 1 - cosine is 4.8e-4 with it in
	 * float, 6.0e-4 without, 5.0e-4 with all of qkv in float instead.
	 */
	plan_one(p, k->fine != NULL ? k->fine : k, &b->out, NULL);
	plan_one(p, k, &b->up, &b->ln2);
	plan_one(p, k, &b->down, NULL);
}

static void
plan_encoder(struct plan *p, const struct cw_kernel *k,
    struct cw_encoder_weights *e)
{
	for (int i = 0; i < e->L; i++) {
		if (i < e->L - 1)
			plan_qkv(p, k, &e->block[i], e->scale);
		else
			plan_read(p, k, e);
		plan_rest(p, k, &e->block[i]);
	}
}

static void
plan_resnet(struct plan *p, const struct cw_kernel *k,
    struct cw_resnet_weights *r)
{
	for (size_t i = 0; i < CW_COUNT(r->stem); i++)
		plan_one(p, k, &r->stem[i].l, NULL);
	for (int s = 0, at = 0; s < CW_STAGES; s++)
		for (int i = 0; i < r->stages[s]; i++, at++) {
			struct cw_bottleneck *b = &r->block[at];

			for (size_t c = 0; c < CW_COUNT(b->conv); c++)
				plan_one(p, k, &b->conv[c].l, NULL);
			plan_one(p, k, &b->down.l, NULL);
		}
	plan_one(p, k, &r->q, NULL);
	plan_one(p, k, &r->k, NULL);
	plan_one(p, k, &r->v, NULL);
	plan_one(p, k, &r->proj, NULL);
}

static size_t
encoder_max(const struct cw_encoder_weights *e)
{
	return 4 * (size_t)e->L + 2 * (size_t)e->H;
}

static size_t
plan_max(const struct cw_weights *w, enum cw_tower_kind kind)
{
	size_t n = encoder_max(&w->text.enc) + 1;

	if (kind == CW_TOWER_VIT)
		return n + encoder_max(&w->vit.enc) + 2;
	for (int s = 0; s < CW_STAGES; s++)
		n += 4 * (size_t)w->resnet.stages[s];
	return n + CW_COUNT(w->resnet.stem) + 4;
}

static enum cw_status
plan_make(struct plan *p, struct cw_weights *w, enum cw_tower_kind kind,
    const struct cw_kernel *k, int deep, struct cw_arena *a,
    struct cw_err *err)
{
	*p = (struct plan){ .max = plan_max(w, kind), .bytes = HEAD_BYTES,
	    .deep = deep };
	p->m = cw_arena_zalloc(a, p->max, sizeof(*p->m));
	if (p->m == NULL)
		return cw_err_set(err, CW_E_LIMIT, "no room to prepare");
	if (kind == CW_TOWER_VIT) {
		plan_one(p, k, &w->vit.patch, NULL);
		plan_encoder(p, k, &w->vit.enc);
		plan_one(p, k, &w->vit.proj, NULL);
	} else {
		plan_resnet(p, cw_kernel_find("", false), &w->resnet);
	}
	plan_encoder(p, k, &w->text.enc);
	plan_one(p, k, &w->text.proj, NULL);

	for (size_t i = 0; i < p->n; i++) {
		p->m[i].b_at = p->bytes;
		p->bytes += (size_t)p->m[i].out * sizeof(float);
	}
	for (size_t i = 0; i < p->n; i++) {
		p->bytes = (p->bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
		p->m[i].w_at = p->bytes;
		p->bytes += p->m[i].kernel->packed_bytes(p->m[i].in,
		    p->m[i].out);
	}
	return CW_OK;
}

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
head_make(const struct plan *p, const struct cw_kernel *k, const char *sha256)
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

/* w [out][in] and b [out] of a part: norm and scale folded. */
static void
fold_part(const struct matrix *m, const struct part *s, float *w, float *b)
{
	for (int o = 0; o < s->out; o++, w += m->in, b++) {
		const float *from = s->w + (size_t)o * (size_t)m->in;
		double sum = s->b != NULL ? s->b[o] : 0;

		for (int j = 0; j < m->in; j++) {
			w[j] = from[j] * s->scale;
			if (m->norm.w != NULL)
				w[j] *= m->norm.w[j];
			if (m->norm.b != NULL)
				sum += (double)from[j] * m->norm.b[j];
		}
		*b = s->kind == UNBIASED ? 0 : (float)sum * s->scale;
	}
}

static void
fold_turned(const struct matrix *m, const struct part *s, float *w, float *b)
{
	for (int o = 0; o < s->out; o++, w += m->in)
		for (int j = 0; j < m->in; j++)
			w[j] = s->w[(size_t)j * (size_t)s->out + (size_t)o] *
			    s->scale * (m->norm.w != NULL ? m->norm.w[o] : 1);
	memset(b, 0, (size_t)s->out * sizeof(*b));
}

/* Of a matrix: its parts, joined. */
static void
fold(const struct matrix *m, float *w, float *b)
{
	for (int i = 0; i < m->parts; i++) {
		const struct part *s = &m->part[i];

		if (s->kind == TURNED)
			fold_turned(m, s, w, b);
		else
			fold_part(m, s, w, b);
		w += (size_t)s->out * (size_t)m->in;
		b += s->out;
	}
}

static enum cw_status
fill(const struct plan *p, char *base, struct cw_arena *scratch,
    struct cw_err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct matrix *m = &p->m[i];
		const size_t mark = cw_arena_mark(scratch);
		float *w = cw_arena_floats(scratch, (size_t)m->in *
		    (size_t)m->out);

		if (w == NULL)
			return cw_err_set(err, CW_E_LIMIT,
			    "no room to prepare a matrix of %d x %d", m->out,
			    m->in);
		fold(m, w, (float *)(base + m->b_at));
		m->kernel->pack(w, m->in, m->out, base + m->w_at);
		cw_arena_release(scratch, mark);
	}
	return CW_OK;
}

/* ---- pointing ---- */

static void
point(const struct plan *p, const char *base)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct matrix *m = &p->m[i];
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
private_copy(const struct plan *p, struct cw_arena *scratch,
    struct cw_prepared *out, struct cw_err *err)
{
	void *base = mmap(NULL, p->bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	enum cw_status st;

	if (base == MAP_FAILED)
		return cw_err_sys(err, "%zu bytes for the weights", p->bytes);
	prefer_huge_pages(base, p->bytes);
	if ((st = fill(p, base, scratch, err)) != CW_OK) {
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
	if (got.body != checksum((char *)base + HEAD_BYTES,
	    want->bytes - HEAD_BYTES))
		got.plan = ~want->plan;
	got.body = want->body;
	if (memcmp(&got, want, sizeof(got)) != 0) {
		munmap(base, want->bytes);
		return false;
	}
	*out = (struct cw_prepared){ base, want->bytes, true };
	return true;
}

/* The whole file under a temporary name, then under its own. */
static enum cw_status
file_make(int dir, const char *name, const struct plan *p,
    struct prepare_head head, struct cw_arena *scratch, struct cw_err *err)
{
	char temporary[256];
	enum cw_status st;
	void *base = MAP_FAILED;
	int fd;

	snprintf(temporary, sizeof(temporary), "%s.%ld", name, (long)getpid());
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
	st = fill(p, base, scratch, err);
	if (st == CW_OK) {
		head.body = checksum((char *)base + HEAD_BYTES,
		    p->bytes - HEAD_BYTES);
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
from_cache(const struct plan *p, const struct cw_kernel *k,
    const char *sha256, const char *cache_dir, struct cw_arena *scratch,
    struct cw_prepared *out, struct cw_err *err)
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
		flock(dir, LOCK_EX);
		if (!file_open(dir, name, &head, out)) {
			st = file_make(dir, name, p, head, scratch, err);
			if (st == CW_OK && !file_open(dir, name, &head, out))
				st = cw_err_set(err, CW_E_SYSTEM, "%s/%s: "
				    "not what was just written", cache_dir,
				    name);
		}
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
	struct plan p;

	st = plan_make(&p, w, kind, kernel, deep, scratch, err);
	if (st != CW_OK)
		return st;
	st = CW_E_NOT_FOUND;
	if (cache_dir[0] != '\0' && cw_sha256_valid(sha256))
		st = from_cache(&p, kernel, sha256, cache_dir, scratch, out,
		    err);
	/* no such file and none to be made: each its own copy */
	if (st != CW_OK && !cw_arena_overflowed(scratch))
		st = private_copy(&p, scratch, out, err);
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
