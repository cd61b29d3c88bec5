// SPDX-License-Identifier: PostgreSQL
//
// A session: one logged-in client and its own server connection. It is a state machine over the bytes of
// both.
//
// Two queues keep the order:
//
//   `order`: the client's lookups, in the order       `owed`: the replies to come, in the order in which
//   in which they will be answered                    the server sends them
//
//   +-------+-----+------+                            +------+-----+------+
//   | first | ... | last | <-- a lookup is accepted   | head | ... | last | <-- a unit is sent to the server
//   +-------+-----+------+                            +------+-----+------+
//       |                                                 |
//       | has its answer: from a batch of any             | ReadyForQuery ends its reply
//       | session, from rows loaded ahead, or             v
//       | from the own server                         until then it says what becomes of the bytes
//       v                                             that the server sends
//   to the client
//
// An entry of `owed` has one of these kinds:
//   FORWARD  a unit that was forwarded as it came: its reply goes to the client
//   LOOKUP   a lookup that runs alone: the same, and its group is told
//   BATCH    a batch that this session lends its connection to: its reply is fed to the batch
//   PROOF, VET, READ_VET, FACTS
//            queries of our own: fed to trust/identity.c, trust/vet.c and trust/facts.c
//   CHECK    a lookup that runs alone and whose answer is kept or compared: fed to flow/check.c
//   REPAIR   restores a transaction that a unit of ours has aborted (session/frame.c)
//   UNDO     the same behind a question, sent in the same write, whether it is aborted or not (fold/savepoint.h)
//   SETUP    a unit of our own whose reply is read for an error and nothing else: it restores the client's
//            unnamed statement (session/unnamed.c), takes a transaction's snapshot (session/txn.c), or closes
//            statements of ours (flow/lend.c)
//   BEGIN    a BEGIN of the client's that was answered before it was sent (session/begun.h)
//   END      a COMMIT or ROLLBACK of the client's that was answered when it was sent (talk/end_take.h)
//   PARSE    a unit of our own that gives the server statements whose Parse was answered without it
//            (session/lazy.c)
//
// A session is in one of these states:
//   idle        no FORWARD entry, no lookups
//   forwarding  FORWARD entries are owed: all that comes is forwarded behind them, lookups included
//   looking up  lookups are under way, and no FORWARD entries: more lookups may join. Anything else waits
//               (`hold`) until all are answered. It need not wait if all of them run alone on the own
//               connection, where order takes care of itself.
//   opaque      bytes are relayed unread, for good: replication, COPY in the extended protocol, something in
//               a COPY that is no data, framing that makes no sense
//
// talk/ creates and destroys a session (talk/life.c) and takes the bytes of both sides (talk/client.c,
// talk/server.c). flow/ decides what is sent when. The files of session/ keep the parts of struct session;
// each part names the one file that writes it. The proxy sees a session only through session_state.h and the
// entry points of talk/ and flow/.
//
// A session that cannot go on is `failed` (session_fail in session/wire.c): the proxy closes it.
#ifndef PGFOLD_BATCHING_SESSION_SESSION_H
#define PGFOLD_BATCHING_SESSION_SESSION_H

#include "batching/ahead/asked.h"
#include "batching/ahead/climb.h"
#include "batching/ahead/recent.h"
#include "batching/ahead/row_formats.h"
#include "batching/session/awaiting.h"
#include "batching/session/begun.h"
#include "batching/session/portal.h"
#include "batching/session/changes.h"
#include "batching/session/engine.h"
#include "batching/session/learn.h"
#include "batching/session/txn.h"
#include "batching/statement/unread.h"

#define SESSION_MAX_OWED      1024
#define SESSION_MAX_EXPECTED  2048 // the client waits beyond it; the queue itself may be four times as long
#define SESSION_MAX_PIPELINE  400  // lookups in one unit
#define SESSION_MAX_PREPARED  192  // a shape needs up to three: the statement, its check, that of rows held
#define SESSION_MAX_LAZY      256
#define SESSION_MAX_LAZY_NAME 63 // bytes; the server cuts longer names, so that different ones become equal

// ---- what the server owes

enum owed_kind {
    OWED_FORWARD,
    OWED_LOOKUP,
    OWED_BATCH,
    OWED_PROOF,
    OWED_FACTS,
    OWED_VET,
    OWED_READ_VET,
    OWED_SETUP,
    OWED_CHECK,
    OWED_PARSE,
    OWED_REPAIR,
    OWED_UNDO,
    OWED_BEGIN,
    OWED_END,
};

