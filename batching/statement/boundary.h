// SPDX-License-Identifier: PostgreSQL
//
// Recognises the statements that begin or end a transaction and say nothing else, but for what it may do.
#ifndef PGFOLD_BATCHING_STATEMENT_BOUNDARY_H
#define PGFOLD_BATCHING_STATEMENT_BOUNDARY_H

#include <stdbool.h>

#include "batching/statement/parse.h"
#include "protocol/message.h"

struct boundary {
    enum statement_kind kind; // BEGIN, COMMIT or ROLLBACK
    const char *tag;          // what CommandComplete says of it
    const char *access;       // " READ ONLY" or " READ WRITE", if it says so; else ""; static
};

// Reads BEGIN, START TRANSACTION, COMMIT, END, ROLLBACK or ABORT, with TRANSACTION or WORK, the first two also with READ ONLY or
// READ WRITE, in any case. Returns
// false when the text has anything else in it, such as an isolation level or AND CHAIN, or a comment says
// pgfold:skip.
bool boundary_read(struct slice text, struct boundary *out) __attribute__((warn_unused_result));

#endif
