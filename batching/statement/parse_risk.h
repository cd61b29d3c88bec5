// SPDX-License-Identifier: PostgreSQL
//
// Finds what an expression of a lookup computes although no row is read. Such a computation may fail in the
// lookup and not in the folded statement, see risk.h.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_RISK_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_RISK_H

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"

// Notes what one expression of a lookup computes. `risk`: that of a parameter that is computed with here.
void risk_note(struct builder *b, const Node *n, enum risk risk);

#endif
