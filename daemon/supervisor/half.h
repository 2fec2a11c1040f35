/*
 * half.h - float and its IEEE half, for vectors that are kept a long time.
 *
 * Runs in: supervisor.  Never: logs.
 */
#ifndef CW_HALF_H
#define CW_HALF_H

#include <stdint.h>
#include <string.h>

/* Nearest, ties to even; beyond 65504 infinity; NaN stays NaN. */
static inline uint16_t
cw_half_from(float f)
{
	uint32_t x, sign, mant, round;
	int32_t exp;

	memcpy(&x, &f, sizeof(x));
	sign = x >> 16 & 0x8000u;
	exp = (int32_t)(x >> 23 & 0xffu) - 127 + 15;
	mant = x & 0x7fffffu;
	if (exp >= 31) {
		if ((x & 0x7fffffffu) > 0x7f800000u)
			return (uint16_t)(sign | 0x7e00u);
		return (uint16_t)(sign | 0x7c00u);
	}
	if (exp <= 0) {			/* becomes a subnormal, or zero */
		if (exp < -10)
			return (uint16_t)sign;
		mant |= 0x800000u;
		round = (uint32_t)(14 - exp);
		exp = 0;
	} else
		round = 13;
	x = (uint32_t)exp << 10 | (exp > 0 ? mant >> 13 : mant >> round);
	mant &= (1u << round) - 1;
	if (mant > 1u << (round - 1) ||
	    (mant == 1u << (round - 1) && (x & 1) != 0))
		x++;			/* may carry into the exponent: right */
	return (uint16_t)(sign | x);
}

static inline float
cw_half_to(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exp = h >> 10 & 31;
	uint32_t mant = h & 0x3ffu, x;
	float f;

	if (exp == 31)
		x = sign | 0x7f800000u | mant << 13;
	else if (exp > 0)
		x = sign | (exp + 112) << 23 | mant << 13;
	else if (mant == 0)
		x = sign;
	else {
		exp = 113;
		while ((mant & 0x400u) == 0) {
			mant <<= 1;
			exp--;
		}
		x = sign | exp << 23 | (mant & 0x3ffu) << 13;
	}
	memcpy(&f, &x, sizeof(f));
	return f;
}

#endif /* CW_HALF_H */
