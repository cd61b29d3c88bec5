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

struct owed {
    uint8_t kind;
    bool extended;       // FORWARD, LOOKUP: of the extended protocol
    bool error;          // an ErrorResponse came
    bool interrupted;    // VET, READ_VET, PARSE: it says nothing about the query: a timeout, a cancel request
    bool changes;        // FORWARD: may change definitions
    bool single;         // FORWARD, LOOKUP: one lookup is all that its unit holds
    bool poisoned;       // the client was told of an error, the rest of the reply is dropped
    bool clears_names;   // FORWARD: when it succeeds, the server has no prepared statements
    unsigned n_expected; // of the session's, those that its replies will tell about
    // FORWARD: what it does to the transaction; `spends`: another thing than reading
    bool begins, ends, spends, level; // `level`: it says which isolation:
    uint8_t isolation;                // enum identity_isolation
    bool returns;                     // FORWARD: it may go back to a savepoint
    bool selects;                     // FORWARD: a SELECT is run in it
    bool local;                       // FORWARD: it may change settings until the transaction ends
    bool renames;                     // FORWARD: and with them what names mean
    bool customs;                     // FORWARD: and custom ones
    bool drops;  // FORWARD: it ends what is held for the session, when sent and when answered
    bool portal; // FORWARD: it may leave its portal open
    bool named;  // PARSE: for the statement behind it, which executes it
    bool framed; // BATCH, VET, READ_VET, PARSE: runs between SAVEPOINT and RELEASE
    bool reads;  // FORWARD, LOOKUP: its rows are worth a look (ahead.h); FORWARD: of a unit of one read
    struct statement *bound; // FORWARD: of a unit of one read, what it runs: a reference
    bool binds, result_format,
        formats_differ;          // FORWARD: it has a Bind; the format of its rows, or not one for all
    bool refused;                // FORWARD: its next error is our own refusal, see session/lazy.c
    bool aborts;                 // LOOKUP: its client was told of an error, its transaction must fail
    unsigned n_asked;            // FORWARD, extended: messages that the server has not answered; PARSE: what
                                 // it answers before it comes to the first of `expected`
    unsigned n_copies, n_copied; // COPY FROM STDIN: how often the server said so, and the client ended it
    bool copies;                 // FORWARD: it is a COPY of the simple protocol
    bool resumes;                // FORWARD: its rows are those of a portal bound before
    struct shape *effect; // FORWARD: a reference to a settings statement that takes effect when it succeeds
    union {
        struct lookup *lookup;
        struct batch *batch;
        struct group *
            group; // VET, READ_VET; FORWARD: whose in_flight counts it (mode observe, or a read being vetted)
    } of;
    bool answer;     // READ_VET: what its row said; PARSE: the statement at hand has changed
    bool unwanted;   // BATCH, VET, READ_VET: nobody waits for it, the server is asked to end it
    uint8_t cancels; // requests to cancel it: they are repeated until its reply comes; 0: none, or only once
};

