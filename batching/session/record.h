// SPDX-License-Identifier: PostgreSQL
//
// What a session reads is recorded in its trail: the results that its client is told, and those of batches
// loaded ahead.
#ifndef PGFOLD_BATCHING_SESSION_RECORD_H
#define PGFOLD_BATCHING_SESSION_RECORD_H

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"

// A batch that was loaded ahead has ended and its members are answered; takes it.
void ahead_ended(struct engine *e, struct batch *b);

// The client has been answered, whatever it had asked: what it waited for is no pause of its own.
void ahead_answered(struct session *s);

bool ahead_may_record(struct session *s, const struct lookup *l); // its answer may have several rows

// A reply of the client's that is worth recording: one of its messages. `whole`: all of it is there.
void ahead_reply(struct session *s, struct owed *o, const struct frame *f, bool whole);

// A row of it is wanted whole.
bool ahead_wants(const struct session *s, const struct owed *o, const struct frame *f);

// The statement's columns, for replies that do not describe them.
void ahead_note_columns(struct session *s, struct statement *st, const uint8_t *body, size_t len);

void ahead_record(struct ahead *a, struct batch *b);

#endif
