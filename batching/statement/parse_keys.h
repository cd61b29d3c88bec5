// SPDX-License-Identifier: PostgreSQL
//
// Which parameters of a lookup may be its keys, and where they stand. What is seen is counted in the lookup's
// uses, by parameter; at the end those are kept as keys that stand nowhere else.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_KEYS_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "batching/statement/parse_judged.h"

// The type's name if a lookup may cast to it or to its arrays, else NULL. Types that are not the server's own are
// listed as functions, for the catalogue to judge. Borrowed from the tree.
const char *judged_type(const PgQuery__TypeName *t);

// The value of SELECT $1; NULL: it is no such select.
const Node *judged_selected(const Node *select);

// Sees a comparison in a WHERE or ON: x = $1, x = ANY ($1), x < $1.
void judged_see_keys(struct judged *l, const PgQuery__AExpr *e, enum place at);

// Sees one side of an equality. `right`: it is x = side as it is written.
void judged_see_side(struct judged *l, const Node *other, const Node *side, bool right, enum place at);

// Sees the values in the select list that have a label.
void judged_see_targets(struct judged *l, const PgQuery__SelectStmt *s);

// Sees what decides the order and the number of the rows.
void judged_see_order(struct judged *l, const PgQuery__SelectStmt *s);

// Keeps the keys that stand nowhere else, those of equalities or (`range`) the others, in kept[PARSED_MAX_KEYS].
// Returns how many.
int judged_keep_keys(const struct judged *l, bool range, enum order order, struct parsed_key *kept);

#endif
