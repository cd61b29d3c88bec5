// SPDX-License-Identifier: PostgreSQL
//
// Estimates from the tokens alone how deep the parse tree of a text can get. libpg_query recurses over the
// tree, uses about 2 kB of stack for each level, and does not check. So a text that could get too deep must
// not reach it.
#ifndef PGFOLD_BATCHING_STATEMENT_DEPTH_H
#define PGFOLD_BATCHING_STATEMENT_DEPTH_H

#include <stdbool.h>
#include <stddef.h>

#define DEPTH_MAX_BRACKETS 250  // the highest value of max_brackets
#define DEPTH_MAX_TREE     1000 // tokens on the deepest path

struct depth {
    bool error; // the text has a lexical error
    bool too_deep;
    bool setting_dependent; // see lexer_setting_dependent
    size_t select_at;       // offset behind the first SELECT; 0: there is none
};

// Scans the text once. It is too deep when brackets and CASEs nest deeper than max_brackets, or when the tree
// could pass DEPTH_MAX_TREE.
struct depth depth_scan(const char *text, size_t len, int max_brackets);

#endif
