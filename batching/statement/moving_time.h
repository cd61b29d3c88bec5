// SPDX-License-Identifier: PostgreSQL
//
// Texts that mean the current time, such as 'now' and 'today'.
#ifndef PGFOLD_BATCHING_STATEMENT_MOVING_TIME_H
#define PGFOLD_BATCHING_STATEMENT_MOVING_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// True when the text, read as a date or time, may mean another instant later on: 'now', 'today', 'tomorrow',
// 'yesterday' as a word in it. A constant like that in the statement makes it no lookup; the caller asks
// about values.
bool text_is_moving_time(const char *text, size_t len);

#endif
