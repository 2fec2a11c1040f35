/*
 * unix_path.c - see unix_path.h.
 */
#include "base/unix_path.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/io.h"

/* Does anybody listen there? */
static bool
answers(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	const bool yes = fd != -1 && (connect(fd, (const void *)sa,
	    sizeof(*sa)) == 0 || errno == EAGAIN);

	cw_close(&fd);
	return yes;
}

enum cw_status
cw_unix_path_take(const char *path, struct sockaddr_un *sa,
    struct cw_err *err)
{
	struct stat sb;

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sa->sun_path))
		return cw_err_set(err, CW_E_CONFIG, "%s is longer than %zu "
		    "bytes", path, sizeof(sa->sun_path) - 1);
	strcpy(sa->sun_path, path);
	if (lstat(path, &sb) == 0 && !S_ISSOCK(sb.st_mode))
		return cw_err_set(err, CW_E_CONFIG, "%s is there and no "
		    "socket; want a path that is free", path);
	if (answers(sa))
		return cw_err_set(err, CW_E_BUSY, "%s: another daemon answers "
		    "there", path);
	return CW_OK;
}
