// SPDX-License-Identifier: PostgreSQL
//
// Messages whose meaning depends on how the unit before them ends. They wait for the answer.
//
// pgfold must know how many replies the server will send. The messages alone do not always tell:
//   - A Query or a function call inside an open extended unit ends that unit, with one ReadyForQuery for
//     both. But if something in the unit has failed, the server skips everything up to the Sync.
//   - A Sync is ignored while COPY FROM STDIN waits for data. CopyData is ignored while it does not.
// Few clients do this, so the solution is simple: such a message waits until the server has answered what was
// sent before it. A Flush asks for these answers.
//
// While COPY waits for data, the server alone knows what becomes of a message that is no data: it ignores a
// Sync, unless the data before it have failed meanwhile, and it breaks off COPY for anything else. Then the
// session becomes opaque (talk/opaque.h).
#ifndef PGFOLD_BATCHING_TALK_INSIDE_H
#define PGFOLD_BATCHING_TALK_INSIDE_H

#include "batching/session/session.h"
#include "batching/talk/feed.h"

enum inside {
    INSIDE_PASS,   // go on
    INSIDE_WAIT,   // the message waits until more is known
    INSIDE_SKIPPED // the server does not act on it: it is passed on, and has no reply
};

// The client's message waits until all before it is answered. Always returns false.
bool inside_wait(struct feed *f);

// What becomes of a message of the client's: CopyData, CopyDone or CopyFail (inside_copy); any other message
// while COPY may wait for data (inside_no_data); and, if that says PASS, a Query or a function call
// (inside_end), or a Sync (inside_sync).
enum inside inside_copy(struct feed *f, uint8_t type);
enum inside inside_no_data(struct feed *f, uint8_t type);
enum inside inside_end(struct feed *f);
enum inside inside_sync(struct feed *f);

// Counts a message of the server's that answers one of a forwarded unit's. `o`: the unit's entry.
void session_note_answer(struct session *s, struct owed *o, uint8_t type);

#endif
