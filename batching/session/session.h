// SPDX-License-Identifier: PostgreSQL
//
// A session: one logged-in client and its own server connection, as a state machine over the bytes of both.
//
// The server connection owes replies; `owed` is the queue of them, each entry saying what becomes of its
// reply:
//   FORWARD  a unit forwarded as it came: its reply goes to the client
//   LOOKUP   a lookup that runs alone: the same, and its group is told
//   BATCH    a batch that this session lends its connection to: fed to the batch
//   PROOF, VET, READ_VET, FACTS  queries of our own: fed to identity.c, vet.c and facts.c
//   CHECK    a lookup that runs alone, its answer kept or compared: fed to check.c
//   REPAIR   brings a transaction back that one of ours has aborted (session/txn.c)
//   UNNAMED  a unit of our own that gives the server the client's unnamed statement
//   PARSE    a unit of our own that gives it statements whose Parse was answered without it
//
// The client is owed replies, too: the queue of its lookups (first … last), answered in order. A session is
// in one of:
//   idle        no FORWARD entry, no lookups
//   forwarding  FORWARD entries are owed: everything that comes is forwarded behind them, lookups included
//   looking up  lookups are under way, no FORWARD entries: more lookups may join; anything else waits
//   (`hold`) until all are
//               answered, unless all of them run alone on the own connection, where order takes care of
//               itself
//   opaque      bytes are relayed unread, for good (replication, COPY in the extended protocol, what is no
//   data in a COPY, framing that makes no sense)
//
// Files: session.c life, lookups; session_client.c what the client says; talk/inside.c what of it depends
// on how the unit before it has ended; session_server.c what the server says; session_change.c changes of
// what statements mean; session_cancel.c cancel requests.
#ifndef PGFOLD_BATCHING_SESSION_SESSION_H
#define PGFOLD_BATCHING_SESSION_SESSION_H

#include "batching/ahead/asked.h"
#include "batching/session/awaiting.h"
#include "batching/session/changes.h"
#include "batching/session/engine.h"
#include "batching/session/learn.h"
#include "batching/session/txn.h"
#include "batching/statement/unread.h"

enum owed_kind {
    OWED_FORWARD,
    OWED_LOOKUP,
    OWED_BATCH,
    OWED_PROOF,
    OWED_FACTS,
    OWED_VET,
    OWED_READ_VET,
    OWED_UNNAMED,
    OWED_CHECK,
    OWED_PARSE,
    OWED_REPAIR,
};

// What a forwarded unit does when it takes effect, for FORWARD alone; talk/effects.c, txn.c.
struct forward_effects {
    struct shape *setting; // a reference to a settings statement that takes effect when it succeeds
    bool changes;          // may change definitions
    bool clears_names;     // when it succeeds, the server has no prepared statements
    bool drops;            // it ends what is held for the session, when sent and when answered
    bool writes;           // nothing but to tables that are known
    // To the transaction; `spends`: another thing than reading.
    bool begins, ends, spends, level; // `level`: it says which isolation:
    uint8_t isolation;                // enum identity_isolation
    bool knows, asked;                // what its session's settings say of it, or the proof in front of it:
    bool may_idle;                    // session_identity_may_idle
    uint8_t standard;                 // enum identity_isolation
    bool returns;                     // it may go back to a savepoint
    bool selects;                     // a SELECT is run in it
    bool local;                       // it may change settings until the transaction ends
    bool renames;                     // and with them what names mean
    bool customs;                     // and custom ones
    bool portal;                      // it may leave its portal open
    // To what it reads.
    struct statement *bound;                   // of a unit of one read, what it runs: a reference
    bool binds, result_format, formats_differ; // it has a Bind; the format of its rows, or not one for all
    bool resumes;                              // its rows are those of a portal bound before
    // COPY FROM STDIN.
    bool copies;                 // it is a COPY of the simple protocol
    unsigned n_copies, n_copied; // how often the server said so, and the client ended it
};

