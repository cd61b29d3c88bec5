// SPDX-License-Identifier: PostgreSQL
//
// Rows of SHOW that connections and settings tell.
#ifndef PGFOLD_PROXY_CONSOLE_ROWS_H
#define PGFOLD_PROXY_CONSOLE_ROWS_H

#include "batching/show/shows.h"
#include "proxy/proxy.h"

#define CONSOLE_AT_ONCE 400 // connections that are told of in one turn of the loop

// Adds rows. Connections are told of some at a time, those with an id below `before` (UINT64_MAX: all). Returns 0 when all
// rows are there, else what `before` has to be for the next ones.
uint64_t console_rows(struct proxy *p, enum console_show what, bool old, uint64_t before, struct table *t);

#endif
