// SPDX-License-Identifier: PostgreSQL
//
// EXPLAIN of the console: what becomes of a statement, and what the catalogue has said about such. No value of a constant is told.
#ifndef PGFOLD_PROXY_CONSOLE_EXPLAIN_H
#define PGFOLD_PROXY_CONSOLE_EXPLAIN_H

#include "batching/show/table.h"
#include "protocol/message.h"

struct engine;

// A row for each line.
void console_explain(const struct engine *e, struct slice statement, struct table *t);

#endif
