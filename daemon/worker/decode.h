/*
 * decode.h - between decode.c, jpeg.c and plugin.c: one image being decoded.
 *
 * Runs in: worker.  Never: logs.
 */
#ifndef CW_DECODE_H
#define CW_DECODE_H

#include "worker/image.h"

struct cw_decoding {
	const uint8_t	*bytes;		/* borrowed */
	size_t		 n;
	const struct cw_limits *limits;	/* borrowed */
	int		 want;		/* as for cw_decode */
	uint32_t	 want_frames;	/* at most so many, >= 1 */
	uint64_t	 cpu_end_us;	/* cw_decode_expired after this */
	struct cw_arena	*a;
	const char	**code;
	struct cw_err	*err;
};

/* Is the CPU time of this image used up?  Costs one clock_gettime. */
bool cw_decode_expired(const struct cw_decoding *d);

/* Set code (static storage) and text; returns the status code stands for. */
enum cw_status cw_decode_fail(const struct cw_decoding *d, const char *code,
    const char *fmt, ...) CW_PRINTF(3, 4);

/* The bounds every format has, from its header: sides, pixels, bytes taken. */
CW_MUST_USE enum cw_status cw_decode_check(const struct cw_decoding *d,
    uint64_t width, uint64_t height, uint64_t bytes);

/* jpeg.c; bytes begin with FF D8 FF. */
CW_MUST_USE enum cw_status cw_jpeg_decode(const struct cw_decoding *d,
    struct cw_image *out);

/*
 * plugin.c: by the first registered decoder that says the bytes are its own;
 * CW_E_NOT_FOUND (code and err untouched) when none does.
 * *frames: [*nframes] in the arena.
 */
CW_MUST_USE enum cw_status cw_plugin_decode(const struct cw_decoding *d,
    struct cw_image **frames, int *nframes);

#endif /* CW_DECODE_H */
