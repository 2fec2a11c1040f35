/*
 * worker_drive.h - the real clipward-worker at the other end of a socket.
 *
 * For test programs only: every step that fails ends the test.
 */
#ifndef CW_TEST_WORKER_DRIVE_H
#define CW_TEST_WORKER_DRIVE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "format/frame.h"
#include "format/job.h"
#include "format/pack.h"
#include "format/policy.h"
#include "format/result.h"
#include "format/worker_msg.h"

struct drive {
	pid_t			 pid;
	int			 fd;
	struct cw_arena		*arena;		/* until drive_stop */
	struct cw_model_facts	 facts;
	struct cw_policy_set	 set;
	char			 said[CW_ERR_MAX];	/* last LOG or FATAL */
};

static inline const char *
drive_path(struct cw_arena *a, const char *variable, const char *rest)
{
	const char *dir = getenv(variable);

	return dir == NULL || dir[0] == '\0' ? NULL :
	    cw_arena_printf(a, "%s/%s", dir, rest);
}

static inline struct cw_init
drive_init(struct cw_arena *a, const char *model)
{
	static const char *plugins[2];
	struct cw_init init = {
		.model_dir = model, .cache_dir = "",
		.kernel = "", .batch = 4, .threads = 1, .exact_decode = true,
		.sandbox = true,
		.limits = { 32u << 20, 192u << 20, 100u << 20, 500, 8,
		    10000 },
		.plugins = plugins,
	};

	plugins[0] = drive_path(a, "CW_BUILD", "plugins/png.so");
	plugins[1] = drive_path(a, "CW_BUILD", "plugins/gif.so");
	init.nplugins = access(plugins[1], R_OK) == 0 ? 2 : 1;
	return init;
}

static inline void
drive_spawn(struct drive *d)
{
	const char *path;
	struct cw_err err = { "" };
	char *argv[2] = { NULL, NULL };
	char threads[] = "OPENBLAS_NUM_THREADS=1";
	char *env[] = { threads, NULL };

	*d = (struct drive){ .fd = -1 };
	assert_int_equal(cw_arena_open((size_t)1 << 30, &d->arena, &err),
	    CW_OK);
	path = drive_path(d->arena, "CW_BUILD", "clipward-worker");
	argv[0] = cw_arena_strdup(d->arena, path);
	if (cw_spawn(argv, env, &d->pid, &d->fd, &err) != CW_OK)
		fail_msg("%s", err.text);
}

static inline void
drive_send(struct drive *d, enum cw_frame_type type, unsigned flags,
    uint64_t id, const struct cw_pack *w)
{
	const struct cw_frame f = { (uint16_t)type, (uint16_t)flags, id,
		(uint32_t)w->len, w->p };
	struct cw_err err = { "" };

	assert_true(cw_pack_ok(w));
	if (cw_frame_write(d->fd, &f, &err) != CW_OK)
		fail_msg("%s: %s", cw_frame_name((uint16_t)type), err.text);
}

/* The next frame that is not a LOG; its line is kept in d->said. */
static inline struct cw_frame
drive_next(struct drive *d)
{
	struct cw_err err = { "" };
	struct cw_frame f;

	for (;;) {
		struct cw_unpack r;

		if (cw_frame_read(d->fd, CW_FRAME_MAX, d->arena, &f,
		    &err) != CW_OK)
			fail_msg("the worker is gone: %s (it said: %s)",
			    err.text, d->said);
		if (f.type != CW_F_LOG && f.type != CW_F_FATAL)
			return f;
		cw_unpack_init(&r, f.body, f.len);
		if (f.type == CW_F_LOG)
			(void)cw_get_u8(&r);
		else
			(void)cw_get_u32(&r);
		snprintf(d->said, sizeof(d->said), "%s", cw_get_str(&r,
		    CW_ERR_MAX * 4, d->arena));
		if (f.type == CW_F_FATAL)
			return f;
	}
}

