/*
 * explain_run.h - images explained one after another, with their pictures.
 *
 * Runs in: cli.  For the commands explain and redact.
 */
#ifndef CW_EXPLAIN_RUN_H
#define CW_EXPLAIN_RUN_H

#include "cli/local.h"

#define CW_PICTURES_MAX	192u

struct cw_picture {		/* an ARTIFACT frame, copied */
	enum cw_artifact	 kind;
	const char		*name;	/* a category's id, "redacted" */
	const void		*bytes;	/* [n] */
	size_t			 n;
};

/* Everything about one image, borrowed for the call. */
struct cw_explained {
	size_t				 index, total;	/* of the files */
	const char			*path;		/* as given, cleaned */
	const void			*image;		/* [nimage] as read */
	size_t				 nimage;
	const struct cw_policy_set	*set;
	const struct cw_result		*res;
	const char			*json;		/* the verdict */
	const struct cw_picture		*pictures;	/* [npictures] */
	size_t				 npictures;
};

struct cw_explain_run {
	struct cw_cli		*cli;
	struct cw_local		 local;
	const char		*prompt;	/* ad hoc, or NULL */
	struct cw_strings	 neutral;	/* for it; none: everyday scenes */
	const char		*policy;	/* id, file or directory; NULL: all */
	const char		*text;		/* beside the images, or NULL */
	const char		*method;	/* or NULL */
	bool			 faithfulness;
	bool			 always;	/* maps of what is not flagged, too */
	bool			 all;		/* every map made, not the chosen */
	uint32_t		 artifacts;
	/* Returns CW_GO_ON, or the status to end with. */
	int			(*each)(void *payload,
				    const struct cw_explained *e);
	void			*payload;
};

/* Rows for a command's table. */
#define CW_OPT_EXPLAIN(r)						\
	{ "prompt", 0, OPT_TEXT, &(r)->prompt, "TEXT",			\
	    "take TEXT in place of the policies", 0, 0 },			\
	{ "neutral", 0, OPT_LIST, &(r)->neutral, "TEXT",		\
	    "... against this one; may be repeated", 0, 0 },		\
	{ "policy", 0, OPT_TEXT, &(r)->policy, "P",			\
	    "a policy's id, file or directory (default: all)", 0, 0 }

/*
 * Explain the files, in order, one at a time.  Returns 0, 1 when something
 * was flagged, 2 for an error.
 */
int cw_explain_files(struct cw_explain_run *r, const struct cw_strings *args);

#endif /* CW_EXPLAIN_RUN_H */
