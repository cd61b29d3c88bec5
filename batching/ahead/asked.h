// SPDX-License-Identifier: PostgreSQL
//
// What a session has asked for: of each lookup that it sent, how many lists it had read by then, and whether
// they tell how often it was asked for since. Who asks for the same more often than a list has rows with it goes
// through none: it polls, and wants to know what has changed. Outlives what is held for the session.
//
// Bounded: of more than ASKED_MAX lookups those that were asked for longest ago are forgotten.
#ifndef PGFOLD_BATCHING_AHEAD_ASKED_H
#define PGFOLD_BATCHING_AHEAD_ASKED_H

#include <stdbool.h>
#include <stdint.h>

#define ASKED_WAYS 8
#define ASKED_MAX  2048

struct asked_entry {
    uint32_t tag;                // of the lookup; 0: none
    uint32_t lists;              // read when it was asked for last
    uint32_t base;               // lists up to this one do not tell how often it was asked for since
    uint32_t loads;              // batches with a higher number are not older than its last answer
    uint32_t who : 31, open : 1; // noted in the lists by these lookups; the last time not
};

struct asked {                              // all zero: empty
    struct asked_entry (*sets)[ASKED_WAYS]; // each with the one asked for last in front
    uint32_t n_sets;                        // a power of two
    bool lost;                              // memory ran out: what was asked for is not known any more
};

// Was it asked for? *found: what is known of that.
bool asked_find(const struct asked *a, uint64_t hash, struct asked_entry *found)
    __attribute__((warn_unused_result));
// It is asked for; `loads`: batches that are older than the answer.
void asked_note(struct asked *a, uint64_t hash, uint32_t lists, uint32_t loads);
// The last time was noted in all lists that have the key, for these lookups.
void asked_mark(struct asked *a, uint64_t hash, uint64_t who);
// The answer will be newer than all these batches.
void asked_runs(struct asked *a, uint64_t hash, uint32_t loads);
void asked_free(struct asked *a);

#endif
