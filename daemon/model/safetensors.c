/*
 * safetensors.c - see safetensors.h.
 */
#include "model/safetensors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "model/doc.h"

#define HEADER_MAX	(16u << 20)	/* bytes; the largest published: 0.3 M */
#define INDEX_MAX	(16u << 20)	/* bytes */
#define TENSORS_MAX	65536u
#define SHARDS_MAX	256u

static const struct {
	const char	*name;
	size_t		 size;		/* bytes of an element */
	enum cw_dtype	 dtype;
} dtypes[] = {
	{ "F32", 4, CW_F32 },
	{ "F16", 2, CW_F16 },
	{ "BF16", 2, CW_BF16 },
	{ "F64", 8, CW_DTYPE_OTHER },
	{ "I64", 8, CW_DTYPE_OTHER },
	{ "U64", 8, CW_DTYPE_OTHER },
	{ "I32", 4, CW_DTYPE_OTHER },
	{ "U32", 4, CW_DTYPE_OTHER },
	{ "I16", 2, CW_DTYPE_OTHER },
	{ "U16", 2, CW_DTYPE_OTHER },
	{ "I8", 1, CW_DTYPE_OTHER },
	{ "U8", 1, CW_DTYPE_OTHER },
	{ "BOOL", 1, CW_DTYPE_OTHER },
	{ "F8_E4M3", 1, CW_DTYPE_OTHER },
	{ "F8_E5M2", 1, CW_DTYPE_OTHER },
};

struct span {
	size_t			 from, to;	/* in the bytes after the header */
	const char		*name;
};

