/*
 * main.c - clipward-gate: the process that faces the network.
 *
 * Started by clipwardd with a stream socket at descriptor 3.  The order, and
 * no other: GATE_INIT, bind, sandbox, GATE_READY, loop until the channel
 * closes.  Never: opens a file, decodes an image.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "gate/uplink.h"
#include "gate/gate.h"
#include "gate/message.h"
#include "gate/sandbox.h"

#define EXIT_USAGE	64	/* EX_USAGE */
#define EXIT_OSERR	71	/* EX_OSERR */
#define EXIT_IOERR	74	/* EX_IOERR: an address is taken, or a name
				   could not be looked up now */
#define EXIT_AGAIN	75	/* EX_TEMPFAIL: start me again */
#define EXIT_CONFIG	78	/* EX_CONFIG */

#define INIT_BYTES	((size_t)8 << 20)	/* GATE_INIT and its strings */
#define DESCRIPTORS	16384	/* peers at a time */
/* For the supervisor to read what was passed on: jobs, and our last words. */
#define LEAVE_MS	400	/* told to go, without anything going */
#define FAIL_MS		3000

/* Log lines go up the channel; one that finds no room is lost. */
static void
send_line(void *payload, enum cw_level level, const char *line)
{
	static struct cw_arena *a;
	struct cw_frame f = { .type = CW_F_LOG };
	struct cw_pack w;

	if (a == NULL && cw_arena_open(4 * CW_LOG_MAX, &a, NULL) != CW_OK)
		return;
	cw_arena_reset(a, 4 * CW_LOG_MAX);
	cw_pack_init(&w, a, 2 * CW_LOG_MAX);
	cw_put_u8(&w, (uint8_t)level);
	cw_put_str(&w, line);
	f.body = w.p;
	f.len = (uint32_t)w.len;
	if (cw_pack_ok(&w))
		(void)cw_uplink_put(payload, &f);
}

/* Tell the parent why there will be no READY, and go without farewells. */
static _Noreturn void
fatal(enum cw_status st, const struct cw_err *why)
{
	const int code = st == CW_E_CONFIG ? EXIT_CONFIG :
	    st == CW_E_BUSY ? EXIT_IOERR : EXIT_OSERR;
	struct cw_frame f = { .type = CW_F_FATAL };
	struct cw_arena *a;
	struct cw_pack w;

	if (cw_arena_open(2 * CW_ERR_MAX, &a, NULL) != CW_OK)
		_exit(code);
	cw_pack_init(&w, a, CW_ERR_MAX + 64);
	cw_put_u32(&w, (uint32_t)code);
	cw_put_str(&w, why->text);
	f.body = w.p;
	f.len = (uint32_t)w.len;
	if (cw_frame_write(CW_CHANNEL_FD, &f, NULL) != CW_OK)
		fprintf(stderr, "clipward-gate: %s\n", why->text);
	_exit(code);
}

static enum cw_status
read_init(struct cw_arena *a, struct cw_gate_init *init, struct cw_err *err)
{
	struct cw_unpack u;
	struct cw_frame f;
	enum cw_status st;

	st = cw_frame_read(CW_CHANNEL_FD, INIT_BYTES / 2, a, &f, err);
	if (st != CW_OK)
		return st;
	if (f.type != CW_F_GATE_INIT)
		return cw_err_set(err, CW_E_FORMAT,
		    "%s frame; want GATE_INIT", cw_frame_name(f.type));
	cw_unpack_init(&u, f.body, f.len);
	return cw_gate_init_unpack(&u, a, init, err);
}

static void
prepare_process(void)
{
	struct rlimit rl;

	/* The end comes through the channel, not from a terminal's ^C. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);	/* stderr may be a file */
	/* ipc:// sockets are for the daemon's user and group. */
	(void)umask(0117);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max < DESCRIPTORS ? rl.rlim_max :
		    DESCRIPTORS;
		rl.rlim_max = rl.rlim_cur;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	/* Big messages are mapped, so that they go back when they end. */
	(void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
	(void)mallopt(M_ARENA_MAX, 2);
}

static enum cw_status
say_ready(struct cw_uplink *c, const struct cw_gate_ready *ready,
    struct cw_arena *a)
{
	struct cw_frame f = { .type = CW_F_GATE_READY };
	struct cw_pack w;

	cw_pack_init(&w, a, 1024);
	cw_gate_ready_pack(ready, &w);
	f.body = w.p;
	f.len = (uint32_t)w.len;
	return cw_pack_ok(&w) && cw_uplink_put(c, &f) ? CW_OK : CW_E_LIMIT;
}

int
main(void)
{
	static struct cw_uplink uplink;
	struct cw_gate_ready ready;
	struct cw_gate_init init;
	struct cw_gate *gate = NULL;
	struct cw_arena *a;
	enum cw_status st;
	struct cw_err err;
	struct cw_err why;
	struct stat sb;

	if (fstat(CW_CHANNEL_FD, &sb) == -1 || !S_ISSOCK(sb.st_mode)) {
		fprintf(stderr, "clipward-gate: no channel at descriptor %d; "
		    "clipwardd starts this program\n", CW_CHANNEL_FD);
		return EXIT_USAGE;
	}
	prepare_process();
	if ((st = cw_arena_open(INIT_BYTES, &a, &err)) != CW_OK ||
	    (st = read_init(a, &init, &err)) != CW_OK ||
	    (st = cw_uplink_open(&uplink, CW_CHANNEL_FD,
	    init.pending_bytes + 2 * (init.max_bytes + (1u << 20)),
	    &err)) != CW_OK) {
		if (st == CW_E_CLOSED)
			_exit(0);
		fatal(st, &err);
	}
	cw_log_hook(send_line, &uplink);
	st = cw_gate_open(&init, a, &uplink, &gate, &ready, &err);
	if (st != CW_OK)
		fatal(st, &err);
	cw_message_prepare();
	st = cw_gate_sandbox(init.nconnect > 0, &err);
	if (st != CW_OK || (st = say_ready(&uplink, &ready, a)) != CW_OK)
		fatal(st, &err);
	st = cw_gate_run(gate, &why);
	if (st != CW_E_CLOSED) {
		cw_log(CW_LOG_ERR, "ends reason=%s", cw_quote(why.text).text);
		if (cw_uplink_drain(&uplink, FAIL_MS, &err) != CW_OK)
			fprintf(stderr, "clipward-gate: ends: %s; %s\n",
			    why.text, err.text);
		_exit(EXIT_AGAIN);
	}
	/* Who pushes does not send again: it can't know. */
	st = cw_uplink_drain(&uplink, LEAVE_MS, &err);
	cw_gate_close(&gate);
	/* the exit handlers' calls are not on the list */
	_exit(st == CW_E_BUSY ? EXIT_AGAIN : 0);
}
