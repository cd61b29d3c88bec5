// SPDX-License-Identifier: PostgreSQL
//
// Finds where in a trail a lookup's key comes from, and whether that column supplies such keys: by an
// association. ahead/gather.h finds the keys behind it, ahead/pace.h says how many are worth loading.
#ifndef PGFOLD_BATCHING_AHEAD_PREDICT_H
#define PGFOLD_BATCHING_AHEAD_PREDICT_H

#include "batching/ahead/ahead.h"
#include "batching/ahead/asked.h"
#include "batching/ahead/place.h"

// Finds where in the trail the key of a READY group's lookup comes from, and notes that it was asked for.
// *guess, all zero at first, is replaced if more speaks for the new place. Returns false when it was not.
bool predict_locate(struct trail *t, struct group *g, const struct key *keys, struct guess *guess)
    __attribute__((warn_unused_result));
// Finds the lists in the trail that have the key in a column that supplies it, as the catalogue says; at most
// PREDICT_LISTS of them. Returns their number. Nothing is noted.
#define PREDICT_LISTS 8
unsigned predict_lists(struct trail *t, const struct group *g, const struct key *keys,
                       const struct trail_result *lists[PREDICT_LISTS]);
// Follows the best guess of all trails. Returns false when memory is out.
bool predict_follow(struct group *g, struct guess *guess) __attribute__((warn_unused_result));
// Like predict_locate, for a lookup whose answer was loaded for this association. Returns false when its
// result has left the trail.
bool predict_relocate(struct trail *t, struct group *g, const struct key *keys, unsigned association,
                      struct guess *guess) __attribute__((warn_unused_result));

// Tells whether what has been asked for may be answered again, from this batch. A list that came before the
// batch was loaded must have a row that was not asked for yet, and the batch must not be older than the last
// answer. No newer list may have the key, unless this is the batch's `first` answer for it. `own`: the batch
// was loaded over the session's own connection. `named`: an answer of no newer batch has just named the key, which is as
// good as a row.
bool predict_has_read(struct trail *t, const struct group *g, const struct key *keys, const struct batch *b,
                      const struct asked_entry *asked, bool own, bool first, bool named)
    __attribute__((warn_unused_result));

#endif
