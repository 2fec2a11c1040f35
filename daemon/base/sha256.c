/*
 * sha256.c - see sha256.h.
 */
#include "base/sha256.h"

/*
 * The library's old interface: the new one takes memory, and may find none,
 * and at its first hash opens a configuration, as no sandbox allows.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <string.h>

#include "base/status.h"

void
cw_sha256(const struct cw_bytes *parts, size_t nparts, char hex[CW_SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char sum[SHA256_DIGEST_LENGTH];
	SHA256_CTX ctx;

	CW_CHECK(SHA256_Init(&ctx) == 1);
	for (size_t i = 0; i < nparts; i++)
		CW_CHECK(SHA256_Update(&ctx, parts[i].p, parts[i].n) == 1);
	CW_CHECK(SHA256_Final(sum, &ctx) == 1);
	for (size_t i = 0; i < sizeof(sum); i++) {
		hex[2 * i] = digits[sum[i] >> 4];
		hex[2 * i + 1] = digits[sum[i] & 15];
	}
	hex[64] = '\0';
}

bool
cw_sha256_valid(const char *s)
{
	return strspn(s, "0123456789abcdef") == 64 && s[64] == '\0';
}
