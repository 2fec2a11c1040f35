/*
 * inputs.h - the files that a command line names.
 *
 * Runs in: cli.
 */
#ifndef CW_INPUTS_H
#define CW_INPUTS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "conf/config.h"

#define CW_INPUTS_MAX	4000000u

/*
 * Every path as given; a directory gives the files in it, depth first in
 * sorted order, hidden ones and symbolic links to directories left out.  A
 * path that does not exist stays: reading it will say so.  CW_E_LIMIT when
 * there are too many.
 */
CW_MUST_USE enum cw_status cw_inputs_list(const struct cw_strings *args,
    struct cw_arena *a, struct cw_strings *out, struct cw_err *err);

/* The last component of a path, safe as part of a file name. */
const char *cw_inputs_base(const char *path, struct cw_arena *a);

/* Have two of the paths the same last component? */
bool cw_inputs_clash(const struct cw_strings *paths, struct cw_arena *a);

/*
 * What files made of path are called: photo.jpg, or with full, for paths that
 * clash, holiday_photo.jpg.
 */
const char *cw_inputs_stem(const char *path, bool full, struct cw_arena *a);

/* A directory to write to; it is made if it is not there. */
CW_MUST_USE enum cw_status cw_output_dir(const char *path,
    struct cw_err *err);

/*
 * Can there be a file at path: is its folder there, and is it none itself?
 * Asked before the work.
 */
CW_MUST_USE enum cw_status cw_output_check(const char *path,
    struct cw_err *err);

/*
 * Write bytes to path, replacing a regular file as a whole.  A link stays and
 * what it names is written; a device, a pipe, or /dev/stdout is written to.
 */
CW_MUST_USE enum cw_status cw_output_file(const char *path,
    const void *bytes, size_t n, struct cw_err *err);

#endif /* CW_INPUTS_H */