// What a forwarded unit does when it takes effect. FORWARD only. Written while the unit is sent, by
// talk/effects.c and session/txn.c.
struct forward_effects {
    struct shape *setting; // a reference to a settings statement that takes effect when it succeeds
    bool changes;          // may change definitions
    bool clears_names;     // when it succeeds, the server has no prepared statements
    bool drops;            // drops what is held for the session, when it is sent and when it is answered
    bool writes;           // writes only to tables that are known
    // What it does to the transaction.
    bool begins, ends;
    bool more_than_read;
    bool beyond;       // more than that, and than SET LOCAL of harmless settings
    bool level;        // it says which isolation level the transaction has:
    uint8_t isolation; // enum identity_isolation
    bool known;        // its session's identity was asked, in front of it, for the next two,
    bool asked;        // or the proof on its way will say them
    bool may_idle;     // session_identity_may_idle
    uint8_t standard;  // enum identity_isolation: the session's default
    bool returns;      // it may go back to a savepoint
    bool selects;      // it runs a SELECT in the transaction
    bool local;        // it may change settings until the transaction ends
    bool renames;      // such settings may change what names mean
    bool customs;      // such settings may be custom ones
    bool portal;       // it may leave its portal open
    // What it reads.
    struct behind *behind;      // a lookup in it, or the whole of it, that came with BEGIN; owned
    struct statement *bound;    // what a unit of one read runs: a reference
    bool binds;                 // it has a Bind,
    struct row_formats formats; // and its rows these formats
    bool resumes;               // its rows are those of a portal that was bound before
    // COPY FROM STDIN.
    bool copies;                 // it is a COPY of the simple protocol
    unsigned n_copies, n_copied; // how often the server asked for data, and the client ended them
};

// A reply to come.
struct owed {
    enum owed_kind kind;
    bool extended;    // FORWARD, LOOKUP: of the extended protocol
    bool error;       // an ErrorResponse came
    bool interrupted; // VET, READ_VET, PARSE: a timeout or a cancel request: it says nothing about the query
    bool single;      // FORWARD, LOOKUP: its unit holds one lookup and nothing else
    bool reads;       // FORWARD, LOOKUP: its rows may be recorded (record.c); FORWARD: a unit of one read
    bool framed;      // BATCH, VET, READ_VET, PARSE: runs between SAVEPOINT and RELEASE
    bool undone;      // VET, READ_VET: the same, and what ends it is a unit of its own: UNDO, behind it
    bool poisoned;    // the client was told of an error, the rest of the reply is dropped
    bool refused;     // FORWARD: its next error is our own refusal, see talk/given.c
    bool split;       // FORWARD: the client's unit goes on behind it; its ReadyForQuery is not the client's
    bool aborts;      // LOOKUP: its client was told of an error, so its transaction must fail
    bool named;       // PARSE: for the statement behind it, which executes it
    bool answer;      // READ_VET: what its row said; PARSE: the statement at hand has changed
    bool again;       // END: the first one has failed
    bool unwanted;    // BATCH, VET, READ_VET: nobody waits for it, the server is asked to end it
    uint8_t cancels;  // cancel requests sent for it and repeated until its reply comes; 0: none is repeated
    uint8_t reason;   // FORWARD: why, enum reason
    unsigned n_sent, n_untold; // FORWARD: its statements that are not answered; session/sent.h
    unsigned n_complete;       // LOOKUP: how many of its unit's statements were answered
    unsigned n_expected;       // how many of the session's expected replies (session/expected.h) belong to it
    // FORWARD, extended: messages that the server has not answered; PARSE: replies that come before the first
    // of its expected ones.
    unsigned n_asked;
    struct forward_effects forward;
    struct dry *dry; // FORWARD: mode observe: it is a lookup (dry.h); owned
    bool here;       // FORWARD: mode observe: pgfold would have answered it itself
    uint8_t piped;   // the same: DRY_LOOKUPS or DRY_PIPELINE, or 0
    union {
        struct lookup *lookup;
        struct batch *batch;
        // VET, READ_VET; FORWARD: the group whose in_flight counts it (mode observe, or a read that is being
        // vetted).
        struct group *group;
    } of;
};

// The queue of replies to come. Writer: owed.c.
struct owed_queue {
    struct owed **ring;
    unsigned head, n, cap; // cap is a power of two
    unsigned n_slots;      // places of the ring that have an entry allocated, used or not
};

