// SPDX-License-Identifier: PostgreSQL
//
// What a loop will ask for next is loaded: which list it goes through, and the batch for it.
#ifndef PGFOLD_BATCHING_FLOW_LOAD_H
#define PGFOLD_BATCHING_FLOW_LOAD_H

#include "batching/flow/find.h"
#include "batching/session/session.h"

// Behind it: if what is left will be used up soon, more is loaded.
// `unit`: the lookup as its client sent it.
void ahead_refill(struct session *s, const struct ahead_hit *hit, const uint8_t *unit, size_t len);

// A lookup that was accepted and waits in its group: if its key is found in a trail, it goes out, and the
// coming keys behind it.
// `apart`: its transaction shares nothing with others'.
void ahead_follow(struct session *s, struct lookup *l, bool apart); // may free it

#endif
