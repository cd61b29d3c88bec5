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
//   REPAIR   brings a transaction back that one of ours has aborted (session_txn.c)
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
// Files: session.c life, lookups; session_client.c what the client says; session_inside.c what of it depends
// on how the unit before it has ended; session_server.c what the server says; session_change.c changes of
// what statements mean; session_cancel.c cancel requests.
#ifndef PGFOLD_BATCHING_SESSION_SESSION_H
#define PGFOLD_BATCHING_SESSION_SESSION_H

#include "batching/ahead/asked.h"
#include "batching/flow/await.h"
#include "batching/session/engine.h"
#include "batching/session/changes.h"
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
    bool refused;                // FORWARD: its next error is our own refusal, see session_lazy.c
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

// A prepared statement of the client's, known by its Parse.
struct statement {
    UT_hash_handle hh;
    struct shape *shape; // a reference; NULL: its text is not known
    uint8_t unread;      // enum unread; shape: NULL
    bool confirmed;      // the client was told that it is accepted
    bool on_server;      // named: the server has it, or its Parse is on the way; see session_lazy.c
    bool changed;        // it was given, and is not what the client was told: what needs it is refused
    bool forgotten;      // by session_forget_given, while it was on its way to the server
    bool unfit;          // it cannot be given for no reason of its own: not before it is needed
    bool described, parameters_described;
    XXH128_hash_t row_hash;        // described: of its RowDescription
    XXH128_hash_t types_hash;      // described, and not from the server: of the types in it
    XXH128_hash_t parameters_hash; // parameters_described: of its ParameterDescription
    struct trail_columns *columns; // described, while lookahead is on: owned
    uint64_t generation;           // of the definitions when it was parsed
    uint64_t meaning;              // the session's then
    bool typed;                    // it was folded with parameters of these types:
    XXH128_hash_t types;
    struct account *memory; // its session's; it is counted with so many bytes,
    size_t weighs, claims;  // and with those of its shape
    unsigned refs;          // the table's (or the session's) and those of awaited replies
    char name[];
};

// Replies inside an extended unit that tell about a statement.
enum expected_kind {
    EXPECT_PARSE,
    EXPECT_DESCRIBE,
    EXPECT_CLOSE,
    EXPECT_DELAYED // of our own, for nobody else: CloseComplete (of a named one), ParseComplete,
                   // ParameterDescription, RowDescription
};
struct expected {
    enum expected_kind kind;
    struct statement *statement; // a reference, may be NULL
    bool waited;                 // DELAYED: what needs it has not been sent yet
};

// What the reply to a Parse, and a Describe behind it, tells about all statements like it.
struct learning {
    struct group *group; // whose in_flight counts it; NULL: nothing is learnt
    uint64_t generation;
    bool describes;
    unsigned stage;
};

#define SESSION_MAX_OWED      1024
#define SESSION_MAX_EXPECTED  2048 // beyond it the client waits; four times as many there may be
#define SESSION_MAX_PIPELINE  400  // lookups in one unit
#define SESSION_MAX_PREPARED  192  // of a shape up to three: the statement, its check, that of rows held
#define SESSION_MAX_LAZY      256
#define SESSION_MAX_LAZY_NAME 63 // bytes; of longer names the server sees as many

