// SPDX-License-Identifier: PostgreSQL
//
// The words, names and constants of a short statement that is read token by token (watch/control.h). Each function takes
// what it names from the front and returns true, or takes nothing.
#ifndef PGFOLD_BATCHING_WATCH_CONSTANT_H
#define PGFOLD_BATCHING_WATCH_CONSTANT_H

#include "batching/statement/lexer.h"
#include "protocol/message.h"

bool constant_word(struct lexer *lx, const char *word); // unquoted, in any case
bool constant_take(struct lexer *lx, enum token_type type);

// A name without its quotes, borrowed from the text.
bool constant_identifier(struct lexer *lx, struct slice *name);

// A string in any quotes: '…', E'…', N'…', $$…$$. Its value is borrowed from the text, or from `plain`, which has room for
// the text's length. Strings with escapes by number are not taken.
bool constant_string(struct lexer *lx, uint8_t *plain, struct slice *value);

bool constant_number(struct lexer *lx, struct slice *value); // with its sign
bool constant_param(struct lexer *lx, unsigned *number);     // $1

// A cast behind a constant: `::text`, or none.
bool constant_cast(struct lexer *lx);

#endif
