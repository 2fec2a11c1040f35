/*
 * arrays.h - expected values of a model, as raw arrays beside it.
 *
 *	DIR/expected.json	{"tolerance": {"NAME": 1e-6}, "arrays": {...}}
 *	DIR/expected/NAME.f32	little-endian, row-major
 *
 * For unit tests only; header-only, since each test is one program.
 */
#ifndef CW_TESTS_ARRAYS_H
#define CW_TESTS_ARRAYS_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "model/doc.h"
#include "model/model.h"

#define ARENA_BYTES	((size_t)4 << 30)

/* Everything that one model's tests need. */
struct bench {
	const char		*dir;
	int			 fd;
	struct cw_arena		*a;
	struct cw_doc		 expected;
	struct cw_model		*m;
	const struct cw_model_info *i;
};

static const struct cw_model_opts plain_opts = { .cache_dir = "",
    .kernel = "", .batch = 8 };

/* Fails the test with the library's own words. */
static inline void
must(enum cw_status st, const struct cw_err *err)
{
	if (st != CW_OK)
		fail_msg("%s: %s", cw_status_name(st), err->text);
}

static inline void
bench_open(struct bench *b, const char *dir)
{
	struct cw_err err = { "" };

	*b = (struct bench){ .dir = dir };
	must(cw_arena_open(ARENA_BYTES, &b->a, &err), &err);
	b->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->fd == -1)
		fail_msg("%s: cannot be opened", dir);
	must(cw_doc_open(b->fd, dir, "expected.json", 1 << 24, b->a,
	    &b->expected, &err), &err);
	must(cw_model_open(dir, &plain_opts, &b->m, &err), &err);
	b->i = cw_model_info(b->m);
}

static inline void
bench_close(struct bench *b)
{
	cw_model_close(&b->m);
	cw_doc_close(&b->expected);
	cw_arena_close(&b->a);
	cw_close(&b->fd);
}

static inline bool
has_array(const struct bench *b, const char *name)
{
	return cw_val_get(cw_val_get(cw_doc_root(&b->expected), "arrays"),
	    name).j != NULL;
}

/* The bytes of an array; n receives its elements of `size` bytes. */
static inline void *
array(const struct bench *b, const char *name, size_t size, size_t *n)
{
	struct cw_val v = cw_val_get(cw_val_get(cw_doc_root(&b->expected),
	    "arrays"), name);
	const char *file = NULL;
	struct cw_err err = { "" };
	char *s;

	must(cw_val_str(v, "file", &file, &err), &err);
	if (file == NULL)
		fail_msg("%s: no array %s", b->dir, name);
	must(cw_read_file(b->fd, file, 1u << 30, b->a, &s, n, &err), &err);
	*n /= size;
	return s;
}

/* An array of exactly n floats. */
static inline const float *
floats(const struct bench *b, const char *name, size_t n)
{
	size_t got;
	const float *p = array(b, name, sizeof(float), &got);

	if (got != n)
		fail_msg("%s: %s has %zu values, want %zu", b->dir, name, got,
		    n);
	return p;
}

static inline double
tolerance(const struct bench *b, const char *name)
{
	struct cw_err err = { "" };
	double t = -1;

	must(cw_val_real(cw_val_get(cw_doc_root(&b->expected), "tolerance"),
	    name, 0, 1, &t, &err), &err);
	if (t < 0)
		fail_msg("%s: no tolerance for %s", b->dir, name);
	return t;
}

/* The whole numbers of a list in expected.json. */
static inline size_t
numbers(const struct bench *b, const char *name, int *out, size_t max)
{
	struct cw_val v = cw_val_get(cw_doc_root(&b->expected), name);
	size_t n = cw_val_size(v);

	if (n == 0 || n > max)
		fail_msg("%s: no list %s", b->dir, name);
	for (size_t i = 0; i < n; i++) {
		int64_t x;

		assert_true(cw_val_whole(cw_val_at(v, i), &x));
		out[i] = (int)x;
	}
	return n;
}

