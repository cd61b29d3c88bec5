// SPDX-License-Identifier: PostgreSQL
//
// Gathers the keys that are expected behind the one at hand: those of the coming rows of its list, and of the
// lists that the same statement has given since.
#ifndef PGFOLD_BATCHING_AHEAD_GATHER_H
#define PGFOLD_BATCHING_AHEAD_GATHER_H

#include "batching/ahead/place.h"

struct batch;

// Adds the coming keys to the batch, as many as it has room for, each for as many lookups as the list has rows
// with it. `skip` says whether a key is held for so many lookups. The key at hand is not added, only counted (b->ahead.again).
// `turns`: how often each row of the guess's list may still be given; each time its values may be asked for. NULL: not
// again.
void predict_gather(const struct guess *guess, const struct group *g, const struct key *keys, struct batch *b,
                    bool (*skip)(void *arg, const struct trail_result *list, const struct key *keys,
                                 unsigned turns),
                    void *arg, const uint16_t *turns);

// Adds the keys of all rows of the guess's list, from the first on. It needs the guess's trail, result, association, lead,
// columns, spellings and who; all parts of the key come from columns. Otherwise as above.
void predict_gather_all(const struct guess *guess, const struct group *g, struct batch *b,
                        bool (*skip)(void *arg, const struct trail_result *list, const struct key *keys,
                                     unsigned turns),
                        void *arg);

#endif
