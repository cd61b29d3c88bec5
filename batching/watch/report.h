// SPDX-License-Identifier: PostgreSQL
//
// What a test run has found, as text for whoever started it. No value of a parameter or constant is in it.
#ifndef PGFOLD_BATCHING_WATCH_REPORT_H
#define PGFOLD_BATCHING_WATCH_REPORT_H

#include "batching/watch/scope.h"

// Appends a statement without its values, behind these words.
void report_put_statement(struct buf *out, const char *what, const struct shape *shape);

// Appends the loops of the run, those with most lookups first, what to do about them, and the allowances that were
// never needed.
void report_write(const struct scopes *s, struct buf *out);

#endif
