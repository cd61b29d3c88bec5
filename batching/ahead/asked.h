// SPDX-License-Identifier: PostgreSQL
//
// What a session has asked for: of each lookup that it sent, how many lists it had read by then. Who asks for
// the same again without having read a list meanwhile goes through none: it polls, and wants to know what has
// changed. Outlives what is held for the session.
//
// Bounded: of more than ASKED_MAX lookups those that were asked for longest ago are forgotten.
#ifndef PGFOLD_BATCHING_AHEAD_ASKED_H
#define PGFOLD_BATCHING_AHEAD_ASKED_H

#include <stdbool.h>
#include <stdint.h>

#define ASKED_WAYS 8
#define ASKED_MAX  2048

struct asked_entry {
    uint32_t tag; // of the lookup; 0: none
    uint32_t lists;
};

struct asked {                              // all zero: empty
    struct asked_entry (*sets)[ASKED_WAYS]; // each with the one asked for last in front
    uint32_t n_sets;                        // a power of two
    bool lost;                              // memory ran out: what was asked for is not known any more
};

// Was it asked for? *lists: how many had been read by then.
bool asked_find(const struct asked *a, uint64_t hash, uint32_t *lists) __attribute__((warn_unused_result));
void asked_note(struct asked *a, uint64_t hash, uint32_t lists);
void asked_free(struct asked *a);

#endif
