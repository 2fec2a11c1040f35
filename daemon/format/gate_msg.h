/*
 * gate_msg.h - bodies of the frames between a gate and the supervisor.
 *
 * Runs in: supervisor, gate.  Never: logs.
 *
 * GATE_INIT -> GATE_READY, then REQUESTs up and REPLYs, PUBLISHes, PAUSEs
 * down, in any order.  A route names one client of one gate's life: replies
 * to a route that is gone are dropped, the sender asks again under its id.
 * A SUBMIT of a sender that hears nothing has a number of its own with
 * CW_ROUTE_PUSHED set: the gate keeps it until it is ACCEPTED or REJECTED, and
 * sends it again after a BUSY.
 */
#ifndef CW_GATE_MSG_H
#define CW_GATE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "base/status.h"
#include "format/job.h"
#include "format/pack.h"

#define CW_ROUTE_PUSHED		((uint64_t)1 << 63)
#define CW_PUSHED_MAX		512u	/* without an answer, of one gate */
#define CW_ENDPOINTS_MAX	16u
#define CW_CURVE_CLIENTS_MAX	4096u

enum cw_right { CW_R_SUBMIT = 1u, CW_R_WATCH = 2u, CW_R_RELOAD = 4u };

struct cw_curve_client {
	char		 key[41];	/* Z85 public key */
	uint32_t	 rights;	/* enum cw_right, or-ed */
	const char	*name;
};

struct cw_gate_init {
	const char	*submit, *pull, *pub;	/* endpoints; "" : none */
	const char	**connect;		/* [nconnect] PULL connects to */
	uint32_t	 nconnect;
	char		 secret_key[41];	/* Z85 or "" : no CURVE */
	struct cw_curve_client *clients;	/* [nclients] */
	uint32_t	 nclients;
	uint64_t	 max_bytes;		/* of one message */
	uint64_t	 pending_bytes;		/* held for the supervisor */
	uint64_t	 reply_bytes;		/* held for slow clients */
	uint32_t	 retry_ms;		/* suggested in BUSY */
};

/* GATE_READY: the endpoints as bound (with "tcp://127.0.0.1:*" resolved). */
struct cw_gate_ready {
	const char	*submit, *pull, *pub;
};

enum cw_verb {			/* client -> daemon */
	CW_V_SUBMIT, CW_V_GET, CW_V_CANCEL, CW_V_PING, CW_V_RELOAD, CW_VERBS
};
enum cw_answer {		/* daemon -> client */
	CW_A_ACCEPTED, CW_A_VERDICT, CW_A_REJECTED, CW_A_BUSY, CW_A_PENDING,
	CW_A_UNKNOWN, CW_A_PONG, CW_ANSWERS
};
const char *cw_verb_name(enum cw_verb v);	/* "SUBMIT" */
int cw_verb_parse(const char *s, size_t n);	/* -1 when none */
const char *cw_answer_name(enum cw_answer v);

static inline bool
cw_route_pushed(uint64_t route)
{
	return (route & CW_ROUTE_PUSHED) != 0;
}

struct cw_request {		/* frame id = route */
	enum cw_verb	 verb;
	bool		 has_job;
	struct cw_job	 job;		/* SUBMIT: whole; GET, CANCEL: id only */
	char		 key[41];	/* Z85 of the sender's CURVE key, or "" */
	uint32_t	 rights;	/* that this key has, enum cw_right */
};

#define CW_PARTS_MAX	8u
struct cw_reply {		/* frame id = route */
	enum cw_answer	 answer;
	const char	*json;		/* header frame */
	struct cw_bytes	 parts[CW_PARTS_MAX];	/* payload frames, borrowed */
	uint32_t	 nparts;
};
struct cw_publish {
	const char	*topic;		/* verdict.<decision>.<policy> */
	const char	*json;
};

struct cw_gate_stats {		/* counted since the gate's start */
	uint64_t	 messages, malformed, rejected, busy, replies,
			 dropped_replies, published, auth_refused, clients,
			 slow_replies,	/* dropped for want of room */
			 held_bytes;	/* now */
};

void cw_gate_init_pack(const struct cw_gate_init *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_gate_init_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_gate_init *out, struct cw_err *err);
void cw_gate_ready_pack(const struct cw_gate_ready *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_gate_ready_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_gate_ready *out, struct cw_err *err);
void cw_request_pack(const struct cw_request *m, struct cw_pack *w);
/* The image bytes are borrowed from the input. */
CW_MUST_USE enum cw_status cw_request_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_request *out, struct cw_err *err);
void cw_reply_pack(const struct cw_reply *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_reply_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_reply *out, struct cw_err *err);
void cw_publish_pack(const struct cw_publish *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_publish_unpack(struct cw_unpack *r,
    struct cw_arena *a, struct cw_publish *out, struct cw_err *err);
void cw_gate_stats_pack(const struct cw_gate_stats *m, struct cw_pack *w);
CW_MUST_USE enum cw_status cw_gate_stats_unpack(struct cw_unpack *r,
    struct cw_gate_stats *out, struct cw_err *err);

#endif /* CW_GATE_MSG_H */
