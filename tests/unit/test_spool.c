/*
 * test_spool.c - what was committed is there, what was not is not.
 */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "supervisor/spool.h"
#include "supervisor/spool_db.h"

struct fixture {
	char		 dir[64];
	struct cw_arena	*a;
	struct cw_spool	*sp;
	struct cw_err	 err;
};

static void
must(struct fixture *f, enum cw_status st)
{
	if (st != CW_OK)
		fail_msg("%s: %s", cw_status_name(st), f->err.text);
}

static void
remove_spool(const char *dir)
{
	static const char *const names[] = {
		"spool.db", "spool.db-wal", "spool.db-shm", "lock"
	};
	char path[128];

	for (size_t i = 0; i < CW_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static int
setup(void **state)
{
	struct fixture *f = cw_xalloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/cw-spool-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	must(f, cw_arena_open(64u << 20, &f->a, &f->err));
	must(f, cw_spool_open(f->dir, f->a, &f->sp, &f->err));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	cw_spool_close(&f->sp);
	cw_arena_close(&f->a);
	remove_spool(f->dir);
	free(f);
	return 0;
}

static enum cw_status
put(struct fixture *f, const char *id, size_t bytes, int64_t *seq)
{
	static uint8_t image[1 << 20];
	const struct cw_job job = {
		.id = id, .text = "a caption", .surface = "avatar",
		.uploader = "", .image = image, .nimage = bytes,
		.priority = CW_BULK,
	};
	const struct cw_spool_job meta = {
		.received_us = 1234567, .priority = CW_BULK,
		.deadline_ms = 99, .sha256 = "ab", .cache_key = "key",
		.owner = "who",
	};

	memset(image, id[strlen(id) - 1], bytes);
	return cw_spool_put_job(f->sp, &job, &meta, seq, &f->err);
}

static void
reopen(struct fixture *f)
{
	cw_spool_close(&f->sp);
	must(f, cw_spool_open(f->dir, f->a, &f->sp, &f->err));
}

static bool
count_job(void *payload, const struct cw_spool_job *j)
{
	(void)j;
	++*(int *)payload;
	return true;
}

static int
jobs(struct fixture *f)
{
	int n = 0;

	must(f, cw_spool_each_job(f->sp, 0, count_job, &n, &f->err));
	return n;
}

static void
test_a_committed_job_is_there_after_reopening(void **state)
{
	struct fixture *f = *state;
	struct cw_job j;
	int64_t seq;

	must(f, put(f, "job-1", 1000, &seq));
	assert_true(cw_spool_dirty(f->sp));
	must(f, cw_spool_commit(f->sp, &f->err));
	assert_false(cw_spool_dirty(f->sp));
	reopen(f);
	must(f, cw_spool_get_job(f->sp, seq, f->a, &j, &f->err));
	assert_string_equal(j.id, "job-1");
	assert_string_equal(j.text, "a caption");
	assert_int_equal(j.nimage, 1000);
	assert_int_equal(j.image[999], '1');
	assert_int_equal(j.priority, CW_BULK);
}

static void
test_a_job_without_commit_is_gone_after_reopening(void **state)
{
	struct fixture *f = *state;
	int64_t seq;

	must(f, put(f, "job-1", 10, &seq));
	reopen(f);
	assert_int_equal(jobs(f), 0);
}

static void
test_an_image_of_another_length_is_not_handed_out(void **state)
{
	struct fixture *f = *state;
	struct cw_job j;
	int64_t seq;

	must(f, put(f, "job-1", 10, &seq));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, CW_DB_RUN(f->sp->db, &f->err, "UPDATE jobs SET payload ="
	    " substr(payload, 1, ?1)", CW_I(9)));
	assert_int_equal(cw_spool_get_job(f->sp, seq, f->a, &j, &f->err),
	    CW_E_FORMAT);
	assert_int_equal(cw_spool_get_job(f->sp, seq + 1, f->a, &j, &f->err),
	    CW_E_NOT_FOUND);
}

static void
test_a_row_set_aside_keeps_its_bytes_and_its_turn(void **state)
{
	struct fixture *f = *state;
	struct cw_spool_use use;
	int64_t seq, bytes;

	must(f, put(f, "job-1", 10, &seq));
	must(f, cw_spool_set_aside(f->sp, seq, "unreadable", 1, &f->err));
	/* What can't be copied does not undo the rest. */
	must(f, CW_DB_RUN(f->sp->db, &f->err, "CREATE TEMP TRIGGER no BEFORE"
	    " INSERT ON quarantine BEGIN SELECT raise(ABORT, 'no');"
	    " END", { CW_BIND_END, 0, NULL, 0 }));
	assert_int_not_equal(cw_spool_set_aside(f->sp, seq, "unreadable", 2,
	    &f->err), CW_OK);
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_spool_use(f->sp, &use, &f->err));
	assert_int_equal(use.quarantined, 1);
	assert_int_equal(use.jobs, 1);
	must(f, cw_db_int(f->sp->db, "SELECT length(payload) FROM quarantine",
	    &bytes, &f->err));
	assert_int_equal(bytes, 10);
}

