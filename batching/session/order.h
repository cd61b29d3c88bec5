// SPDX-License-Identifier: PostgreSQL
//
// The client's lookups in the order of their answers, which is the order of its questions; and how many bytes
// of answers wait there for earlier ones. Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_ORDER_H
#define PGFOLD_BATCHING_SESSION_ORDER_H

#include "batching/session/session.h"

// Appends a lookup. The order owns it from now on.
void order_append(struct session *s, struct lookup *l);

// Takes the first lookup out; there must be one. The caller has it already (order.first) and owns it now.
void order_shift(struct session *s);

// Takes the last lookup out; there must be one. The caller owns it.
struct lookup *order_take_last(struct session *s);

// Forgets all lookups, which the caller has taken over, and all kept bytes.
void order_clear(struct session *s);

// So many more bytes of an answer wait.
static inline void order_keep(struct session *s, size_t bytes) {
    s->order.kept += bytes;
}

// So many bytes wait no more.
static inline void order_release(struct session *s, size_t bytes) {
    s->order.kept -= bytes;
}

#endif
