/*
 * child_log.c - see child_log.h.
 */
#include "supervisor/child_log.h"

#include "base/io.h"
#include "base/log.h"

#define LINE_BYTES	8192u
#define LINES		50u	/* a second */
#define DROPPED_MOST	10000u

/* Is there a line left for it in this second? */
static bool
may_speak(const char *what, uint32_t number, struct cw_log_rate *rate)
{
	const uint64_t second = cw_now_ms() / 1000;

	if (second != rate->second) {
		if (rate->dropped > rate->told)
			cw_log(CW_LOG_WARNING, "%s=%u lines dropped=%u", what,
			    number, rate->dropped - rate->told);
		rate->told = rate->dropped;
		rate->second = second;
		rate->lines = 0;
	}
	if (rate->lines < LINES) {
		rate->lines++;
		return true;
	}
	rate->dropped++;
	return false;
}

enum cw_status
cw_child_log(const char *what, uint32_t number,
    struct cw_log_rate *rate, struct cw_unpack *r, struct cw_arena *scratch,
    struct cw_err *err)
{
	const uint8_t level = cw_get_u8(r);
	const char *line = cw_get_str(r, LINE_BYTES, scratch);

	if (!cw_unpack_end(r) || level < CW_LOG_ERR || level > CW_LOG_DEBUG)
		return cw_err_set(err, CW_E_FORMAT, "LOG: bad bytes");
	if (!may_speak(what, number, rate))
		return rate->dropped < DROPPED_MOST ? CW_OK : cw_err_set(err,
		    CW_E_FORMAT, "LOG: a flood of lines");
	if (number == 0)
		cw_log((enum cw_level)level, "%s %s", what, line);
	else
		cw_log((enum cw_level)level, "%s=%u %s", what, number, line);
	return CW_OK;
}
