/*
 * pub.c - see pub.h.
 */
#include "gate/pub.h"

#include <string.h>

#include "gate/message.h"

#define WAITING_BYTES	((size_t)64 << 20)	/* for one subscriber */
#define WAITING_LEAST	16u	/* verdicts, however long they are */

static void
bound(struct cw_pub *p, size_t bytes)
{
	const size_t lately = p->long_bytes - p->long_bytes / 64;
	uint32_t n = CW_OUTPUT_HWM;

	p->long_bytes = bytes > lately ? bytes : lately;
	while (n > WAITING_LEAST && n * p->long_bytes > WAITING_BYTES)
		n /= 2;
	if (n != p->waiting)
		cw_socket_output(p->sock, n);
	p->waiting = n;
}

enum cw_status
cw_pub_send(struct cw_pub *p, const struct cw_publish *m)
{
	const char *name = cw_answer_name(CW_A_VERDICT);
	const struct cw_bytes f[] = {
		{ m->topic, strlen(m->topic) },
		{ CW_WIRE_VERSION, strlen(CW_WIRE_VERSION) },
		{ name, strlen(name) }, { m->json, strlen(m->json) },
	};

	if (p->sock == NULL)
		return CW_E_NOT_FOUND;
	bound(p, f[CW_COUNT(f) - 1].n);
	return cw_socket_send(p->sock, f, CW_COUNT(f));
}

void
cw_pub_note(struct cw_pub *p)
{
	if (p->sock != NULL && p->long_bytes > 0 &&
	    p->waiting < CW_OUTPUT_HWM)
		cw_socket_output(p->sock, p->waiting);
}
