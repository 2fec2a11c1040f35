/*
 * sha256.h - SHA-256 as lower-case hex, by OpenSSL's libcrypto.
 *
 * Runs in: everywhere.  Never: logs, keeps state, allocates.
 */
#ifndef CW_SHA256_H
#define CW_SHA256_H

#include <stdbool.h>
#include <stddef.h>

#define CW_SHA256_HEX	65	/* 64 digits and the NUL */

struct cw_bytes {		/* borrowed bytes */
	const void	*p;
	size_t		 n;
};

/* Hash of the parts, one after another. */
void cw_sha256(const struct cw_bytes *parts, size_t nparts,
    char hex[CW_SHA256_HEX]);

/* Is s exactly 64 lower-case hex digits? */
bool cw_sha256_valid(const char *s);

#endif /* CW_SHA256_H */