// One of the client's statements, or several that are alike, until the answer. Writer: sent.c.
struct sent {
    struct shape *shape; // a reference; NULL: its text is not known
    uint64_t asked;      // engine time
    uint64_t question;   // of a read; 0: not known
    unsigned n;          // how many
    uint16_t tags;       // report/tags.h
    uint8_t kind;        // enum statement_kind
};

struct sent_queue {
    struct sent *ring;
    unsigned head, n, cap; // cap is a power of two
};

// Replies that will tell about prepared statements, in order. Writer: expected.c.
struct expected_queue {
    struct expected *ring; // allocated when first needed
    unsigned head, n, cap;
    unsigned stage; // messages that have come of the EXPECT_DELAYED at the head, or of the OWED_PARSE
};

// How long the first entry of `owed` has been waited for. Writer: late.c.
struct lateness {
    uint64_t since; // engine time since which the server is at work on it
    uint64_t due;   // engine time at which it counts as late, set when its deadline has passed; 0: not set
    bool listed;    // in the engine's list
    struct session *next;
};

// Cancel requests, the client's and our own. Writer: cancel_request.c.
struct cancelling {
    bool first;         // one is for the first lookup, which must run alone for it
    bool held;          // the client has cancelled what is held back
    bool pending;       // relay one when the client's own statement runs
    unsigned under_way; // requests of the engine's: nothing may be sent that they could hit
    uint64_t at;        // engine time at which the one for the head of `owed` is sent again; 0: none
    bool listed;        // in the engine's list of sessions whose request may have to be sent again
    struct session *next;
};

// ---- what the client is owed

// The client's lookups in the order of their answers. Writer: order.c.
struct answer_order {
    struct lookup *first, *last;
    unsigned n;
    size_t kept; // bytes of answers that wait for earlier ones, at most max_answer
};

// Why bytes of the client's are left unread. Writer: hold.h.
struct hold {
    bool lookups;       // until its lookups are answered
    bool own;           // the same, and what is at hand waits for what is ours
    bool full;          // until there is room
    bool turn;          // until it has its next turn; turns.h
    bool unit;          // until the unit at hand is answered; talk/inside.c
    struct await await; // lookups: for an answer to a query of our own. Writer: flow/await.c
};

// ---- prepared statements

// Prepared statements as the client knows them. Writer: statements.c.
struct statement_names {
    struct statement *table, *unnamed;
    // The unnamed one that a Close on its way ends; an EXPECT_CLOSE refers to it.
    const struct statement *closing;
    unsigned n;      // in the table
    unsigned n_lazy; // named ones that the server lacks: at most so many
    bool unknown;    // the server may have prepared statements that are not in the table
    // The server's unnamed statement. Folded lookups do not change it, so it may differ from the client's.
    bool server_has_unnamed;
    struct shape *server_unnamed; // a reference; NULL: its text is not known
};

// State of the attempts to give the server statements that it lacks. Writer: talk/given.c.
struct giving_state {
    uint64_t from; // engine time before which they are given only when they are used
    unsigned in_vain;
    struct buf error;   // why what the client executes next was not given: the client gets this error
    struct buf refusal; // what the client gets in place of the server's answer to session_refuse_unit
};

// A statement of our own on the server connection.
struct own_statement {
    XXH128_hash_t name;
    struct seal seal;
};

// Our own statements on the server connection. Writer: own_prepared.c.
struct own_prepared {
    struct own_statement *ring; // most recently used last
    unsigned n;
    bool lent;      // batches have run on its connection, and may have left statements there
    bool keeps_out; // its client uses names like ours: nothing of ours is prepared on its connection
};

// Units of ours inside the client's transaction. Writer: frame.h and frame.c.
struct framing {
    unsigned n;      // framed entries in `owed`, and repairs
    bool repair_due; // a framed unit has failed: the connection is in an aborted transaction
    bool prepared;   // the server connection has our SAVEPOINT and RELEASE prepared
    bool taken;      // the client may have a savepoint of our name
};

// Lookups that are apart: answered only from what their own connection has loaded. Writer: apart.c.
struct apart {
    uint64_t serial_of;   // id of the identity for which `serial` is known; 0: none
    bool serial;          // its statements outside transactions are SERIALIZABLE, or may be
    unsigned n;           // lookups accepted since the session last did more than read
    bool costs;           // since then a lookup that was not vetted has dropped what was held
    unsigned vets, given; // the catalogue was asked for this session alone; answers that this brought
    unsigned inside;      // lookups in the transaction at hand
    unsigned inside_last; // and in the one before
};

