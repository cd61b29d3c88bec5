// SPDX-License-Identifier: PostgreSQL
//
// What the outermost ORDER BY and GROUP BY of a statement say.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_ORDER_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_ORDER_H

#include <stdbool.h>

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"

// Is an item a number? It means the column at that place.
bool order_has_numbers(const PgQuery__SelectStmt *s);

// Is an item this name alone? It may mean the column that is labelled so.
bool order_names(const PgQuery__SelectStmt *s, const char *label);

// Notes the columns of the only table by which the rows are sorted, in parsed.sort.
void order_note(struct builder *b, const PgQuery__SelectStmt *s);

#endif
