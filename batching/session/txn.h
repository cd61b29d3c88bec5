// SPDX-License-Identifier: PostgreSQL
//
// The transaction that the client is in: what its statements have done to it, and whether lookups inside it
// may be folded.
//
// Lookups inside a transaction take part like those outside if it is READ COMMITTED and pristine: it has only
// read so far. Each of its statements sees what was committed before the statement began, and so does a
// statement of another session.
//
// The state of a transaction is known from the statements that were forwarded (session_txn_note) and from the
// server's answers (session_txn_ended).
//
// The effect of SET TRANSACTION and its like depends on whether a query ran in the transaction before. If a
// query was answered on another connection, the own one does not know. So a query of ours is sent in front of
// such a statement (session_take_snapshot).
//
// The writes of a transaction are noted here, too: when they are sent, and when they have ended.
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

// Meaningful while no FORWARD entry is owed. All zero outside a transaction.
struct transaction {
    bool more_than_read; // something in it was, or may have been, more than a plain read
    bool beyond;         // … and more than SET LOCAL of harmless settings, and of what drops what is held
    bool unclear;        // something in it was more than to read, and to write to tables that are known
    bool level;          // its statements have said its isolation level; else it has the session's default
    enum identity_isolation isolation;
    bool local;                       // settings may have other values than outside of it
    bool renamed;                     // names may mean something else because of such settings
    bool customs;                     // such settings may be custom ones
    bool known;                       // the session's identity has been asked for the next two:
    bool may_idle;                    // the server lets its connection idle in the transaction
    enum identity_isolation standard; // the session's default level
    bool portal;                      // an unnamed portal of the client's may be open in it
    bool snapshot;                    // a SELECT of the client's has run in it, on any connection
    bool taken;                       // a SELECT has run in it on its own server connection
    uint64_t began;                   // microseconds
    uint64_t generation;              // of the definitions when it began
};

// ---- what statements do to it

// Is it a SET LOCAL of settings that change neither what a statement does nor how the transaction ends: lock_timeout, and the
// application's own?
bool session_txn_sets_harmless(enum statement_kind kind, const struct shape *shape);

// Notes in a FORWARD entry what one of its statements does to the transaction. `shape` may be NULL where the
// kind says all.
void session_txn_note(struct owed *o, enum statement_kind kind, const struct shape *shape);

// Notes in the FORWARD entry whose statement begins a transaction what that takes from its session.
void session_txn_begins(struct session *s, struct owed *o);

// Notes in a FORWARD entry that the isolation level is not known once it has ended.
void session_txn_lose_level(struct owed *o);

// The server has answered the forwarded unit `o`. `before`: the transaction status in front of it; s->txn is
// the new one.
void session_txn_ended(struct session *s, const struct owed *o, char before);

// The identity is in doubt. What brought the doubt may have happened inside the transaction.
void session_doubt(struct session *s);

// ---- what may run in it

// Why a lookup in the transaction at hand must be forwarded. NONE: there is no transaction, or it is
// pristine.
enum reason session_txn_reason(const struct session *s);

// May lookups of the transaction at hand be answered from what its own connection has loaded ahead, although
// they may not be folded with others'? It reads a fixed snapshot, or has done more than read.
bool session_is_apart(const struct session *s);

// Do all statements of the transaction at hand see the same snapshot?
bool session_snapshot_is_fixed(const struct session *s);

// Does each statement at hand see what was committed before it?
bool session_reads_committed(const struct session *s);

// Is it certain that the transaction at hand ends as it is told to, and that nobody sees a difference? It has done nothing but
// read, and make harmless settings that end with it, and no other transaction can be in conflict with it.
bool session_txn_has_only_read(const struct session *s);

// Does SET TRANSACTION leave that so? `p`: what it sets.
bool session_txn_goes_on(const struct parsed *p);

// ---- its snapshot

// Does the effect of a statement depend on whether a query ran in its transaction before? `p`: what it sets;
// NULL: not known.
bool session_txn_asks(enum statement_kind kind, const struct parsed *p);

// A SELECT of the client's has run in the transaction, on any connection.
void session_note_snapshot(struct session *s);

// A SELECT has run on the session's own server connection.
void session_note_snapshot_taken(struct session *s);

// Has a SELECT run elsewhere only?
bool session_lacks_snapshot(const struct session *s);

// Runs a SELECT of ours on the own connection, in front of what comes. Out of memory fails the session.
void session_take_snapshot(struct session *s);

// ---- its writes

// Does a write leave the session as it is, and all tables but those that it names? `p`: what is known of it,
// or NULL.
bool session_write_is_clean(const struct session *s, const struct parsed *p);

// A statement is sent that may write. `p`: what is known of it; NULL: nothing, so it counts for all tables.
// It counts once more when its transaction has ended.
void session_note_write(struct session *s, const struct parsed *p);

// May a SELECT that was not vetted write, through a view or a function of a user's?
bool session_read_may_write(const struct session *s, const struct parsed *p);

// The client is told that one of its commands has ended. `tag`: of its CommandComplete; `last`: ReadyForQuery
// is right behind it.
void session_note_complete(struct session *s, const struct owed *o, struct slice tag, bool last);

// The reply `o` to the client's own has ended: if its transaction has, too, the writes count again.
void session_note_written(struct session *s, const struct owed *o);

// The server is gone. Nobody knows how the writes ended, so they count as ended now.
void session_end_writes(struct session *s);

#endif
