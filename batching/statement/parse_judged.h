// SPDX-License-Identifier: PostgreSQL
//
// What is known of a SELECT while parse_lookup.c judges whether it is a lookup.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_JUDGED_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_JUDGED_H

#include <stdbool.h>

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"

// Where an expression stands.
enum place {
    PLACE_CLOSED,    // no key, also not in a subselect of it
    PLACE_VALUE,     // no key, but there may be one in the WHERE of a subselect
    PLACE_CONDITION, // an equality's side may be a key
    PLACE_TOP,       // the same, and it is on the top-level AND of the outermost WHERE
};

#define JUDGED_MAX_FUNCTIONS 8 // in FROM

// What the order of an answer's rows depends on.
enum order {
    ORDER_ANY,   // the plan, and with it every value
    ORDER_TOLD,  // ORDER BY, if its columns tell all rows apart
    ORDER_FIXED, // nothing: the answer is one row
};

struct judged {
    struct builder *b;
    // How often $n stands, at n: as a side of an equality where a key may stand; where it may decide the order of
    // rows, or which rows these are; in the select list alone.
    int *equalities, *ranges, *targets;
    bool subselects, windows, sets;
    bool nullable; // the comparison at hand is IS NOT DISTINCT FROM
    // Names that functions in FROM have there, and their only columns.
    const char *functions[JUDGED_MAX_FUNCTIONS];
    unsigned n_functions;
    bool each_row;     // the expression at hand is computed for every row of the answer
    bool rows_are_own; // and each row of the answer has passed the outermost WHERE
};

#endif
