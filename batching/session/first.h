// SPDX-License-Identifier: PostgreSQL
//
// Lookups behind which the catalogue was asked about their statement, since a loop may have begun. A client that goes down
// from one's answer has sent others when the catalogue's answer comes: then the loop is followed at once (flow/load.h), and
// not only when the client comes back to it.
//
// Bounded: of a session the last FIRSTS are kept, counted in its memory.
#ifndef PGFOLD_BATCHING_SESSION_FIRST_H
#define PGFOLD_BATCHING_SESSION_FIRST_H

#include "batching/ahead/ahead.h"
#include "batching/session/session.h"

struct first {
    struct group *group; // it stays as long as it is held
    struct account *memory;
    size_t weighs, len;
    struct slice raw[KEY_MAX_PARTS]; // its key as sent, slices of `bytes`
    uint8_t bytes[];                 // the unit as its client sent it
};

// Keeps a copy of the lookup, in place of the oldest one if there are many. Out of memory, it is not kept.
void first_note(struct session *s, const struct lookup *l);

// Takes the one of this group out. NULL: there is none. The caller owns it.
struct first *first_take(struct ahead *a, const struct group *g);

void first_free(struct first *f); // takes NULL

// Forgets all.
void first_forget(struct ahead *a);

#endif