static inline struct cw_frame
drive_expect(struct drive *d, enum cw_frame_type type)
{
	const struct cw_frame f = drive_next(d);

	if (f.type != (uint16_t)type)
		fail_msg("got %s, want %s (it said: %s)",
		    cw_frame_name(f.type), cw_frame_name((uint16_t)type),
		    d->said);
	return f;
}

static inline void
drive_start(struct drive *d, const struct cw_init *init)
{
	struct cw_err err = { "" };
	struct cw_pack w;
	struct cw_unpack r;
	struct cw_frame f;

	drive_spawn(d);
	cw_pack_init(&w, d->arena, 1024);
	cw_init_pack(init, &w);
	drive_send(d, CW_F_INIT, 0, 0, &w);
	f = drive_expect(d, CW_F_READY);
	cw_unpack_init(&r, f.body, f.len);
	if (cw_model_facts_unpack(&r, d->arena, &d->facts, &err) != CW_OK)
		fail_msg("READY: %s", err.text);
}

/* Hang up and collect: the wait status. */
static inline int
drive_stop(struct drive *d)
{
	int status = 0;

	cw_close(&d->fd);
	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	cw_arena_close(&d->arena);
	return status;
}

/* Send a set and its cached vectors. */
static inline struct cw_policy_done
drive_policies(struct drive *d, const struct cw_policy_set *set,
    const struct cw_bank_row *rows, uint32_t nrows)
{
	struct cw_policy_msg m = { .set = *set, .nrows = nrows,
		.embed = d->facts.embed };
	struct cw_policy_done done;
	struct cw_err err = { "" };
	struct cw_unpack r;
	struct cw_frame f;
	struct cw_pack w;

	m.rows = cw_arena_zalloc(d->arena, nrows, sizeof(*rows));
	if (nrows > 0)
		memcpy(m.rows, rows, nrows * sizeof(*rows));
	cw_pack_init(&w, d->arena, 4096);
	cw_policy_msg_pack(&m, &w);
	drive_send(d, CW_F_POLICY, 0, set->generation, &w);
	f = drive_expect(d, CW_F_POLICY_DONE);
	assert_int_equal(f.id, set->generation);
	cw_unpack_init(&r, f.body, f.len);
	if (cw_policy_done_unpack(&r, set->nprompts, d->arena, &done,
	    &err) != CW_OK)
		fail_msg("POLICY_DONE: %s", err.text);
	if (done.ok)
		d->set = *set;
	return done;
}

static inline void
drive_job(struct drive *d, const struct cw_job *j, uint64_t id, bool more)
{
	struct cw_pack w;

	cw_pack_init(&w, d->arena, j->nimage + 4096);
	cw_job_pack(j, &w);
	drive_send(d, CW_F_JOB, more ? CW_F_MORE : 0, id, &w);
}

/* The next result, checked like the supervisor checks it. */
static inline struct cw_result
drive_result(struct drive *d, uint64_t id)
{
	const struct cw_frame f = drive_expect(d, CW_F_RESULT);
	struct cw_err err = { "" };
	struct cw_result res;
	struct cw_unpack r;

	assert_int_equal(f.id, id);
	cw_unpack_init(&r, f.body, f.len);
	if (cw_result_unpack(&r, &d->set, d->arena, &res, &err) != CW_OK)
		fail_msg("RESULT: %s", err.text);
	return res;
}

static inline struct cw_job
drive_image_job(struct drive *d, const char *id, const char *path)
{
	struct cw_job j = { .id = id, .text = "", .surface = "",
		.uploader = "" };
	struct cw_err err = { "" };
	char *bytes;
	size_t n;

	if (cw_read_file(AT_FDCWD, path, 64u << 20, d->arena, &bytes, &n,
	    &err) != CW_OK)
		fail_msg("%s", err.text);
	j.image = (const uint8_t *)bytes;
	j.nimage = n;
	return j;
}

#endif /* CW_TEST_WORKER_DRIVE_H */
