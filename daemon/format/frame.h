/*
 * frame.h - the envelope of every message between our own processes.
 *
 * Runs in: everywhere.  Never: logs.
 *
 *	 0       4       6       8               16      20
 *	+-------+-------+-------+---------------+-------+------ - -
 *	| "CWF1"| type  | flags |      id       | length| body
 *	+-------+-------+-------+---------------+-------+------ - -
 *	  u32     u16     u16     u64             u32     length bytes
 *
 * The stream is a local socket, little-endian.  The receiver bounds length
 * before it reads or reserves anything, and checks that the type is known and
 * allowed now; a frame that is not ends the child that sent it, never the
 * receiver.  Bodies are made with pack.h.
 */
#ifndef CW_FRAME_H
#define CW_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

#define CW_FRAME_MAGIC	0x31465743u	/* "CWF1" */
#define CW_FRAME_HEADER	20u		/* bytes */
#define CW_FRAME_MAX	(512u << 20)	/* bytes of any body */
#define CW_FRAME_VERSION 5u		/* bump with any change of a body */

/* Bump CW_FRAME_VERSION with every change here or in a body's layout. */
enum cw_frame_type {
	/* parent -> worker, in the order of a worker's life */
	CW_F_INIT = 1,		/* worker_msg.h: struct cw_init */
	CW_F_POLICY = 2,	/* worker_msg.h: set + cached text vectors */
	CW_F_JOB = 3,		/* job.h: one job; flags bit 0: more of this
				   batch follow */
	CW_F_TEXT = 4,		/* worker_msg.h: tokenize or embed a text */
	CW_F_BENCH = 5,		/* worker_msg.h: measure */
	/* worker -> parent */
	CW_F_READY = 16,	/* worker_msg.h: struct cw_model_facts */
	CW_F_POLICY_DONE = 17,	/* id = generation; new text vectors, or why not */
	CW_F_RESULT = 18,	/* result.h: id = the job's */
	CW_F_ARTIFACT = 19,	/* id = the job's, before its RESULT: u32 kind
				   (enum cw_artifact), str name, blob bytes */
	CW_F_TEXT_DONE = 20,
	CW_F_BENCH_DONE = 21,	/* one JSON line */
	/* child -> parent, any time */
	CW_F_LOG = 32,		/* u8 level, str line */
	CW_F_FATAL = 33,	/* u32 exit code, str text: why start failed */
	/* supervisor -> gate and back: gate_msg.h */
	CW_F_GATE_INIT = 48,
	CW_F_GATE_READY = 49,
	CW_F_GATE_REQUEST = 50,	/* a client's message, checked and parsed */
	CW_F_GATE_REPLY = 51,	/* to one client */
	CW_F_GATE_PUBLISH = 52,	/* to all subscribers */
	CW_F_GATE_PAUSE = 53,	/* u8: 1 stop taking jobs, 0 go on */
	CW_F_GATE_STATS = 54,
};

#define CW_F_MORE	1u	/* flags bit 0, see CW_F_JOB */

struct cw_frame {
	uint16_t	 type;
	uint16_t	 flags;
	uint64_t	 id;
	uint32_t	 len;
	const void	*body;		/* [len] */
};

/* Header bytes for a frame; buf has CW_FRAME_HEADER bytes. */
void cw_frame_header(const struct cw_frame *f, uint8_t *buf);

/*
 * Parse a header; f->body is left NULL.  CW_E_FORMAT for a wrong magic,
 * CW_E_LIMIT when the body is longer than max bytes.
 */
CW_MUST_USE enum cw_status cw_frame_parse(const uint8_t *buf, size_t max,
    struct cw_frame *f, struct cw_err *err);

/* Blocking, for the worker and the CLI.  The body lives in the arena. */
CW_MUST_USE enum cw_status cw_frame_read(int fd, size_t max,
    struct cw_arena *a, struct cw_frame *f, struct cw_err *err);
CW_MUST_USE enum cw_status cw_frame_write(int fd, const struct cw_frame *f,
    struct cw_err *err);

const char *cw_frame_name(uint16_t type);	/* "JOB"; "?" when unknown */

#endif /* CW_FRAME_H */
