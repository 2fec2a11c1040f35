/*
 * lookup.h - tensors by name and shape, the first failure kept.
 *
 * Runs in: worker, at start.  Never: logs.  Private to the loaders.
 *
 * Look up freely: after a failure every call returns NULL (or an empty
 * struct) and st keeps the first status, whose text is in err.
 */
#ifndef CW_LOOKUP_H
#define CW_LOOKUP_H

#include <stdbool.h>

#include "model/linear.h"
#include "model/safetensors.h"
#include "model/weights.h"

#define CW_NAME_MAX	128	/* bytes of a tensor's name, with the NUL */

struct cw_lookup {
	const struct cw_safetensors	*file;
	struct cw_arena			*a;
	enum cw_status			 st;
	struct cw_err			*err;
};

bool cw_lookup_has(const struct cw_lookup *l, const char *prefix,
    const char *name);

/*
 * The values of tensor prefix.name, whose shape must be the ndim numbers of
 * shape (a dimension of -1: any).  Mapped when possible, else widened.
 */
const float *cw_lookup_values(struct cw_lookup *l, const char *prefix,
    const char *name, int ndim, const int64_t *shape);

const float *cw_lookup_vector(struct cw_lookup *l, const char *prefix,
    const char *name, int n);
const float *cw_lookup_matrix(struct cw_lookup *l, const char *prefix,
    const char *name, int rows, int cols);
/* A matrix stored [cols][rows], turned in the arena. */
const float *cw_lookup_turned(struct cw_lookup *l, const char *prefix,
    const char *name, int rows, int cols);

/* prefix.name.weight [out][in] and, when bias, prefix.name.bias [out]. */
struct cw_linear cw_lookup_linear(struct cw_lookup *l, const char *prefix,
    const char *name, int in, int out, bool bias);
struct cw_norm cw_lookup_norm(struct cw_lookup *l, const char *prefix,
    const char *name, int n);

/* weights_resnet.c: the image tower of a ResNet, batch norms folded. */
void cw_resnet_load(struct cw_lookup *l, const struct cw_model_config *c,
    struct cw_resnet_weights *out);

#endif /* CW_LOOKUP_H */
