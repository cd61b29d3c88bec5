// SPDX-License-Identifier: PostgreSQL
//
// What a message means depends on how the unit before it has ended: then it waits for the answer.
#ifndef PGFOLD_BATCHING_TALK_INSIDE_H
#define PGFOLD_BATCHING_TALK_INSIDE_H

#include "batching/session/session.h"
#include "batching/talk/feed.h"

// A message of the reply to a unit that was forwarded.
void session_note_answer(struct session *s, struct owed *o, uint8_t type);

// The unit must be answered first: the client waits. Returns false.
bool inside_wait(struct feed *f);

// PASS: go on; WAIT: until more is known; SKIPPED: the server does not look at it.
enum inside { INSIDE_PASS, INSIDE_WAIT, INSIDE_SKIPPED };

// A Query or a function call, which end an extended unit that is open unless it has failed.
enum inside inside_end(struct feed *f);

// CopyData and its like, and Sync.
enum inside inside_copy(struct feed *f, uint8_t type);
enum inside inside_sync(struct feed *f);

// What is no data of a COPY's; before the two for Query and Sync.
enum inside inside_no_data(struct feed *f, uint8_t type);

#endif
