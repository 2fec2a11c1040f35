/*
 * worker_peer.c - see worker_peer.h.
 */
#include "cli/worker_peer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/log.h"

#define FATAL_CONFIG	78u	/* EX_CONFIG: the operator's fault */

/* Room for a job of the largest image twice, and for any frame. */
#define PEER_ARENA	((size_t)CW_FRAME_MAX * 2 + ((size_t)64 << 20))

enum cw_status
cw_peer_start(struct cw_peer *p, const struct cw_init *init,
    struct cw_err *err)
{
	char threads[48];
	char *const env[] = { threads, NULL };
	const char *path;
	struct cw_pack w;
	enum cw_status st;

	if (p->arena == NULL) {
		st = cw_arena_open(PEER_ARENA, &p->arena, err);
		if (st != CW_OK)
			return st;
	}
	cw_arena_reset(p->arena, 0);
	st = cw_find_program("clipward-worker", p->arena, &path, err);
	if (st != CW_OK)
		return st;
	/* OpenBLAS starts its threads before main. */
	snprintf(threads, sizeof(threads), "OPENBLAS_NUM_THREADS=%u",
	    init->threads);
	st = cw_spawn((char *const[]){ (char *)(uintptr_t)path, NULL }, env,
	    &p->pid, &p->fd, err);
	if (st != CW_OK)
		return st;
	cw_pack_init(&w, p->arena, 4096);
	cw_init_pack(init, &w);
	return cw_peer_send(p, CW_F_INIT, 0, 0, &w, err);
}

void
cw_peer_kill(struct cw_peer *p)
{
	if (p->pid > 0)
		(void)kill(p->pid, SIGKILL);
	cw_peer_stop(p);
}

void
cw_peer_stop(struct cw_peer *p)
{
	cw_close(&p->fd);
	if (p->pid > 0)
		while (waitpid(p->pid, NULL, 0) == -1 && errno == EINTR)
			;
	p->pid = 0;
}

const char *
cw_peer_reap(struct cw_peer *p)
{
	static char how[64];
	int status = 0;

	cw_close(&p->fd);
	while (p->pid > 0 && waitpid(p->pid, &status, 0) == -1 &&
	    errno == EINTR)
		;
	p->pid = 0;
	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "worker ended by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "worker ended with status %d",
		    WEXITSTATUS(status));
	return how;
}

enum cw_status
cw_peer_send(struct cw_peer *p, enum cw_frame_type type, uint16_t flags,
    uint64_t id, const struct cw_pack *body, struct cw_err *err)
{
	struct cw_frame f = { .type = (uint16_t)type, .flags = flags,
		.id = id };

	if (!cw_pack_ok(body) || body->len > CW_FRAME_MAX)
		return cw_err_set(err, CW_E_LIMIT, "no room for a %s message",
		    cw_frame_name((uint16_t)type));
	f.body = body->p;
	f.len = (uint32_t)body->len;
	return cw_frame_write(p->fd, &f, err);
}

static enum cw_status
on_log(struct cw_peer *p, const struct cw_frame *f, struct cw_err *err)
{
	struct cw_unpack r;
	const char *line;
	uint8_t level;

	cw_unpack_init(&r, f->body, f->len);
	level = cw_get_u8(&r);
	line = cw_get_str(&r, CW_LOG_MAX, p->arena);
	if (!cw_unpack_end(&r))
		return cw_err_set(err, CW_E_FORMAT, "worker: bad LOG message");
	if (p->log != NULL && level <= CW_LOG_NOTICE) {
		struct cw_err clean;

		/* Strips what could disturb a terminal. */
		(void)cw_err_set(&clean, CW_OK, "%s", line);
		p->log(level, clean.text);
	}
	return CW_OK;
}

static enum cw_status
on_fatal(struct cw_peer *p, const struct cw_frame *f, struct cw_err *err)
{
	struct cw_unpack r;
	const char *why;
	uint32_t code;

	cw_unpack_init(&r, f->body, f->len);
	code = cw_get_u32(&r);
	why = cw_get_str(&r, CW_LOG_MAX, p->arena);
	if (!cw_unpack_end(&r))
		return cw_err_set(err, CW_E_FORMAT,
		    "worker: bad FATAL message");
	return cw_err_set(err, code == FATAL_CONFIG ? CW_E_CONFIG :
	    CW_E_SYSTEM, "%s", why);
}

enum cw_status
cw_peer_read(struct cw_peer *p, struct cw_frame *f, struct cw_err *err)
{
	enum cw_status st;

	for (;;) {
		st = cw_frame_read(p->fd, CW_FRAME_MAX, p->arena, f, err);
		/* A killed worker may leave half a message behind. */
		if (st == CW_E_CLOSED || st == CW_E_FORMAT ||
		    st == CW_E_SYSTEM)
			return cw_err_set(err, CW_E_CLOSED, "%s",
			    cw_peer_reap(p));
		if (st != CW_OK)
			return st;
		if (f->type == CW_F_FATAL)
			return on_fatal(p, f, err);
		if (f->type != CW_F_LOG)
			return CW_OK;
		if ((st = on_log(p, f, err)) != CW_OK)
			return st;
	}
}

enum cw_status
cw_peer_expect(struct cw_peer *p, enum cw_frame_type type,
    struct cw_frame *f, struct cw_err *err)
{
	enum cw_status st = cw_peer_read(p, f, err);

	if (st == CW_OK && f->type != type)
		return cw_err_set(err, CW_E_FORMAT,
		    "worker: a %s message came, want %s",
		    cw_frame_name(f->type), cw_frame_name((uint16_t)type));
	return st;
}
