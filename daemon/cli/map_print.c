/*
 * map_print.c - see map_print.h.
 */
#include "cli/map_print.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/verdict_print.h"
#include "format/verdict.h"

#define TOP_FOR		5u	/* patches listed that argue for the flag */
#define TOP_AGAINST	3u	/* ... and against it */

void
cw_map_parts(const struct cw_map *m, struct cw_map_part out[CW_MAP_PARTS])
{
	const struct cw_map_part parts[CW_MAP_PARTS] = {
		{ "class token", m->class_token },
		{ "MLPs", m->mlp },
		{ "output biases", m->out_bias },
		{ "embedding", m->embedding },
		{ "layer norm biases", m->ln_bias },
		{ "entropy of the contrast", m->entropy },
		{ "rounding of 8-bit weights", m->rounding },
	};

	for (size_t i = 0; i < CW_MAP_PARTS; i++)
		out[i] = parts[i];
}

static int
by_value(const void *a, const void *b, void *values)
{
	const float x = ((const float *)values)[*(const uint32_t *)a];
	const float y = ((const float *)values)[*(const uint32_t *)b];

	return x < y ? 1 : x > y ? -1 : 0;
}

void
cw_map_order(const struct cw_map *m, uint32_t *out)
{
	const uint32_t n = m->gw * m->gh;

	for (uint32_t i = 0; i < n; i++)
		out[i] = i;
	qsort_r(out, n, sizeof(*out), by_value, m->values);
}

static void
print_patch(const struct cw_map *m, const struct cw_view *v, uint32_t i,
    double mass)
{
	const uint32_t col = i % m->gw, row = i / m->gw;
	const double w = (double)v->w / m->gw, h = (double)v->h / m->gh;
	const double value = (double)m->values[i];

	printf("    row %2u, column %2u  [%4.0f,%4.0f %3.0fx%-3.0f] %+9.4f",
	    row + 1, col + 1, v->x + col * w, v->y + row * h, w, h, value);
	if (value > 0 && mass > 0)
		printf("  %4.1f %%", 100 * value / mass);
	putchar('\n');
}

static void
print_patches(const struct cw_map *m, const struct cw_view *v)
{
	const uint32_t n = m->gw * m->gh;
	uint32_t order[CW_GRID_MAX * CW_GRID_MAX];
	double mass = 0;

	cw_map_order(m, order);
	for (uint32_t i = 0; i < n; i++)
		if (m->values[i] > 0)
			mass += (double)m->values[i];
	for (uint32_t i = 0; i < n && i < TOP_FOR; i++)
		if (m->values[order[i]] > 0)
			print_patch(m, v, order[i], mass);
	if (n > TOP_FOR + TOP_AGAINST)
		printf("    ...\n");
	for (uint32_t i = n > TOP_AGAINST ? n - TOP_AGAINST : 0; i < n; i++)
		if (m->values[order[i]] < 0)
			print_patch(m, v, order[i], mass);
}

static void
print_row(const char *name, double value)
{
	printf("  %-38s %+9.4f\n", name, value);
}

static void
print_sum(const struct cw_map *m)
{
	struct cw_map_part parts[CW_MAP_PARTS];
	char name[48];
	double sum = 0;

	for (uint32_t i = 0; i < m->gw * m->gh; i++)
		sum += (double)m->values[i];
	snprintf(name, sizeof(name), "all %u patches", m->gw * m->gh);
	print_row(name, sum);
	cw_map_parts(m, parts);
	for (size_t i = 0; i < CW_MAP_PARTS; i++)
		if (fabs((double)parts[i].value) >= 0.00005)
			print_row(parts[i].name, (double)parts[i].value);
	printf("  %-38s ---------\n", "");
	print_row("margin", (double)m->total);
}

static void
print_map(const struct cw_cli *cli, const struct cw_explained *e,
    const struct cw_map *m)
{
	const struct cw_view *v = &e->res->views[m->view];
	const struct cw_cat_result *r = &e->res->cats[m->category];
	const struct cw_category *c;
	const struct cw_policy *p;

	cw_policy_set_category(e->set, m->category, &p, &c);
	printf("\n%s \"%s\": score %.3f%s (review %g, block %g), %s map of "
	    "the %s view [%d,%d %dx%d]\n", c->id, c->prompts[m->prompt].text,
	    (double)r->score, r->source == CW_FROM_TEXT ?
	    " by the text; the map is the image's" : "",
	    (double)c->thresholds.review, (double)c->thresholds.block,
	    cw_method_name(m->method), cw_view_name(v->kind), v->x, v->y,
	    v->w, v->h);
	print_patches(m, v);
	if (m->method == CW_M_ADDITIVE)
		print_sum(m);
	if (m->measured)
		printf("  masking the top %u patches moves the margin by "
		    "%+.3f, random ones by %+.3f%s%s%s\n", m->masked,
		    -(double)m->drop, -(double)m->random_drop,
		    cw_map_weak(m) ? cw_tint(cli, CW_DOUBT) : "",
		    cw_map_weak(m) ? ": weak, this map says little" : "",
		    cw_map_weak(m) ? cw_tint(cli, CW_PLAIN) : "");
	for (uint32_t i = 0; i < m->nregions; i++)
		printf("  region [%d,%d %dx%d] holds %.0f %% of what argues "
		    "for it\n", m->regions[i].x, m->regions[i].y,
		    m->regions[i].w, m->regions[i].h,
		    100 * (double)m->regions[i].share);
}

void
cw_maps_print(const struct cw_cli *cli, const struct cw_explained *e)
{
	const struct cw_text_result *t = &e->res->text;
	const struct cw_category *c;
	const struct cw_policy *p;

	for (uint32_t i = 0; i < e->res->nmaps; i++)
		print_map(cli, e, &e->res->maps[i]);
	if (t->ntokens == 0)
		return;
	cw_policy_set_category(e->set, t->category, &p, &c);
	printf("\n%s, by the words of the text:\n", c->id);
	for (uint32_t i = 0; i < t->ntokens; i++)
		printf("  %-38s %+9.4f\n", t->tokens[i],
		    (double)t->values[i]);
	print_row("everything else", (double)t->remainder);
	print_row("margin", (double)t->total);
}
