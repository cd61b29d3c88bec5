// SPDX-License-Identifier: PostgreSQL
//
// Why bytes of the client's are left where they are. Each reason begins where something finds that it cannot go
// on, and ends in session_settle or where the next turn begins. `hold.await`, what a held lookup waits for, is
// flow/await.c's.
#ifndef PGFOLD_BATCHING_SESSION_HOLD_H
#define PGFOLD_BATCHING_SESSION_HOLD_H

#include "batching/session/session.h"

static inline void hold_for_lookups(struct session *s) { // until they are answered
    s->hold.lookups = true;
}
static inline void hold_end_lookups(struct session *s) {
    s->hold.lookups = false;
}
static inline void hold_for_own(struct session *s, bool waits) { // what is at hand waits for what is ours
    s->hold.own = waits;
    s->hold.lookups |= waits;
}
static inline void hold_until_room(struct session *s) {
    s->hold.full = true;
}
static inline void hold_end_room(struct session *s) {
    s->hold.full = false;
}
static inline void hold_until_turn(struct session *s) {
    s->hold.turn = true;
}
static inline void hold_end_turn(struct session *s) {
    s->hold.turn = false;
}
static inline void hold_until_answered(struct session *s) { // the unit at hand
    s->hold.unit = true;
}
static inline void hold_end_unit(struct session *s) {
    s->hold.unit = false;
}
// Nothing is told apart any more, and so nothing waits for anything but its turn.
static inline void hold_end_all(struct session *s) {
    s->hold.lookups = s->hold.full = s->hold.unit = false;
}

#endif
