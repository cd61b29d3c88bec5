// SPDX-License-Identifier: PostgreSQL
//
// Remembers what a session has asked for: of each lookup that it sent, how many lists it had read by then. A
// client that asks for the same again without reading a list in between does not go through a list. It polls,
// and wants to know what has changed. This memory outlives what is held for the session.
//
// Bounded: of more than ASKED_MAX lookups the oldest are forgotten.
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
    struct asked_entry (*sets)[ASKED_WAYS]; // each set has the one that was asked for last in front
    uint32_t n_sets;                        // a power of two
    bool lost;                              // memory ran out: it is no longer known what was asked for
};

// Tells whether the lookup was asked for, and in *lists how many lists had been read by then. When memory ran
// out, the answer is yes.
bool asked_find(const struct asked *a, uint64_t hash, uint32_t *lists) __attribute__((warn_unused_result));
// The lookup is asked for now, after so many lists.
void asked_note(struct asked *a, uint64_t hash, uint32_t lists);
void asked_free(struct asked *a);

#endif
