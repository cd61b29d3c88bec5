// SPDX-License-Identifier: PostgreSQL
//
// How deep the parse tree of a text can get, told from its tokens alone. libpg_query recurses over the tree,
// with about 2 kB of stack a level and no check of its own: a text that could get too deep must not reach it.
#ifndef PGFOLD_BATCHING_STATEMENT_DEPTH_H
#define PGFOLD_BATCHING_STATEMENT_DEPTH_H

#include <stdbool.h>
#include <stddef.h>

#define DEPTH_MAX_BRACKETS 250  // the most that max_brackets can ask for
#define DEPTH_MAX_TREE     1000 // tokens on the deepest path

struct depth {
    bool error; // the text has a lexical error
    bool too_deep;
    bool setting_dependent; // see lexer_setting_dependent
    size_t select_at;       // offset behind the first SELECT, 0 when there is none
};

// One pass. Too deep: brackets and CASEs nest deeper than max_brackets, or the tree could pass
// DEPTH_MAX_TREE.
struct depth depth_scan(const char *text, size_t len, int max_brackets);

#endif
