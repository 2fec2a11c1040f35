/*
 * config_keys.h - a row of the table of settings.
 *
 * Private to conf/: config.c holds the table and reads files by it,
 * config_write.c prints it, config_check.c looks at settings together.
 */
#ifndef CW_CONFIG_KEYS_H
#define CW_CONFIG_KEYS_H

#include "conf/config.h"
#include "conf/yaml.h"

enum cw_key_type {
	KEY_COUNT, KEY_BYTES, KEY_MSEC, KEY_BOOL,	/* uint64_t */
	KEY_ENUM,					/* uint64_t */
	KEY_STRING,			/* const char *, at most max bytes */
	KEY_PATH,			/* const char *, resolved */
	KEY_DATA_PATH,			/* ... also looked for as installed */
	KEY_STRINGS, KEY_DATA_PATHS,	/* struct cw_strings of min..max */
	KEY_PLUGINS,			/* struct cw_plugin_conf [] */
};

#define CW_CONFIG_WORDS	16u	/* values of an enum are below this */

struct cw_config_key {
	const char		*name;	/* "section.key" or "key" */
	enum cw_key_type	 type;
	size_t			 at;	/* offset in struct cw_config */
	uint64_t		 min, max;	/* in the unit stored */
	const char		*zero;	/* word that stores 0 (of a path: itself,
					   until finish()), or NULL */
	const char		*(*word)(uint64_t v);	/* KEY_ENUM: NULL: none */
	const char		*def;	/* parsed like a value in the file */
	const char		*help;
};

const struct cw_config_key *cw_config_keys(size_t *n);

/* "1 to 256, or auto": what a key takes, for messages and the manual. */
void cw_config_key_want(const struct cw_config_key *k, char *buf, size_t size);

/* Settings that must fit each other; root says where they stand. */
CW_MUST_USE enum cw_status cw_config_check(const struct cw_config *cfg,
    const struct cw_yaml *root, struct cw_err *err);

#endif /* CW_CONFIG_KEYS_H */
