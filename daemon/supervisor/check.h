/*
 * check.h - would the daemon start?  For clipwardd -n.
 *
 * Runs in: supervisor, instead of the daemon.
 */
#ifndef CW_CHECK_H
#define CW_CHECK_H

#include "conf/config.h"

/*
 * Read the policies, load the plugins, start one worker and give it the
 * policies.  Says on stderr what is wrong, on stdout what there is.  Returns
 * 0 or the exit code.
 */
int cw_check_all(const struct cw_config *cfg);

#endif /* CW_CHECK_H */
