// SPDX-License-Identifier: PostgreSQL
//
// Finds the coming keys of a lookup: where a trail has its key's value, whether that column supplies such
// keys (an association, see ahead.h), and how many of the keys behind it are worth loading.
#ifndef PGFOLD_BATCHING_AHEAD_PREDICT_H
#define PGFOLD_BATCHING_AHEAD_PREDICT_H

#include "batching/ahead/ahead.h"
#include "batching/ahead/spelling.h"

// A place from which a lookup's key may come.
struct guess {
    struct trail *trail;
    unsigned rank;     // what speaks for it
    uint32_t distinct; // number of the lead's values in the result
    struct trail_result *result;
    unsigned lead; // the part by which it was found
    uint32_t row;  // the first with its value
    // The columns of the parts, as indexes into the result's. -1: none, all lookups have the same value.
    int columns[KEY_MAX_PARTS];
    struct spelling spellings[KEY_MAX_PARTS]; // for values of types that are no keys
    bool seconded;                            // the key of another row was asked for before
    bool backwards;                           // the loop goes to earlier rows
    bool turns;                               // it may: when no row is left behind, look before
    struct association *association;          // predict_follow, predict_relocate: never NULL
};

// Tells whether the values may come from the trail. Nothing is known of their types yet.
bool predict_is_plausible(struct trail *t, const struct group *g, const struct slice *raw);

// Finds where in the trail the key of a READY group's lookup comes from, and notes that it was asked for.
// *guess is all zero at first. It is replaced by a place for which more speaks. Returns false when no place
// in this trail is the best.
bool predict_locate(struct trail *t, struct group *g, const struct key *keys, struct guess *guess)
    __attribute__((warn_unused_result));
// Takes the best place of all trails: makes or updates its association. Returns false when memory is out.
bool predict_follow(struct group *g, uint64_t now, struct guess *guess) __attribute__((warn_unused_result));
// Finds the place of a lookup whose answer was loaded for this association. Returns false when its result has
// left the trail.
bool predict_relocate(struct trail *t, struct group *g, const struct key *keys, unsigned association,
                      struct guess *guess) __attribute__((warn_unused_result));

// Tells whether the client has read a list with the key: a result after the first `lists` ones and not later
// than `by` (microseconds).
bool predict_has_read(struct trail *t, const struct group *g, const struct key *keys,
                      const struct association *a, uint64_t lists, uint64_t by)
    __attribute__((warn_unused_result));

// Adds the keys that are expected behind the guess to the batch, as many as it has room for. It leaves out
// those that are held, as `skip` says.
void predict_gather(const struct guess *guess, const struct group *g, const struct key *keys, struct batch *b,
                    bool (*skip)(void *arg, const struct key *keys), void *arg);

// ---- how many

#define PREDICT_LATENCY 20000 // microseconds that a batch may be expected to take

// The number of keys that are worth loading now; 0: none for a while. `age`: microseconds that answers may be
// held; 0: no limit. After four successive batches that served nobody, one more goes out now and then.
unsigned association_window(const struct association *a, uint64_t now, uint64_t age, unsigned max);
// Tells whether so few keys are left that more should be loaded.
bool association_is_low(const struct association *a, unsigned left);
// A lookup has asked for a key of the association. It measures the loop's pace.
void association_asked(struct association *a, uint64_t now);
void association_grow(struct association *a, unsigned max); // most of a batch was asked for
void association_sent(struct association *a, uint64_t now); // a batch has gone out
void association_served(struct association *a);             // a lookup was answered from one
// A batch was answered. `took`: microseconds; `lone`: microseconds that one lookup takes.
void association_loaded(struct association *a, uint64_t took, uint64_t lone, unsigned n_keys);
// A batch of n_keys is given up; n_served lookups were answered from it. `late`: the loop paused, and then
// went on in it.
void association_ended(struct association *a, uint64_t now, unsigned n_keys, unsigned n_served, bool late);

#endif
