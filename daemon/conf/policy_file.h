/*
 * policy_file.h - policy YAML files become one struct cw_policy_set.
 *
 * Runs in: supervisor, cli.  Never: logs, exits.
 *
 * A wrong file gives "file:line:col: what; want what", with the nearest known
 * key where a key is unknown.  What is not wrong but unwise is a warning.
 */
#ifndef CW_POLICY_FILE_H
#define CW_POLICY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "conf/config.h"
#include "format/policy.h"
#include "format/worker_msg.h"

#define CW_POLICY_FILE_BYTES	(1u << 20)
#define CW_WARNINGS_MAX		64u
#define CW_POLICY_ARENA		(64u << 20)	/* enough for any set */

/* What a policy gets where its file does not say. */
struct cw_policy_defaults {
	enum cw_when	 explain_when;
	uint32_t	 explain_top;
};

struct cw_warnings {
	const char	*text[CW_WARNINGS_MAX];	/* "file:line:col: ...", arena */
	size_t		 n, dropped;		/* dropped: beyond the maximum */
};

/*
 * Read every path: a file, or a directory whose *.yaml are taken in sorted
 * order, and *.yml (hidden ones not).  The set and all it points to land in the arena;
 * generation is left 0.  warnings and defaults may be NULL.
 * CW_E_CONFIG, CW_E_NOT_FOUND, CW_E_SYSTEM, CW_E_LIMIT.
 */
CW_MUST_USE enum cw_status cw_policy_files_read(
    const struct cw_strings *paths, const struct cw_policy_defaults *defaults,
    struct cw_arena *a, struct cw_policy_set *out,
    struct cw_warnings *warnings, struct cw_err *err);

/* A set of one policy from bytes; name stands for the file in messages. */
CW_MUST_USE enum cw_status cw_policy_bytes_read(const char *name,
    const char *bytes, size_t len, const struct cw_policy_defaults *defaults,
    struct cw_arena *a, struct cw_policy_set *out,
    struct cw_warnings *warnings, struct cw_err *err);

/* The path of a test's image: beside the policy's file, unless absolute. */
const char *cw_policy_test_path(const struct cw_policy *p,
    const struct cw_policy_test *t, struct cw_arena *a);
/*
 * Are the images of all tests there?  Reading does not ask: only who is to
 * run them does.  CW_E_CONFIG with the place of the first that is not.
 */
CW_MUST_USE enum cw_status cw_policy_set_find_tests(
    const struct cw_policy_set *set, struct cw_arena *a, struct cw_err *err);

/* Warn of calibrations that belong to a model other than sha256. */
void cw_policy_set_lint_model(const struct cw_policy_set *set,
    const char *sha256, struct cw_arena *a, struct cw_warnings *warnings);

/*
 * Warn of the prompts, with `neutral` of neutral ones too, whose ends a
 * worker's model does not read.
 */
void cw_policy_set_lint_long(const struct cw_policy_set *set, bool neutral,
    const struct cw_policy_done *done, struct cw_arena *a,
    struct cw_warnings *warnings);

#endif /* CW_POLICY_FILE_H */
