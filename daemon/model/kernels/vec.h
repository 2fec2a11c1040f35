/*
 * vec.h - float vectors of the width a kernel file was compiled for.
 *
 * Runs in: worker.  Never: logs, allocates.
 *
 * The kernels' bodies are written once in these few words and compiled once
 * per instruction set: 16 lanes for AVX-512, 8 for AVX2, 4 of plain C.
 */
#ifndef CW_VEC_H
#define CW_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__AVX512VL__)
#include <immintrin.h>
#define CW_LANES	16
typedef __m512	vf;
typedef int32_t	vi __attribute__((vector_size(64)));
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define CW_LANES	8
typedef __m256	vf;
typedef int32_t	vi __attribute__((vector_size(32)));
#else
#define CW_LANES	4
typedef float	vf __attribute__((vector_size(16)));
typedef int32_t	vi __attribute__((vector_size(16)));
#endif

#define CW_INLINE	static inline __attribute__((always_inline))

typedef float	vf_any __attribute__((vector_size(4 * CW_LANES), aligned(4),
    may_alias));

CW_INLINE vf
vf_load(const float *p)
{
	return (vf)*(const vf_any *)p;
}

CW_INLINE void
vf_store(float *p, vf v)
{
	*(vf_any *)p = (vf_any)v;
}

CW_INLINE vf
vf_all(float x)
{
#if CW_LANES == 16
	return _mm512_set1_ps(x);
#elif CW_LANES == 8
	return _mm256_set1_ps(x);
#else
	return (vf){ x, x, x, x };
#endif
}

/* The first n lanes, 0 <= n <= CW_LANES; the others are 0 or left alone. */
CW_INLINE vf
vf_load_part(const float *p, int n)
{
#if CW_LANES == 16
	return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
	float t[CW_LANES] = { 0 };

	if (n == CW_LANES)
		return vf_load(p);
	memcpy(t, p, (size_t)n * sizeof(*p));
	return vf_load(t);
#endif
}

CW_INLINE void
vf_store_part(float *p, vf v, int n)
{
#if CW_LANES == 16
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
#else
	float t[CW_LANES];

	vf_store(t, v);
	memcpy(p, t, (size_t)n * sizeof(*p));
#endif
}

/* a * b + c */
CW_INLINE vf
vf_fma(vf a, vf b, vf c)
{
#if CW_LANES == 16
	return _mm512_fmadd_ps(a, b, c);
#elif CW_LANES == 8
	return _mm256_fmadd_ps(a, b, c);
#else
	return a * b + c;
#endif
}

/* mask is all ones or all zeros per lane, as a comparison yields it. */
CW_INLINE vf
vf_select(vi mask, vf yes, vf no)
{
	return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}

/* The larger of bound and v; a NaN in v stays one. */
CW_INLINE vf
vf_at_least(vf bound, vf v)
{
#if CW_LANES == 16
	return _mm512_max_ps(bound, v);
#elif CW_LANES == 8
	return _mm256_max_ps(bound, v);
#else
	return vf_select((vi)(bound > v), bound, v);
#endif
}

CW_INLINE vf
vf_at_most(vf bound, vf v)
{
#if CW_LANES == 16
	return _mm512_min_ps(bound, v);
#elif CW_LANES == 8
	return _mm256_min_ps(bound, v);
#else
	return vf_select((vi)(bound < v), bound, v);
#endif
}

CW_INLINE vf
vf_abs(vf v)
{
	return (vf)((vi)v & 0x7fffffff);
}

CW_INLINE float
vf_sum(vf v)
{
#if CW_LANES == 16
	return _mm512_reduce_add_ps(v);
#else
	float t = 0;

	for (int i = 0; i < CW_LANES; i++)
		t += v[i];
	return t;
#endif
}

/* Any of them if one is NaN. */
CW_INLINE float
vf_largest(vf v)
{
#if CW_LANES == 16
	return _mm512_reduce_max_ps(v);
#elif CW_LANES == 8
	__m128 t = _mm_max_ps(_mm256_castps256_ps128(v),
	    _mm256_extractf128_ps(v, 1));

	t = _mm_max_ps(t, _mm_movehl_ps(t, t));
	return _mm_cvtss_f32(_mm_max_ss(t, _mm_movehdup_ps(t)));
#else
	float t = v[0];

	for (int i = 1; i < CW_LANES; i++)
		t = t > v[i] ? t : v[i];
	return t;
#endif
}

/* Is a lane of v above that of bound? */
CW_INLINE bool
vf_any_above(vf v, vf bound)
{
#if CW_LANES == 16
	return _mm512_cmp_ps_mask(v, bound, _CMP_GT_OQ) != 0;
#elif CW_LANES == 8
	return _mm256_movemask_ps(_mm256_cmp_ps(v, bound, _CMP_GT_OQ)) != 0;
#else
	bool any = false;

	for (int i = 0; i < CW_LANES; i++)
		any = any || v[i] > bound[i];
	return any;
#endif
}

/* to [64] = the values of t [64 / CW_LANES], each of 0 to 255 */
CW_INLINE void
vi_store_bytes(uint8_t *to, const vi *t)
{
#if CW_LANES == 16
	/* packing goes by quarters of a vector, so its words are sorted last */
	const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2,
	    6, 10, 14, 3, 7, 11, 15);
	__m512i a = _mm512_packus_epi32((__m512i)t[0], (__m512i)t[1]);
	__m512i b = _mm512_packus_epi32((__m512i)t[2], (__m512i)t[3]);

	_mm512_storeu_si512(to, _mm512_permutexvar_epi32(order,
	    _mm512_packus_epi16(a, b)));
