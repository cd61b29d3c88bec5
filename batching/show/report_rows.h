// SPDX-License-Identifier: PostgreSQL
//
// Rows that the console shows of loops, tags, and what tests expect.
#ifndef PGFOLD_BATCHING_SHOW_REPORT_ROWS_H
#define PGFOLD_BATCHING_SHOW_REPORT_ROWS_H

#include "batching/show/table.h"

struct engine;

void report_loop_rows(const struct engine *e, struct table *t);
void report_tag_rows(const struct engine *e, struct table *t);
void report_expectation_rows(const struct engine *e, struct table *t);

#endif
