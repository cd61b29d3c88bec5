// SPDX-License-Identifier: PostgreSQL
//
// May a SELECT be a lookup, and what are its keys?
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_LOOKUP_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_LOOKUP_H

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"

// After the walk. Fills in the keys and what else only a lookup has. REASON_NONE, or why not.
enum reason lookup_judge(struct builder *b, const PgQuery__SelectStmt *s);

#endif
