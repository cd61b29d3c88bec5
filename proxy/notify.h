// SPDX-License-Identifier: PostgreSQL
//
// What a service manager is told: sd_notify of libsystemd. Nothing happens where no one asked to be told, or where pgfold
// was built without libsystemd.
#ifndef PGFOLD_PROXY_NOTIFY_H
#define PGFOLD_PROXY_NOTIFY_H

void notify_ready(const char *status); // it serves, or serves on after a reload
void notify_reloading(void);
void notify_stopping(void);

// The event loop turns. To be called each second; only a watchdog is told.
void notify_alive(void);

#endif
