/*
 * kernel_bench.c - GFLOP/s of each kernel on the encoder's matrix products.
 *
 * Usage: kernel_bench [batch ...]		(default 1 8)
 *
 * Every kernel of this CPU in turn, shape by shape, over enough copies of the
 * weights that each call finds them outside the caches, as a real pass does.
 * The figure is the median of the rounds, by processor time; int8 counts the
 * same operations.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/kernels/kernel.h"

#define TOKENS		50	/* of a ViT-B/32 image */
#define COLD_BYTES	(64u << 20)	/* more than a last-level cache */
#define COPIES_MAX	32
#define ROUNDS		7
#define ROUND_S		0.08

struct shape {
	const char	*name;
	int		 in, out;
	enum cw_act	 act;
};

static const struct shape shapes[] = {
	{ "qkv", 768, 2304, CW_ACT_NONE },
	{ "out", 768, 768, CW_ACT_NONE },
	{ "fc1", 768, 3072, CW_ACT_QUICK_GELU },
	{ "fc2", 3072, 768, CW_ACT_NONE },
	{ "patch", 3072, 768, CW_ACT_NONE },
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static float *
random_floats(size_t n, float scale)
{
	float *v = cw_xalloc(n, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = scale * ((float)rand() / (float)RAND_MAX - 0.5f);
	return v;
}

/* Median GFLOP/s of one kernel on one shape. */
static double
measure(const struct cw_kernel *k, const struct shape *s, int rows,
    const float *w, const float *x, float *y, struct cw_arena *arena)
{
	size_t bytes = k->packed_bytes(s->in, s->out);
	int copies = (int)(COLD_BYTES / bytes) + 1;
	double rate[ROUNDS], flop = 2e-9 * rows * s->in * s->out;
	struct cw_linear l[COPIES_MAX];
	const struct cw_input in = { x, rows, s->in, TOKENS };
	size_t mark = cw_arena_mark(arena);

	copies = copies > COPIES_MAX ? COPIES_MAX : copies;
	for (int i = 0; i < copies; i++) {
		void *p = cw_arena_alloc(arena, bytes);

		l[i] = (struct cw_linear){ s->in, s->out, w, x, k, p };
		k->pack(w, NULL, s->in, s->out, p);
	}
	for (int r = 0; r < ROUNDS; r++) {
		double from = now(), t;
		int n = 0;

		do {
			cw_linear_apply(&l[n % copies], &in, y, s->out, s->act,
			    NULL, arena);
			n++;
			t = now() - from;
		} while (t < ROUND_S);
		rate[r] = n * flop / t;
	}
	cw_arena_release(arena, mark);
	qsort(rate, ROUNDS, sizeof(rate[0]), by_size);
	return rate[ROUNDS / 2];
}

static void
bench(int batch, struct cw_arena *arena)
{
	int rows = TOKENS * batch;
	float *w = random_floats((size_t)3072 * 3072, 0.05f);
	float *x = random_floats((size_t)rows * 3072, 2);
	float *y = random_floats((size_t)rows * 3072, 0);
	const struct cw_kernel *k;

	printf("batch %d (%d rows), GFLOP/s\n%-8s", batch, rows, "");
	for (size_t i = 0; (k = cw_kernel_at(i)) != NULL; i++)
		printf(" %12s%s", k->name, k->int8 ? "/8" : "  ");
	putchar('\n');
	for (size_t j = 0; j < CW_COUNT(shapes); j++) {
		printf("%-8s", shapes[j].name);
		for (size_t i = 0; (k = cw_kernel_at(i)) != NULL; i++) {
			if (k->supported())
				printf(" %12.1f  ", measure(k, &shapes[j],
				    rows, w, x, y, arena));
			else
				printf(" %12s  ", "-");
			fflush(stdout);
		}
		putchar('\n');
	}
}

int
main(int argc, char **argv)
{
	struct cw_arena *arena;
	struct cw_err err;

	setenv("OPENBLAS_NUM_THREADS", "1", 0);
	if (cw_arena_open((size_t)1 << 30, &arena, &err) != CW_OK) {
		fprintf(stderr, "kernel_bench: %s\n", err.text);
		return 1;
	}
	for (int i = 1; i < argc || i < 2; i++)
		bench(argc > i ? atoi(argv[i]) : 1, arena);
	if (argc == 1)
		bench(8, arena);
	cw_arena_close(&arena);
	return 0;
}
