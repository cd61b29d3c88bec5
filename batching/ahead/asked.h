// SPDX-License-Identifier: PostgreSQL
//
// Remembers what a session has asked for: of each lookup that it sent, how many lists it had read by then, and
// whether the lists tell how often it was asked for since. A client that asks for the same more often than a
// list has rows with it does not go through a list. It polls, and wants to know what has changed. This memory
// outlives what is held for the session.
//
// Bounded: of more than ASKED_MAX lookups the oldest are forgotten.
#ifndef PGFOLD_BATCHING_AHEAD_ASKED_H
#define PGFOLD_BATCHING_AHEAD_ASKED_H

#include <stdbool.h>
#include <stdint.h>

#define ASKED_WAYS 8
#define ASKED_MAX  2048

struct asked_entry {
    uint32_t tag;      // of the lookup; 0: none
    uint32_t lists;    // number of lists read when it was asked for last
    uint32_t base;     // lists up to this number do not tell how often it was asked for
    uint32_t loads;    // batches with a higher number are not older than its last answer
    uint32_t who : 31; // digest of the lookups for which it was noted in the lists
    uint32_t open : 1; // the last time it was not noted there
};

struct asked {                              // all zero: empty
    struct asked_entry (*sets)[ASKED_WAYS]; // each set has the one that was asked for last in front
    uint32_t n_sets;                        // a power of two
    bool lost;                              // memory ran out: it is no longer known what was asked for
    struct asked_entry unread; // the last time that it was not known what was asked; tag 0: never
};

// Tells whether the lookup was asked for, and in *found what is known of that. When memory ran out, or something
// unknown was asked, the answer is yes.
bool asked_find(const struct asked *a, uint64_t hash, struct asked_entry *found)
    __attribute__((warn_unused_result));
// The lookup is asked for now, after so many lists. `loads`: number of the last batch that is older than its
// answer.
void asked_note(struct asked *a, uint64_t hash, uint32_t lists, uint32_t loads);
// Something is asked now, and it is not known what: it may have been anything.
void asked_note_unread(struct asked *a, uint32_t lists, uint32_t loads);
// The last asking was noted in all lists that have the key, for these lookups.
void asked_mark(struct asked *a, uint64_t hash, uint64_t who);
// Tells whether the lists tell these lookups how often it was asked for. Lookups of another identity, or in
// another framing, have a count of their own there, which knows nothing of what was asked before.
bool asked_is_counted(const struct asked_entry *e, uint64_t who);
// It runs as sent: its answer will be newer than all batches up to this number.
void asked_runs(struct asked *a, uint64_t hash, uint32_t loads);
void asked_free(struct asked *a);

#endif
