/*
 * image.h - from bytes of a stranger to the numbers a tower takes.
 *
 * Runs in: worker, inside its sandbox.  Never: logs, touches a descriptor.
 *
 * decode.c	bytes -> struct cw_image, EXIF-turned, within limits
 * views.c	which squares of it are looked at
 * preprocess.c	one square -> [3][S][S], as the reference does it
 */
#ifndef CW_IMAGE_H
#define CW_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "format/result.h"
#include "format/worker_msg.h"
#include "model/model.h"

struct cw_image {
	const char	*format;	/* "jpeg", "png" ...; static storage */
	int		 width, height;	/* of the original, after EXIF turning */
	int		 frames;	/* in the file; 1 for a still */
	int		 w, h;		/* of rgb: smaller when decoded scaled */
	uint8_t		*rgb;		/* [h][w][3], arena */
	uint8_t		*alpha;		/* [h][w] or NULL when opaque, arena */
};

/*
 * Decode one image.
 *
 *	want	short side that will be needed, pixels: a JPEG may be decoded
 *		scaled down to no less than twice that; 0: full size.
 *	code	on failure, why in one word: "truncated", "corrupt",
 *		"too_large", "too_many_pixels", "too_many_scans", "too_slow",
 *		"unknown_format", "unsupported"; static storage.
 *
 * Every limit is checked from the header, before memory is taken, and the CPU
 * time between rows: the sandbox has to let clock_gettime through (the CPU
 * clock is a real system call).  A file that ends early is an error, never a
 * half-grey picture.  CW_E_FORMAT, CW_E_LIMIT or CW_E_UNSUPPORTED by code.
 */
CW_MUST_USE enum cw_status cw_decode(const uint8_t *bytes, size_t n,
    const struct cw_limits *limits, int want, struct cw_arena *a,
    struct cw_image *out, const char **code, struct cw_err *err);

/*
 * The same for animations: the first frame and others spread evenly up to the
 * last, at most max_frames (and limits->frames) of them, each as a viewer
 * would show it.  *frames is [*nframes] in the arena; a still has one.
 */
CW_MUST_USE enum cw_status cw_decode_frames(const uint8_t *bytes, size_t n,
    const struct cw_limits *limits, int want, uint32_t max_frames,
    struct cw_arena *a, struct cw_image **frames, int *nframes,
    const char **code, struct cw_err *err);

/*
 * Which squares to look at, in order.  CENTER is the reference's view.  AUTO
 * begins with it and adds whole where more than a 32nd of the short side is
 * hidden at either end, or cover where the long side is more than 1.3 times
 * the short one.  Returns how many views: of at most `squares` squares (1 to
 * CW_SQUARES_MAX), each on all the image's grounds.  Where there is room for
 * one square AUTO is whole or a cover of one.  Every pixel is in one of them
 * for WHOLE, COVER and, but for those margins, AUTO.
 */
#define CW_SQUARES_MAX	9	/* no shape has more */
int cw_views_plan(enum cw_views mode, const struct cw_image *im, int squares,
    struct cw_view out[CW_VIEWS_MAX]);

/* Views of a square: with alpha as stored, on white and on black; else one. */
int cw_views_grounds(const struct cw_image *im);

/*
 * How many of an animation's n frames (1 or more) there is room to look at,
 * each on all its grounds, and squares of each; and which of them look number
 * i is: the first and the last, the others evenly between.
 */
int cw_views_share(const struct cw_image *frames, int n, int *squares);
int cw_views_frame(int i, int looks, int n);

/*
 * One view -> pixels [3][S][S], normalised.  For CENTER on a full-size decode
 * this is bit for bit the reference: antialiased bicubic of the short side
 * (two passes, 8 bit between them), crop, normalise.
 */
CW_MUST_USE enum cw_status cw_preprocess(const struct cw_image *im,
    const struct cw_view *view, const struct cw_pixel_rule *rule, int S,
    struct cw_arena *scratch, float *pixels, struct cw_err *err);

/* The same, before normalisation: [S][S][3]; for tests and for drawing. */
CW_MUST_USE enum cw_status cw_preprocess_u8(const struct cw_image *im,
    const struct cw_view *view, int short_side, int crop,
    struct cw_arena *scratch, uint8_t *rgb, struct cw_err *err);

/* ---- decoder plugins (plugin.c) ---- */

/*
 * dlopen a plugin and register it; before the sandbox.  CW_E_ABI says what
 * its descriptor has wrong.
 */
CW_MUST_USE enum cw_status cw_plugin_load(const char *path,
    struct cw_err *err);
const char *cw_plugin_names(void);	/* "png webp", static storage */

/* ---- pictures for people ---- */

/*
 * Overlay of a map on the picture, as PNG bytes in the arena: orange speaks
 * for the flag, blue against it, none is zero; the same colour is the same
 * amount in every picture of a model, and a legend says which.  What the view
 * did not see is hatched, the map's regions (or its strongest patches) are
 * outlined.  Below: the caption (UTF-8, may hold newlines; say what was asked
 * and against what threshold), and the map's sum, remainder and total, which
 * are drawn from the map itself.  im may be decoded scaled.
 */
CW_MUST_USE enum cw_status cw_overlay_png(const struct cw_image *im,
    const struct cw_view *view, const struct cw_map *map,
    const char *caption, struct cw_arena *a, uint8_t **png, size_t *n,
    struct cw_err *err);

/* What is to be hidden, in pixels of the original. */
struct cw_hide {
	const struct cw_region	*region;
	int			 n;
	int			 flat;	/* so many of the last: one grey */
	bool			 others;	/* all but the regions */
};

/*
 * That made unreadable: a mosaic of at most CW_REDACT_CELLS averages a side,
 * softened, from which nothing finer can be recovered; or nothing but grey.
 * JPEG in, JPEG out, everything else PNG; no metadata, no thumbnail, and what
 * was transparent there becomes opaque.  Decode with want 0: the result is as
 * large as im->rgb.  CW_E_LIMIT when the arena is too small (it takes twice
 * the picture).
 */
#define CW_REDACT_CELLS	8
CW_MUST_USE enum cw_status cw_redact(const struct cw_image *im,
    const struct cw_hide *hide, struct cw_arena *a, uint8_t **out, size_t *n,
    struct cw_err *err);

/* The same as pixels beside im, in the arena, and not as a file. */
CW_MUST_USE enum cw_status cw_redact_picture(const struct cw_image *im,
    const struct cw_hide *hide, struct cw_arena *a, struct cw_image *out,
    struct cw_err *err);

#endif /* CW_IMAGE_H */
