// SPDX-License-Identifier: PostgreSQL
//
// Changes of what a session's statements mean, while they are on their way: a SET search_path that is not
// confirmed, or one that holds until the transaction ends. What is known of the session tells nothing about
// the statements behind it: neither whether a SELECT is a plain read, nor, where the setting says how text is
// read, where a constant ends.
//
// In later units outside a transaction they wait for the answer, which is a round trip to the server for
// clients that pipeline, and then fold. In the same unit, and inside a transaction, they are forwarded as
// statements of which nothing is known.
//
// Statements that are not understood need none of this: they leave the session in doubt when they are sent.
#ifndef PGFOLD_BATCHING_SESSION_CHANGES_H
#define PGFOLD_BATCHING_SESSION_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/statement/parse.h"

struct batch;
struct owed;
struct session;
struct shape;

// Of each kind, how many replies must have ended until the last such change is answered.
struct pending_changes {
    uint64_t meaning; // of names
    uint64_t text;    // of text
    uint64_t effect;  // takes effect when it is answered: what comes behind it waits
};

// The last entry of the queue, o, has got a statement that sets, of this kind.
void session_note_change(struct session *s, struct owed *o, enum statement_kind kind,
                         const struct shape *shape);

// The same of a statement whose text was not read, and which may set anything. Later units wait for its
// answer.
void session_note_unread_change(struct session *s, struct owed *o);

bool session_meaning_is_pending(const struct session *s);
bool session_text_is_pending(const struct session *s);
bool session_effect_is_pending(const struct session *s); // no: COPY waits for the client's data

#endif
