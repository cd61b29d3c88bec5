// SPDX-License-Identifier: PostgreSQL
//
// Two lookups that come from one list are a loop; a lookup behind each list is none. Here is noted when a statement
// was last looked up, until the catalogue has been asked about it: that is worth its cost only for a loop.
//
// Bounded: of a session the last SECOND_SHAPES statements that nobody has asked about are remembered.
#ifndef PGFOLD_BATCHING_AHEAD_SECOND_H
#define PGFOLD_BATCHING_AHEAD_SECOND_H

#include "batching/ahead/trail.h"

#define SECOND_SHAPES 16

struct group;

// The last lookups of a statement.
struct second {
    uint32_t shape;  // of its digest; 0: none
    uint32_t values; // digest of the last lookup's values
    uint32_t lists;  // number of lists that had been read when the one before it came
    uint32_t last;   // and when it came
    bool any, same;  // there was one before it; it had the same values
};

struct seconds {
    struct second of[SECOND_SHAPES]; // the last one used in front
};

// A lookup of the group has come, with these values as sent, one for each part.
void second_note(struct seconds *s, const struct trail *t, const struct group *g, const struct slice *raw);
// Tells whether the last lookup of the group's statement, with these values, may come from a list that had been read
// when the one before it came, and was not read again since.
bool second_follows(const struct seconds *s, struct trail *t, const struct group *g, const struct slice *raw);

#endif
