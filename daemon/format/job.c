/*
 * job.c - see job.h.
 */
#include "format/job.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "format/frame.h"
#include "format/json_read.h"
#include "format/names.h"

#define CONTEXT_BYTES	256u	/* surface, uploader */
#define DEADLINE_MAX_MS	(24u * 3600u * 1000u)

static const char *const priorities[] = { "interactive", "bulk" };

static const struct {
	const char	*name;
	uint32_t	 bit;
} artifact_names[] = {
	{ "overlay",	CW_ART_OVERLAY },
	{ "redacted",	CW_ART_REDACTED },
	{ "inverted",	CW_ART_INVERTED },
	{ "curves",	CW_ART_CURVES },
};

bool
cw_job_id_valid(const char *s)
{
	const size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-");

	return n > 0 && n <= CW_JOB_ID_BYTES && s[n] == '\0';
}

static enum cw_status
read_context(json_t *ctx, struct cw_arena *a, struct cw_job *j,
    struct cw_err *err)
{
	const struct cw_json_key keys[] = {
		{ "text", CW_J_STR, &j->text, CW_JOB_TEXT_BYTES },
		{ "surface", CW_J_STR, &j->surface, CONTEXT_BYTES },
		{ "uploader", CW_J_STR, &j->uploader, CONTEXT_BYTES },
	};

	return cw_json_read(ctx, "context", keys, CW_COUNT(keys), a, err);
}

static enum cw_status
read_policies(json_t *list, struct cw_arena *a, struct cw_job *j,
    struct cw_err *err)
{
	const size_t n = json_array_size(list);

	if (n > CW_POLICIES_MAX)
		return cw_err_set(err, CW_E_FORMAT,
		    "policies: %zu ids; want at most %u", n, CW_POLICIES_MAX);
	j->policies = cw_arena_zalloc(a, n, sizeof(*j->policies));
	if (j->policies == NULL)
		return cw_err_set(err, CW_E_LIMIT, "policies: no room");
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (s == NULL || strlen(s) > CW_ID_BYTES)
			return cw_err_set(err, CW_E_FORMAT,
			    "policies[%zu]: want the id of a policy", i);
		j->policies[i] = cw_arena_strdup(a, s);
	}
	j->npolicies = n;
	return CW_OK;
}

const char *
cw_artifact_name(uint32_t kind)
{
	for (size_t k = 0; k < CW_COUNT(artifact_names); k++)
		if (artifact_names[k].bit == kind)
			return artifact_names[k].name;
	return NULL;
}

static bool
add_artifact(const char *name, struct cw_job *j)
{
	for (size_t k = 0; name != NULL && k < CW_COUNT(artifact_names); k++)
		if (strcmp(artifact_names[k].name, name) == 0) {
			j->artifacts |= artifact_names[k].bit;
			return true;
		}
	return false;
}

/* `evidence` is a list of one. */
static enum cw_status
read_artifacts(json_t *list, const char *evidence, struct cw_job *j,
    struct cw_err *err)
{
	if (evidence != NULL && !add_artifact(evidence, j))
		return cw_err_set(err, CW_E_FORMAT, "evidence: "
		    "want overlay, redacted, inverted or curves");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!add_artifact(json_string_value(json_array_get(list, i)),
		    j))
			return cw_err_set(err, CW_E_FORMAT, "artifacts[%zu]: "
			    "want overlay, redacted, inverted or curves", i);
	return CW_OK;
}

static enum cw_status
read_words(const char *explain, const char *priority, struct cw_job *j,
    struct cw_err *err)
{
	int v;

	if (explain != NULL) {
		if ((v = cw_when_parse(explain)) == -1)
			return cw_err_set(err, CW_E_FORMAT, "explain is \"%s\""
			    "; want flagged, always or never", explain);
		j->explain = (enum cw_when)v;
		j->explain_set = true;
	}
	if (priority != NULL) {
		v = cw_name_parse(priorities, CW_COUNT(priorities), priority);
		if (v == -1)
			return cw_err_set(err, CW_E_FORMAT,
			    "priority is \"%s\"; want interactive or bulk",
			    priority);
		j->priority = (enum cw_priority)v;
	}
	return CW_OK;
}

static enum cw_status
read_header(json_t *root, struct cw_arena *a, struct cw_job *j,
    struct cw_err *err)
{
	const char *sha = NULL, *explain = NULL, *priority = NULL;
	const char *evidence = NULL;
	json_t *context = NULL, *policies = NULL, *artifacts = NULL;
	uint64_t deadline = 0;
	const struct cw_json_key keys[] = {
		{ "id", CW_J_STR, &j->id, CW_JOB_ID_BYTES },
		{ "sha256", CW_J_STR, &sha, CW_SHA256_HEX - 1 },
		{ "context", CW_J_OBJECT, &context, 0 },
		{ "policies", CW_J_ARRAY, &policies, 0 },
		{ "artifacts", CW_J_ARRAY, &artifacts, 0 },
		{ "evidence", CW_J_STR, &evidence, 32 },
		{ "explain", CW_J_STR, &explain, 32 },
		{ "priority", CW_J_STR, &priority, 32 },
		{ "deadline_ms", CW_J_UINT, &deadline, DEADLINE_MAX_MS },
	};
	enum cw_status st;

