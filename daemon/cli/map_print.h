/*
 * map_print.h - a map as a table that adds up.
 *
 * Runs in: cli.
 */
#ifndef CW_MAP_PRINT_H
#define CW_MAP_PRINT_H

#include "cli/explain_run.h"

/* Every map of the result, and the words of its text. */
void cw_maps_print(const struct cw_cli *cli, const struct cw_explained *e);

/* What remains beside the patches, one row each; for table and page. */
struct cw_map_part {
	const char	*name;
	float		 value;
};
#define CW_MAP_PARTS	7u
void cw_map_parts(const struct cw_map *m,
    struct cw_map_part out[CW_MAP_PARTS]);

/* Indices of the patches, the largest value first; out is [gw * gh]. */
void cw_map_order(const struct cw_map *m, uint32_t *out);

#endif /* CW_MAP_PRINT_H */