/* Every value within tol; else label, difference, first pairs, remedy. */
static inline void
close_to(const struct bench *b, const char *label, const float *got,
    const float *want, size_t n, double tol)
{
	double most = 0;
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		double d = fabs((double)got[i] - (double)want[i]);

		if (!(d <= most)) {
			most = d;
			at = i;
		}
	}
	if (most <= tol)
		return;
	print_error("%s: %s: largest difference %.3g at %zu of %zu, "
	    "tolerance %.3g\n", b->dir, label, most, at, n, tol);
	for (size_t i = 0; i < n && i < 5; i++)
		print_error("  [%zu] got %.9g, want %.9g\n", i,
		    (double)got[i], (double)want[i]);
	fail_msg("%s: %s differs (tests/golden/README.md says how to make "
	    "the values again)", b->dir, label);
}

/* Normalised pixels of the n images in `crops`, [n][3][S][S]. */
static inline float *
pixels_of(const struct bench *b, size_t *n)
{
	const size_t S = (size_t)b->i->S, plane = S * S;
	const struct cw_pixel_rule *r = &b->i->pixels;
	const unsigned char *u8 = array(b, "crops", 1, n);
	float *x;

	*n /= 3 * plane;
	x = cw_arena_floats(b->a, *n * 3 * plane);
	assert_non_null(x);
	for (size_t k = 0; k < *n; k++)
		for (size_t p = 0; p < plane; p++)
			for (size_t c = 0; c < 3; c++)
				x[(k * 3 + c) * plane + p] =
				    ((float)u8[(k * plane + p) * 3 + c] /
				    255.0f - r->mean[c]) / r->std[c];
	return x;
}

/* Unit length copies of n rows of E. */
static inline float *
units(const struct bench *b, const float *rows, size_t n)
{
	const size_t E = (size_t)b->i->E;
	float *out = cw_arena_floats(b->a, n * E);

	assert_non_null(out);
	for (size_t r = 0; r < n; r++) {
		double sum = 0;

		for (size_t i = 0; i < E; i++)
			sum += (double)rows[r * E + i] * rows[r * E + i];
		for (size_t i = 0; i < E; i++)
			out[r * E + i] = (float)(rows[r * E + i] / sqrt(sum));
	}
	return out;
}

/* The text of an own file or of the shared folder; NULL when it is absent. */
static inline const char *
shared_path(char *buf, size_t size, const char *name)
{
	const char *shared = getenv("CW_SHARED");

	if (shared == NULL || *shared == '\0')
		return NULL;
	snprintf(buf, size, "%s/reference/%s", shared, name);
	return access(buf, R_OK) == 0 ? buf : NULL;
}

/*
 * Call fn for every model that has expected values: the project's own, the
 * shared ones (skipped by name without them), and those in CW_FULL_MODELS, a
 * list of directories separated by colons.
 */
static inline void
each_model(void (*fn)(struct bench *b))
{
	static const char *const own[] = { "vit", "openai", "resnet" };
	static const char *const shared[] = { "tiny-vit", "tiny-vit-f16",
	    "tiny-rn" };
	const char *full = getenv("CW_FULL_MODELS");
	char dir[512], path[600];
	struct bench b;

	for (size_t i = 0; i < CW_COUNT(own); i++) {
		snprintf(dir, sizeof(dir), "tests/golden/%s", own[i]);
		bench_open(&b, dir);
		fn(&b);
		bench_close(&b);
	}
	for (size_t i = 0; i < CW_COUNT(shared); i++) {
		snprintf(dir, sizeof(dir), "fixtures/%s", shared[i]);
		if (shared_path(path, sizeof(path), dir) == NULL) {
			print_message("skip %s: no shared reference\n",
			    shared[i]);
			continue;
		}
		bench_open(&b, path);
		fn(&b);
		bench_close(&b);
	}
	while (full != NULL && *full != '\0') {
		size_t n = strcspn(full, ":");

		snprintf(dir, sizeof(dir), "%.*s", (int)n, full);
		bench_open(&b, dir);
		fn(&b);
		bench_close(&b);
		full += n + (full[n] == ':');
	}
}

#endif /* CW_TESTS_ARRAYS_H */
