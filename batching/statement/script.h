// SPDX-License-Identifier: PostgreSQL
//
// Cuts a text of several statements as psql does: at semicolons outside strings, quoted names, dollar quotes,
// comments and brackets.
#ifndef PGFOLD_BATCHING_STATEMENT_SCRIPT_H
#define PGFOLD_BATCHING_STATEMENT_SCRIPT_H

#include "protocol/buf.h"
#include "protocol/message.h"

// Returns the statement that begins at *at or behind it, borrowed from the text, and moves *at behind it. The
// semicolon and the white space and comments around the statement are left out; comments inside stay. An
// empty slice (len 0): there are no more. A part that cannot be read as SQL belongs, with all that follows,
// to the statement where it begins.
struct slice script_next(struct slice text, size_t *at);

#endif