#else
	typedef uint8_t vb __attribute__((vector_size(CW_LANES), aligned(1),
	    may_alias));

	for (int j = 0; j < 64 / CW_LANES; j++)
		*(vb *)(to + j * CW_LANES) = __builtin_convertvector(t[j], vb);
#endif
}

/*
 * e to the power of v, for v clamped to [-87, 88]: 2^n * p(r) with
 * |r| <= ln 2 / 2 and p of degree 6.  Relative error below 2e-7.
 */
CW_INLINE vf
vf_exp(vf v)
{
	/* adding 1.5 * 2^23 leaves the nearest integer in the low bits */
	const vf magic = vf_all(0x1.8p23f);
	vf t, n, r, p;

	v = vf_at_most(vf_all(88), vf_at_least(vf_all(-87), v));
	t = vf_fma(v, vf_all(0x1.715476p0f), magic);
	n = t - magic;
	r = vf_fma(n, vf_all(-0x1.62e4p-1f), v);	/* ln 2, its first bits */
	r = vf_fma(n, vf_all(-0x1.7f7d1cp-20f), r);	/* and the rest */
	p = vf_fma(vf_all(1.3933643e-3f), r, vf_all(8.363175e-3f));
	p = vf_fma(p, r, vf_all(4.1666467e-2f));
	p = vf_fma(p, r, vf_all(1.6666576e-1f));
	p = vf_fma(p, r, vf_all(0.5f));
	p = vf_fma(p, r * r, r) + vf_all(1);
	return p * (vf)(((vi)t - (vi)magic + 127) << 23);
}

/* 1 / v for v from 1 to 2^126, to 2e-7 of it. */
CW_INLINE vf
vf_reciprocal(vf v)
{
#if CW_LANES == 16
	vf r = _mm512_rcp14_ps(v);

	return _mm512_fmadd_ps(_mm512_fnmadd_ps(v, r, vf_all(1)), r, r);
#else
	return vf_all(1) / v;
#endif
}

/* v, its magnitude at most bound; a NaN may become bound. */
CW_INLINE vf
vf_within(vf bound, vf v)
{
#if CW_LANES == 16
	return _mm512_range_ps(v, bound, 2);
#else
	return vf_at_most(bound, vf_at_least(-bound, v));
#endif
}

/*
 * v / (1 + e^(-1.702 v)): e^(-1.702 v) is 2^(n + f), |f| <= 1/2, with a
 * polynomial for 2^f whose exponent n is added to.  Past |v| = 51 nothing
 * changes any more.
 */
CW_INLINE vf
vf_quick_gelu(vf v)
{
	const vf magic = vf_all(0x1.8p23f), c = vf_all(-2.45546696f);
	vf w = vf_within(vf_all(51), v);
	vf t = vf_fma(w, c, magic);
	vf f = vf_fma(w, c, magic - t);
	vf p;

	p = vf_fma(vf_all(1.327647e-3f), f, vf_all(9.675541e-3f));
	p = vf_fma(p, f, vf_all(5.5507135e-2f));
	p = vf_fma(p, f, vf_all(0.2402212f));
	p = vf_fma(p, f, vf_all(0.69314694f));
	p = vf_fma(p, f, vf_all(1));
	p = (vf)((vi)p + ((vi)t << 23));
	return v * vf_reciprocal(vf_all(1) + p);
}

/*
 * The same; with AVX-512 to 2e-4 of it, for a product that 8 bits round to
 * more.  With the others 7 bits leave no room for that.
 */
CW_INLINE vf
vf_quick_gelu_coarse(vf v)
{
#if CW_LANES == 16
	const vf magic = vf_all(0x1.8p23f), c = vf_all(-2.45546696f);
	vf w = vf_within(vf_all(51), v);
	vf t = vf_fma(w, c, magic);
	vf f = vf_fma(w, c, magic - t);
	vf p;

	p = vf_fma(vf_all(0.055171669f), f, vf_all(0.24261114f));
	p = vf_fma(p, f, vf_all(0.69326097f));
	p = vf_fma(p, f, vf_all(0.99992806f));
	p = (vf)((vi)p + ((vi)t << 23)) + vf_all(1);
	return v * (vf)_mm512_rcp14_ps(p);
#else
	return vf_quick_gelu(v);
#endif
}

/*
 * The error function: an odd polynomial below 0.93, 1 - exp(-q(|v|)) above.
 * Absolute error below 2e-7.
 */
CW_INLINE vf
vf_erf(vf v)
{
	vf t = vf_abs(v), s = v * v, p, q;

	p = vf_fma(vf_all(-5.9721025e-4f), s, vf_all(4.9899444e-3f));
	p = vf_fma(p, s, vf_all(-2.6764784e-2f));
	p = vf_fma(p, s, vf_all(1.1281779e-1f));
	p = vf_fma(p, s, vf_all(-3.7612492e-1f));
	p = vf_fma(p, s, vf_all(1.2837915e-1f));
	p = vf_fma(p, v, v);
	q = vf_at_most(vf_all(3.95f), t);
	s = vf_fma(vf_all(-1.9380968e-4f), q, vf_all(3.0224656e-3f));
	s = vf_fma(s, q, vf_all(-2.2144714e-2f));
	s = vf_fma(s, q, vf_all(1.0376222e-1f));
	s = vf_fma(s, q, vf_all(6.3737386e-1f));
	s = vf_fma(s, q, vf_all(1.1275628f));
	s = vf_fma(s, q, vf_all(2.227898e-4f));
	q = vf_all(1) - vf_exp(-s);
	q = (vf)((vi)q | ((vi)v & INT32_MIN));
	return vf_select((vi)(t > vf_all(0.93f)), q, p);
}

#endif /* CW_VEC_H */
