/*
 * sha256.c - see sha256.h.
 */
#include "base/sha256.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/status.h"

void
cw_sha256(const struct cw_bytes *parts, size_t nparts, char hex[CW_SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char sum[32];
	EVP_MD_CTX *ctx;
	unsigned int n = 0;

	ctx = EVP_MD_CTX_new();
	CW_CHECK(ctx != NULL);
	CW_CHECK(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1);
	for (size_t i = 0; i < nparts; i++)
		CW_CHECK(EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1);
	CW_CHECK(EVP_DigestFinal_ex(ctx, sum, &n) == 1 && n == sizeof(sum));
	EVP_MD_CTX_free(ctx);
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