// What the report is told of it. Writer: reporting.c.
struct reporting {
    struct runs *runs; // owned; NULL: it has asked for nothing
    size_t weighs;     // bytes of it
    uint64_t question; // of the read at hand (ahead/asked.h); 0: not known
    // Tags (report/tags.h): of the comments of the text at hand, of those of the prepared statement at hand, of pgfold.tags, and
    // of the application's name.
    uint16_t text, statement, set, named;
    uint64_t digest; // of the last comments that were read,
    uint16_t read;   // and their tags
    char *setting;   // owned: pgfold.tags, as it was set; NULL: it is not
    char *initial;   // owned: the same when the session began
    char application[64];
};

// What tests expect of it, and of all in its scope. Writer: watched.c.
struct watching {
    struct scope *scope; // a reference; NULL: it has not been looked for
    bool looked;         // the unit at hand was looked at
    uint64_t parted;     // the last list that it read before the test at hand; 0: none
    uint64_t before;     // the last one before its scope's section; 0: none
    uint64_t user;       // digest of its name
};

// Mode observe: what mode fold would have answered without the server; or a pipeline of lookups, which would have gone in
// batches if they may be folded. Writer: dry.c.
struct dry_boundary {
    // What the unit at hand is, if it is such.
    enum { DRY_NOTHING, DRY_BEGIN, DRY_END, DRY_DEALLOCATE, DRY_LOOKUPS, DRY_PIPELINE } here;
    unsigned lookups, batches; // DRY_PIPELINE: how many it has, and would have taken
    bool knows;                // the unit at hand is a Parse whose answer is known
    bool due;                  // the server would not have got the transaction's BEGIN yet,
    uint64_t until;            // engine time at which it gets it by itself
};

struct session {
    // Its identity, and what it belongs to.
    uint64_t id;
    struct engine *engine;
    void *owner; // for the effects
    struct session *next, *previous;
    struct endpoint *server; // the server's address; NULL: not told
    uint32_t login_process,
        process;               // the server's process, as the log-in and as the last proof say; 0: unknown
    struct database *database; // that it is logged in to; a reference
    struct database_figures *figures; // the line of that database in the engine's figures
    uint64_t
        transaction_since; // engine time: when the first statement of its transaction came; 0: it is in none
    struct session_identity identity;
    unsigned served;   // lookups that were answered from batches; see thrift.h
    bool wants_proof;  // when its connection is free, and in no transaction
    bool proof_listed; // stands in the engine's list of sessions to prove
    struct session *next_proof;
    uint64_t trusted_at; // when it last ran something vetted (vouch.h), plus 1; 0: never
    uint64_t wrote_at;   // the same for a write that runs nothing of a user's

    // What it may use.
    struct account memory, queue_memory,
        names_memory;     // all that it holds, and two parts of it; base/memory.h
    size_t weighs;        // bytes of it that room_weigh_session has counted
    struct ration ration; // what new texts may cost
    struct turn turn;     // its share of the loop's time

    struct watching watch;
    struct reporting report;

    // Both ends.
    bool opaque;
    bool terminating;                      // Terminate was forwarded, or the client's end has come
    bool goodbye;                          // Terminate was forwarded
    bool ending;                           // the client will send no more than is there
    bool client_gone, server_gone, failed; // failed: it cannot go on, close it
    bool backlogged;                       // the client does not read: it lends to nobody and joins no batch

    // What the client sends.
    struct hold hold;
    bool in_unit;           // a forwarded extended unit is open: no Sync yet
    bool splits;            // a split unit's rest waits for the answer to what was in front of it
    bool skips_unit;        // the rest of a split unit stands behind an error: the server would skip it
    bool lazy_unit;         // the client's unit is open, and the server knows nothing of it
    bool force_forward;     // the unit at the front waited long enough for its rest
    bool gave;              // the server was given all that it lacks for the unit to come
    bool gives;             // a lookup inside a transaction brings its statement along
    unsigned unit_vets;     // questions about reads of the unit at hand; see reads_effect
    bool copying;           // the client has sent CopyData behind a Query that is not answered
    size_t client_skip;     // bytes of a large message still to be relayed
    uint64_t partial_since; // microseconds; 0: no partial unit waits
    uint64_t front_since;   // engine time at which the unit at hand was first looked at; 0: none is at hand
    struct group *observed; // mode observe: group of the lookup that is being forwarded
    struct dry *dry;        // the same where what fold would do is estimated; owned. Writer: dry.c
    unsigned n_dry;         // entries of `owed` with such a lookup. Writer: dry.c
    struct dry_boundary dry_txn; // Writer: dry.c
    bool encoding_hides_quotes;  // client_encoding has bytes that look like quotes inside characters
    bool backslash_escapes;      // standard_conforming_strings is off
    bool no_scan;                // one of the two: text is not read

