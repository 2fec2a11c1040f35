/*
 * kernel.h - the kernels there are, and what each can do.
 *
 * Runs in: worker.  Never: logs, allocates.
 *
 * A kernel multiplies rows by one weight matrix that it has packed ahead into
 * a form of its own.  An instruction set ("isa") carries what needs no
 * packing.  Both are tables; the first supported row is the best.  The names of
 * kernels for some matrices only, beside another one, are not found.
 *
 * Packed fp32: panels of N columns, each [in][N], zero-padded.
 * Packed int8: see int8_body.h.
 */
#ifndef CW_KERNEL_H
#define CW_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "model/heads.h"
#include "model/linear.h"

struct cw_isa {
	const char	*name;		/* "avx512", "avx2", "plain" */
	bool		(*supported)(void);
	/* as cw_layernorm, cw_softmax_rows, cw_gemm, cw_gemm_bt */
	void		(*layernorm)(const float *x, int rows, int W, int ldx,
			    const float *gamma, const float *beta, float eps,
			    float *y, int ldy);
	void		(*softmax)(float *p, int rows, int cols, int ld,
			    int causal_from);
	void		(*gemm)(int m, int n, int k, float alpha,
			    const float *a, int lda, const float *b, int ldb,
			    bool transposed, float *c, int ldc);
	/* y = act(t + bias) + residual, the last as far apart as y's rows */
	void		(*finish)(const float *t, int ldt, int rows, int cols,
			    const float *bias, enum cw_act act,
			    const float *residual, float *y, int ldy);
};

/* Attention in coarser numbers than float. */
struct cw_heads {
	const char	*name;		/* "avx512bf16" */
	bool		(*supported)(void);
	/* as cw_head_attend; h->p is left alone unless kept */
	void		(*attend)(const struct cw_head *h,
			    struct cw_arena *scratch);
};

struct cw_kernel {
	const char	*name;		/* "avx512", "avx512vnni", "openblas" */
	bool		 int8;
	bool		(*supported)(void);
	/* Bytes of a packed [out][in] matrix, a multiple of 64. */
	size_t		(*packed_bytes)(int in, int out);
	/*
	 * w [out][in] to dst, 64-aligned, every byte of it written.  step
	 * [out], in 8 bits: what each output's weights are counted in, or NULL
	 * for the finest that leaves none beyond `most`.
	 */
	void		(*pack)(const float *w, const float *step, int in,
			    int out, void *dst);
	int		 most;		/* steps of a weight, in 8 bits */
	/* as cw_linear_apply, by l->packed */
	void		(*apply)(const struct cw_linear *l,
			    const struct cw_input *x, float *y, int ldy,
			    enum cw_act act, const float *residual,
			    struct cw_arena *scratch);
	/* as cw_linear_apply_normed, or NULL: in two steps */
	void		(*apply_normed)(const struct cw_linear *l, float eps,
			    const struct cw_input *x, float *y, int ldy,
			    enum cw_act act, struct cw_arena *scratch);
	/* For the matrices that suffer most from this one, or NULL. */
	const struct cw_kernel *fine;
	/* Faster with many rows and coarser, or NULL: see int8_strassen.h. */
	const struct cw_kernel *many;
	/* Of such a one: is it, for pictures of so many rows? */
	bool		(*pays)(int rows, int in, int out);
	/* Attention beside it where this CPU can, or NULL: in float. */
	const struct cw_heads *heads;
};

extern const struct cw_isa cw_isa_avx512, cw_isa_avx2, cw_isa_plain;
extern const struct cw_heads cw_heads_avx512bf16;
extern const struct cw_kernel cw_fp32_avx512, cw_fp32_avx2, cw_fp32_plain;
extern const struct cw_kernel cw_fp32_openblas;
extern const struct cw_kernel cw_int8_avx512vnni, cw_int8_avxvnni;
extern const struct cw_kernel cw_int8_avx512vnni_many;
extern const struct cw_kernel cw_int8_avx2, cw_int8_plain;

/* Where part i of `parts` even ones of n rows begins. */
static inline int
cw_part(int n, int i, int parts)
{
	return (int)((int64_t)n * i / parts);
}

/* The widest instruction set this CPU has. */
const struct cw_isa *cw_isa_best(void);

/*
 * The kernel called name ("": the best) for that precision, or NULL when
 * there is none or this CPU can't run it.
 */
const struct cw_kernel *cw_kernel_find(const char *name, bool int8);

/*
 * Every kernel and instruction set, supported or not, and those that only
 * another one names; NULL past the last.
 */
const struct cw_kernel *cw_kernel_at(size_t i);
const struct cw_isa *cw_isa_at(size_t i);

#endif /* CW_KERNEL_H */