static void
test_the_same_id_twice_undoes_the_whole_turn(void **state)
{
	struct fixture *f = *state;
	int64_t seq;

	must(f, put(f, "job-1", 10, &seq));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, put(f, "job-2", 10, &seq));
	assert_int_equal(put(f, "job-1", 10, &seq), CW_E_BUSY);
	assert_int_not_equal(cw_spool_commit(f->sp, &f->err), CW_OK);
	assert_true(cw_spool_sick(f->sp));
	assert_int_equal(jobs(f), 1);
	must(f, cw_spool_probe(f->sp, &f->err));
	assert_false(cw_spool_sick(f->sp));
}

static void
test_while_sick_a_turn_that_writes_does_not_succeed(void **state)
{
	struct fixture *f = *state;
	int64_t seq;

	must(f, put(f, "a", 1, &seq));
	assert_int_equal(put(f, "a", 1, &seq), CW_E_BUSY);
	assert_int_not_equal(cw_spool_commit(f->sp, &f->err), CW_OK);
	assert_int_equal(cw_spool_commit(f->sp, &f->err), CW_OK);
	assert_int_equal(put(f, "b", 1, &seq), CW_E_BUSY);
	assert_int_not_equal(cw_spool_commit(f->sp, &f->err), CW_OK);
}

static void
test_a_verdict_takes_its_jobs_place(void **state)
{
	struct fixture *f = *state;
	struct cw_stored v = {
		.id = "job-1", .decision = "allow", .policy = "none",
		.json = "{\"id\":\"job-1\"}", .received_us = 1,
		.scored_us = 2, .sha256 = "ab", .policies_hash = "h",
		.cache_key = "k", .owner = "who",
	}, got;
	int64_t seq;

	must(f, put(f, "job-1", 10, &seq));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_spool_put_verdict(f->sp, &v, seq, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	assert_int_equal(jobs(f), 0);
	must(f, cw_spool_get_verdict(f->sp, "job-1", f->a, &got, &f->err));
	assert_string_equal(got.json, v.json);
	assert_string_equal(got.owner, "who");
	must(f, cw_spool_find_same(f->sp, "k", f->a, &got, &f->err));
	assert_string_equal(got.id, "job-1");
	assert_int_equal(cw_spool_get_verdict(f->sp, "job-2", f->a, &got,
	    &f->err), CW_E_NOT_FOUND);
	/* ... and is never changed. */
	v.json = "{}";
	assert_int_not_equal(cw_spool_put_verdict(f->sp, &v, 0, &f->err),
	    CW_OK);
}

static void
test_a_second_daemon_is_refused(void **state)
{
	struct fixture *f = *state;
	struct cw_spool *other;

	assert_int_equal(cw_spool_open(f->dir, f->a, &other, &f->err),
	    CW_E_BUSY);
	assert_non_null(strstr(f->err.text, "another daemon"));
}

static void
test_another_version_is_refused_and_left_alone(void **state)
{
	struct fixture *f = *state;
	int64_t seq;

	must(f, put(f, "job-1", 10, &seq));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_db_exec(f->sp->db, "UPDATE meta SET value = 7"
	    " WHERE key = 'version'", &f->err));
	cw_spool_close(&f->sp);
	assert_int_equal(cw_spool_open(f->dir, f->a, &f->sp, &f->err),
	    CW_E_CONFIG);
	assert_non_null(strstr(f->err.text, "version 7; want 2"));
}

