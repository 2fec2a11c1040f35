/*
 * sandbox.h - the last door: nothing can be opened behind it.
 *
 * Runs in: worker, once, warm, before READY.
 *
 * seccomp (every call that is not on the list kills the process), Landlock
 * where the kernel has it, no new privileges, no core dump, no ptrace by
 * equals, no file of any size, no descriptor above those held.
 */
#ifndef CW_SANDBOX_H
#define CW_SANDBOX_H

#include "base/status.h"

struct cw_sandbox;		/* opaque */

/*
 * Build the list for a process whose only descriptors are stderr and the
 * channel; nothing is restricted yet.  threads: how many this process has;
 * more than one adds what waiting for each other takes.
 * CW_E_SYSTEM when this kernel or libseccomp can't.
 */
CW_MUST_USE enum cw_status cw_sandbox_prepare(int channel, int threads,
    struct cw_sandbox **out, struct cw_err *err);

/*
 * Close every other descriptor and enter; there is no way back.  Frees *sb.
 * what: "seccomp+landlock" or "seccomp", static storage.  An error leaves
 * the process half shut: the caller must end it.
 */
CW_MUST_USE enum cw_status cw_sandbox_enter(struct cw_sandbox **sb,
    const char **what, struct cw_err *err);

#endif /* CW_SANDBOX_H */