    // What the server owes.
    struct owed_queue owed;
    unsigned n_forward; // FORWARD entries in it,
    unsigned n_ends;    // and END entries
    struct sent_queue sent;
    uint64_t n_replies; // entries that have left it
    struct expected_queue expect;
    size_t server_skip;    // bytes of a large message that are still to be relayed, or
    bool server_skip_drop; // to be dropped
    struct learning learning;
    struct lateness late;
    struct cancelling cancel;

    // The transaction, and what statements mean.
    char txn; // status in the last ReadyForQuery of the client's own: I, T or E
    struct transaction transaction;
    struct begun begun;           // a transaction that the server does not know of. Writer: begun.c
    struct pending_writes writes; // of the transaction that has not ended
    bool definitions_in_txn;      // a statement in this transaction may have changed definitions
    uint64_t meaning;             // counts statements that may change what names mean
    struct pending_changes changes;
    struct framing frame;

    // Statements and portals.
    struct statement_names names;
    struct giving_state giving;
    bool portal_open;         // the unnamed portal was bound by a forwarded unit and has not run yet
    struct statement *portal; // the statement bound to the unnamed portal: a reference; NULL: not known
    struct answered_portal answered_portal;
    struct open_cursors *cursors; // cursors and named portals; NULL: none is known
    struct own_prepared own;

    // Lookups, and what is loaded ahead for them.
    struct answer_order order;
    struct ahead *ahead;        // what it has read and loaded; a reference; NULL: nothing
    struct budget ahead_budget; // for what is loaded for it
    struct asked asked;         // the lookups that it has asked for
    struct climb climb;         // what was named by its last answers
    struct recent recent;       // the groups of the last ones
    uint64_t lists;             // lists that it had read when `ahead` was last given back
    struct apart apart;
    uint64_t ahead_since; // engine time when it last did more than read
    uint64_t last_answer; // engine time when its client was last answered
    uint64_t
        cleared; // digest of the statement by which its pool has cleared it, and would clear nothing now; 0: none
    uint64_t waited;    // microseconds that its client has waited for lookups of loops
    uint64_t last_used; // engine time of the last batch that it lent to
    // Engine time of the first answer from a batch since something was last sent to the server; 0: none.
    uint64_t answered_since;
};

// Are bytes of the client's left unread for now? See hold.h.
static inline bool session_is_held(const struct session *s) {
    return s->hold.lookups || s->hold.full || s->hold.unit || s->hold.turn;
}

// Does the session take bytes of the client's now? False while it is held, and when it has failed.
static inline bool session_takes_client(const struct session *s) {
    return !session_is_held(s) && !s->failed;
}

// FORWARD entries but those of lookups in mode observe, which count as lookups.
static inline unsigned session_n_others(const struct session *s) {
    unsigned lookups = s->engine->limits.dry ? s->n_dry : 0; // the one that has just been answered among them
    return s->n_forward > lookups ? s->n_forward - lookups : 0;
}

// Does the client send statements without waiting for the answers to earlier ones?
static inline bool session_is_pipelining(const struct session *s) {
    return s->order.n + s->n_forward > 1;
}

// The i-th entry of `owed`, from 0; there must be one. Borrowed until it is popped.
static inline struct owed *owed_at(const struct session *s, unsigned i) {
    return s->owed.ring[(s->owed.head + i) & (s->owed.cap - 1)];
}

// The last entry; there must be one.
static inline struct owed *owed_last(const struct session *s) {
    return owed_at(s, s->owed.n - 1);
}

// Is the entry for something of ours, and no statement of the client's?
static inline bool owed_is_own(const struct owed *o) {
    return o->kind != OWED_FORWARD && o->kind != OWED_LOOKUP;
}

// Is a cancel request under way, or to be sent for what the server connection runs now?
static inline bool session_is_cancelling(const struct session *s) {
    return s->cancel.under_way || s->cancel.pending || s->cancel.at;
}

// Is nothing under way on the connection, in either direction, and may its client's texts be read? The answer to the end of a
// transaction is nobody's.
static inline bool session_is_quiet(const struct session *s) {
    return s->owed.n == s->n_ends && !s->order.n && !s->in_unit && !s->lazy_unit && !s->no_scan &&
           !s->backlogged && !s->cancel.held && !session_is_cancelling(s);
}

#endif
