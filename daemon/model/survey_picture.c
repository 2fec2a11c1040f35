/*
 * survey_picture.c - pictures nobody took, of what pictures are made of:
 * grounds, surfaces, stripes, and structure of every size; see survey.h.
 */
#include <math.h>
#include <stdint.h>

#include "model/survey.h"

#define CHANNELS	3
/* CLIP's pixels of 0 .. 1 are less about that, over about that. */
#define MEAN		0.45f
#define DEVIATION	0.27f
#define SURFACES	8

struct canvas {
	uint64_t	 seed;
	int		 S;
	float		*px;	/* [CHANNELS][S][S], 0 .. 1 until the end */
};

/* 0 .. 1: Vigna's splitmix64 */
static float
chance(struct canvas *c)
{
	uint64_t v = c->seed += 0x9e3779b97f4a7c15u;

	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
	v = (v ^ v >> 27) * 0x94d049bb133111ebu;
	return (float)((v ^ v >> 31) >> 40) * 0x1p-24f;
}

static int
up_to(struct canvas *c, int n)
{
	return (int)(chance(c) * (float)n);
}

static float *
line(const struct canvas *c, int channel, int y)
{
	return c->px + ((size_t)channel * (size_t)c->S + (size_t)y) *
	    (size_t)c->S;
}

/* From one colour to another, across. */
static void
ground(struct canvas *c)
{
	const float across = chance(c), down = 1 - across;

	for (int k = 0; k < CHANNELS; k++) {
		const float from = chance(c), to = chance(c);

		for (int y = 0; y < c->S; y++)
			for (int x = 0; x < c->S; x++) {
				float at = (across * (float)x + down *
				    (float)y) / (float)c->S;

				line(c, k, y)[x] = from + (to - from) * at;
			}
	}
}

static void
surfaces(struct canvas *c)
{
	for (int n = SURFACES; n > 0; n--) {
		const int left = up_to(c, c->S), top = up_to(c, c->S);
		const int w = up_to(c, c->S), h = up_to(c, c->S);

		for (int k = 0; k < CHANNELS; k++) {
			const float colour = chance(c);

			for (int y = top; y < top + h && y < c->S; y++)
				for (int x = left; x < left + w && x < c->S;
				    x++)
					line(c, k, y)[x] = colour;
		}
	}
}

static void
stripes(struct canvas *c)
{
	const float turn = 3.1416f * chance(c), often = 0.05f + 1.4f * chance(c);
	const float dx = often * cosf(turn), dy = often * sinf(turn);

	for (int k = 0; k < CHANNELS; k++) {
		const float colour = chance(c);

		for (int y = 0; y < c->S; y++)
			for (int x = 0; x < c->S; x++)
				if (sinf(dx * (float)x + dy * (float)y) > 0)
					line(c, k, y)[x] = colour;
	}
}

/* What a corner of cell (x, y) adds to channel k: the same each time asked. */
static float
corner(const struct canvas *c, int cells, int x, int y, int k)
{
	struct canvas at = *c;

	at.seed += ((uint64_t)(unsigned)cells << 40) +
	    ((uint64_t)(unsigned)y << 20) + ((uint64_t)(unsigned)x << 2) +
	    (unsigned)k;
	(void)chance(&at);
	return chance(&at) - 0.5f;
}

/* Value noise of cells each half as large and fainter than the last. */
static void
structure(struct canvas *c)
{
	const float fainter = 0.6f + 0.3f * chance(c);
	float strength = 0.6f;

	for (int cells = 2; cells <= c->S / 2; cells *= 2,
	    strength *= fainter)
		for (int k = 0; k < CHANNELS; k++)
			for (int y = 0; y < c->S; y++)
				for (int x = 0; x < c->S; x++) {
					float u = (float)(x * cells) /
					    (float)c->S;
					float v = (float)(y * cells) /
					    (float)c->S;
					int i = (int)u, j = (int)v;
					float a, b;

					u -= (float)i;
					v -= (float)j;
					a = (1 - u) * corner(c, cells, i, j, k) +
					    u * corner(c, cells, i + 1, j, k);
					b = (1 - u) * corner(c, cells, i, j + 1,
					    k) + u * corner(c, cells, i + 1,
					    j + 1, k);
					line(c, k, y)[x] += strength *
					    ((1 - v) * a + v * b);
				}
}

void
cw_survey_picture(int i, int S, float *pixels)
{
	static void (*const kinds[])(struct canvas *) = { structure, surfaces,
	    stripes, NULL };
	struct canvas c = { (uint64_t)i << 32, S, pixels };
	void (*kind)(struct canvas *) = kinds[(size_t)i % CW_COUNT(kinds)];

	ground(&c);
	if (kind != NULL)
		kind(&c);
	for (size_t p = 0; p < (size_t)(CHANNELS * S) * (size_t)S; p++)
		pixels[p] = (fmaxf(0, fminf(1, pixels[p])) - MEAN) / DEVIATION;
}
