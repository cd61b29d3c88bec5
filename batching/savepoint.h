// SPDX-License-Identifier: PostgreSQL
//
// What of ours runs inside a client's transaction runs between SAVEPOINT and RELEASE, sent in the same write:
// it may fail, the transaction must not.
//
//   [Parse] Bind Execute of SAVEPOINT, the unit's own messages, the same of RELEASE, Sync
//
// Where the unit makes settings that shall end with it, ROLLBACK TO stands before RELEASE.
//
// If it fails, ReadyForQuery says E, and the repair is sent. One name does for all: an inner savepoint hides
// the outer one of its name until it is released, also one of the client's.
#ifndef PGFOLD_BATCHING_SAVEPOINT_H
#define PGFOLD_BATCHING_SAVEPOINT_H

#include "protocol/write.h"

// `prepared`: the connection has both statements already; else they are prepared, whatever stood under their
// names.
void savepoint_write_open(struct buf *out, bool prepared);
void savepoint_write_release(struct buf *out, bool prepared);

// The types of the messages that answer each of the two, in order; static.
const char *savepoint_replies(bool prepared);

// Whole units. These leave nothing behind, neither settings nor locks. A question and the settings in front
// of it are statements; they come in the extended protocol, so that the client's unnamed statement stays.
// `unit` is one that ends with Sync.
void savepoint_write_question(struct buf *out, struct slice settings, struct slice sql);
void savepoint_write_unit(struct buf *out, struct slice unit);
void savepoint_write_repair(struct buf *out);

#endif
