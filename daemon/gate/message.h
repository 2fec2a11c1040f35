/*
 * message.h - what peers say, checked, and what the gate says back.
 *
 * Runs in: gate.  Never: logs, sends.
 *
 *	 from a ROUTER only          always             SUBMIT only
 *	+----------+------------+-----+------+--------+-------------+
 *	| identity | "" of REQ  | CW1 | verb | header | image bytes |
 *	+----------+------------+-----+------+--------+-------------+
 *	                                      JSON; PING and RELOAD may
 *	                                      leave it out
 */
#ifndef CW_MESSAGE_H
#define CW_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "format/gate_msg.h"
#include "gate/socket.h"

#define CW_WIRE_VERSION	"CW1"

struct cw_message {
	/* known even of a message that breaks the form */
	struct cw_bytes	 identity;	/* n is 0 when there is none */
	bool		 delimiter;
	const char	*id;		/* of the job, "" unknown */
	const char	*code;		/* of the refusal, static */
	/* only of a good one */
	struct cw_request request;	/* of nobody: no key, no rights */
};

/*
 * Before the sandbox: let the JSON library open what it opens at its first
 * use (/dev/urandom).
 */
void cw_message_prepare(void);

/*
 * Read a message.  Strings land in the arena, the image is borrowed from m.
 * An id is made up for a SUBMIT without one.  routed: m begins with an
 * identity.  CW_E_FORMAT or CW_E_LIMIT with the reason for the peer; the word
 * for it is out->code.
 */
CW_MUST_USE enum cw_status cw_message_read(const struct cw_multipart *m,
    bool routed, uint64_t max_bytes, struct cw_arena *a,
    struct cw_message *out, struct cw_err *err);

/* Header frames of the gate's own answers: JSON in the arena, never NULL. */
const char *cw_message_rejected(struct cw_arena *a, const char *id,
    const char *code, const char *why);
const char *cw_message_busy(struct cw_arena *a, const char *id,
    uint32_t retry_ms);

#endif /* CW_MESSAGE_H */