struct owed {
    enum owed_kind kind;
    bool extended;    // FORWARD, LOOKUP: of the extended protocol
    bool error;       // an ErrorResponse came
    bool interrupted; // VET, READ_VET, PARSE: it says nothing about the query: a timeout, a cancel request
    bool single;      // FORWARD, LOOKUP: one lookup is all that its unit holds
    bool reads;       // FORWARD, LOOKUP: its rows are worth a look (ahead.h); FORWARD: of a unit of one read
    bool framed;      // BATCH, VET, READ_VET, PARSE: runs between SAVEPOINT and RELEASE
    bool poisoned;    // the client was told of an error, the rest of the reply is dropped
    bool refused;     // FORWARD: its next error is our own refusal, see talk/given.c
    bool aborts;      // LOOKUP: its client was told of an error, its transaction must fail
    bool named;       // PARSE: for the statement behind it, which executes it
    bool answer;      // READ_VET: what its row said; PARSE: the statement at hand has changed
    bool unwanted;    // BATCH, VET, READ_VET: nobody waits for it, the server is asked to end it
    uint8_t cancels;  // requests to cancel it: they are repeated until its reply comes; 0: none, or only once
    uint8_t reason;   // FORWARD: why, enum reason
    unsigned n_sent, n_untold; // FORWARD: its statements that are not answered; sent.h
    unsigned n_complete;       // LOOKUP: of its unit's statements, those that were answered
    unsigned n_expected;       // of the session's, those that its replies will tell about
    unsigned n_asked;          // FORWARD, extended: messages that the server has not answered; PARSE: what
                               // it answers before it comes to the first of `expected`
    struct forward_effects forward;
    union {
        struct lookup *lookup;
        struct batch *batch;
        struct group *group; // VET, READ_VET; FORWARD: whose in_flight counts it (mode observe, or a read
                             // being vetted)
    } of;
};

// One of the client's statements, or several that are alike, until the answer; sent.c.
struct sent {
    struct shape *shape; // a reference; NULL: its text is not known
    uint64_t asked;      // engine time
    unsigned n;          // of them
    uint8_t kind;        // enum statement_kind
};

struct sent_queue {
    struct sent *ring;
    unsigned head, n, cap; // cap is a power of two
};

// The queue of them; owed.c.
struct owed_queue {
    struct owed **ring;
    unsigned head, n, cap; // cap is a power of two
    unsigned n_slots;      // of the ring's that there is an entry for, used or not
};

#define SESSION_MAX_OWED      1024
#define SESSION_MAX_EXPECTED  2048 // beyond it the client waits; four times as many there may be
#define SESSION_MAX_PIPELINE  400  // lookups in one unit
#define SESSION_MAX_PREPARED  192  // of a shape up to three: the statement, its check, that of rows held
#define SESSION_MAX_LAZY      256
#define SESSION_MAX_LAZY_NAME 63 // bytes; of longer names the server sees as many

// A statement of our own on the server connection.
struct own_statement {
    XXH128_hash_t name;
    struct seal seal;
};

// Its lookups in the order of their answers; order.c.
struct answer_order {
    struct lookup *first, *last;
    unsigned n;
    size_t kept; // bytes of answers that wait for earlier ones, at most max_answer
};

// Prepared statements; statements.c.
struct statement_names {
    struct statement *table, *unnamed; // as the client knows them
    const struct statement
        *closing;            // the unnamed one that a Close on its way ends; an EXPECT_CLOSE refers to it
    unsigned n;              // in the table
    unsigned n_lazy;         // at least as many as there are named ones that the server has not got
    bool unknown;            // the server may have prepared statements that are not in the table
    bool server_has_unnamed; // what the server's unnamed statement is, which folded lookups pass by
    struct shape *server_unnamed; // a reference; NULL: its text is not known
};

// Replies that will tell about statements, in order; expected.c.
struct expected_queue {
    struct expected *ring; // allocated when first needed
    unsigned head, n, cap;
    unsigned stage; // of the EXPECT_DELAYED or OWED_PARSE whose replies come
};

