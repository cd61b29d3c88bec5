// SPDX-License-Identifier: PostgreSQL
//
// Turns a lookup's keys into values as a trail has them, and back. A list may have an id as text where the lookup
// compares integers, or the reverse, and a uuid as text. What a lookup for a value of the list would send is known
// byte by byte, and where it is not the value is left out. So is a value that the server would refuse for
// the parameter's type: it would be the batch's error.
#ifndef PGFOLD_BATCHING_AHEAD_VALUES_H
#define PGFOLD_BATCHING_AHEAD_VALUES_H

#include "batching/ahead/canon.h"
#include "batching/ahead/search.h"
#include "batching/ahead/spelling.h"

struct group;
struct group_part;

// A value of a lookup's key.
struct value {
    struct trail_forms forms;
    struct key sent; // as it was sent, without doubled quotes
    uint8_t text[CANON_TEXT];
};

// Room for the texts of a key's values.
struct value_texts {
    uint8_t of[KEY_MAX_PARTS][KEY_MAX_RAW];
};

// Brings a key into the trail's form. Returns false when a trail cannot have it. `texts` has to last as long
// as the values.
bool values_of_key(const struct group *g, const struct key *keys, struct value_texts *texts,
                   struct value *values) __attribute__((warn_unused_result));

// Tells whether a cell has the value. If so, *s says how the client writes the values of that column. `same`: the
// column has values of the same kind, and none that must be converted.
bool value_is_in_cell(const struct group_part *part, const struct value *v, const struct trail_result *r,
                      uint32_t row, unsigned column, bool same, struct spelling *s);

// The key that a lookup for the value of a cell would send. `literal`: as a constant of the simple protocol. It
// may borrow from `scratch`, KEY_MAX_RAW bytes. Returns false when there is none.
bool value_to_key(const struct group_part *part, bool literal, const struct trail_result *r, uint32_t row,
                  unsigned column, const struct spelling *s, uint8_t *scratch, struct key *out)
    __attribute__((warn_unused_result));

// Tells whether a lookup for the integer would belong to the part's group. `literal`: as a constant of the simple
// protocol.
bool value_has_integer(const struct group_part *part, bool literal, int64_t v);

// Tells whether the part's values are none that a list is searched for where the key has others, too
// (TRAIL_OTHER).
bool value_is_other(const struct group_part *part);

// Lists among which values are looked for.
struct value_lists {
    uint64_t until;    // serial of the last one,
    uint64_t and;      // and of one more; 0: none
    bool answers_once; // of the answers to a statement with parameters only the last one
};

// Tells whether the values may come from one of these lists. Of a statement that was read again, only the last list
// counts. Nothing is known of the values' types yet. NULL: from any list of the trail.
bool values_are_in(struct trail *t, const struct group *g, const struct slice *raw,
                   const struct value_lists *lists);

#endif
