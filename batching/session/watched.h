// SPDX-License-Identifier: PostgreSQL
//
// A session as a part of a test: which scope it is in, and what it adds to the counts of its sections.
//
// Nothing here costs anything while nothing is expected of anybody. Out of memory, a statement is not counted.
#ifndef PGFOLD_BATCHING_SESSION_WATCHED_H
#define PGFOLD_BATCHING_SESSION_WATCHED_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// Is anything expected of the session? Then what it asks is looked at (talk/watch_take.h).
bool session_is_watched(struct session *s);

// The i-th section that it is part of, 0 or 1; NULL: there is none.
struct section *session_section(struct session *s, unsigned i);

// Its scope, made if there is none; borrowed. NULL: out of memory.
struct scope *session_scope(struct session *s);

// It is in the scope of this name from now on. Empty: in that of its database and user.
void watched_enter(struct session *s, struct slice name);

// The session begins: its start-up parameters, or its options, may name a scope.
void watched_begin(struct session *s, struct slice startup_params);
void watched_finish(struct session *s);

// A test or a request may end here, and another begin: of what runs from the start, what the session asks from now on
// makes no loop with what it has asked and read. It is so where a transaction is rolled back, and where the session ends.
void watched_part(struct session *s);
// The same for all sessions: a test says where it begins and ends in this scope. What its sessions have read before makes no
// loop in its section.
void watched_part_all(struct engine *e, const struct scope *of);

// A statement is sent or accepted. `p`: NULL: its text is not known.
void watched_note(struct session *s, enum statement_kind kind, const struct parsed *p);

// The rows of a result of this statement are recorded.
void watched_note_list(struct session *s, struct shape *shape);

// The unit at hand is looked at: a lookup in it is counted once, however often the unit has to wait.
static inline void watched_look(struct session *s) {
    s->watch.looked = true;
}

// It was refused: what comes next is looked at anew.
static inline void watched_refuse(struct session *s) {
    s->watch.looked = false;
}

#endif