// Statements that the server lacks are given to it: when that has failed; talk/given.c.
struct giving_state {
    uint64_t from; // engine time before which these are given for no other reason than their use
    unsigned in_vain;
    struct buf error; // why what the client's next statement executes was not given: stands for its own
};

// Why bytes of the client's are left where they are; hold.h.
struct hold {
    bool lookups;       // until its lookups are answered
    bool own;           // the same, and what is at hand waits for what is ours
    bool full;          // until there is room
    bool turn;          // until it has its next turn; turns.h
    bool unit;          // until the unit at hand is answered; talk/inside.c
    struct await await; // lookups: for an answer to a query of our own; flow/await.c
};

// Cancel requests, the client's and our own; cancel_request.c.
struct cancelling {
    bool first;         // one is for the first lookup, which shall run alone for it
    bool held;          // the client has cancelled what is held
    bool pending;       // relay one when the client's own statement runs
    unsigned under_way; // the engine's: nothing may be sent that they could hit
    uint64_t at;        // engine time at which the one for the head of `owed` is sent again; 0: none
    bool listed;        // in the engine's list of sessions whose request may have to be sent again
    struct session *next;
};

// What of ours runs inside the client's transaction; frame.c.
struct framing {
    unsigned n;      // framed entries in `owed`, and repairs
    bool repair_due; // a framed unit has failed: the connection is in an aborted transaction
    bool prepared;   // the server connection has our SAVEPOINT and RELEASE prepared
};

// Lookups that are answered from what their own connection has loaded alone; apart.c.
struct apart {
    uint64_t serial_of;   // id of the identity of which this is known, 0: none:
    bool serial;          // its statements outside transactions are SERIALIZABLE, or may be
    unsigned n;           // accepted since the session did last more than read
    bool costs;           // since then one that nobody has vetted dropped what was held
    unsigned vets, given; // the catalogue asked for it alone, and answers that this brought
    unsigned inside;      // lookups in the transaction at hand,
    unsigned inside_last; // and in the one before
};

// Our own statements on the server connection; own_prepared.c.
struct own_prepared {
    struct own_statement *ring; // most recently used last
    unsigned n;
    bool lent;      // batches have run on its connection, and may have left statements there
    bool keeps_out; // its client uses names like ours: nothing of ours is prepared on its connection
};

// How long the first of `owed` has been waited for; late.c.
struct lateness {
    uint64_t since; // engine time since which the server is at it
    uint64_t due;   // engine time: it is late, and this is when it counts; 0: none
    bool listed;    // in the engine's list
    struct session *next;
};

struct session {
    // Who it is, and what it hangs on.
    uint64_t id;
    struct engine *engine;
    void *owner; // for the effects
    struct session *next, *previous;
    struct endpoint *server;         // that it is connected to; NULL: not told
    uint32_t login_process, process; // of the server's: as the log-in, as the last proof says; 0: unknown
    struct database *database;       // that it is logged in to; a reference
    struct session_identity identity;
    bool wants_proof;  // when its connection is free, and in no transaction
    bool proof_listed; // stands in the engine's list of sessions to prove
    struct session *next_proof;
    uint64_t trusted_at; // when it last ran what was vetted (vouch.h); 0: never
    uint64_t wrote_at;   // the same of a write that runs nothing of a user's

    // What it may use up.
    struct account memory, queue_memory, names_memory; // all that it holds; see memory.h
    size_t weighs;                                     // bytes of it that room_weigh_session has counted
    struct ration ration;                              // of what new texts may cost
    struct turn turn;                                  // of the loop's time

    // Both ends.
    bool opaque;
    bool terminating;                      // Terminate was forwarded, or the client's end has come
    bool goodbye;                          // Terminate was forwarded
    bool ending;                           // the client will send no more than is there
    bool client_gone, server_gone, failed; // failed: a malformed frame came, close
    bool backlogged;                       // the client does not read; no lender, no member

