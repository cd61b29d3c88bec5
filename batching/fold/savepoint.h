// SPDX-License-Identifier: PostgreSQL
//
// Inside a client's transaction, pgfold's own statements run between SAVEPOINT and RELEASE, sent in the same
// write. They may fail, but the transaction must not.
//
//   [Parse] Bind Execute Close of SAVEPOINT, of `fresh`, the unit's own messages, the same of RELEASE, Sync
//
// Behind SAVEPOINT, a question bounds how long it waits for locks (trust/own_settings.h).
//
// `fresh` is needed because a transaction that has used a table before runs on what its process knew then. It
// may hear late of rights that were withdrawn, or of names that mean something else now. What is given to
// other sessions must not depend on that, so `fresh` makes the process hear of it.
//
// Where the unit makes settings that must end with it, ROLLBACK TO stands before RELEASE.
//
// Each statement runs in a portal of pgfold's own that is closed behind it: the client's unnamed portal
// stays, and none of pgfold's is seen. If one fails, ReadyForQuery says E, and the repair is sent. One name
// is enough for all savepoints. An inner savepoint hides an outer one of the same name until it is released,
// also one of the client's.
#ifndef PGFOLD_BATCHING_FOLD_SAVEPOINT_H
#define PGFOLD_BATCHING_FOLD_SAVEPOINT_H

#include "protocol/write.h"

// Append the two ends of the frame. `prepared`: the connection has these statements already. Otherwise they
// are prepared, and replace what stood under their names.
void savepoint_write_open(struct buf *out, bool prepared);
void savepoint_write_release(struct buf *out, bool prepared);

// The types of the messages that answer each of the two, in order; static. The second list begins with the
// CloseComplete of what ran between them.
const char *savepoint_open_replies(bool prepared);
const char *savepoint_release_replies(bool prepared);

// The prefix of all names of pgfold's own. A client that uses such a name has its connection for itself.
#define SAVEPOINT_OWN     "pgfold_"
#define SAVEPOINT_PORTAL  SAVEPOINT_OWN "portal" // what runs between them is bound to it
#define SAVEPOINT_OPEN    SAVEPOINT_OWN "savepoint"
#define SAVEPOINT_FRESH   SAVEPOINT_OWN "fresh"
#define SAVEPOINT_RELEASE SAVEPOINT_OWN "release"
#define SAVEPOINT_REPAIR  SAVEPOINT_OWN "repair"
#define SAVEPOINT_QUERY   SAVEPOINT_OWN "query"
#define SAVEPOINT_VET     SAVEPOINT_OWN "vet"
#define SAVEPOINT_NOTHING SAVEPOINT_OWN "nothing" // no statement of this name exists

bool savepoint_is_own_name(struct slice name); // it may be one of these
bool savepoint_in_text(struct slice text);     // the SQL may say one of these, or name the savepoint

// Append whole units that leave neither settings nor locks behind. A question and the settings in front of it
// are statements; they travel in the extended protocol, so the client's unnamed statement stays. `unit` ends
// with Sync and closes what it opens. Without `prepared`, nothing that they prepare is left.
// `undone`: what takes it back is a unit of its own behind it, with a reply of its own. So the transaction is as it was even if
// the first one has failed, and what comes behind both may be sent without an answer.
// `lock_timeout`: milliseconds that each lock may be waited for; 0: as the client has it.
void savepoint_write_question(struct buf *out, struct slice settings, struct slice sql, bool prepared,
                              bool undone, unsigned lock_timeout);
void savepoint_write_unit(struct buf *out, struct slice unit, bool prepared, bool undone,
                          unsigned lock_timeout);
// Append the two ends of a unit outside transactions, of which the second one ends with Sync. The first end is answered by
// savepoint_bound_replies() messages.
void savepoint_write_bound(struct buf *out, unsigned lock_timeout);
void savepoint_write_bound_end(struct buf *out, unsigned lock_timeout);
unsigned savepoint_bound_replies(unsigned lock_timeout);
// Appends a query that can neither wait nor fail.
void savepoint_write_select(struct buf *out);
// Appends the repair of the transaction. Of pgfold's own, only the statements of batches remain.
void savepoint_write_repair(struct buf *out);
// Appends Close messages for the statements of the frame.
void savepoint_write_forget(struct buf *out);
#endif
