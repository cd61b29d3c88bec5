// SPDX-License-Identifier: PostgreSQL
//
// The guard of a shape: folding must not be slower than the statements as they were sent. It keeps what a
// lookup takes, from its arrival to its answer, in three kinds, and compares the last two:
//   lone    nothing else of its group was under way
//   alone   in company, that is: it could have been folded, and ran as it was sent
//   folded  answered from a batch
//
//             +------ folding was not slower --------+
//             v                                      |
//   FOLDING --doubt, or none for long--> TRIAL --folding was slower--> ALONE
//      ^                                                                 |
//      +---------------------------- after a pause ----------------------+
//
//   FOLDING  lookups fold
//   TRIAL    lookups run as sent, until enough of them were in company
//   ALONE    lookups are forwarded; each time that folding loses, the pause is doubled
//
// The time until the answer is not all: on a machine that is busy, what folding saves is seen in how many
// lookups are answered in a time. Folding is slower only where lookups as sent are answered earlier and not
// fewer of them.
//
// Where it is only the waiting for earlier batches that makes folding slower, as with a server that is far
// away and has little to do, more batches may be under way at once before folding is given up.
//
// No lookup of a shape can be faster in company than one on its own, so that there is no trial as long as
// folded lookups come near to lone ones.
//
// Batches whose answers grow past the limit are made smaller, and where two keys are too many, the shape is
// ALONE, too. Pure: time is an argument, in microseconds. A shape that the verifier found wrong (check.h) is
// off for good.
#ifndef PGFOLD_BATCHING_STATEMENT_GUARD_H
#define PGFOLD_BATCHING_STATEMENT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum guard_state { GUARD_FOLDING, GUARD_TRIAL, GUARD_ALONE };

struct guard {
    enum guard_state state;
    bool doubt;     // FOLDING: a batch took so long that a trial is due
    bool lost;      // folding was slower in the last trial
    bool oversized; // ALONE: for the size of its answers
    uint64_t until; // FOLDING: no trial before; TRIAL: its end at the latest; ALONE: its end
    uint64_t pause; // the next one; 0: not begun
    uint32_t tried; // as alone, in the last trial; what was before it says nothing of the load of now
    uint32_t lone, alone, folded;    // moving averages in microseconds; 0: none yet
    uint32_t batch;                  // what a batch takes, from its sending to its answer
    uint32_t took, worst;            // the same, whatever the state; the longest one of late
    uint64_t late_until, late_pause; // batches were late: lookups run as sent until then; the last pause
    unsigned wider;                  // so many times doubled: the batches that may be under way at once
    uint32_t members;                // of a batch, moving average
    uint32_t n;           // samples since the state began: FOLDING: folded ones; TRIAL: alone in company
    unsigned pending;     // lookups of the shape that wait for their answers
    uint64_t clock;       // until when the time is accounted for
    uint64_t busy[2];     // time while some were pending, short gaps included: FOLDING, TRIAL
    uint32_t answered[2]; // in that time
    bool once;            // the trial before the next one was lost
    uint64_t since;       // TRIAL: its begin
    uint64_t sum;         // TRIAL: of the samples
    unsigned max_keys;    // of a batch, because of its answers' size; 0: no limit
    uint64_t max_keys_until, size_pause;
    uint64_t n_alone, n_folded; // lookups so far, for the report
};

// Where it stands now; time may have moved it. With `enabled` false it is FOLDING, whatever was measured.
enum guard_state guard_state_at(struct guard *g, bool enabled, uint64_t now);

// A lookup has come, and one has gone, whichever way it was answered.
void guard_note_came(struct guard *g, uint64_t now);
void guard_note_went(struct guard *g, uint64_t now);

// A lookup has been answered as it was sent.
void guard_note_lone(struct guard *g, uint64_t took);
void guard_note_alone(struct guard *g, uint64_t now, uint64_t took);

// A batch has been answered: `took` since it was sent, `waited` the sum over its members of the time since
// each arrived.
void guard_note_batch(struct guard *g, uint64_t now, uint32_t n_keys, uint32_t n_members, uint64_t took,
                      uint64_t waited);

// How long others than its lender's client wait for a batch of so many keys; `least`: at least that. Of one
// that is known to take so long.
uint64_t guard_patience(const struct guard *g, uint32_t n_keys, uint64_t least);
uint64_t guard_patience_of(uint64_t took, uint64_t least);
// One was not answered in that time. For a while there are none: the next one would meet the same lock. Each
// time that happens the pause is doubled.
void guard_note_late(struct guard *g, uint64_t now, uint64_t patience);
bool guard_is_late(const struct guard *g, uint64_t now);

// One that prepared its statement on the connection, in a backend whose caches may be empty: it says nothing
// about the next one.
void guard_note_first_batch(struct guard *g, uint32_t n_members);

// A batch of so many keys had a larger answer than allowed.
void guard_note_oversized(struct guard *g, uint64_t now, uint32_t n_keys);

// The most keys that a batch may have, and the most batches of a group under way at once.
unsigned guard_max_in_flight(const struct guard *g, unsigned max_in_flight);
unsigned guard_max_keys(struct guard *g, uint64_t now, unsigned max_keys);

const char *guard_state_name(const struct guard *g); // static: "folding", "trial", "alone: slower", …

#endif
