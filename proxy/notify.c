// SPDX-License-Identifier: PostgreSQL
#include "proxy/notify.h"

#ifdef HAVE_SYSTEMD

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include <systemd/sd-daemon.h>

void notify_ready(const char *status) {
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_reloading(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
               (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
}

void notify_stopping(void) {
    sd_notify(0, "STOPPING=1\nSTATUS=Draining");
}

void notify_alive(void) {
    uint64_t interval;
    if (getenv("WATCHDOG_USEC") && sd_watchdog_enabled(0, &interval) > 0)
        sd_notify(0, "WATCHDOG=1");
}

#else

void notify_ready(const char *status) {
    (void)status;
}

void notify_reloading(void) {
}

void notify_stopping(void) {
}

void notify_alive(void) {
}

#endif
