// SPDX-License-Identifier: PostgreSQL
//
// The replies to statements that were given to the server later than the client had sent them.
#ifndef PGFOLD_BATCHING_TALK_GIVEN_H
#define PGFOLD_BATCHING_TALK_GIVEN_H

#include "batching/session/session.h"

// In place of what needs a statement that has changed: the server refuses it, and its error is made ours.
bool session_refuse(struct session *s);

// A lookup that was refused inside a transaction has been answered: makes the transaction fail. False: there
// is nothing to do, or no more.
bool session_abort_refused(struct session *s, struct owed *o, char status);

// An error that stands for our refusal. True: the client was told of that instead.
bool session_take_refusal(struct session *s, struct owed *o, const struct frame *f);

// Takes a reply's message for an EXPECT_DELAYED at the head. False: it is none of it.
bool session_take_delayed(struct session *s, struct owed *o, const struct frame *f);

// The same for an OWED_PARSE, and its end. `interruption`: of an error.
void session_feed_parse(struct session *s, struct owed *o, const struct frame *f, bool interruption);
void session_end_parse(struct session *s, struct owed *o);

// The error of a statement that executes what could not be given. True: the client was told why instead.
bool session_take_missing(struct session *s, struct owed *o, const struct frame *f);

#endif
