/*
 * policy_read.h - one policy's tree becomes a struct cw_policy.
 *
 * Private to conf/: policy_file.c finds files and makes sets of them,
 * policy_read.c reads one of them, policy_prompts.c its texts, policy_parts.c
 * its smaller mappings, policy_lint.c warns.
 */
#ifndef CW_POLICY_READ_H
#define CW_POLICY_READ_H

#include "conf/policy_file.h"
#include "conf/yaml.h"

#define CW_POLICY_TITLE_BYTES	1024u	/* titles, reasons */
#define CW_POLICY_TESTS_MAX	1024u

/* What reading needs on the way down, for all files of a set. */
struct cw_policy_read {
	struct cw_arena			*arena;
	const struct cw_policy_defaults	*defaults;
	struct cw_warnings		*warnings;	/* or NULL */
	struct cw_err			*err;
	size_t				 nprompts;	/* so far, of the set */
};

CW_MUST_USE enum cw_status cw_policy_read_tree(struct cw_policy_read *r,
    const struct cw_yaml *root, struct cw_policy *out);

/* ---- shared by the readers ---- */

/* Every key of map is one of keys[n]; what names the mapping. */
CW_MUST_USE enum cw_status cw_policy_known_keys(struct cw_policy_read *r,
    const struct cw_yaml *map, const char *what, const char *const *keys,
    size_t n);

/* A non-empty word of at most max bytes; n may be NULL: *out stays. */
CW_MUST_USE enum cw_status cw_policy_text(struct cw_policy_read *r,
    const struct cw_yaml *n, const char *what, size_t max, const char **out);

CW_MUST_USE enum cw_status cw_policy_prompts(struct cw_policy_read *r,
    const struct cw_yaml *list, const char *what, struct cw_prompt **out,
    size_t *count);
CW_MUST_USE enum cw_status cw_policy_templates(struct cw_policy_read *r,
    const struct cw_yaml *list, struct cw_policy *p);

enum cw_status cw_policy_no_room(struct cw_policy_read *r);

/*
 * Single values within bounds, errors saying what; n may be NULL: *out stays.
 */
CW_MUST_USE enum cw_status cw_policy_count(struct cw_policy_read *r,
    const struct cw_yaml *n, const char *what, uint32_t lo, uint32_t hi,
    uint32_t *out);
CW_MUST_USE enum cw_status cw_policy_bool(struct cw_policy_read *r,
    const struct cw_yaml *n, const char *what, bool *out);
CW_MUST_USE enum cw_status cw_policy_word(struct cw_policy_read *r,
    const struct cw_yaml *n, const char *what, int (*parse)(const char *),
    const char *want, int *out);

/* Mappings; n may be NULL: nothing is said. */
CW_MUST_USE enum cw_status cw_policy_read_reason(struct cw_policy_read *r,
    const struct cw_yaml *n, struct cw_reason *out);
/* out holds what is inherited; bits of given: 1 review, 2 block are set. */
CW_MUST_USE enum cw_status cw_policy_read_thresholds(
    struct cw_policy_read *r, const struct cw_yaml *n, double lo, double hi,
    struct cw_thresholds *out, unsigned *given);
CW_MUST_USE enum cw_status cw_policy_read_calibration(
    struct cw_policy_read *r, const struct cw_yaml *n,
    struct cw_calibration *out);
CW_MUST_USE enum cw_status cw_policy_read_explain(struct cw_policy_read *r,
    const struct cw_yaml *n, struct cw_policy *p);
CW_MUST_USE enum cw_status cw_policy_read_tests(struct cw_policy_read *r,
    const struct cw_yaml *n, struct cw_policy *p);

/* ---- warnings ---- */

/* What is unwise in a policy that is right. */
void cw_policy_lint(struct cw_policy_read *r, const struct cw_yaml *root,
    const struct cw_policy *p);

#endif /* CW_POLICY_READ_H */
