/*
 * safetensors.h - the weight files of a model, mapped read-only.
 *
 * Runs in: worker, at start.  Never: logs.
 *
 *	u64 little-endian n | n bytes of JSON | tensor bytes
 *	{"name": {"dtype": "F32", "shape": [..], "data_offsets": [from, to]}}
 *
 * The tensors tile the bytes after the header: no hole, no overlap, nothing
 * behind.  Every span, shape and product is checked before a pointer is made;
 * processes that map the same file share its pages.
 */
#ifndef CW_SAFETENSORS_H
#define CW_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "base/status.h"
#include "model/stamp.h"

#define CW_TENSOR_DIMS	8	/* CLIP needs 4 */

enum cw_dtype { CW_F32, CW_F16, CW_BF16, CW_DTYPE_OTHER };

struct cw_tensor {
	const char		*name;
	const char		*file;		/* for messages */
	const char		*dtype_name;	/* as stored, "I64" ... */
	enum cw_dtype		 dtype;
	int			 ndim;
	int64_t			 shape[CW_TENSOR_DIMS];
	size_t			 count;		/* product of the shape */
	const unsigned char	*data;		/* mapped; any alignment */
};

struct cw_safetensors {
	const char		*what;		/* file or index, for messages */
	struct cw_bytes		*files;		/* [nfiles] whole mappings */
	struct cw_stamp_id	*ids;		/* [nfiles] as they were then */
	size_t			 nfiles;
	struct cw_tensor	*tensors;	/* [ntensors] sorted by name */
	size_t			 ntensors;
};

/*
 * Map model.safetensors, the shards of model.safetensors.index.json, or
 * open_clip_model.safetensors of the directory.  CW_E_MODEL names file,
 * tensor and what was wanted; for a pickle it says how to convert it.
 * Tables go to a; owned: cw_safetensors_close.
 */
CW_MUST_USE enum cw_status cw_safetensors_open(int dirfd, const char *dir,
    struct cw_arena *a, struct cw_safetensors *out, struct cw_err *err);
/* One named file of the directory. */
CW_MUST_USE enum cw_status cw_safetensors_open_file(int dirfd,
    const char *dir, const char *name, struct cw_arena *a,
    struct cw_safetensors *out, struct cw_err *err);
void cw_safetensors_close(struct cw_safetensors *st);
/* Give back the pages read so far; those touched later come again. */
void cw_safetensors_rest(const struct cw_safetensors *st);

/* NULL when there is none of that name. */
const struct cw_tensor *cw_safetensors_find(const struct cw_safetensors *st,
    const char *name);

/* Write the tensor's count values as float32; dtype F32, F16 or BF16. */
void cw_tensor_widen(const struct cw_tensor *t, float *out);

#endif /* CW_SAFETENSORS_H */