    // What the client sends.
    struct hold hold;
    bool in_unit;               // a forwarded extended unit is open: no Sync yet
    bool lazy_unit;             // the client's unit is open, of which the server knows nothing
    bool force_forward;         // the unit at the front waited long enough for its rest
    bool gave;                  // the server was given all that it lacks for the unit to come
    bool gives;                 // a lookup inside a transaction brings its statement along
    unsigned unit_vets;         // questions about reads of the unit at hand; see reads_effect
    bool copying;               // the client has sent CopyData behind a Query that is not answered
    size_t client_skip;         // bytes of a large message still to be relayed
    uint64_t partial_since;     // microseconds; 0: no partial unit waits
    uint64_t front_since;       // engine time: the unit at hand was first looked at; 0: none is
    struct group *observed;     // mode observe: group of the lookup that is being forwarded
    bool encoding_hides_quotes; // client_encoding has bytes that look like quotes inside characters
    bool backslash_escapes;     // standard_conforming_strings is off
    bool no_scan;               // either of them: text is not read

    // What the server owes.
    struct owed_queue owed;
    unsigned n_forward; // FORWARD entries in it
    struct sent_queue sent;
    uint64_t n_replies; // entries that have left it
    struct expected_queue expect;
    size_t server_skip; // bytes of a large message still to be relayed, or
    bool server_skip_drop;
    struct learning learning;
    struct lateness late;
    struct cancelling cancel;

    // The transaction, and what statements mean.
    char txn; // status of the last ReadyForQuery of the client's own: I, T or E
    struct transaction transaction;
    struct pending_writes writes; // of the transaction that has not ended
    bool definitions_in_txn;      // a statement in this transaction may have changed definitions
    uint64_t meaning;             // counts statements that may change what names mean
    struct pending_changes changes;
    struct framing frame;

    // Statements and portals.
    struct statement_names names;
    struct giving_state giving;
    bool portal_open;             // the unnamed portal was bound by a forwarded unit and not run yet
    struct statement *portal;     // a reference: the statement bound to the unnamed portal, when known
    struct open_cursors *cursors; // and named portals; NULL: none that is known
    struct own_prepared own;

    // Lookups, and what is loaded ahead for them.
    struct answer_order order;
    struct ahead *ahead;        // what it has read and loaded; a reference, NULL: nothing
    struct budget ahead_budget; // of what is loaded for it
    struct asked asked;         // its lookups,
    uint64_t lists;             // and the lists that it had read when `ahead` was given back
    struct apart apart;
    uint64_t ahead_since;    // engine time: when it last did more than read,
    uint64_t last_answer;    // and when its client was last answered
    uint64_t last_used;      // engine time of the last batch lent to
    uint64_t answered_since; // engine time of the first answer from a batch since something was sent to the
                             // server; 0: none
};

// Does the session want bytes from the client now? (False while it holds.)
static inline bool session_takes_client(const struct session *s) {
    return !s->hold.lookups && !s->hold.full && !s->hold.unit && !s->hold.turn && !s->failed;
}
// Does the client send statements without waiting for the answers to those before?
static inline bool session_is_pipelining(const struct session *s) {
    return s->order.n + s->n_forward > 1;
}
// The i-th one, from 0; the last one, when there is any.
static inline struct owed *owed_at(const struct session *s, unsigned i) {
    return s->owed.ring[(s->owed.head + i) & (s->owed.cap - 1)];
}
static inline struct owed *owed_last(const struct session *s) {
    return owed_at(s, s->owed.n - 1);
}

// Is it something of ours, and no statement of the client's?
static inline bool owed_is_own(const struct owed *o) {
    return o->kind != OWED_FORWARD && o->kind != OWED_LOOKUP;
}

// A cancel request is under way, or one will be for what the server connection runs now.
static inline bool session_is_cancelling(const struct session *s) {
    return s->cancel.under_way || s->cancel.pending || s->cancel.at;
}

#endif
