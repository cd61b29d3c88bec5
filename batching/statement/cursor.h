// SPDX-License-Identifier: PostgreSQL
//
// Reads a statement about a cursor from its tokens. Such statements often have a new name each time, and this
// way they cost no parse. The reader is a positive list: anything unexpected is not such a statement. It
// allocates nothing.
#ifndef PGFOLD_BATCHING_STATEMENT_CURSOR_H
#define PGFOLD_BATCHING_STATEMENT_CURSOR_H

#include "protocol/message.h"

#define CURSOR_MAX_NAME 63 // bytes; the server sees only so many of a longer name

enum cursor_verb {
    CURSOR_NONE, // another statement, or one that is not understood
    // DECLARE name [BINARY] [INSENSITIVE | ASENSITIVE] [[NO] SCROLL] CURSOR [WITH | WITHOUT HOLD] FOR select
    CURSOR_DECLARE,
    CURSOR_FETCH, // FETCH …, MOVE …
    CURSOR_CLOSE, // CLOSE name, CLOSE ALL
};

struct cursor_statement {
    enum cursor_verb verb;
    char name[CURSOR_MAX_NAME + 1]; // as PostgreSQL knows it; "": ALL, or CLOSE of a name that cannot be read
    bool hold;                      // DECLARE … WITH HOLD
    struct slice select;            // DECLARE: the unread text from behind FOR to the end
};

// Reads a text of one statement, as with standard_conforming_strings = on. `out` borrows from the text.
void cursor_read(const char *text, size_t len, struct cursor_statement *out);

// Reads "EXECUTE name …" and gives the name as PostgreSQL knows it. "": it is not EXECUTE, or cannot be read.
void cursor_executed(const char *text, size_t len, char name[CURSOR_MAX_NAME + 1]);

#endif