static int
by_name(const void *a, const void *b)
{
	const struct cw_tensor *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
by_position(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

static int64_t
nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static enum cw_status
file_map(int dirfd, const char *file, const char *name, struct cw_bytes *out,
    struct cw_stamp_id *id, struct cw_err *err)
{
	struct stat sb;
	void *p;
	int fd;

	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return errno == ENOENT ?
		    cw_err_set(err, CW_E_NOT_FOUND, "%s: no such file", file) :
		    cw_err_sys(err, "%s", file);
	if (fstat(fd, &sb) == -1 || !S_ISREG(sb.st_mode) || sb.st_size < 8) {
		cw_close(&fd);
		return cw_err_set(err, CW_E_MODEL,
		    "%s: shorter than its length field", file);
	}
	p = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		enum cw_status st = cw_err_sys(err, "%s", file);

		cw_close(&fd);
		return st;
	}
	cw_close(&fd);
	*out = (struct cw_bytes){ p, (size_t)sb.st_size };
	*id = (struct cw_stamp_id){ sb.st_dev, sb.st_ino,
	    (uint64_t)sb.st_size, nanoseconds(sb.st_mtim),
	    nanoseconds(sb.st_ctim) };
	return CW_OK;
}

static void
file_unmap(struct cw_bytes *f)
{
	if (f->p != NULL)
		munmap((void *)(uintptr_t)f->p, f->n);
	f->p = NULL;
}

/* Length of the JSON header, checked against the file. */
static enum cw_status
header_length(const char *file, struct cw_bytes f, size_t *out,
    struct cw_err *err)
{
	static const char lfs[] = "version https://git-lfs";
	const unsigned char *p = f.p;
	uint64_t n = 0;

	for (int i = 7; i >= 0; i--)
		n = n << 8 | p[i];
	if (f.n >= sizeof(lfs) && memcmp(p, lfs, sizeof(lfs) - 1) == 0)
		return cw_err_set(err, CW_E_MODEL, "%s: only a pointer to the "
		    "weights; run: git lfs pull", file);
	if (n > f.n - 8)
		return cw_err_set(err, CW_E_MODEL, "%s: header of %llu bytes "
		    "in a file of %zu", file, (unsigned long long)n, f.n);
	if (n > HEADER_MAX)
		return cw_err_set(err, CW_E_MODEL, "%s: header of %llu bytes; "
		    "want at most %u", file, (unsigned long long)n,
		    HEADER_MAX);
	*out = (size_t)n;
	return CW_OK;
}

static enum cw_status
read_shape(struct cw_val shape, struct cw_tensor *t, struct cw_err *err)
{
	size_t n = cw_val_size(shape);

	if (!cw_val_is_array(shape) || n > CW_TENSOR_DIMS)
		return cw_err_set(err, CW_E_MODEL, "%s: tensor \"%s\": want a "
		    "shape of at most %d dimensions", t->file, t->name,
		    CW_TENSOR_DIMS);
	t->ndim = (int)n;
	t->count = 1;
	for (size_t i = 0; i < n; i++) {
		if (!cw_val_whole(cw_val_at(shape, i), &t->shape[i]) ||
		    t->shape[i] < 0 ||
		    !cw_mul(t->count, (size_t)t->shape[i], &t->count))
			return cw_err_set(err, CW_E_MODEL, "%s: tensor "
			    "\"%s\": dimension %zu of its shape is not a "
			    "possible size", t->file, t->name, i);
	}
	return CW_OK;
}

/* One entry of the header; body are the bytes after it. */
static enum cw_status
read_tensor(struct cw_val v, struct cw_bytes body, struct cw_tensor *t,
    struct span *sp, struct cw_err *err)
{
	struct cw_val at = cw_val_get(v, "data_offsets");
	const char *dtype = "";
	size_t bytes, k, len;
	int64_t from, to;
	enum cw_status st;

	(void)cw_val_text(cw_val_get(v, "dtype"), &dtype, &len);
	for (k = 0; k < CW_COUNT(dtypes); k++)
		if (strcmp(dtypes[k].name, dtype) == 0)
			break;
	if (k == CW_COUNT(dtypes))
		return cw_err_set(err, CW_E_MODEL, "%s: tensor \"%s\": "
		    "unknown dtype \"%.20s\"", t->file, t->name, dtype);
	t->dtype = dtypes[k].dtype;
	t->dtype_name = dtypes[k].name;
	if ((st = read_shape(cw_val_get(v, "shape"), t, err)) != CW_OK)
		return st;
	if (cw_val_size(at) != 2 || !cw_val_whole(cw_val_at(at, 0), &from) ||
	    !cw_val_whole(cw_val_at(at, 1), &to) || from < 0 || from > to ||
	    (uint64_t)to > body.n)
		return cw_err_set(err, CW_E_MODEL, "%s: tensor \"%s\": "
		    "data_offsets are not a span of the %zu bytes of data",
		    t->file, t->name, body.n);
	if (!cw_mul(t->count, dtypes[k].size, &bytes) ||
	    bytes != (size_t)(to - from))
		return cw_err_set(err, CW_E_MODEL, "%s: tensor \"%s\": shape "
		    "and data_offsets disagree (%lld bytes)", t->file,
		    t->name, (long long)(to - from));
	*sp = (struct span){ (size_t)from, (size_t)to, t->name };
	t->data = (const unsigned char *)body.p + from;
	return CW_OK;
}

/* The spans must tile the data from its first byte to its last. */
static enum cw_status
check_tiling(const char *file, struct span *sp, size_t n, size_t size,
    struct cw_err *err)
{
	size_t end = 0;

	qsort(sp, n, sizeof(*sp), by_position);
	for (size_t i = 0; i < n; i++) {
		if (sp[i].from != end)
			return cw_err_set(err, CW_E_MODEL, "%s: tensor "
			    "\"%s\": %s before it", file, sp[i].name,
			    sp[i].from < end ? "overlaps the one" :
			    "there is a hole");
		end = sp[i].to;
	}
	if (end != size)
		return cw_err_set(err, CW_E_MODEL, "%s: %zu bytes after the "
		    "last tensor", file, size - end);
	return CW_OK;
}

/* Parse one mapped file and append its tensors to st. */
static enum cw_status
read_header(struct cw_bytes f, const char *file, struct cw_arena *a,
    struct cw_safetensors *st, struct cw_err *err)
{
	struct cw_bytes body;
	struct cw_doc doc;
	struct cw_val root;
	struct cw_val_iter it;
	struct span *spans;
	size_t hlen = 0, n = 0, max;
	enum cw_status s;

	if ((s = header_length(file, f, &hlen, err)) != CW_OK)
		return s;
	body.p = (const unsigned char *)f.p + 8 + hlen;
	body.n = f.n - 8 - hlen;
	s = cw_doc_parse(file, (const char *)f.p + 8, hlen, &doc, err);
	if (s != CW_OK)
		return s;
	root = cw_doc_root(&doc);
	max = cw_val_size(root);
	if (max > TENSORS_MAX - st->ntensors) {
		s = cw_err_set(err, CW_E_MODEL, "%s: %zu tensors; want at "
		    "most %u", file, max, TENSORS_MAX);
		goto undo;
	}
	spans = cw_arena_zalloc(a, max + 1, sizeof(*spans));
	for (it = cw_val_first(root); it.at != NULL; cw_val_next(root, &it)) {
		struct cw_tensor *t = &st->tensors[st->ntensors];

		if (strcmp(it.key, "__metadata__") == 0)
			continue;
		*t = (struct cw_tensor){
			.file = file,
			.name = cw_arena_strdup(a, it.key),
		};
		if (cw_arena_overflowed(a)) {
			s = cw_err_set(err, CW_E_LIMIT,
			    "%s: header too large", file);
			goto undo;
		}
		s = read_tensor(it.val, body, t, &spans[n++], err);
		if (s != CW_OK)
			goto undo;
		st->ntensors++;
	}
	s = check_tiling(file, spans, n, body.n, err);
undo:
	cw_doc_close(&doc);
	return s;
}

static enum cw_status
add_file(int dirfd, const char *dir, const char *name, struct cw_arena *a,
    struct cw_safetensors *st, struct cw_err *err)
{
	const char *file = cw_arena_printf(a, "%s/%s", dir, name);
	struct cw_bytes *f = &st->files[st->nfiles];
	enum cw_status s;

	if (file == NULL)
		return cw_err_set(err, CW_E_LIMIT, "%s: too large", dir);
	if ((s = file_map(dirfd, file, name, f,
	    &st->ids[st->nfiles], err)) != CW_OK)
		return s;
	st->nfiles++;
	return read_header(*f, file, a, st, err);
}

static enum cw_status
tables_make(const char *what, size_t shards, struct cw_arena *a,
    struct cw_safetensors *st, struct cw_err *err)
{
	*st = (struct cw_safetensors){ .what = what };
	st->files = cw_arena_zalloc(a, shards, sizeof(*st->files));
	st->ids = cw_arena_zalloc(a, shards, sizeof(*st->ids));
	/* Not zeroed: pages of entries that are not used are never made. */
	st->tensors = cw_arena_alloc(a, TENSORS_MAX * sizeof(*st->tensors));
	if (cw_arena_overflowed(a))
		return cw_err_set(err, CW_E_LIMIT, "%s: no room for its tables",
		    what);
	return CW_OK;
}

static enum cw_status
tables_finish(struct cw_safetensors *st, struct cw_err *err)
{
	qsort(st->tensors, st->ntensors, sizeof(*st->tensors), by_name);
	for (size_t i = 1; i < st->ntensors; i++)
		if (by_name(&st->tensors[i - 1], &st->tensors[i]) == 0)
			return cw_err_set(err, CW_E_MODEL,
			    "%s: tensor \"%s\" is in two files", st->what,
			    st->tensors[i].name);
	return CW_OK;
}

enum cw_status
cw_safetensors_open_file(int dirfd, const char *dir, const char *name,
    struct cw_arena *a, struct cw_safetensors *out, struct cw_err *err)
{
	const char *what = cw_arena_printf(a, "%s/%s", dir, name);
	enum cw_status s;

	if ((s = tables_make(what, 1, a, out, err)) != CW_OK)
		return s;
	if ((s = add_file(dirfd, dir, name, a, out, err)) != CW_OK ||
	    (s = tables_finish(out, err)) != CW_OK)
		cw_safetensors_close(out);
	return s;
}

/* Only a plain file name may stand in an index: never a way out of dir. */
static bool
is_plain_name(const char *s, size_t n)
{
	return n > 0 && n < 256 && memchr(s, '/', n) == NULL &&
	    memchr(s, '\0', n) == NULL && s[0] != '.';
}

/* Every tensor of the index must be in the shard it names. */
static enum cw_status
check_index(struct cw_val map, const struct cw_safetensors *st,
    struct cw_err *err)
{
	struct cw_val_iter it;

	for (it = cw_val_first(map); it.at != NULL; cw_val_next(map, &it)) {
		const struct cw_tensor *t = cw_safetensors_find(st, it.key);
		const char *s = "", *base;
		size_t n;

		(void)cw_val_text(it.val, &s, &n);
		base = t == NULL ? "" : strrchr(t->file, '/') + 1;
		if (strcmp(base, s) != 0)
			return cw_err_set(err, CW_E_MODEL, "%s: tensor "
			    "\"%s\" is not in %.80s", st->what, it.key, s);
	}
	return CW_OK;
}

static enum cw_status
add_shards(int dirfd, const char *dir, struct cw_val map, struct cw_arena *a,
    struct cw_safetensors *st, struct cw_err *err)
{
	struct cw_val_iter it;
	enum cw_status s;

	for (it = cw_val_first(map); it.at != NULL; cw_val_next(map, &it)) {
		const char *name = "";
		size_t n = 0, i;

		if (!cw_val_text(it.val, &name, &n) || !is_plain_name(name, n))
			return cw_err_set(err, CW_E_MODEL, "%s: tensor "
			    "\"%s\": want the name of a file beside it",
			    st->what, it.key);
		for (i = 0; i < st->ntensors; i++)
			if (strcmp(strrchr(st->tensors[i].file, '/') + 1,
			    name) == 0)
				break;
		if (i < st->ntensors)
			continue;
		if (st->nfiles == SHARDS_MAX)
			return cw_err_set(err, CW_E_MODEL,
			    "%s: more than %u files", st->what, SHARDS_MAX);
		s = add_file(dirfd, dir, name, a, st, err);
		if (s != CW_OK)
			return s == CW_E_NOT_FOUND ? CW_E_MODEL : s;
	}
	if ((s = tables_finish(st, err)) != CW_OK)
		return s;
	return check_index(map, st, err);
}

static enum cw_status
open_shards(int dirfd, const char *dir, const char *index, struct cw_arena *a,
    struct cw_safetensors *out, struct cw_err *err)
{
	struct cw_doc doc;
	struct cw_val map;
	enum cw_status s;

	s = cw_doc_open(dirfd, dir, index, INDEX_MAX, a, &doc, err);
	if (s != CW_OK)
		return s;
	map = cw_val_get(cw_doc_root(&doc), "weight_map");
	if ((s = tables_make(doc.file, SHARDS_MAX, a, out, err)) != CW_OK)
		goto undo;
	if (cw_val_size(map) == 0 || !cw_val_is_object(map))
		s = cw_err_set(err, CW_E_MODEL,
		    "%s: want an object weight_map", doc.file);
	else
		s = add_shards(dirfd, dir, map, a, out, err);
	if (s != CW_OK)
		cw_safetensors_close(out);
undo:
	cw_doc_close(&doc);
	return s;
}

static bool
is_pickle(const char *name)
{
	static const char *const ends[] = { ".bin", ".pt", ".pth", ".ckpt" };
	size_t n = strlen(name);

	for (size_t i = 0; i < CW_COUNT(ends); i++)
		if (n > strlen(ends[i]) &&
		    strcmp(name + n - strlen(ends[i]), ends[i]) == 0)
			return true;
	return false;
}

/* No weights we read: if a pickle is there, say how to convert it. */
static enum cw_status
refuse(int dirfd, const char *dir, struct cw_err *err)
{
	struct dirent *e = NULL;
	enum cw_status st;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);

	if (d == NULL) {
		cw_close(&fd);
		return cw_err_sys(err, "%s", dir);
	}
	while ((e = readdir(d)) != NULL)
		if (is_pickle(e->d_name))
			break;
	if (e == NULL)
		st = cw_err_set(err, CW_E_MODEL, "%s: no weights; want "
		    "model.safetensors or model.safetensors.index.json", dir);
	else
		st = cw_err_set(err, CW_E_MODEL, "%s/%s: a pickle can run "
		    "code and is not read; convert it: cd %s && python3 -c "
		    "\"import torch, safetensors.torch as s; "
		    "s.save_file({k: v.clone() for k, v in torch.load('%s', "
		    "map_location='cpu', weights_only=True).items()}, "
		    "'model.safetensors')\"", dir, e->d_name, dir, e->d_name);
	closedir(d);
	return st;
}

