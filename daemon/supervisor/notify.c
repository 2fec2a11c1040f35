/*
 * notify.c - see notify.h.
 */
#include "supervisor/notify.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "base/io.h"

void
cw_notify_ready(const char *status)
{
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void
cw_notify_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    cw_now_us());
}

void
cw_notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

void
cw_notify_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

uint64_t
cw_notify_interval_ms(void)
{
	uint64_t usec = 0;

	/* Half of it, so that one late turn does not matter. */
	return sd_watchdog_enabled(0, &usec) > 0 ? usec / 2000 : 0;
}
