// SPDX-License-Identifier: PostgreSQL
//
// What has happened since the start, as log lines: at SIGUSR1 and at the end.
#ifndef PGFOLD_PROXY_COUNTERS_H
#define PGFOLD_PROXY_COUNTERS_H

struct proxy;

void counters_log(const struct proxy *p);

#endif
