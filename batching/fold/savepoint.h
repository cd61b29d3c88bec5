// SPDX-License-Identifier: PostgreSQL
//
// What of ours runs inside a client's transaction runs between SAVEPOINT and RELEASE, sent in the same write:
// it may fail, the transaction must not.
//
//   [Parse] Bind Execute Close of SAVEPOINT, of `fresh`, the unit's own messages, the same of RELEASE, Sync
//
// A transaction that has used a table before runs on what its process knew then: of rights that were
// withdrawn since, of names that mean something else it may hear late. What is given to other sessions must
// not depend on that, so the process is made to hear of it (`fresh`).
//
// Where the unit makes settings that shall end with it, ROLLBACK TO stands before RELEASE.
//
// Each runs in a portal of our own that is closed behind it: the client's unnamed one stays, and none of ours
// is seen. If it fails, ReadyForQuery says E, and the repair is sent. One name does for all savepoints: an
// inner one hides the outer one of its name until it is released, also one of the client's.
#ifndef PGFOLD_BATCHING_FOLD_SAVEPOINT_H
#define PGFOLD_BATCHING_FOLD_SAVEPOINT_H

#include "protocol/write.h"

// `prepared`: the connection has these statements already; else they are prepared, whatever stood under their
// names.
void savepoint_write_open(struct buf *out, bool prepared);
void savepoint_write_release(struct buf *out, bool prepared);

// The types of the messages that answer each of the two, in order; static. With what is run between them the
// second begins: it is closed there.
const char *savepoint_open_replies(bool prepared);
const char *savepoint_release_replies(bool prepared);

// What all of ours are called by. A client that uses such a name has the connection for itself.
#define SAVEPOINT_OWN     "pgfold_"
#define SAVEPOINT_PORTAL  SAVEPOINT_OWN "portal" // that what is run between them is bound to
#define SAVEPOINT_OPEN    SAVEPOINT_OWN "savepoint"
#define SAVEPOINT_FRESH   SAVEPOINT_OWN "fresh"
#define SAVEPOINT_RELEASE SAVEPOINT_OWN "release"
#define SAVEPOINT_REPAIR  SAVEPOINT_OWN "repair"
#define SAVEPOINT_QUERY   SAVEPOINT_OWN "query"
#define SAVEPOINT_VET     SAVEPOINT_OWN "vet"
#define SAVEPOINT_NOTHING SAVEPOINT_OWN "nothing" // there is no statement of this name

bool savepoint_is_own_name(struct slice name); // it may be one of these

// Whole units. These leave nothing behind, neither settings nor locks. A question and the settings in front
// of it are statements; they come in the extended protocol, so that the client's unnamed statement stays.
// `unit` is one that ends with Sync, and closes what it opens. Not `prepared`: nothing that they prepare is
// left.
void savepoint_write_question(struct buf *out, struct slice settings, struct slice sql, bool prepared);
void savepoint_write_unit(struct buf *out, struct slice unit, bool prepared);
// A query that can neither wait nor fail.
void savepoint_write_select(struct buf *out);
// Brings the transaction back. Nothing of ours is left but the statements of batches.
void savepoint_write_repair(struct buf *out);
// Gives up what is prepared for them.
void savepoint_write_forget(struct buf *out);
#endif
