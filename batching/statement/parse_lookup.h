// SPDX-License-Identifier: PostgreSQL
//
// Decides whether a SELECT may be a lookup, and which parameters may be its keys.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_LOOKUP_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_LOOKUP_H

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"

// Runs after the walk. Fills in the keys and the other fields that only a lookup has. Returns REASON_NONE, or
// why it is no lookup.
enum reason lookup_judge(struct builder *b, const PgQuery__SelectStmt *s);

#endif
