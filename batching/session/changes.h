// SPDX-License-Identifier: PostgreSQL
//
// Changes of what a session's statements mean, while they are on their way: a SET search_path that is not
// confirmed, or one that holds until the transaction ends. Until then, what is known of the session says
// nothing about the statements behind it: neither whether a SELECT is a plain read, nor where a constant
// ends, if the setting says how text is read.
//
// Statements in later units outside a transaction wait for the answer, and then fold. For clients that
// pipeline that costs a round trip to the server. Statements in the same unit, and inside a transaction, are
// forwarded like statements that are not understood.
//
// Statements that are not understood need none of this: they leave the session in doubt when they are sent.
// Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_CHANGES_H
#define PGFOLD_BATCHING_SESSION_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/statement/parse.h"

struct batch;
struct owed;
struct session;
struct shape;

// For each kind of change: the value of s->n_replies at which the last such change is answered.
struct pending_changes {
    uint64_t meaning; // what names mean
    uint64_t text;    // how text is read
    uint64_t effect;  // takes effect when it is answered: what comes behind it waits
};

// The last entry of the queue, `o`, has a settings statement of this kind. `shape` NULL: it may set anything.
void session_note_change(struct session *s, struct owed *o, enum statement_kind kind,
                         const struct shape *shape);

// The same for a statement whose text was not read and which may set anything. Later units wait for its
// answer.
void session_note_unread_change(struct session *s, struct owed *o);

// The unit that was sent last may fail or not, and what comes behind it needs to know. Later units wait for its answer.
void session_note_uncertain(struct session *s);

// May a change of what names mean be on its way, or hold until the transaction ends?
bool session_meaning_is_pending(const struct session *s);

// May a change of how text is read be on its way?
bool session_text_is_pending(const struct session *s);

// Must later units wait for a change? Not while COPY waits for the client's data: the answer would never
// come.
bool session_effect_is_pending(const struct session *s);

#endif