struct owed_queue {
    struct owed *ring;
    unsigned head, n, cap; // cap is a power of two
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

struct session {
    uint64_t id;
    struct engine *engine;
    void *owner; // for the effects
    struct session *next, *previous;
    struct account memory, queue, names; // all that it holds; see memory.h
    size_t weighs;                       // bytes of it that room_weigh_session has counted
    char txn;                            // status of the last ReadyForQuery of the client's own: I, T or E
    struct transaction transaction;
    unsigned n_framed;   // framed entries in `owed`, and repairs
    bool repair_due;     // a framed unit has failed: the connection is in an aborted transaction
    bool frame_prepared; // the server connection has our SAVEPOINT and RELEASE prepared
    bool lent;           // batches have run on its connection, and may have left statements there
    bool keeps_out;      // its client uses names like ours: nothing of ours is prepared on its connection
    bool cancel_first;   // a cancel request is for the first lookup, which shall run alone for it
    bool opaque;
    bool hold;          // bytes from the client wait until the lookups are answered
    bool held_full;     // the same, until there is room
    bool held_turn;     // the same, until it has its next turn; turns.h
    bool held_unit;     // the same, until the unit at hand is answered; talk/inside.c
    bool gave;          // the server was given all that it lacks for the unit to come
    bool gives;         // a lookup inside a transaction brings its statement along
    unsigned unit_vets; // questions about reads of the unit at hand; see forward_read_effect
    bool held_for_own;  // hold: what is at hand waits for what is ours
    struct await await; // hold: for an answer to a query of our own
    bool cancel_held;   // hold: the client has cancelled what is held
    bool in_unit;       // a forwarded extended unit is open: no Sync yet
    bool force_forward; // the unit at the front waited long enough for its rest
    bool copying;       // the client has sent CopyData behind a Query that is not answered
    bool terminating;   // Terminate was forwarded, or the client's end has come
    bool goodbye;       // Terminate was forwarded
    bool ending;        // the client will send no more than is there
    bool client_gone, server_gone, failed; // failed: a malformed frame came, close
    bool backlogged;                       // set by the proxy: the client does not read; no lender, no member
    bool cancel_pending;                   // relay a cancel request when the client's own statement runs
    unsigned cancelling; // cancel requests of the engine's under way: nothing may be sent that they could hit
    uint64_t cancel_at;  // engine time at which the one for the head of `owed` is sent again; 0: none
    bool cancel_listed;  // stands in the engine's list of sessions whose request may have to be sent again
    struct session *next_cancel;
    bool definitions_in_txn; // a statement in this transaction may have changed definitions
    size_t client_skip;      // bytes of a large message still to be relayed
    size_t server_skip;
    bool server_skip_drop;
    uint64_t partial_since; // microseconds; 0: no partial unit waits
    struct owed_queue owed;
    uint64_t head_since; // engine time since which the server is at the first of them
    bool late_listed;    // late.h: in the engine's list
    struct session *next_late;
    uint64_t late_due;  // engine time: the first of them is late, and this is when it counts; 0: none
    unsigned n_forward; // FORWARD entries in it
    uint64_t n_replies; // entries that have left it
    uint64_t meaning;   // counts statements that may change what names mean
    struct pending_changes changes;
    struct lookup *first, *last;
    unsigned n_lookups;
    size_t kept; // bytes of answers that wait for earlier ones, at most max_answer
    struct session_identity identity;
    struct ration ration;             // of what new texts may cost
    struct turn turn;                 // of the loop's time
    struct ahead *ahead;              // what it has read and loaded; a reference, NULL: nothing
    struct budget ahead_budget;       // of what is loaded for it
    struct asked asked;               // its lookups,
    uint64_t lists;                   // and the lists that it had read when `ahead` was given back
    uint64_t serial_of;               // id of the identity of which this is known, 0: none:
    bool serial;                      // its statements outside transactions are SERIALIZABLE, or may be
    unsigned apart;                   // lookups that were accepted apart since then
    bool apart_costs;                 // since then one that nobody has vetted dropped what was held
    unsigned apart_vets, apart_given; // the catalogue asked for it alone, and answers that this brought
    uint64_t ahead_since;             // engine time: when it last did more than read,
    uint64_t last_answer;             // and when its client was last answered
    struct endpoint *server;          // that it is connected to; NULL: not told
    uint32_t login_process, process;  // of the server's: as the log-in, as the last proof says; 0: unknown
    uint64_t trusted_at;              // when it last ran what was vetted (trust.h); 0: never
    struct database *database;        // that it is logged in to; a reference
    struct pending_writes writes;     // of the transaction that has not ended
    struct statement *statements, *unnamed; // as the client knows them
    const struct statement
        *closing;            // the unnamed one that a Close on its way ends; an EXPECT_CLOSE refers to it
    bool server_has_unnamed; // what the server's unnamed statement is, which folded lookups pass by
    struct shape *server_unnamed; // a reference; NULL: its text is not known
    unsigned n_statements;
    unsigned n_lazy;    // at least as many as there are named ones that the server has not got
    uint64_t give_from; // engine time before which these are given for no other reason than their use
    unsigned gave_in_vain;
    struct buf
        giving_error;   // why what the client's next statement executes was not given: stands for its own
    bool names_unknown; // the server may have prepared statements that are not among `statements`
    bool lazy_unit;     // the client's unit is open, of which the server knows nothing
    bool wants_proof;   // when its connection is free, and in no transaction
    struct learning learning;
    struct expected *expected; // ring, allocated when first needed
    unsigned expected_head, n_expected, expected_cap;
    unsigned delayed_stage;         // of the EXPECT_DELAYED or OWED_PARSE whose replies come
    bool portal_open;               // the unnamed portal was bound by a forwarded unit and not run yet
    struct statement *portal;       // a reference: the statement bound to the unnamed portal, when known
    struct open_cursors *cursors;   // and named portals; NULL: none that is known
    struct group *observed;         // mode observe: group of the lookup that is being forwarded
    struct own_statement *prepared; // our own statements on the server connection, most recently used last
    unsigned n_prepared;
    uint64_t last_used;      // engine time of the last batch lent to
    uint64_t answered_since; // engine time of the first answer from a batch since something was sent to the
                             // server; 0: none
    bool encoding_hides_quotes; // client_encoding has bytes that look like quotes inside characters
    bool backslash_escapes;     // standard_conforming_strings is off
    bool no_scan;               // either of them: text is not read
    bool proof_listed;          // stands in the engine's list of sessions to prove
    struct session *next_proof;
};

// Does the session want bytes from the client now? (False while it holds.)
static inline bool session_takes_client(const struct session *s) {
    return !s->hold && !s->held_full && !s->held_unit && !s->held_turn && !s->failed;
}
// Does the client send statements without waiting for the answers to those before?
static inline bool session_is_pipelining(const struct session *s) {
    return s->n_lookups + s->n_forward > 1;
}
// The i-th one, from 0; the last one, when there is any.
static inline struct owed *owed_at(const struct session *s, unsigned i) {
    return &s->owed.ring[(s->owed.head + i) & (s->owed.cap - 1)];
}
static inline struct owed *owed_last(const struct session *s) {
    return owed_at(s, s->owed.n - 1);
}

// A cancel request is under way, or one will be for what the server connection runs now.
static inline bool session_is_cancelling(const struct session *s) {
    return s->cancelling || s->cancel_pending || s->cancel_at;
}

#endif
