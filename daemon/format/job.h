/*
 * job.h - one image to be scored, and how.
 *
 * Runs in: everywhere.  Never: logs.
 *
 * The gate makes it from a SUBMIT message (cw_job_from_json), the supervisor
 * stores it and hands it to a worker, the CLI makes it from a file.
 */
#ifndef CW_JOB_H
#define CW_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "base/status.h"
#include "format/pack.h"
#include "format/policy.h"

#define CW_JOB_ID_BYTES		128u	/* of a job's id; [A-Za-z0-9._:-]+ */
#define CW_JOB_TEXT_BYTES	8192u	/* context.text */
#define CW_JOB_JSON_BYTES	16384u	/* header frame of a message */
#define CW_EMBED_MAX		2048u	/* widest embedding we know */
#define CW_VIEWS_MAX		32u	/* views of one image, all frames */

enum cw_priority { CW_INTERACTIVE, CW_BULK, CW_PRIORITIES };

/* What else to make of a job, beside its verdict. */
enum cw_artifact {
	CW_ART_OVERLAY = 1u,	/* PNG: map on the picture, per fired category */
	CW_ART_REDACTED = 2u,	/* the picture with the guilty regions blurred */
	CW_ART_INVERTED = 4u,	/* ... or everything else */
	CW_ART_CURVES = 8u,	/* PNG: insertion and deletion curves */
};
#define CW_ARTIFACT_BYTES	(32u << 20)	/* of one; a larger is not made */
const char *cw_artifact_name(uint32_t kind);	/* NULL for none of them */

/* How a map is made; the rivals are there for comparison. */
enum cw_method { CW_M_ADDITIVE, CW_M_RAW, CW_M_ROLLOUT, CW_M_SIMILARITY, CW_METHODS };
const char *cw_method_name(enum cw_method m);
int cw_method_parse(const char *s);		/* -1 when none */

struct cw_job {
	const char	*id;		/* the sender's, unique; idempotency key */
	char		 sha256[CW_SHA256_HEX];	/* "" or of the image bytes */
	const char	*text;		/* context: caption, comment; "" */
	const char	*surface, *uploader;	/* context, "" */
	const char	**policies;	/* [npolicies] ids; none means all */
	size_t		 npolicies;
	enum cw_when	 explain;
	bool		 explain_set;	/* else the policy's own `when` rules */
	enum cw_method	 method;	/* of its maps; not in a SUBMIT header */
	bool		 faithfulness;	/* measure its maps, whatever the policy */
	uint32_t	 deadline_ms;	/* 0: none; from reception */
	enum cw_priority priority;
	uint32_t	 artifacts;	/* enum cw_artifact, or-ed */
	const uint8_t	*image;		/* [nimage] encoded bytes, borrowed */
	size_t		 nimage;
	/* instead of image bytes: stored embeddings of its views, unit length */
	const float	*embeds;	/* [nviews][embed] or NULL */
	size_t		 nembeds;	/* floats */
};

/* Is s a valid job id? */
bool cw_job_id_valid(const char *s);

/*
 * Header of a SUBMIT message -> job, image excluded.  Every string lands in
 * the arena.  An unknown key, a wrong type or a value out of range gives
 * CW_E_FORMAT and says which; an absent id is left NULL.
 */
CW_MUST_USE enum cw_status cw_job_from_json(const char *json, size_t len,
    struct cw_arena *a, struct cw_job *out, struct cw_err *err);

void cw_job_pack(const struct cw_job *j, struct cw_pack *w);
/* The image bytes are borrowed from the input. */
CW_MUST_USE enum cw_status cw_job_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_job *out, struct cw_err *err);

#endif /* CW_JOB_H */
