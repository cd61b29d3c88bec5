// SPDX-License-Identifier: PostgreSQL
//
// Turns a lookup's keys into values in the trail's form, and back. A trail has a text without doubled quotes,
// and an integer of any width as eight bytes.
#ifndef PGFOLD_BATCHING_AHEAD_VALUES_H
#define PGFOLD_BATCHING_AHEAD_VALUES_H

#include "batching/ahead/trail.h"

struct group;
struct group_part;

#define VALUE_SCRATCH (2 * TRAIL_MAX_TEXT) // bytes of one value's text

// Room for the texts of a key's values.
struct value_texts {
    uint8_t of[KEY_MAX_PARTS][VALUE_SCRATCH];
};

// Brings a key into the trail's form. `scratch`: VALUE_SCRATCH bytes. Returns false when a trail cannot have
// it.
bool value_of_key(const struct key *k, uint8_t *scratch, struct key *out) __attribute__((warn_unused_result));
// The same for all parts of a group's key.
bool values_of_key(const struct group *g, const struct key *keys, struct value_texts *texts,
                   struct key *values) __attribute__((warn_unused_result));
// The reverse: the key that a lookup for this value would send. `literal`: as a constant of the simple
// protocol. Returns false when there is none.
bool value_to_key(const struct group_part *part, bool literal, const struct key *value, uint8_t *scratch,
                  struct key *out) __attribute__((warn_unused_result));
// Tells whether the part's values are of a kind that leads to no row (TRAIL_OTHER).
bool value_is_other(const struct group_part *part);
// Tells whether the values may come from the trail. Nothing is known of their types yet.
bool values_are_plausible(struct trail *t, const struct group *g, const struct slice *raw);

#endif
