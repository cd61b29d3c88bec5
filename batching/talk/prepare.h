// SPDX-License-Identifier: PostgreSQL
//
// What a client is told without asking the server:
//   - Parse: a statement is prepared, if the answer is known for this identity from an earlier Parse of the
//     same text (session/learn.h);
//   - Close, DEALLOCATE: a statement is closed that the server never got;
//   - Sync: the end of a unit in which nothing else was asked for.
// Each answer stands in its order behind the lookups before it (talk/answer.h). session/lazy.c says when the
// server gets the statement after all.
//
// TAKE_FORWARD: the server has to answer, which is always right.
#ifndef PGFOLD_BATCHING_TALK_PREPARE_H
#define PGFOLD_BATCHING_TALK_PREPARE_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// Each decides about the unit `u` at f->at, or the Sync there. TAKE_FORWARD: *why may be set; and f->learns
// is set if the server's reply will tell about all statements of that text.
enum take prepare_take(struct feed *f, const struct unit *u, enum reason *why);
enum take close_take(struct feed *f, const struct unit *u);
enum take deallocate_take(struct feed *f, const struct unit *u);
enum take sync_take(struct feed *f);
// An Execute of a portal that was bound in an earlier unit.
enum take execute_take(struct feed *f, const struct unit *u);

#endif
