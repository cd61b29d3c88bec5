// SPDX-License-Identifier: PostgreSQL
//
// What a statement about a cursor says in its tokens, so that names which are never the same twice cost no
// parse. A positive list: what is not as expected is no such statement. Takes no memory.
#ifndef PGFOLD_BATCHING_STATEMENT_CURSOR_H
#define PGFOLD_BATCHING_STATEMENT_CURSOR_H

#include "protocol/message.h"

#define CURSOR_MAX_NAME 63 // bytes; of longer names the server sees as many

enum cursor_verb {
    CURSOR_NONE,    // another statement, or one that is not understood
    CURSOR_DECLARE, // DECLARE name [BINARY] [INSENSITIVE | ASENSITIVE] [[NO] SCROLL] CURSOR [WITH | WITHOUT
                    // HOLD] FOR select
    CURSOR_FETCH,   // FETCH …, MOVE …
    CURSOR_CLOSE,   // CLOSE name, CLOSE ALL
};

struct cursor_statement {
    enum cursor_verb verb;
    char name[CURSOR_MAX_NAME + 1]; // as PostgreSQL knows it; "": ALL, or CLOSE of a name that cannot be read
    bool hold;                      // DECLARE … WITH HOLD
    struct slice select;            // DECLARE: what stands behind FOR, to the text's end; nobody has read it
};

// Reads a text of one statement, as with standard_conforming_strings = on. `out` borrows from the text.
void cursor_read(const char *text, size_t len, struct cursor_statement *out);

// EXECUTE name …: the name as PostgreSQL knows it. "": it is none, or cannot be read.
void cursor_executed(const char *text, size_t len, char name[CURSOR_MAX_NAME + 1]);

#endif
