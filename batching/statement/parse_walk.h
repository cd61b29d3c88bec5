// SPDX-License-Identifier: PostgreSQL
//
// One walk over everything in a parse tree, whatever the statement, which lists the names in it. And the
// helpers that read names from a tree.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_WALK_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_WALK_H

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"
#include "protocol/buf.h"

struct walk {
    struct builder *b; // gets the lists
    bool unknown;      // a message type was found that is on no list
    bool locking, into, writes, set_config;
    size_t n_ctes;
    const char *ctes[64];
};

// Walks over the tree and fills w's builder. It stops at what it does not know (`unknown`).
void tree_walk(struct walk *w, const Node *n);

bool tree_name_in(const char *name, const char *const *list); // the list ends with NULL

// The text of a String node, borrowed; NULL for any other node.
const char *tree_string(const Node *n);

// Reads a possibly qualified name: returns its last part, and in *schema the one before it or NULL. Both are
// borrowed. NULL: it is no plain name.
const char *tree_name(size_t n, Node *const *names, const char **schema);

// Has the select a target list and nothing else?
bool tree_only_targets(const PgQuery__SelectStmt *s);

void tree_put_quoted(struct buf *out, const char *s, char quote); // with the quotes inside doubled

#endif
