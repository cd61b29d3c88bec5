// SPDX-License-Identifier: PostgreSQL
//
// The guard of a shape makes sure that folding is not slower than the statements as sent. It measures how
// long a lookup takes from its arrival to its answer, in three kinds, and compares the last two:
//
//   lone    nothing else of its group was under way
//   alone   it had company, so it could have been folded, and ran as sent
//   folded  it was answered from a batch
//
//             +------ folding was not slower --------+
//             v                                      |
//   FOLDING --doubt, or none for long--> TRIAL --folding was slower--> ALONE
//      ^                                                                 |
//      +---------------------------- after a pause ----------------------+
//
//   FOLDING  lookups fold
//   TRIAL    lookups run as sent, until enough of them had company
//   ALONE    lookups are forwarded; each time that folding loses, the pause is doubled
//
// The time until the answer is only one side. On a busy machine, folding shows its use in how many lookups
// are answered in a given time. Folding counts as slower only if lookups as sent are answered earlier, and
// not fewer of them.
//
// Folding can be slower only because lookups wait for earlier batches, for example with a distant server that
// has little to do. Then more batches may be under way at once before folding is given up.
//
// No lookup can be faster in company than a lone one. So there is no trial while folded lookups come near to
// lone ones.
//
// Batches whose answers pass the limit are made smaller. If even two keys are too many, the shape goes to
// ALONE, too. A shape that the verifier found wrong (check.h) is off for good. The code is pure: time is an
// argument, in microseconds.
#ifndef PGFOLD_BATCHING_STATEMENT_GUARD_H
#define PGFOLD_BATCHING_STATEMENT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum guard_state { GUARD_FOLDING, GUARD_TRIAL, GUARD_ALONE };

struct guard {
    enum guard_state state;
    bool doubt;     // FOLDING: batches took so long that a trial is due
    bool lost;      // folding was slower in the last trial
    bool oversized; // ALONE: because of the size of its answers
    uint64_t until; // FOLDING: no trial before this time; TRIAL: its latest end; ALONE: its end
    uint64_t pause; // the next pause; 0: not begun
    uint32_t tried; // `alone` of the last trial; an older value says nothing about the load of today
    uint32_t lone, alone, folded;    // moving averages in microseconds; 0: none yet
    uint32_t batch;                  // FOLDING: what a batch takes from its sending to its answer
    uint32_t took, worst;            // the same in any state, and the longest of late
    uint64_t late_until, late_pause; // batches were late: lookups run as sent until then; the last pause
    unsigned wider;                  // how often the limit of batches under way at once is doubled
    uint32_t members, keys;          // of a batch, moving averages
    uint32_t n;           // samples since the state began; FOLDING: folded ones; TRIAL: those in company
    unsigned pending;     // lookups of the shape that wait for their answers
    unsigned before;      // so many of them came before the state began: they count for neither
    uint64_t clock;       // time is accounted for up to here
    uint64_t busy[2];     // FOLDING, TRIAL: time while some were pending, with short gaps
    uint32_t answered[2]; // lookups answered in that time
    bool once;            // the trial before the next one was lost
    uint64_t since;       // TRIAL: its begin
    uint64_t sum;         // TRIAL: of the samples
    unsigned max_keys;    // limit for a batch because of the size of its answers; 0: none
    uint64_t max_keys_until, size_pause;
    uint64_t n_alone, n_folded; // lookups so far, for the report
};

// The state now; time may have moved it. With `enabled` false it is FOLDING, whatever was measured.
enum guard_state guard_state_at(struct guard *g, bool enabled, uint64_t now);

// A lookup has come, and a lookup has gone, whichever way it was answered.
void guard_note_came(struct guard *g, uint64_t now);
void guard_note_went(struct guard *g, uint64_t now);

// A lookup was answered that ran as sent; `took`: since it came.
void guard_note_lone(struct guard *g, uint64_t took);
// The same for a lookup that had company: it could have been folded.
void guard_note_alone(struct guard *g, uint64_t now, uint64_t took);

// A batch was answered. `took`: since it was sent; `waited`: the sum over its members of the time since each
// arrived.
void guard_note_batch(struct guard *g, uint64_t now, uint32_t n_keys, uint32_t n_members, uint64_t took,
                      uint64_t waited);

// How long others than the lender's client wait for a batch of so many keys: at least `least`. The second
// takes the time that a batch is known to need.
uint64_t guard_patience(const struct guard *g, uint32_t n_keys, uint64_t least);
uint64_t guard_patience_of(uint64_t took, uint64_t least);
// A batch was not answered in that time. For a while there are no batches, since the next one would meet the
// same lock. The pause is doubled each time.
void guard_note_late(struct guard *g, uint64_t now, uint64_t patience);
// Tells whether that pause lasts.
bool guard_is_late(const struct guard *g, uint64_t now);

// A batch that prepared its statement on the connection, perhaps in a backend with empty caches. Its time
// says nothing about the next one.
void guard_note_first_batch(struct guard *g, uint32_t n_members);

// A batch of so many keys had a larger answer than allowed.
void guard_note_oversized(struct guard *g, uint64_t now, uint32_t n_keys);

// The most keys that a batch may have, and the most batches of a group that may be under way at once.
unsigned guard_max_in_flight(const struct guard *g, unsigned max_in_flight);
// How long after the last batch, or lone lookup, one more may follow although `most` are under way, in microseconds:
// what they take at the server, which is so far away (base/distance.h), shared among `most`. UINT64_MAX: not before one
// of them has ended, since most of their time is the server's, or nothing is known.
uint64_t guard_spacing(const struct guard *g, uint64_t distance, unsigned most);
unsigned guard_max_keys(struct guard *g, uint64_t now, unsigned max_keys);

const char *guard_state_name(const struct guard *g); // static: "folding", "trial", "alone: slower", …

#endif
