// SPDX-License-Identifier: PostgreSQL
//
// The order in which a client's lookups are answered, which is the one that it asked in; and how many bytes of
// answers wait there for earlier ones.
#ifndef PGFOLD_BATCHING_SESSION_ORDER_H
#define PGFOLD_BATCHING_SESSION_ORDER_H

#include "batching/session/session.h"

void order_append(struct session *s, struct lookup *l); // it is the last one
void order_shift(struct session *s);                    // the first one leaves
struct lookup *order_take_last(struct session *s);      // the last one leaves, and is yours
void order_clear(struct session *s);                    // all have left, and nothing is kept

// So many bytes of an answer wait from now on, or do so no longer.
static inline void order_keep(struct session *s, size_t bytes) {
    s->order.kept += bytes;
}
static inline void order_release(struct session *s, size_t bytes) {
    s->order.kept -= bytes;
}

#endif
