// SPDX-License-Identifier: PostgreSQL
//
// Replies to statements that pgfold gives the server later than the client sent them.
//
// pgfold answers some Parse messages itself (talk/prepare.c). When a later message needs the statement, it is
// given to the server (session/lazy.h), in one of two ways:
//
//   EXPECT_DELAYED  Close, Parse and Describe stand inside the client's unit, in front of what needs them
//   OWED_PARSE      they are a unit of our own
//
// In both cases the replies are compared with what the client was told when it prepared the statement. Happy
// path: they are the same, and nobody sees them. If they differ, the definitions have changed meanwhile, and
// the client is told what PostgreSQL says then: "cached plan must not change result type". There are two ways
// to do that:
//   - the message that needs it was sent behind it: the rest of the reply is dropped (`poisoned`);
//   - it was not sent yet: a Bind that must fail is sent in its place, and the server's error for that is
//     replaced (session_refuse, session_take_refusal).
// Inside a transaction the error must abort the transaction, too (session_abort_refused).
#ifndef PGFOLD_BATCHING_TALK_GIVEN_H
#define PGFOLD_BATCHING_TALK_GIVEN_H

#include "batching/session/session.h"

// ---- refusing

// The message at hand needs a statement that has changed: sends, in its place, what the server refuses.
// False: the session failed.
bool session_refuse(struct session *s);

// The same for a message that is refused for another reason: the client gets `error`, a whole ErrorResponse, which is copied.
bool session_refuse_as(struct session *s, const struct buf *error);

// The unit at hand is refused: in its place goes what the server refuses, so that a transaction fails there, too. The
// client gets `error`, a whole ErrorResponse, which is copied. Nothing else is under way. False: the session failed.
bool session_refuse_unit(struct session *s, const struct buf *error);

// One message of a FORWARD reply. True: it is the error for session_refuse(), and the client was told ours
// instead.
bool session_take_refusal(struct session *s, struct owed *o, const struct frame *f);

// ReadyForQuery of a poisoned reply came with this status. If the transaction goes on, a unit is sent that
// makes it fail, and true is returned: that unit's ReadyForQuery ends the reply. False: the reply ends here.
bool session_abort_refused(struct session *s, struct owed *o, char status);

// ---- what was given inside the client's unit

// One message of a client's reply, with an EXPECT_DELAYED at the head of what is expected. True: it answers
// what pgfold added, and is not for the client.
bool session_take_delayed(struct session *s, struct owed *o, const struct frame *f);

// ---- what was given in a unit of our own

// One message of the reply to an OWED_PARSE. `interruption`: the error says nothing about the statement (a
// timeout, a cancel request).
void session_feed_parse(struct session *s, struct owed *o, const struct frame *f, bool interruption);

// That reply has ended.
void session_end_parse(struct session *s, struct owed *o);

// One message of the reply to a statement that executes one which could not be given. True: it is the
// server's error "no such statement", and the client was told instead why it could not be given.
bool session_take_missing(struct session *s, struct owed *o, const struct frame *f);
void given_forget_error(struct session *s); // what stands for the server's own

#endif
