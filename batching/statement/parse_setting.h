// SPDX-License-Identifier: PostgreSQL
//
// Finds where a statement sets or reads a setting of a given kind, wherever that stands in it: SET, SHOW, a call of
// set_config() or current_setting(), the options of ALTER ROLE or CREATE FUNCTION. What a text merely has in a string, as
// the body of a function or as data, is not found.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_SETTING_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_SETTING_H

#include <stdbool.h>
#include <stddef.h>

struct setting_use {
    bool reads;    // else it is set
    char name[64]; // as it is written; cut off
};

// Finds the first one whose name begins with this, in upper or lower case. `text`: zero-terminated, of `len` bytes. Returns
// false when there is none, or the text cannot be parsed.
bool setting_find(const char *text, size_t len, const char *prefix, struct setting_use *found)
    __attribute__((warn_unused_result));

#endif