enum cw_status
cw_safetensors_open(int dirfd, const char *dir, struct cw_arena *a,
    struct cw_safetensors *out, struct cw_err *err)
{
	static const char *const names[] = {
		"model.safetensors",
		"model.safetensors.index.json",
		"open_clip_model.safetensors",
	};

	for (size_t i = 0; i < CW_COUNT(names); i++) {
		if (faccessat(dirfd, names[i], F_OK, 0) == -1)
			continue;
		if (strstr(names[i], ".index.") != NULL)
			return open_shards(dirfd, dir, names[i], a, out, err);
		return cw_safetensors_open_file(dirfd, dir, names[i], a, out,
		    err);
	}
	return refuse(dirfd, dir, err);
}

void
cw_safetensors_close(struct cw_safetensors *st)
{
	for (size_t i = 0; i < st->nfiles; i++)
		file_unmap(&st->files[i]);
	st->nfiles = 0;
	st->ntensors = 0;
}

void
cw_safetensors_rest(const struct cw_safetensors *st)
{
	for (size_t i = 0; i < st->nfiles; i++)
		(void)madvise((void *)(uintptr_t)st->files[i].p,
		    st->files[i].n, MADV_DONTNEED);
}

const struct cw_tensor *
cw_safetensors_find(const struct cw_safetensors *st, const char *name)
{
	const struct cw_tensor key = { .name = name };

	return bsearch(&key, st->tensors, st->ntensors, sizeof(key), by_name);
}

/* IEEE binary16 to binary32, denormals, infinities and NaN included. */
static float
half_to_float(uint16_t h)
{
	const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
	const uint32_t exp = h >> 10 & 31u, frac = h & 1023u;
	uint32_t bits;
	float f;

	if (exp == 0) {			/* zero or denormal: frac * 2^-24 */
		f = (float)frac * 0x1p-24f;
		return sign != 0 ? -f : f;
	}
	bits = exp == 31 ? sign | 0x7f800000u | frac << 13 :
	    sign | (exp + 112) << 23 | frac << 13;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

void
cw_tensor_widen(const struct cw_tensor *t, float *out)
{
	uint16_t h;
	uint32_t wide;

	CW_CHECK(t->dtype != CW_DTYPE_OTHER);
	if (t->dtype == CW_F32) {
		memcpy(out, t->data, t->count * sizeof(float));
		return;
	}
	for (size_t i = 0; i < t->count; i++) {
		memcpy(&h, t->data + 2 * i, sizeof(h));
		if (t->dtype == CW_F16) {
			out[i] = half_to_float(h);
		} else {
			wide = (uint32_t)h << 16;
			memcpy(&out[i], &wide, sizeof(wide));
		}
	}
}
