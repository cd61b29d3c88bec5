// SPDX-License-Identifier: PostgreSQL
//
// Why bytes of the client's are left unread (`struct hold`).
//
// A reason begins where something cannot go on. It ends in session_settle, or where the session's next turn
// begins. flow/await.c alone writes `hold.await`, what a held lookup waits for.
#ifndef PGFOLD_BATCHING_SESSION_HOLD_H
#define PGFOLD_BATCHING_SESSION_HOLD_H

#include "batching/session/session.h"

// Until the session's lookups are answered.
static inline void hold_for_lookups(struct session *s) {
    s->hold.lookups = true;
}

static inline void hold_end_lookups(struct session *s) {
    s->hold.lookups = false;
}

// `waits`: what is at hand waits for what is ours, and so also for the lookups.
static inline void hold_for_own(struct session *s, bool waits) {
    s->hold.own = waits;
    s->hold.lookups |= waits;
}

// Until the queues have room again.
static inline void hold_until_room(struct session *s) {
    s->hold.full = true;
}

static inline void hold_end_room(struct session *s) {
    s->hold.full = false;
}

// Until the session has its next turn (turns.h).
static inline void hold_until_turn(struct session *s) {
    s->hold.turn = true;
}

static inline void hold_end_turn(struct session *s) {
    s->hold.turn = false;
}

// Until the server has answered the unit at hand.
static inline void hold_until_answered(struct session *s) {
    s->hold.unit = true;
}

static inline void hold_end_unit(struct session *s) {
    s->hold.unit = false;
}

// The session has become opaque: it waits for nothing but its turn.
static inline void hold_end_all(struct session *s) {
    s->hold.lookups = s->hold.full = s->hold.unit = false;
}

#endif