// The transaction that the client is in, when it is in one. Meaningful when no FORWARD entry is owed.
struct transaction {
    bool spent; // something in it was, or may have been, more than a plain read
    bool level; // its statements have said which isolation it has; else it has the session's default
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
    bool held_unit;     // the same, until the unit at hand is answered; session_inside.c
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

// A client that has logged in; `address` names the server, `startup_params` are its start-up parameters as
// sent. Relayed unread when opaque. NULL: out of memory.
struct session *session_create(struct engine *e, void *owner, struct slice address,
                               struct slice startup_params, bool opaque, uint64_t now);
// Takes NULL. Batches that it lent its connection to run their members alone.
void session_destroy(struct session *s, uint64_t now);

// Bytes from either side. Returns how many were taken; the rest is offered again with what follows it (from
// the client: also after resume_client). A message of which all is needed but not all has come is left; it
// never exceeds session_largest_message().
size_t session_from_client(struct session *s, const uint8_t *bytes, size_t len, uint64_t now);
size_t session_from_server(struct session *s, const uint8_t *bytes, size_t len, uint64_t now);
size_t session_largest_message(const struct session *s);

// A ParameterStatus of the server's, during log-in too: some settings decide how text is read.
void session_parameter(struct session *s, struct slice name, struct slice value);

// Does the session want bytes from the client now? (False while it holds.)
static inline bool session_takes_client(const struct session *s) {
    return !s->hold && !s->held_full && !s->held_unit && !s->held_turn && !s->failed;
}
// Does the client send statements without waiting for the answers to those before?
static inline bool session_is_pipelining(const struct session *s) {
    return s->n_lookups + s->n_forward > 1;
}
// May the server be read although the client does not read? Only what is not for this client.
bool session_server_is_lending(const struct session *s);

// The client has closed its sending side: what waits for its rest is forwarded when it is next offered.
void session_client_ends(struct session *s);
// May the end be passed on now, when the session takes no more of the client's bytes? What came before it has
// been sent, but for the beginning of a message. False: resume_client tells when to ask again.
bool session_end_is_due(struct session *s);
// The client has closed, and reads nothing either. True: the server connection still owes others something;
// effects->finished tells when it no longer does.
bool session_client_gone(struct session *s, uint64_t now);
bool session_is_lending(const struct session *s);
bool session_is_wanted(const struct session *s); // it lends, and somebody still waits for it
void session_server_gone(struct session *s, uint64_t now);

// A cancel request came. True: relay it to the server now.
bool session_cancel(struct session *s, uint64_t now);
// A cancel request that the engine asked for has ended, well or not.
void session_cancel_done(struct session *s, uint64_t now);

// Forwards a unit whose rest has not come for a while. Returns true when the client's bytes should be offered
// again.
bool session_partial_expired(struct session *s, uint64_t now);

// ---- for batching/

// May the catalogue be asked on its connection, as far as its transaction goes?
bool session_may_ask(const struct session *s);
bool session_vets(const struct session *s, const struct group *g); // the group's catalogue query runs here
bool session_can_lend(const struct session *s);
bool session_has_prepared(struct session *s, XXH128_hash_t statement);
// Its client uses a name like ours: what we have prepared is given up, and nothing is prepared any more.
// `name`: of a statement that is to be its own now, and may be left from a batch that failed; or empty.
void session_keep_out(struct session *s, struct slice name);
// What a batch was sent under, or with a check, has been right.
void session_note_seal(struct session *s, const struct batch *b);
void session_unprepare(struct session *s, XXH128_hash_t statement); // it failed: its state is not known
// False: nothing of it was sent, and it has failed; the caller ends it.
bool session_run_batch(struct session *s, struct batch *b) __attribute__((warn_unused_result));
void session_pump(struct session *s); // answers and sends what is due
void session_run_alone(struct session *s, struct lookup *l);
void session_append(struct session *s, struct lookup *l);       // the last in the order of answers
void session_shift(struct session *s);                          // the first one leaves that order
void lookup_wait(struct engine *e, struct lookup *l);           // in its group\'s queue
void session_send_checked(struct session *s, struct lookup *l); // LOOKUP_CHECKING
void session_start_vet(struct session *s, struct group *g);
void session_start_proof(struct session *s);
// Asks what is the same for the whole database (facts.h) when that is due, behind what else was sent.
// `again`: see facts_are_due.
void session_ask_facts(struct session *s, bool again);
bool session_lacks_facts(const struct session *s); // those that there were are not believed any more
void lookup_free(struct engine *e, struct lookup *l);
void lookup_detach_waiting(struct lookup *l);
void lookup_uncount(struct engine *e, struct lookup *l); // no longer under way

struct owed *owed_push(struct session *s, enum owed_kind kind); // NULL: the queue is full or memory ran out
struct owed *owed_head(struct session *s);
// The i-th one, from 0; the last one, when there is any.
static inline struct owed *owed_at(const struct session *s, unsigned i) {
    return &s->owed.ring[(s->owed.head + i) & (s->owed.cap - 1)];
}
static inline struct owed *owed_last(const struct session *s) {
    return owed_at(s, s->owed.n - 1);
}
bool owed_is_the_clients(const struct owed *o); // a cancel request of the client's is meant for it
void owed_pop(struct session *s);
void session_drop_if_listed(struct session *s, struct statement *st); // of the client's named statements
void session_go_opaque(struct session *s);
void session_fail(struct session *s, const char *sqlstate, const char *message);
struct statement *statement_create(struct session *s, const char *name, size_t len, struct shape *shape);
void statement_unref(struct statement *st); // takes NULL
struct statement *session_statement(struct session *s, struct slice name);
void session_put_statement(struct session *s, struct statement *st);
void session_drop_statement(struct session *s, struct slice name);
void session_drop_unnamed(struct session *s); // the client's
void session_forget_statements(struct session *s, bool names_too);
// The server may have any of them no longer, or another one under its name; but for those that it never got.
void session_forget_given(struct session *s);
void session_forget_constants(struct session *s);    // but for those that it lacks and that have no constants
bool session_order_is_safe(const struct session *s); // nothing under way but on the own connection
void session_expect(struct session *s, enum expected_kind kind, struct statement *st);
void session_expect_delayed(struct session *s, struct statement *st, bool waited);
bool session_expects(const struct session *s, enum expected_kind kind, const struct statement *st);
void session_drop_expected(struct session *s);
struct statement *session_shift_expected(struct session *s, struct owed *o); // the first one's; yours now
void session_end_expected(struct session *s,
                          struct owed *o); // the unit has ended: what was not answered will not be

// ---- session_lazy.c

// Does the server lack the statement (of a lookup: the unnamed one's shape may differ from the session's)?
bool session_lacks(const struct session *s, const struct statement *st);
// Writes what gives it the statement, in front of what needs it; the last entry of the owed queue is that
// of the unit. `waited`: what needs it is sent when the server has answered. False: the session failed.
bool session_send_delayed(struct session *s, struct statement *st, bool waited);
// All that it lacks, inside the unit that is open, to be waited for.
bool session_give_all(struct session *s);
// In place of what needs a statement that has changed: the server refuses it, and its error is made ours.
bool session_refuse(struct session *s);
// A lookup that was refused inside a transaction has been answered: makes the transaction fail. False: there
// is nothing to do, or no more.
bool session_abort_refused(struct session *s, struct owed *o, char status);
// An error that stands for our refusal. True: the client was told of that instead.
bool session_take_refusal(struct session *s, struct owed *o, const struct frame *f);
// Takes a reply's message for an EXPECT_DELAYED at the head. False: it is none of it.
bool session_take_delayed(struct session *s, struct owed *o, const struct frame *f);
// The same for an OWED_PARSE, and its end. `interruption`: of an error.
void session_feed_parse(struct session *s, struct owed *o, const struct frame *f, bool interruption);
void session_end_parse(struct session *s, struct owed *o);
// Gives the server all statements that it lacks, in a unit of its own. IN_FRONT: what comes may be sent
// behind it; FIRST: not before it is answered.
enum giving { GIVING_NOTHING, GIVING_IN_FRONT, GIVING_FIRST };
// `asks`: the client's statement may ask for one of them by itself; then what failed is tried again at once.
enum giving session_parse_all(struct session *s, bool asks);
// The same for the one that the client's next statement is about, and waits for itself. False: it has it.
bool session_give_named(struct session *s, struct slice name);
// The error of a statement that executes what could not be given. True: the client was told why instead.
bool session_take_missing(struct session *s, struct owed *o, const struct frame *f);
// It was forgotten as one that the server has, and it has not.
void session_list_again(struct session *s, struct statement *st);
// May a statement of this name be created, as far as is known?
bool session_name_is_free(struct session *s, struct slice name);
// An answer that needs no server goes out behind those of the lookups before it. False: out of memory.
bool session_answer(struct session *s, const struct buf *answer);
// The pseudo-group of a SELECT (group_for_read) for the session as it is now; NULL: none, or out of memory.
struct group *session_read_group(struct session *s, struct shape *shape);
void session_learn(struct session *s, struct group *read, bool describes);
void session_feed_learning(struct session *s, const struct frame *f, bool whole);
void session_end_learning(struct session *s);

// ---- session_inside.c

// Has the server answered all that was sent of the last unit? Then it is known whether it has failed, and
// whether COPY wants data.
bool session_unit_is_answered(const struct session *s);
// COPY of the simple protocol wants data, and the client has not ended them.
bool session_copy_waits(const struct session *s);
// A message of the reply to a unit that was forwarded.
void session_note_answer(struct session *s, struct owed *o, uint8_t type);

// ---- session_pipeline.c: the lookups of one unit that holds several statements
//
// Each waits, is folded and answered like any other, but its answer is kept until all are there. Is one of
// them to run alone, for whatever reason, then all are, as the client sent them: the first one stands for the
// unit, and the others have nothing more to say.
struct pipeline_part {
    struct statement *statement; // a reference
    bool has_parse, has_describe;
    unsigned n_closes;
};
struct pipeline {
    unsigned refs, n, n_answered;
    struct account *memory; // that it is counted in
    size_t weighs;
    bool whole; // runs as the client sent it
    struct lookup *first;
    struct pipeline_part parts[];
};
struct pipeline *pipeline_create(struct session *s, unsigned n); // NULL: out of memory
void pipeline_unref(struct pipeline *p);                         // takes NULL
void pipeline_add(struct pipeline *p, struct lookup *l);         // the next one
// This one of its lookups shall run alone and has been taken out of its queue or batch. Returns the one that
// stands for all.
struct lookup *pipeline_collapse(struct session *s, struct lookup *l);
void pipeline_cancel(struct session *s,
                     struct lookup *first);        // the first one is to be cancelled in place of all
bool pipeline_is_answered(const struct lookup *l); // or is none
bool pipeline_expect(struct session *s, const struct pipeline *p); // its replies; false: the session failed

// ---- session.c
void lookup_leave_batch(struct lookup *l);
// The server's unnamed statement, by what was sent last; is it what the client believes; Parse or Close that
// makes it so.
void session_note_unnamed(struct session *s, bool has, struct shape *shape);
bool session_unnamed_fits(const struct session *s);
bool session_restore_unnamed(struct session *s, struct shape *wanted); // wanted NULL: none; false: failed
// Sends what o stands for, a unit that closes what it opens; inside a transaction it is framed.
void session_send_parses(struct session *s, struct owed *o, const struct buf *unit);
unsigned session_max_lookups(const struct session *s);

// ---- session_txn.c

// Notes in a FORWARD entry what one of its statements does to the transaction. shape: NULL when its kind says
// all.
void session_txn_note(struct owed *o, enum statement_kind kind, const struct shape *shape);
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
bool session_lacks_snapshot(const struct session *s);
void session_take_snapshot(struct session *s);
// Do all statements of the transaction at hand see the same snapshot?
bool session_snapshot_is_fixed(const struct session *s);
// The identity is in doubt, and what brought the doubt may have happened inside the transaction.
void session_doubt(struct session *s);
// What is sent may write, p: what is known of it; else NULL. Counts again when its transaction has ended,
// which the end of a reply to the client's own may say.
void session_note_write(struct session *s, const struct parsed *p);
// May a SELECT that nobody has vetted write, by a view or a function of a user's?
bool session_read_may_write(const struct session *s, const struct parsed *p);
// The client is told that one of its commands has ended; `last`: ReadyForQuery is behind it.
void session_note_complete(struct session *s, const struct owed *o, struct slice tag, bool last);
void session_note_written(struct session *s, const struct owed *o);
// Something of ours runs inside the client's transaction, or has broken it: nothing of the client's is sent.
bool session_is_framed(const struct session *s);
void session_frame_ended(struct session *s, char status);
void session_repair(struct session *s); // sends the repair that is due, if it may be sent now
void session_repair_ended(struct session *s, char status);

void session_settle(struct session *s); // after the queue changed: resume, finish

// ---- room.c

// An unnamed statement is counted with the lookup or the entry in `owed` that refers to it.
#define UNNAMED_BYTES (sizeof(struct statement) + sizeof(struct trail_columns) + 2 * MEMORY_BLOCK)

// Are there as many bytes as may be in what waits for answers, or would `more` be too many? Never of a
// session that waits for none.
bool session_queue_is_larger(const struct session *s, size_t bytes); // would so many be too many?
static inline bool session_queue_is_full(const struct session *s, size_t more) {
    return s->n_lookups && session_queue_is_larger(s, s->queue.used + more);
}
bool session_queue_has_drained(const struct session *s); // half of it is gone
void session_hold_back(struct session *s);               // until then
// May another prepared statement be remembered? The unnamed one, of which there is one, may use what the
// named ones leave. `own`: bytes of its own that are counted already.
static inline bool session_has_room_for(const struct session *s, bool named, size_t own) {
    const struct account *a = &s->names, *all = &s->engine->memory;
    size_t most = !a->limit ? SIZE_MAX : named ? a->limit / 4 * 3 : a->limit;
    return a->used + a->claimed - own <= most && all->used <= all->most;
}
static inline bool session_may_remember(const struct session *s, bool named) {
    return session_has_room_for(s, named, 0);
}
static inline size_t lookup_bytes(const struct lookup *l) {
    return sizeof *l + l->len + l->answer.cap + 2 * MEMORY_BLOCK + UNNAMED_BYTES;
}
static inline void lookup_weigh(struct lookup *l) { // counts it anew
    account_set(l->memory, &l->weighs, lookup_bytes(l));
}
void statement_weigh(struct statement *st); // a named one

// ---- session_cursor.c: cursors and named portals

// Those that the client has open are not known any more. Not `all`: those that end with the transaction.
void session_forget_cursors(struct session *s, bool all);
void session_forget_cursor(struct session *s, struct slice name);
// A named portal was bound in the unit at hand; st: NULL when it is not known.
void session_note_portal(struct session *s, struct slice name, struct statement *st, bool result_format,
                         bool formats_differ);
// The statement of a named portal; NULL: not known.
struct statement *session_portal(const struct session *s, struct slice name);
// One that was bound before is run by o, its unit.
void session_resume_portal(const struct session *s, struct slice name, struct owed *o);
void session_end_portals(struct session *s); // the unit at hand has been sent

// ---- session_cancel.c

// A cancel request is under way, or one will be for what the server connection runs now.
static inline bool session_is_cancelling(const struct session *s) {
    return s->cancelling || s->cancel_pending || s->cancel_at;
}
void session_relay_cancel(struct session *s);     // the one that is due, if what it is for runs now
void session_cancel_sent(struct session *s);      // the first lookup, which shall be cancelled, has been sent
void session_cancel_taken(struct session *s);     // cancel_held: the unit has been accepted
void session_cancel_forwarded(struct session *s); // cancel_held: the unit has been forwarded
void session_end_batch(struct session *s, const struct batch *b); // nobody waits for it any more
// A lookup whose original has been answered is compared no further, and its client gets that answer.
void session_end_check(struct session *s, struct lookup *l);
void cancel_batch_if_left(struct batch *b); // takes NULL
void cancel_unlist(struct session *s);
void cancel_repeat(struct engine *e);             // those that are due
uint64_t cancel_deadline(const struct engine *e); // UINT64_MAX: none

#endif
