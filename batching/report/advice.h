// SPDX-License-Identifier: PostgreSQL
//
// What to write instead of a loop, in the words of the libraries that people use.
#ifndef PGFOLD_BATCHING_REPORT_ADVICE_H
#define PGFOLD_BATCHING_REPORT_ADVICE_H

#include "batching/report/loop.h"
#include "protocol/buf.h"

#define ADVICE_TOOLS 9 // the last one is SQL itself

// The i-th library; static.
const char *advice_tool(unsigned i);

// Appends what to write with it in the place of this loop.
void advice_write(const struct loop *l, unsigned i, struct buf *out);

// What to write where nothing is known of tables: one sentence, static.
const char *advice_in_general(void);

#endif
