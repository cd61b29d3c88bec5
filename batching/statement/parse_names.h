// SPDX-License-Identifier: PostgreSQL
//
// What the names in a lookup's expressions may stand for, as far as the text alone tells.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_NAMES_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_NAMES_H

#include <stdbool.h>

#include "batching/base/reason.h"
#include "batching/statement/parse_judged.h"

// Does the server read the name as it stands here, whatever its locale?
bool judged_plain_name(const char *s);

// By which a column may name the table: its alias, or its own name.
const char *judged_label(const struct parsed_relation *r);

// Is it the name of a source of rows that is no table: a subselect, a function, a CTE?
bool judged_is_source(const struct builder *b, const char *name);

// Is it t or t.*, the whole row of something in FROM? Labels t in the builder: its name is then no column's.
bool judged_is_row(struct judged *l, const Node *n);

// The same for t alone, where t is a source.
bool judged_is_source_row(struct judged *l, const Node *n);

// Is it t.* or *?
bool judged_is_star(const Node *n);

// REASON_NONE: it is a column, and can be nothing else.
enum reason judged_column_reason(const struct judged *l, const PgQuery__ColumnRef *c);

#endif
