// SPDX-License-Identifier: PostgreSQL
//
// Where a text that cannot be read as SQL goes wrong. For explanations alone: the text is parsed once more.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_ERROR_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_ERROR_H

#include <stdbool.h>

#include "protocol/message.h"

struct parse_error {
    unsigned position;     // of the character, from 1
    unsigned line, column; // of the same, from 1
    char text[200];        // what the parser says. It may quote the statement, constants included
};

// False: there is none, or it has no position.
bool parse_error_find(struct slice text, struct parse_error *out);

#endif
