// SPDX-License-Identifier: PostgreSQL
//
// How far a misspelt name is from a known one, so that a message can name what was probably meant.
#ifndef PGFOLD_CONFIG_NEAREST_H
#define PGFOLD_CONFIG_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

// The number of letters to insert, remove or replace to turn a[0..a_len) into b[0..b_len), upper and lower
// case counting as the same. Of each name only the first 64 letters are looked at.
size_t nearest_distance(const char *a, size_t a_len, const char *b, size_t b_len);

// Is the known name b near enough to be what a was meant to be? A third of its letters may be wrong, or one
// of the two begins or ends with the other.
bool nearest_is_meant(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
