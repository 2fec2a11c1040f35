/*
 * child_log.c - see child_log.h.
 */
#include "supervisor/child_log.h"

#include "base/log.h"

#define LINE_BYTES	8192u

enum cw_status
cw_child_log(const char *what, uint32_t number, struct cw_unpack *r,
    struct cw_arena *scratch, struct cw_err *err)
{
	const uint8_t level = cw_get_u8(r);
	const char *line = cw_get_str(r, LINE_BYTES, scratch);

	if (!cw_unpack_end(r) || level < CW_LOG_ERR || level > CW_LOG_DEBUG)
		return cw_err_set(err, CW_E_FORMAT, "LOG: bad bytes");
	if (number == 0)
		cw_log((enum cw_level)level, "%s %s", what, line);
	else
		cw_log((enum cw_level)level, "%s=%u %s", what, number, line);
	return CW_OK;
}
