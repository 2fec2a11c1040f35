/*
 * strassen.h - a product of many rows, in seven eighths of its multiplications.
 *
 * Runs in: worker.  Included by fp32_strassen.h and int8_strassen.h; all
 * static.
 *
 * Strassen, "Gaussian Elimination is not Optimal" (1969): with rows a, weights
 * b and result c cut in quarters, seven products of sums do what eight products
 * of quarters would.
 *
 *	m1 = (a11 + a22)(b11 + b22)	c11 = m1 + m4 - m5 + m7
 *	m2 = (a21 + a22) b11		c12 = m3 + m5
 *	m3 = a11 (b12 - b22)		c21 = m2 + m4
 *	m4 = a22 (b21 - b11)		c22 = m1 - m2 + m3 + m6
 *	m5 = (a11 + a12) b22
 *	m6 = (a21 - a11)(b11 + b12)
 *	m7 = (a12 - a22)(b21 + b22)
 */
#ifndef CW_STRASSEN_H
#define CW_STRASSEN_H

/* With fewer rows it is not worth the additions. */
#define STRASSEN_ROWS	24
/* So many groups go through the panels together: what is theirs stays near. */
#define STRASSEN_GROUPS	8

enum strassen_quarter { Q11, Q12, Q21, Q22, QUARTERS };
/* What is multiplied of a; the last two take the place of a12, a21. */
enum strassen_sum { A11, A22, A11_A22, A21_A22, A11_A12, A12_LESS_A22,
    A21_LESS_A11, STRASSEN_SUMS };
enum strassen_with { ALONE, PLUS, MINUS };	/* b, or its sum with another */
enum strassen_how { PUT, ADD, TAKE };		/* into a tile of c */

static const struct strassen_product {
	enum strassen_sum	 a;
	enum strassen_quarter	 b, other;
	enum strassen_with	 with;
	int			 parts;		/* of c */
	struct {
		enum strassen_quarter	 c;
		enum strassen_how	 how;
	} to[2];
} strassen_products[] = {
	{ A11_A22, Q11, Q22, PLUS, 2, { { Q11, PUT }, { Q22, PUT } } },
	{ A21_A22, Q11, Q11, ALONE, 2, { { Q21, PUT }, { Q22, TAKE } } },
	{ A11, Q12, Q22, MINUS, 2, { { Q12, PUT }, { Q22, ADD } } },
	{ A22, Q21, Q11, MINUS, 2, { { Q21, ADD }, { Q11, ADD } } },
	{ A11_A12, Q22, Q22, ALONE, 2, { { Q12, ADD }, { Q11, TAKE } } },
	{ A21_LESS_A11, Q11, Q12, PLUS, 1, { { Q22, ADD } } },
	{ A12_LESS_A22, Q21, Q22, PLUS, 1, { { Q11, ADD } } },
};

/* For CW_TILES: strassen_tile of each height, and its names by strassen_with. */
#define STRASSEN_TILE(n)						\
static void								\
strassen_alone_##n(const struct strassen_tile *t)			\
{									\
	strassen_tile(n, ALONE, t);					\
}									\
static void								\
strassen_plus_##n(const struct strassen_tile *t)			\
{									\
	strassen_tile(n, PLUS, t);					\
}									\
static void								\
strassen_minus_##n(const struct strassen_tile *t)			\
{									\
	strassen_tile(n, MINUS, t);					\
}
#define STRASSEN_NAMES(n)						\
	{ strassen_alone_##n, strassen_plus_##n, strassen_minus_##n },

#endif /* CW_STRASSEN_H */
