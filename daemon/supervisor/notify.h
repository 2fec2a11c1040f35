/*
 * notify.h - what the service manager is told, when there is one.
 *
 * Runs in: supervisor.  Never: logs.
 */
#ifndef CW_NOTIFY_H
#define CW_NOTIFY_H

#include <stdint.h>

void cw_notify_ready(const char *status);
void cw_notify_reloading(void);
void cw_notify_stopping(void);
void cw_notify_alive(void);		/* WATCHDOG=1 */
/* How often it wants to hear cw_notify_alive, 0: never. */
uint64_t cw_notify_interval_ms(void);

#endif /* CW_NOTIFY_H */
