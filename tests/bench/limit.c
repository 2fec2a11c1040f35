/*
 * limit.c - what this CPU's multipliers can do at most, whatever feeds them.
 *
 * Usage: limit
 *
 * The multiply-add of each kernel that this CPU can run, on registers alone:
 * nothing is loaded or stored, and no sum waits for the one before it.  A line
 * a kernel: the precision, its name, and 10^9 operations a second of one core
 * (a multiply-add is two), the best of the rounds by processor time.
 */
#include <stdio.h>
#include <time.h>

#include "model/kernels/kernel.h"

#define SUMS		12	/* five cycles of latency, two a cycle */
#define STEPS		20000	/* a tenth of a millisecond */
#define ROUNDS		10
#define ROUND_S		0.03

/*
 * STEPS times `code` for each n of SUMS.  The sums are registers 0 to 11, 12
 * is for what comes between, 13 and 14 are multiplied.
 */
#define EACH_SUM(code)	".irp n,0,1,2,3,4,5,6,7,8,9,10,11\n" code "\n.endr\n"
#define PASS(name, reg, code)						\
static void								\
name(void)								\
{									\
	const float value = 1.1f;	/* no byte of it is 0 */	\
	long steps = STEPS;						\
									\
	__asm__ volatile(						\
	    EACH_SUM("vpxor %%xmm\\n, %%xmm\\n, %%xmm\\n")		\
	    "vbroadcastss %1, %%" reg "13\n"				\
	    "vbroadcastss %1, %%" reg "14\n"				\
	    "1:\n"							\
	    EACH_SUM(code)						\
	    "dec %0\n"							\
	    "jnz 1b\n"							\
	    "vzeroupper\n"						\
	    : "+r"(steps) : "m"(value) : "cc", "xmm0", "xmm1", "xmm2",	\
	    "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",	\
	    "xmm10", "xmm11", "xmm12", "xmm13", "xmm14");		\
}

PASS(fp32_avx512, "zmm", "vfmadd231ps %%zmm13, %%zmm14, %%zmm\\n")
PASS(fp32_avx2, "ymm", "vfmadd231ps %%ymm13, %%ymm14, %%ymm\\n")
PASS(int8_avx512vnni, "zmm", "vpdpbusd %%zmm13, %%zmm14, %%zmm\\n")
PASS(int8_avxvnni, "ymm", "%{vex%} vpdpbusd %%ymm13, %%ymm14, %%ymm\\n")
PASS(int8_avx2, "ymm",
    "vpmaddubsw %%ymm13, %%ymm14, %%ymm12\n"
    "vpmaddwd %%ymm13, %%ymm12, %%ymm12\n"
    "vpaddd %%ymm12, %%ymm\\n, %%ymm\\n")

static const struct limit {
	const char	*kernel;
	bool		 int8;
	int		 products;	/* that a sum takes up at a time */
	void		(*pass)(void);
} limits[] = {
	{ "avx512",	false,	16,	fp32_avx512 },
	{ "avx2",	false,	8,	fp32_avx2 },
	{ "avx512vnni",	true,	64,	int8_avx512vnni },
	{ "avxvnni",	true,	32,	int8_avxvnni },
	{ "avx2",	true,	32,	int8_avx2 },
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double
measure(const struct limit *l)
{
	const double each = 2e-9 * l->products * SUMS * STEPS;
	double best = 0;

	for (int r = 0; r < ROUNDS; r++) {
		double from = now(), t;
		int n = 0;

		do {
			l->pass();
			n++;
			t = now() - from;
		} while (t < ROUND_S);
		best = n * each / t > best ? n * each / t : best;
	}
	return best;
}

int
main(void)
{
	for (size_t i = 0; i < CW_COUNT(limits); i++)
		if (cw_kernel_find(limits[i].kernel, limits[i].int8) != NULL)
			printf("%s %s %.1f\n", limits[i].int8 ? "int8" :
			    "fp32", limits[i].kernel, measure(&limits[i]));
	return 0;
}
