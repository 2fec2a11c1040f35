/*
 * subscribers.c - see subscribers.h.
 */
#include "gate/subscribers.h"

#include <sys/socket.h>

#include "base/arena.h"
#include "gate/zap.h"

#define SUBSCRIBERS_MAGIC 0x50b5c21bu
#define DESCRIPTORS	65536

struct cw_subscribers {
	uint32_t	 magic;
	struct cw_socket *pub;
	bool		*here;		/* [DESCRIPTORS] */
};

enum cw_status
cw_subscribers_open(struct cw_net *net, struct cw_socket *pub,
    struct cw_subscribers **out, struct cw_err *err)
{
	struct cw_subscribers *s = cw_zalloc(1, sizeof(*s));

	if (s == NULL)
		return cw_err_sys(err, "subscribers");
	s->magic = SUBSCRIBERS_MAGIC;
	s->pub = pub;
	s->here = cw_zalloc(DESCRIPTORS, sizeof(*s->here));
	if (s->here == NULL)
		return cw_err_sys(err, "subscribers");
	*out = s;
	return cw_socket_watch(net, pub, "pub", err);
}

void
cw_subscribers_note(struct cw_subscribers *s)
{
	bool ended;
	int fd;

	if (s == NULL)
		return;
	CW_CHECK_OBJ(s, SUBSCRIBERS_MAGIC);
	while (cw_socket_event(s->pub, &fd, &ended))
		if (fd >= 0 && fd < DESCRIPTORS)
			s->here[fd] = !ended;
}

uint32_t
cw_subscribers_dismiss(struct cw_subscribers *s)
{
	uint32_t n = 0;

	cw_subscribers_note(s);
	/* One that goes at this moment may give its descriptor to another
	 * peer, which then has to come again, too: no more than that. */
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		if (s->here[fd] && shutdown(fd, SHUT_RDWR) == 0)
			n++;
	return n;
}

bool
cw_watch_lost(const struct cw_curve_client *old, uint32_t nold,
    const struct cw_curve_client *new, uint32_t nnew)
{
	for (uint32_t i = 0; i < nold; i++) {
		uint32_t k;

		if ((old[i].rights & CW_R_WATCH) == 0)
			continue;
		k = cw_zap_client(new, nnew, old[i].key);
		if (k >= nnew || (new[k].rights & CW_R_WATCH) == 0)
			return true;
	}
	return false;
}
