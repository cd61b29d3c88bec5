// SPDX-License-Identifier: PostgreSQL
//
// What a session reads is recorded in its trail (ahead/trail.h): the results that its client is told, and
// those of batches loaded ahead. From the trail the coming keys of a loop are predicted.
//
// Happy path: ahead_reply is given each message of a reply that is worth recording, while the message passes.
// Rows that are not whole, and replies whose columns are not known, are not recorded. Out of memory, nothing
// is.
#ifndef PGFOLD_BATCHING_SESSION_RECORD_H
#define PGFOLD_BATCHING_SESSION_RECORD_H

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"

// ---- what the client is told

// Is the lookup's own answer worth recording? It may have several rows.
bool ahead_may_record(struct session *s, const struct lookup *l);

// One message of the reply `o` to the client. `whole`: the body is there.
void ahead_reply(struct session *s, struct owed *o, const struct frame *f, bool whole);

// Is this row wanted whole? Then the caller passes it to ahead_reply only when its body is there.
bool ahead_wants(struct session *s, const struct owed *o, const struct frame *f);

// Keeps the statement's columns for replies that do not describe them. `body`: of its RowDescription.
void ahead_note_columns(struct session *s, struct statement *st, const uint8_t *body, size_t len);

// The client has been answered, whatever it had asked. Its pause begins now: what it waited for is none.
void ahead_answered(struct session *s);

// ---- what was loaded ahead

// A batch that was loaded ahead has ended, and its members are answered. Takes the batch over: holds it, or
// frees it if nobody wants it.
void ahead_ended(struct engine *e, struct batch *b);

// Records the batch's rows as one result, from which further keys may be predicted.
void ahead_record(struct ahead *a, struct batch *b);

#endif
