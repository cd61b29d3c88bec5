// SPDX-License-Identifier: PostgreSQL
//
// The transaction that the client is in: what its statements have done to it, and what of ours may run inside.
#ifndef PGFOLD_BATCHING_SESSION_TXN_H
#define PGFOLD_BATCHING_SESSION_TXN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batching/base/reason.h"
#include "batching/statement/parse.h"
#include "batching/trust/identity.h"
#include "protocol/message.h"

struct owed;
struct session;
struct shape;

// The transaction that the client is in, when it is in one. Meaningful when no FORWARD entry is owed.
struct transaction {
    bool spent;   // something in it was, or may have been, more than a plain read
    bool unclear; // something in it was more than to read, and to write to tables that are known
    bool level;   // its statements have said which isolation it has; else it has the session's default
    enum identity_isolation isolation;
    bool local;                       // settings may have other values than outside of it
    bool renamed;                     // and names may mean something else
    bool customs;                     // and custom ones
    bool known;                       // the session's identity has been asked for these:
    bool may_idle;                    // its server connection
    enum identity_isolation standard; // of one whose statements do not say
    bool portal;                      // a portal of the client's may be open in it, unnamed
    bool snapshot;                    // a SELECT of its own has run in it,
    bool taken;                       // and its server connection knows: it ran there
    uint64_t began;                   // microseconds
    uint64_t generation;              // of the definitions then
};

// Notes in a FORWARD entry what one of its statements does to the transaction. shape: NULL when its kind says
// all.
void session_txn_note(struct owed *o, enum statement_kind kind, const struct shape *shape);

// It begins with a statement of this entry.
void session_txn_begins(struct session *s, struct owed *o);

// The isolation is not known from now on.
void session_txn_lose_level(struct owed *o);
void session_txn_ended(struct session *s, const struct owed *o, char before);

// Why a lookup in the transaction at hand must be forwarded; NONE: there is none, or it is pristine.
enum reason session_txn_reason(const struct session *s);

// May lookups of the transaction at hand be answered from what its own connection has loaded ahead, although
// they may not be folded with others'? It reads a fixed snapshot, or has done more than read.
bool session_is_apart(const struct session *s);

// Does what a statement says depend on whether there was a query in its transaction? p: NULL when it is not
// known what it sets.
bool session_txn_asks(enum statement_kind kind, const struct parsed *p);

// There was one, and the server connection does not know. The other runs one there, in front of what comes.
void session_note_snapshot(struct session *s);       // a SELECT has run in it, there or elsewhere
void session_note_snapshot_taken(struct session *s); // there
bool session_lacks_snapshot(const struct session *s);
void session_take_snapshot(struct session *s);

// Do all statements of the transaction at hand see the same snapshot?
bool session_snapshot_is_fixed(const struct session *s);

// Does each statement at hand see what was committed before it?
bool session_reads_committed(const struct session *s);

// SET TRANSACTION: each statement goes on to see what was committed before it.
bool session_txn_goes_on(const struct parsed *p);

// The identity is in doubt, and what brought the doubt may have happened inside the transaction.
void session_doubt(struct session *s);

// Does a write to the tables that it names, and to none other, leave all else of the session as it is? p:
// NULL when nothing is known of it.
bool session_write_is_clean(const struct session *s, const struct parsed *p);

// What is sent may write, p: what is known of it; else NULL. Counts again when its transaction has ended,
// which the end of a reply to the client's own may say.
void session_note_write(struct session *s, const struct parsed *p);

// May a SELECT that nobody has vetted write, by a view or a function of a user's?
bool session_read_may_write(const struct session *s, const struct parsed *p);

// The client is told that one of its commands has ended; `last`: ReadyForQuery is behind it.
void session_note_complete(struct session *s, const struct owed *o, struct slice tag, bool last);
void session_note_written(struct session *s, const struct owed *o);
void session_end_writes(struct session *s); // the server is gone, whatever has become of them

#endif
