// SPDX-License-Identifier: PostgreSQL
//
// Rows of SHOW that connections and settings tell.
#ifndef PGFOLD_PROXY_CONSOLE_ROWS_H
#define PGFOLD_PROXY_CONSOLE_ROWS_H

#include "batching/show/shows.h"
#include "proxy/proxy.h"

void console_rows(struct proxy *p, enum console_show what, bool old, struct table *t);

#endif
