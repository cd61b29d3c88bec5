// SPDX-License-Identifier: PostgreSQL
//
// A text of several statements, cut into them as psql does: at semicolons outside strings, quoted names,
// dollar quotes, comments and brackets.
#ifndef PGFOLD_BATCHING_STATEMENT_SCRIPT_H
#define PGFOLD_BATCHING_STATEMENT_SCRIPT_H

#include "protocol/buf.h"
#include "protocol/message.h"

// The statement that begins at *at or behind it, without its semicolon and the white space and comments
// around it, but with those inside; *at moves behind it. An empty slice (len 0): there is none any more. What
// cannot be read as SQL belongs, up to the end, to the statement where it begins.
struct slice script_next(struct slice text, size_t *at);

#endif