static bool
nobodys_job(void *payload, const struct cw_spool_job *j)
{
	assert_string_equal(j->owner, "");
	return count_job(payload, j);
}

static void
test_a_spool_of_version_1_goes_on(void **state)
{
	struct fixture *f = *state;
	struct cw_stored v;
	int64_t seq, version;
	struct cw_job j;
	int n = 0;

	must(f, put(f, "job-1", 10, &seq));
	must(f, put(f, "job-2", 10, &seq));
	v = (struct cw_stored){ .id = "job-2", .decision = "allow",
		.policy = "none", .json = "{}", .sha256 = "ab",
		.policies_hash = "", .cache_key = "", .owner = "who" };
	must(f, cw_spool_put_verdict(f->sp, &v, seq, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_db_exec(f->sp->db, "ALTER TABLE jobs DROP COLUMN owner;"
	    "ALTER TABLE verdicts DROP COLUMN owner;"
	    "UPDATE meta SET value = 1 WHERE key = 'version'", &f->err));
	for (int i = 0; i < 2; i++) {
		reopen(f);
		must(f, cw_db_int(f->sp->db, "SELECT value FROM meta"
		    " WHERE key = 'version'", &version, &f->err));
		assert_int_equal(version, CW_SPOOL_VERSION);
	}
	must(f, cw_spool_each_job(f->sp, 0, nobodys_job, &n, &f->err));
	assert_int_equal(n, 1);
	must(f, cw_spool_get_job(f->sp, seq - 1, f->a, &j, &f->err));
	assert_string_equal(j.id, "job-1");
	must(f, cw_spool_get_verdict(f->sp, "job-2", f->a, &v, &f->err));
	assert_string_equal(v.owner, "");
}

static void
test_what_is_no_database_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[128];
	FILE *file;

	cw_spool_close(&f->sp);
	remove_spool(f->dir);
	assert_int_equal(mkdir(f->dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/spool.db", f->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	for (int i = 0; i < 4096; i++)
		fputs("no database ", file);
	fclose(file);
	assert_int_equal(cw_spool_open(f->dir, f->a, &f->sp, &f->err),
	    CW_E_SYSTEM);
	assert_non_null(strstr(f->err.text, path));
}

/* ---- power loss ---- */

static void
copy_file(const char *from, const char *to, off_t most)
{
	char buf[65536];
	ssize_t n;
	int in = open(from, O_RDONLY), out;

	if (in == -1)
		return;
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(out != -1);
	while (most > 0 && (n = read(in, buf, most < (off_t)sizeof(buf) ?
	    (size_t)most : sizeof(buf))) > 0) {
		assert_int_equal(write(out, buf, (size_t)n), n);
		most -= n;
	}
	close(in);
	close(out);
}

static off_t
size_of(const char *dir, const char *name)
{
	char path[128];
	struct stat sb;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return stat(path, &sb) == 0 ? sb.st_size : 0;
}

/*
 * After each commit the log's length is noted.  Then every prefix that a
 * power loss could leave is opened: all that was told is in it, and no half
 * of a turn.
 */
static void
test_any_prefix_of_the_log_holds_what_was_committed(void **state)
{
	enum { TURNS = 40 };
	const int prefixes = getenv("CW_TORTURE") != NULL ? 1000 : 40;
	struct fixture *f = *state;
	char from[2][128], to[2][128], dir[64] = "/tmp/cw-prefix-XXXXXX";
	off_t wal[TURNS + 1];
	uint32_t x = 12345;

	wal[0] = size_of(f->dir, "spool.db-wal");
	for (int t = 1; t <= TURNS; t++) {
		char id[32];
		int64_t seq;

		for (int k = 0; k < 2; k++) {
			snprintf(id, sizeof(id), "t%d-%d", t, k);
			must(f, put(f, id, (size_t)(t * 97), &seq));
		}
		must(f, cw_spool_commit(f->sp, &f->err));
		wal[t] = size_of(f->dir, "spool.db-wal");
		assert_true(wal[t] > wal[t - 1]);
	}
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 2; i++) {
		static const char *const names[] = { "spool.db",
			"spool.db-wal" };

		snprintf(from[i], sizeof(from[i]), "%s/%s", f->dir, names[i]);
		snprintf(to[i], sizeof(to[i]), "%s/%s", dir, names[i]);
	}
	for (int i = 0; i < prefixes; i++) {
		off_t cut = wal[0];
		struct fixture g = { .a = f->a };
		int told = 0, n;

		x = x * 1664525u + 1013904223u;
		cut += (off_t)(x % (uint32_t)(wal[TURNS] - wal[0] + 1));
		while (told < TURNS && wal[told + 1] <= cut)
			told++;
		copy_file(from[0], to[0], 1 << 30);
		copy_file(from[1], to[1], cut);
		must(&g, cw_spool_open(dir, f->a, &g.sp, &g.err));
		n = jobs(&g);
		if (n != 2 * told)
			fail_msg("log of %jd bytes: %d jobs; want %d",
			    (intmax_t)cut, n, 2 * told);
		cw_spool_close(&g.sp);
		remove_spool(dir);
		assert_int_equal(mkdir(dir, 0700), 0);
	}
	remove_spool(dir);
	printf("%d prefixes of %d commits: 0 lost\n", prefixes, TURNS);
}

/* ---- a full disk ---- */

static int
fill_the_disk(struct fixture *f)
{
	struct rlimit rl;
	char id[32];
	int64_t seq;
	int told = 0;

	(void)signal(SIGXFSZ, SIG_IGN);
	(void)getrlimit(RLIMIT_FSIZE, &rl);
	rl.rlim_cur = 1u << 20;
	(void)setrlimit(RLIMIT_FSIZE, &rl);
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "full-%d", i);
		if (put(f, id, 200000, &seq) == CW_OK &&
		    cw_spool_commit(f->sp, &f->err) == CW_OK)
			told++;
		else if (cw_spool_dirty(f->sp) &&
		    cw_spool_commit(f->sp, &f->err) == CW_OK)
			return 1;	/* a refused write must not commit */
		else if (!cw_spool_sick(f->sp))
			return 7;
	}
	if (told < 2 || told > 6 || !cw_spool_sick(f->sp) ||
	    jobs(f) != told)
		return 2;
	if (cw_spool_probe(f->sp, &f->err) == CW_OK &&
	    put(f, "big", 900000, &seq) == CW_OK &&
	    cw_spool_commit(f->sp, &f->err) == CW_OK)
		return 3;
	rl.rlim_cur = rl.rlim_max;	/* somebody made room */
	(void)setrlimit(RLIMIT_FSIZE, &rl);
	if (cw_spool_commit(f->sp, &f->err) != CW_OK &&
	    !cw_spool_sick(f->sp))
		return 6;
	if (cw_spool_probe(f->sp, &f->err) != CW_OK ||
	    put(f, "after", 200000, &seq) != CW_OK ||
	    cw_spool_commit(f->sp, &f->err) != CW_OK)
		return 4;
	return jobs(f) == told + 1 ? 0 : 5;
}

