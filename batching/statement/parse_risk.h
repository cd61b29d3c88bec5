// SPDX-License-Identifier: PostgreSQL
//
// What an expression of a lookup computes without a row, which may fail where the lookup alone would not have computed it.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_RISK_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_RISK_H

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"

// One expression, of a lookup; `risk`: of a parameter that is computed with here.
void risk_note(struct builder *b, const Node *n, enum risk risk);

#endif
