/*
 * float_text.c - see float_text.h.
 *
 * A float is m * 2^e with m of 24 bits.  Its first seven digits are the whole
 * number next to m * 2^e * 10^p for the p that makes it one of seven digits,
 * and m * 5^p is exact in 128 bits for every float there is: for the smallest
 * p is 51, and 5^51 has 119 bits where m has 1.  For cosines and scores it is
 * exact in 64, and a verdict of 5,000 prompts holds 10,000 of them.
 */
#include "format/float_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DIGITS	7		/* a float has no more to say */
#define SEVEN	10000000u	/* the first number of more digits */

__extension__ typedef unsigned __int128 wide;

/* 5^0 ... 5^27; a higher power is the product of two. */
#define FIVES	28
static const uint64_t fives[FIVES] = {
	1u, 5u, 25u, 125u, 625u, 3125u, 15625u, 78125u, 390625u, 1953125u,
	9765625u, 48828125u, 244140625u, 1220703125u, 6103515625u,
	30517578125u, 152587890625u, 762939453125u, 3814697265625u,
	19073486328125u, 95367431640625u, 476837158203125u,
	2384185791015625u, 11920928955078125u, 59604644775390625u,
	298023223876953125u, 1490116119384765625u, 7450580596923828125u,
};
#define FIVES_OF_64	17	/* 24 bits times this power are 64 at most */

/* The floats next to powers of ten, as near as a rounding of seven digits. */
#define LOWEST_TEN	(-11)
static const float tens[] = {
	1e-11f, 1e-10f, 1e-9f, 1e-8f, 1e-7f, 1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f,
	1e-1f, 1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f,
};
#define HIGHEST_TEN	(LOWEST_TEN + (int)(sizeof(tens) / sizeof(*tens)) - 1)

static wide
times_five(uint64_t m, int power)
{
	const int low = power < FIVES ? power : FIVES - 1;

	return (wide)m * fives[low] * fives[power - low];
}

/* q, or q + 1 where the rest of it says so: ties go to the even one. */
static uint32_t
rounded(wide q, wide rest, wide whole)
{
	const wide twice = 2 * rest;
	const bool up = twice > whole || (twice == whole && (q & 1) != 0);

	return (uint32_t)q + up;
}

/* m * 2^e * 10^(6 - k) as a whole number. */
static uint32_t
digits_at(uint32_t m, int e, int k)
{
	const int p = DIGITS - 1 - k, shift = e + p;
	wide v, one;

	if (p >= 0 && p <= FIVES_OF_64 && shift < 0 && shift > -64) {
		const uint64_t x = m * fives[p], half = 1ull << (-shift - 1);

		return (uint32_t)((x + half - 1 + (x >> -shift & 1)) >> -shift);
	}
	if (p < 0) {
		one = times_five(1, -p) << -p;
		v = (wide)m << e;
		return rounded(v / one, v % one, one);
	}
	v = times_five(m, p);
	if (shift >= 0)
		return (uint32_t)(v << shift);
	one = (wide)1 << -shift;
	return rounded(v >> -shift, v & (one - 1), one);
}

/* The seven digits of v > 0; v is d.dddddd * 10^*k. */
static uint32_t
seven_digits(float v, int *k)
{
	uint32_t bits, m, digits;
	int e;

	memcpy(&bits, &v, sizeof(bits));
	m = bits & 0x7fffffu;
	e = (int)(bits >> 23 & 0xff);
	if (e == 0)
		e = 1;
	else
		m |= 0x800000u;
	e -= 150;
	/* floor(log10 of the highest bit): right, or one too low. */
	*k = ((e + 31 - __builtin_clz(m)) * 1233) >> 12;
	if (*k + 1 >= LOWEST_TEN && *k + 1 <= HIGHEST_TEN)
		*k += v >= tens[*k + 1 - LOWEST_TEN];
	while ((digits = digits_at(m, e, *k)) >= SEVEN)
		++*k;
	return digits;
}

/*
 * Seven digits, one a byte and the first the lowest, by dividing all parts at
 * once: into halves of four, those into pairs, the pairs into digits.
 */
static uint64_t
spread(uint32_t digits)
{
	const uint32_t x = 10 * digits;
	uint64_t v = x / 10000 | (uint64_t)(x % 10000) << 32, high;

	high = (v * 10486 >> 20) & 0x0000007f0000007fu;
	v = high | (v - 100 * high) << 16;
	high = (v * 103 >> 10) & 0x000f000f000f000fu;
	return high | (v - 10 * high) << 8;
}

/* n characters of d.ddd at p, with the point after the first `whole`. */
static char *
put_digits(char *p, const char *d, int n, int whole)
{
	for (int i = 0; i < n || i <= whole; i++) {
		if (i == whole)
			*p++ = '.';
		*p++ = i < n ? d[i] : '0';
	}
	return p;
}

static char *
put_exponent(char *p, const char *d, int n, int k)
{
	*p++ = d[0];
	if (n > 1) {
		*p++ = '.';
		memcpy(p, d + 1, (size_t)n - 1);
		p += n - 1;
	}
	*p++ = 'e';
	if (k < 0)
		*p++ = '-';
	k = k < 0 ? -k : k;
	if (k >= 10)
		*p++ = (char)('0' + k / 10);
	*p++ = (char)('0' + k % 10);
	return p;
}

char *
cw_float_text(char *p, float v)
{
	char d[8];
	uint64_t each, text;
	int k, n;

	if (!isfinite(v)) {
		memcpy(p, "null", 4);
		return p + 4;
	}
	*p = '-';
	p += signbit(v) != 0;
	if (v == 0) {
		memcpy(p, "0.0", 3);
		return p + 3;
	}
	each = spread(seven_digits(fabsf(v), &k));
	n = 8 - __builtin_clzll(each) / 8;	/* without zeros at the end */
	text = each | 0x3030303030303030u;
	memcpy(d, &text, sizeof(d));
	if (k < -4 || k >= DIGITS)
		return put_exponent(p, d, n, k);
	if (k >= 0)
		return put_digits(p, d, n, k + 1);
	memcpy(p, "0.000", 5);
	p += 1 - k;
	memcpy(p, &text, sizeof(text));	/* one move; n of them count */
	return p + n;
}