static void
test_a_full_disk_loses_nothing_and_ends_by_itself(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0) {
		/* A database may not be taken over a fork: one of its own. */
		struct fixture own = { .a = f->a };

		strcpy(own.dir, "/tmp/cw-full-XXXXXX");
		if (mkdtemp(own.dir) == NULL || cw_spool_open(own.dir,
		    own.a, &own.sp, &own.err) != CW_OK)
			_exit(9);
		status = fill_the_disk(&own);
		cw_spool_close(&own.sp);
		remove_spool(own.dir);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- what saves work ---- */

static void
test_embeddings_come_back_near_and_of_unit_length(void **state)
{
	struct fixture *f = *state;
	float v[2][64];
	struct cw_view views[2] = {
		{ CW_VIEW_CENTER, CW_BG_STORED, 1, 2, 224, 224, 0 },
		{ CW_VIEW_WHOLE, CW_BG_WHITE, -5, 0, 300, 300, 3 },
	};
	const struct cw_result res = {
		.format = "jpeg", .width = 300, .height = 280, .frames = 1,
		.views = views, .nviews = 2, .embeds = v[0], .embed = 64,
	};
	struct cw_spool_embeds e;
	uint32_t x = 7;

	for (int k = 0; k < 2; k++) {
		float norm = 0;

		for (int i = 0; i < 64; i++) {
			x = x * 1664525u + 1013904223u;
			v[k][i] = (float)(x >> 8) / (1 << 23) - 1;
			norm += v[k][i] * v[k][i];
		}
		for (int i = 0; i < 64; i++)
			v[k][i] /= sqrtf(norm);
	}
	must(f, cw_spool_put_embeds(f->sp, "sha", "model", &res, 5, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_spool_get_embeds(f->sp, "sha", "model", f->a, &e,
	    &f->err));
	assert_int_equal(e.nviews, 2);
	assert_int_equal(e.views[1].x, -5);
	assert_int_equal(e.views[1].frame, 3);
	assert_int_equal(e.views[1].background, CW_BG_WHITE);
	assert_string_equal(e.format, "jpeg");
	for (int k = 0; k < 2; k++) {
		float dot = 0, norm = 0;

		for (int i = 0; i < 64; i++) {
			dot += v[k][i] * e.vecs[k * 64 + i];
			norm += e.vecs[k * 64 + i] * e.vecs[k * 64 + i];
		}
		assert_true(fabsf(norm - 1) < 1e-6f);
		assert_true(dot > 0.999999f);
	}
	assert_int_equal(cw_spool_get_embeds(f->sp, "sha", "other", f->a, &e,
	    &f->err), CW_E_NOT_FOUND);
}

static void
test_text_vectors_are_exact_and_of_one_length(void **state)
{
	struct fixture *f = *state;
	const float v[3] = { 0.1f, -2e-30f, 3 };
	float got[3];

	must(f, cw_spool_put_text(f->sp, "m", "t", "a cat", v, 3, &f->err));
	must(f, cw_spool_get_text(f->sp, "m", "t", "a cat", got, 3,
	    &f->err));
	assert_memory_equal(v, got, sizeof(v));
	assert_int_equal(cw_spool_get_text(f->sp, "m", "t", "a cat", got, 2,
	    &f->err), CW_E_NOT_FOUND);
	assert_int_equal(cw_spool_get_text(f->sp, "m", "u", "a cat", got, 3,
	    &f->err), CW_E_NOT_FOUND);
}

static void
store_verdict_of(struct fixture *f, const char *id, int64_t scored_us,
    int64_t seq)
{
	const struct cw_stored v = {
		.id = id, .decision = "allow", .policy = "none",
		.json = "{}", .scored_us = scored_us, .sha256 = "",
		.policies_hash = "", .cache_key = "", .owner = "",
	};

	must(f, cw_spool_put_verdict(f->sp, &v, seq, &f->err));
}

static void
store_verdict(struct fixture *f, const char *id, int64_t scored_us)
{
	store_verdict_of(f, id, scored_us, 0);
}

static void
test_what_a_job_went_through_is_kept_beside_it(void **state)
{
	struct fixture *f = *state;
	struct cw_stored v = { .id = "job-1", .decision = "error",
		.policy = "error", .json = "{}", .sha256 = "",
		.policies_hash = "h", .cache_key = "", .owner = "" };
	int64_t seq, n;

	must(f, put(f, "job-1", 10, &seq));
	must(f, cw_spool_note_attempt(f->sp, seq, 1, 2, &f->err));
	must(f, cw_spool_quarantine(f->sp, seq, "died twice", 5, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_db_int(f->sp->db, "SELECT 10 * attempt + blame FROM jobs",
	    &n, &f->err));
	assert_int_equal(n, 12);
	must(f, cw_db_int(f->sp->db, "SELECT count(*) FROM quarantine WHERE"
	    " reason = 'died twice'", &n, &f->err));
	assert_int_equal(n, 1);
	assert_int_equal(cw_spool_has_verdict(f->sp, "job-1", &f->err),
	    CW_E_NOT_FOUND);
	must(f, cw_spool_put_verdict(f->sp, &v, seq, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_spool_has_verdict(f->sp, "job-1", &f->err));
}

static void
test_a_sink_that_is_no_more_is_owed_nothing(void **state)
{
	static const char *const named[] = { "jsonl" };
	struct fixture *f = *state;
	struct cw_outbox_item items[2];
	size_t n;

	store_verdict(f, "job-1", 10);
	must(f, cw_spool_outbox_put(f->sp, "jsonl", "job-1", &f->err));
	must(f, cw_spool_outbox_put(f->sp, "gone", "job-1", &f->err));
	must(f, cw_spool_outbox_keep(f->sp, named, 1, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_spool_outbox_get(f->sp, "gone", 0, f->a, items, 2, &n,
	    &f->err));
	assert_int_equal(n, 0);
	must(f, cw_spool_outbox_get(f->sp, "jsonl", 0, f->a, items, 2, &n,
	    &f->err));
	assert_int_equal(n, 1);
}

static void
test_retention_spares_what_a_sink_has_not_confirmed(void **state)
{
	struct fixture *f = *state;
	struct cw_outbox_item items[4];
	struct cw_stored v;
	uint64_t deleted;
	size_t n;

	store_verdict(f, "old", 10);
	store_verdict(f, "owed", 11);
	store_verdict(f, "new", 1000);
	must(f, cw_spool_outbox_put(f->sp, "jsonl", "owed", &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_spool_retain(f->sp, 500, UINT64_MAX, 100, &deleted,
	    &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	assert_int_equal(deleted, 1);
	assert_int_equal(cw_spool_get_verdict(f->sp, "old", f->a, &v,
	    &f->err), CW_E_NOT_FOUND);
	must(f, cw_spool_outbox_get(f->sp, "jsonl", 0, f->a, items, 4, &n,
	    &f->err));
	assert_int_equal(n, 1);
	assert_string_equal(items[0].id, "owed");
	must(f, cw_spool_outbox_done(f->sp, "jsonl", items[0].seq,
	    &f->err));
	/* Too large: the oldest go, whatever their age. */
	must(f, cw_spool_retain(f->sp, 0, 1, 1, &deleted, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	assert_int_equal(deleted, 1);
	must(f, cw_spool_get_verdict(f->sp, "new", f->a, &v, &f->err));
}

/* The verdicts that are left, of ids v0 to v(n - 1). */
static unsigned
verdicts_left(struct fixture *f, unsigned n)
{
	unsigned left = 0;
	char id[24];

	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "v%u", i);
		left += cw_spool_has_verdict(f->sp, id, &f->err) == CW_OK;
	}
	return left;
}

static void
store_verdicts(struct fixture *f, unsigned n)
{
	char id[24];

	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "v%u", i);
		store_verdict(f, id, 10 + (int64_t)i);
	}
	must(f, cw_spool_commit(f->sp, &f->err));
}

static void
put_embedding(struct fixture *f, const char *sha256)
{
	float vec[2] = { 1, 0 };
	struct cw_view view = { .w = 1, .h = 1 };
	const struct cw_result res = { .format = "png", .views = &view,
		.nviews = 1, .embed = 2, .embeds = vec };

	must(f, cw_spool_put_embeds(f->sp, sha256, "model", &res, 5,
	    &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
}

/* While jobs come there is always an embedding to delete, too. */
static void
test_the_bound_is_reached_while_other_things_are_deleted(void **state)
{
	struct fixture *f = *state;
	struct cw_spool_use use, after;
	uint64_t deleted, bound;
	unsigned left;

	store_verdicts(f, 1000);
	must(f, cw_spool_use(f->sp, &use, &f->err));
	bound = use.bytes * 9 / 10;
	put_embedding(f, "sha");
	/* v0 is too old, besides. */
	must(f, cw_spool_retain(f->sp, 11, bound, 500, &deleted, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_spool_use(f->sp, &after, &f->err));
	left = verdicts_left(f, 1000);
	if (after.bytes > bound || deleted != 1001 - left || left < 500)
		fail_msg("%ju bytes, want %ju; %ju deleted, %u left",
		    (uintmax_t)after.bytes, (uintmax_t)bound,
		    (uintmax_t)deleted, left);
}

static void
test_what_one_turn_can_not_delete_is_said(void **state)
{
	struct fixture *f = *state;
	uint64_t deleted;

	store_verdicts(f, 10);
	put_embedding(f, "sha");
	must(f, cw_spool_retain(f->sp, 0, 1, 5, &deleted, &f->err));
	assert_int_equal(deleted, 5);
	assert_int_equal(verdicts_left(f, 10), 6);
}

static void
test_the_quarantine_does_not_push_verdicts_out(void **state)
{
	struct fixture *f = *state;
	const uint64_t bound = 1u << 20;
	struct cw_spool_use use;
	uint64_t deleted;
	int64_t seq;
	char id[24];

	for (unsigned i = 0; i < 6; i++) {
		snprintf(id, sizeof(id), "q%u", i);
		must(f, put(f, id, 200u << 10, &seq));
		must(f, cw_spool_quarantine(f->sp, seq, "worker_died", 10,
		    &f->err));
		store_verdict_of(f, id, 10, seq);
	}
	store_verdicts(f, 10);
	must(f, cw_spool_retain(f->sp, 0, bound, 500, &deleted, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_spool_use(f->sp, &use, &f->err));
	assert_int_equal(use.quarantined, 1);
	assert_int_equal(verdicts_left(f, 10), 10);
	assert_true(use.bytes <= bound);
}

static void
test_over_its_bound_a_spool_gives_up_verdicts_last(void **state)
{
	struct fixture *f = *state;
	struct cw_bytes picture = { "png", 3 }, parts[2];
	float vec[2] = { 1, 0 };
	struct cw_view view = { .w = 1, .h = 1 };
	const struct cw_result res = { .format = "png", .views = &view,
		.nviews = 1, .embed = 2, .embeds = vec };
	struct cw_spool_embeds e;
	struct cw_stored v;
	uint64_t deleted;
	uint32_t n;

	store_verdict(f, "one", 10);
	must(f, cw_spool_put_artifact(f->sp, "one", 0, 1, "map", &picture,
	    &f->err));
	must(f, cw_spool_put_embeds(f->sp, "sha", "model", &res, 5, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));

	must(f, cw_spool_retain(f->sp, 0, 1, 1, &deleted, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	assert_int_equal(cw_spool_get_embeds(f->sp, "sha", "model", f->a, &e,
	    &f->err), CW_E_NOT_FOUND);
	must(f, cw_spool_get_artifacts(f->sp, "one", f->a, parts, 2, &n,
	    &f->err));
	assert_int_equal(n, 1);

	must(f, cw_spool_retain(f->sp, 0, 1, 1, &deleted, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	must(f, cw_spool_get_artifacts(f->sp, "one", f->a, parts, 2, &n,
	    &f->err));
	assert_int_equal(n, 0);
	must(f, cw_spool_get_verdict(f->sp, "one", f->a, &v, &f->err));

	must(f, cw_spool_retain(f->sp, 0, 1, 1, &deleted, &f->err));
	must(f, cw_spool_commit(f->sp, &f->err));
	assert_int_equal(cw_spool_get_verdict(f->sp, "one", f->a, &v,
	    &f->err), CW_E_NOT_FOUND);
}

#define SPOOL_TEST(fn)	cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SPOOL_TEST(test_a_committed_job_is_there_after_reopening),
		SPOOL_TEST(test_a_job_without_commit_is_gone_after_reopening),
		SPOOL_TEST(test_an_image_of_another_length_is_not_handed_out),
		SPOOL_TEST(test_a_row_set_aside_keeps_its_bytes_and_its_turn),
		SPOOL_TEST(test_the_same_id_twice_undoes_the_whole_turn),
		SPOOL_TEST(test_while_sick_a_turn_that_writes_does_not_succeed),
		SPOOL_TEST(test_a_verdict_takes_its_jobs_place),
		SPOOL_TEST(test_what_a_job_went_through_is_kept_beside_it),
		SPOOL_TEST(test_a_sink_that_is_no_more_is_owed_nothing),
		SPOOL_TEST(test_a_second_daemon_is_refused),
		SPOOL_TEST(test_another_version_is_refused_and_left_alone),
		SPOOL_TEST(test_a_spool_of_version_1_goes_on),
		SPOOL_TEST(test_what_is_no_database_is_refused),
		SPOOL_TEST(test_any_prefix_of_the_log_holds_what_was_committed),
		SPOOL_TEST(test_a_full_disk_loses_nothing_and_ends_by_itself),
		SPOOL_TEST(test_embeddings_come_back_near_and_of_unit_length),
		SPOOL_TEST(test_text_vectors_are_exact_and_of_one_length),
		SPOOL_TEST(test_retention_spares_what_a_sink_has_not_confirmed),
		SPOOL_TEST(test_over_its_bound_a_spool_gives_up_verdicts_last),
		SPOOL_TEST(
		    test_the_bound_is_reached_while_other_things_are_deleted),
		SPOOL_TEST(test_what_one_turn_can_not_delete_is_said),
		SPOOL_TEST(test_the_quarantine_does_not_push_verdicts_out),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
