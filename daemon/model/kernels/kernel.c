/*
 * kernel.c - see kernel.h.
 */
#include "model/kernels/kernel.h"

#include <string.h>

/* Best first; a precision's last row runs anywhere. */
static const struct cw_kernel *const kernels[] = {
	&cw_fp32_avx512,
	&cw_fp32_avx2,
	&cw_fp32_openblas,
	&cw_fp32_plain,
	&cw_int8_avx512vnni,
	&cw_int8_avxvnni,
	&cw_int8_avx2,
	&cw_int8_plain
};

/* Named by one of those. */
static const struct cw_kernel *const beside[] = {
	&cw_int8_avx512vnni_many
};

static const struct cw_isa *const isas[] = {
	&cw_isa_avx512,
	&cw_isa_avx2,
	&cw_isa_plain,
	NULL
};

const struct cw_isa *
cw_isa_best(void)
{
	static const struct cw_isa *best;

	for (size_t i = 0; best == NULL; i++)
		if (isas[i]->supported())
			best = isas[i];
	return best;
}

const struct cw_kernel *
cw_kernel_find(const char *name, bool int8)
{
	for (size_t i = 0; i < CW_COUNT(kernels); i++)
		if (kernels[i]->int8 == int8 && kernels[i]->supported() &&
		    (name[0] == '\0' || strcmp(kernels[i]->name, name) == 0))
			return kernels[i];
	return NULL;
}

const struct cw_kernel *
cw_kernel_at(size_t i)
{
	if (i < CW_COUNT(kernels))
		return kernels[i];
	i -= CW_COUNT(kernels);
	return i < CW_COUNT(beside) ? beside[i] : NULL;
}

const struct cw_isa *
cw_isa_at(size_t i)
{
	return i < CW_COUNT(isas) ? isas[i] : NULL;
}
