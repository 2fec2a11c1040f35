/*
 * spool_db.h - what the files of the spool share.
 *
 * Runs in: supervisor.  Private to spool*.c.
 */
#ifndef CW_SPOOL_DB_H
#define CW_SPOOL_DB_H

#include "supervisor/db.h"
#include "supervisor/spool.h"

#define SPOOL_MAGIC	0x5b001eadu

struct cw_spool {
	uint32_t	 magic;
	struct cw_db	*db;
	struct cw_arena	*scratch;	/* of one call */
	int		 lock;		/* descriptor, flock()ed */
	bool		 dirty;		/* a transaction is open */
	bool		 failed;	/* this turn can't be committed */
	bool		 sick;
	struct cw_err	 why;		/* of failed */
};

/* Open the turn's transaction if needed; CW_E_BUSY when that can't be. */
CW_MUST_USE enum cw_status cw_spool_write(struct cw_spool *sp,
    struct cw_err *err);
/* Pass the status of a write on; a wrong one fails the turn. */
enum cw_status cw_spool_wrote(struct cw_spool *sp, enum cw_status st,
    struct cw_err *err);

/* cw_spool_write, the statement, cw_spool_wrote. */
#define SPOOL_RUN(sp, err, sql, ...)					\
	(cw_spool_write(sp, err) != CW_OK ? CW_E_BUSY :			\
	    cw_spool_wrote(sp, CW_DB_RUN((sp)->db, err, sql,		\
	    __VA_ARGS__), err))

#endif /* CW_SPOOL_DB_H */
