/*
 * stamp.h - the hash of weight files, remembered while they stay the same.
 *
 * Runs in: worker, at start.  Never: logs.
 *
 * Hashing the weights of a ViT-B/32 is half of a worker's start.  A stamp is a
 * small file beside the packed weights, named after what the kernel says of
 * the files (device, inode, size, and the times of the last change of bytes
 * and of inode), and holding their hash.  Nobody can write to a file and keep
 * its inode's time.  Who may write stamps may write packed weights, too.
 */
#ifndef CW_STAMP_H
#define CW_STAMP_H

#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"

/* One file when it was mapped. */
struct cw_stamp_id {
	uint64_t	 dev, ino, size;
	int64_t		 mtime_ns, ctime_ns;
};

/*
 * SHA-256 of files, one after another: from their stamp in dir or, when there
 * is none, computed and stamped.  Files changed within two seconds of now_ns
 * get no stamp: their clock may not tell the next change from the last.  dir
 * "" or one that can't be written to is no error.
 */
void cw_stamp_sha256(const struct cw_bytes *files,
    const struct cw_stamp_id *ids, size_t n, const char *dir, int64_t now_ns,
    char hex[CW_SHA256_HEX]);

#endif /* CW_STAMP_H */