	st = cw_json_read(root, "header", keys, CW_COUNT(keys), a, err);
	if (st != CW_OK)
		return st;
	if (j->id != NULL && !cw_job_id_valid(j->id))
		return cw_err_set(err, CW_E_FORMAT, "id is \"%s\"; want 1 to "
		    "%u of A-Z a-z 0-9 . _ : -", j->id, CW_JOB_ID_BYTES);
	if (sha != NULL && !cw_sha256_valid(sha))
		return cw_err_set(err, CW_E_FORMAT,
		    "sha256: want 64 lower-case hex digits");
	if (sha != NULL)
		memcpy(j->sha256, sha, CW_SHA256_HEX);
	j->deadline_ms = (uint32_t)deadline;
	if ((st = read_words(explain, priority, j, err)) != CW_OK)
		return st;
	if (context != NULL &&
	    (st = read_context(context, a, j, err)) != CW_OK)
		return st;
	if (policies != NULL &&
	    (st = read_policies(policies, a, j, err)) != CW_OK)
		return st;
	return read_artifacts(artifacts, evidence, j, err);
}

enum cw_status
cw_job_from_json(const char *json, size_t len, struct cw_arena *a,
    struct cw_job *out, struct cw_err *err)
{
	struct cw_job j = { .text = "", .surface = "", .uploader = "" };
	enum cw_status st;
	json_t *root;

	if (len > CW_JOB_JSON_BYTES)
		return cw_err_set(err, CW_E_LIMIT,
		    "header of %zu bytes; want at most %u", len,
		    CW_JOB_JSON_BYTES);
	if ((st = cw_json_parse(json, len, "header", &root, err)) != CW_OK)
		return st;
	st = read_header(root, a, &j, err);
	json_decref(root);
	if (st == CW_OK && cw_arena_overflowed(a))
		st = cw_err_set(err, CW_E_LIMIT, "header: no room");
	if (st == CW_OK)
		*out = j;
	return st;
}

void
cw_job_pack(const struct cw_job *j, struct cw_pack *w)
{
	cw_put_str(w, j->id);
	cw_put_str(w, j->sha256);
	cw_put_str(w, j->text);
	cw_put_str(w, j->surface);
	cw_put_str(w, j->uploader);
	cw_put_u32(w, (uint32_t)j->npolicies);
	for (size_t i = 0; i < j->npolicies; i++)
		cw_put_str(w, j->policies[i]);
	cw_put_u32(w, j->explain);
	cw_put_u8(w, j->explain_set);
	cw_put_u32(w, j->method);
	cw_put_u8(w, j->faithfulness);
	cw_put_u32(w, j->deadline_ms);
	cw_put_u32(w, j->priority);
	cw_put_u32(w, j->artifacts);
	cw_put_floats(w, j->embeds, j->nembeds);
	cw_put_blob(w, j->image, j->nimage);
}

enum cw_status
cw_job_unpack(struct cw_unpack *r, struct cw_arena *a, struct cw_job *out,
    struct cw_err *err)
{
	struct cw_job j = { 0 };
	const char *sha;

	j.id = cw_get_str(r, CW_JOB_ID_BYTES, a);
	sha = cw_get_str(r, CW_SHA256_HEX - 1, a);
	if (sha[0] != '\0' && !cw_sha256_valid(sha))
		r->bad = true;
	else
		memcpy(j.sha256, sha, strlen(sha) + 1);
	j.text = cw_get_str(r, CW_JOB_TEXT_BYTES, a);
	j.surface = cw_get_str(r, CONTEXT_BYTES, a);
	j.uploader = cw_get_str(r, CONTEXT_BYTES, a);
	j.npolicies = cw_get_below(r, CW_POLICIES_MAX + 1);
	j.policies = cw_arena_zalloc(a, j.npolicies, sizeof(*j.policies));
	if (j.policies == NULL)
		r->bad = true;
	for (size_t i = 0; i < j.npolicies && !r->bad; i++)
		j.policies[i] = cw_get_str(r, CW_ID_BYTES, a);
	j.explain = cw_get_below(r, CW_WHENS);
	j.explain_set = cw_get_u8(r) != 0;
	j.method = cw_get_below(r, CW_METHODS);
	j.faithfulness = cw_get_u8(r) != 0;
	j.deadline_ms = cw_get_u32(r);
	j.priority = cw_get_below(r, CW_PRIORITIES);
	j.artifacts = cw_get_u32(r);
	j.embeds = cw_get_floats(r, CW_EMBED_MAX * CW_VIEWS_MAX, a,
	    &j.nembeds);
	j.image = cw_get_blob(r, CW_FRAME_MAX, &j.nimage);
	if (r->bad || !cw_job_id_valid(j.id))
		return cw_err_set(err, CW_E_FORMAT, "job: bad bytes");
	for (size_t i = 0; i < j.nembeds; i++)
		if (!isfinite(j.embeds[i]))
			return cw_err_set(err, CW_E_NUMERIC,
			    "job: embedding is not finite");
	*out = j;
	return CW_OK;
}
