// SPDX-License-Identifier: PostgreSQL
//
// From a lookup's key to the coming ones: where a trail has its value, whether that is the column that
// supplies such keys (an association, see ahead.h), and how many of those behind it are worth loading.
#ifndef PGFOLD_BATCHING_AHEAD_PREDICT_H
#define PGFOLD_BATCHING_AHEAD_PREDICT_H

#include "batching/ahead/ahead.h"
#include "batching/ahead/asked.h"
#include "batching/ahead/spelling.h"

// Where a lookup's key comes from.
struct guess {
    struct trail *trail;
    bool known, linked; // by lookups before, or the catalogue; by the latter
    bool own;           // in an answer of the group's own
    bool cut;           // the key has more places than are looked at: the lists do not tell all
    unsigned fits;      // parts whose values the row has
    unsigned goes_on;   // lookups that went through the rows before, one by one
    unsigned habit;     // the same, at most, in the results that the statement has given
    uint32_t distinct;  // the lead's values in the result
    uint64_t who;       // asks, by the result's targets: the group, and the values that no column supplies
    struct trail_result *result;
    unsigned lead;              // the part by which it was found
    uint32_t row;               // the first with its values
    int columns[KEY_MAX_PARTS]; // of the parts, indexes into the result's columns; -1: none, the value is the
                                // same for all
    struct spelling spellings[KEY_MAX_PARTS]; // of values of other types than keys
    bool seconded;                            // another row's key was asked for before
    bool backwards;                           // the loop goes to earlier rows
    bool turns;                               // it may: where none is left behind, look before
    struct association *association;          // predict_follow, predict_relocate: never NULL
};

// Might the values, of whose types nothing is known yet, come from the trail?
bool predict_is_plausible(struct trail *t, const struct group *g, const struct slice *raw);

// Where in the trail the key of a READY group's lookup comes from; notes that it was asked for. *guess, all
// zero at first, becomes what is found if more speaks for it than for what is there. False: nothing does.
bool predict_locate(struct trail *t, struct group *g, const struct key *keys, struct guess *guess)
    __attribute__((warn_unused_result));
// The best one of all trails is taken. False: out of memory.
bool predict_follow(struct group *g, uint64_t now, struct guess *guess) __attribute__((warn_unused_result));
// The same of one whose answer was loaded for this association; false: its result has left the trail.
bool predict_relocate(struct trail *t, struct group *g, const struct key *keys, unsigned association,
                      struct guess *guess) __attribute__((warn_unused_result));

// May what has been asked for be answered again, from this batch? A list that came before the batch was loaded
// has a row for it that it was not asked for yet, and the batch is not older than the last answer. Unless this
// is the batch's `first` answer for the key, no newer list has it. `own`: the batch was loaded over the
// session's own connection.
bool predict_has_read(struct trail *t, const struct group *g, const struct key *keys, const struct batch *b,
                      const struct asked_entry *asked, bool own, bool first)
    __attribute__((warn_unused_result));

// Adds the keys that are expected behind it to the batch, as many as it has room for, each for as many lookups as
// it has rows; not those that `skip` says are held. The key at hand is only counted.
void predict_gather(const struct guess *guess, const struct group *g, const struct key *keys, struct batch *b,
                    bool (*skip)(void *arg, const struct trail_result *list, const struct key *keys),
                    void *arg);

// ---- how many

#define PREDICT_LATENCY 20000 // microseconds that a batch may be expected to take

// Keys worth loading now; 0: none for a while. `age`: microseconds that answers may be held, 0: without
// limit. After four batches in a row that served nobody there is one more now and then.
unsigned association_window(const struct association *a, uint64_t now, uint64_t age, unsigned max);
// Are so few keys left that more should be loaded?
bool association_is_low(const struct association *a, unsigned left);
void association_asked(struct association *a, uint64_t now);
void association_grow(struct association *a, unsigned max); // most of a batch was asked for
void association_sent(struct association *a, uint64_t now); // a batch has gone out
void association_served(struct association *a);             // a lookup was answered from one
// A batch has been answered: `took` microseconds, `lone` that one lookup takes.
void association_loaded(struct association *a, uint64_t took, uint64_t lone, unsigned n_keys);
// A batch is given up, of whose keys so many served. `late`: the loop goes on in it, after a pause.
void association_ended(struct association *a, uint64_t now, unsigned n_keys, unsigned n_served, bool late);

#endif
