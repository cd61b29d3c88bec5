// SPDX-License-Identifier: PostgreSQL
//
// Recognises texts that mean the current time, such as 'now' and 'today'.
#ifndef PGFOLD_BATCHING_STATEMENT_MOVING_TIME_H
#define PGFOLD_BATCHING_STATEMENT_MOVING_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Tells whether the text, read as a date or time, may mean another moment later: it has 'now', 'today',
// 'tomorrow' or 'yesterday' as a word in it. A statement with such a constant is no lookup. For values, the
// caller asks.
bool text_is_moving_time(const char *text, size_t len);

#endif
