// SPDX-License-Identifier: PostgreSQL
//
// What is sent in front of a client's statement, before its own bytes go out:
//   - prepared statements that the server lacks, if the statement may use one by name (front_give_…);
//   - questions to the catalogue: is this SELECT a plain read? Nothing can change the answer if it is asked
//     first (front_before_unit, front_vet_first);
//   - a proof of the identity before BEGIN (front_prove);
//   - a query that takes a snapshot, if the client's transaction has read something and its own server
//     connection has not, since batches on other connections answered (front_snapshot_…);
//   - Close of our own statements, if the client uses names like ours (front_keep_out).
//
// The run before the statement is sent first (feed_to_server). Some of this must be answered before the
// statement may be sent. Then the unit waits: it stays in the client's input, and is looked at again.
#ifndef PGFOLD_BATCHING_TALK_FRONT_H
#define PGFOLD_BATCHING_TALK_FRONT_H

#include "batching/session/session.h"
#include "batching/talk/classify.h"
#include "batching/talk/feed.h"
#include "batching/talk/reads.h"

// At a unit inside a transaction: asks the catalogue about its SELECTs that nobody has vetted. True: the unit waits
// for the answer, since another session has asked, or a framed unit is under way (session/frame.h). Else it goes out
// behind the question.
bool front_vet_first(struct feed *f);

// At the Query BEGIN, a message of `size` bytes: asks about the SELECTs of the unit behind it, if that has come
// with it. Behind BEGIN nothing can be asked before BEGIN is answered.
void front_ask_behind_begin(struct feed *f, size_t size);

// At the first message of an extended unit: proves, asks and gives what the unit needs. False: the unit
// waits.
bool front_before_unit(struct feed *f, const struct frame *fr);

// Before BEGIN, and before a DECLARE that may be WITH HOLD (`hold`): proves the session if that is due, and
// asks for the facts of the database (trust/facts.h) if they are no longer believed. No answer is waited for.
void front_prove(struct feed *f, enum statement_kind kind, bool hold);

// May a statement of this kind use prepared statements by name, or otherwise than the protocol shows?
// `effect`: of a SELECT.
bool front_may_see_prepared(enum statement_kind kind, enum read_effect effect);

// Gives the server the one statement that an EXECUTE names; "": none. False: nothing was given. Then the
// server has that statement, or a unit is open and all are to be given.
bool front_give_executed(struct feed *f, const char *name);

// Gives the server all statements that it lacks. `asks`: the client's statement may itself be an EXECUTE;
// then those that failed lately are tried again at once. False: the client's statement waits until they are
// answered.
bool front_give_all(struct feed *f, bool asks);

// Takes a snapshot on the server's connection if what the statement does depends on whether its transaction
// has one, as with SET TRANSACTION ISOLATION LEVEL. `c`: the Query message; the unit: the one at f->at.
void front_snapshot_for_query(struct feed *f, const struct statement_class *c);
void front_snapshot_for_unit(struct feed *f);

// If the message at f->at uses a name like ours, our own statements are closed and no more are prepared.
void front_keep_out(struct feed *f, const struct frame *fr);

#endif
