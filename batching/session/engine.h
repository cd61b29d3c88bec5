// SPDX-License-Identifier: PostgreSQL
//
// The engine: all that sessions share. It decides. What has an effect goes out through struct engine_effects,
// which the proxy fills with sockets and a test with buffers. It has no clock: every entry point is told the
// time, in microseconds.
//
//   e = engine_create(limits, effects, ctx)
//   s = session_create(e, …, now)             a client has logged in
//   session_from_client(s, bytes, …, now)     bytes came; effects go out
//   session_from_server(s, bytes, …, now)
//   engine_turn(e, now)                       at the end of each turn of the event loop: makes batches
//   engine_deadline(e)                        when engine_turn must be called even if nothing happens
//
// Lookups queue in their groups while a turn of the event loop lasts. At its end each group with a queue is
// looked at once. A lookup goes out as it was sent if it is the only one and nothing of its group is under
// way. Several become a batch. While as many batches as allowed are under way, the rest waits. So batches
// form by themselves. No lookup waits in order to get company, unless limits.window asks for it.
//
// What fails is run alone: a batch that ends badly in any way gives its members back, each to its own
// connection.
//
// Here are the engine itself, its limits and its notion of time. flow/turn.h has engine_turn.
#ifndef PGFOLD_BATCHING_SESSION_ENGINE_H
#define PGFOLD_BATCHING_SESSION_ENGINE_H

#include "batching/ahead/ahead.h"
#include "batching/ahead/burst.h"
#include "batching/ahead/followers.h"
#include "batching/base/distance.h"
#include "batching/base/reason.h"
#include "batching/fold/batch.h"
#include "batching/report/report.h"
#include "batching/session/answered.h"
#include "batching/session/awaiting.h"
#include "batching/session/begun.h"
#include "batching/session/counters.h"
#include "batching/session/figures.h"
#include "batching/session/thrift.h"
#include "batching/session/late.h"
#include "batching/session/pooler.h"
#include "batching/session/turns.h"
#include "batching/watch/scope.h"

struct session;

#define ENGINE_WANTED 16 // groups about which the catalogue is to be asked, see dry.h

// ---- settings

enum lookahead_mode {
    LOOKAHEAD_OFF,
    LOOKAHEAD_SNAPSHOT, // held answers only where the transaction's snapshot makes them exact
    LOOKAHEAD_BOUNDED,  // elsewhere, too, within ahead_gap and ahead_age
};

struct table_name {
    const char *schema, *name; // as PostgreSQL knows them
};

struct engine_limits {
    bool observe;    // forward all
    bool dry;        // the same, and estimate what would have been folded and loaded ahead (dry.h)
    bool verify;     // answer each lookup with what it says as sent, and compare that with the folded answer
    uint64_t window; // microseconds
    unsigned max_keys, max_in_flight, max_waiting, max_shapes, max_groups, max_statements;
    size_t max_answer, max_text;
    uint64_t timeout;  // microseconds; 0: none
    uint64_t patience; // microseconds: least time that a client waits for what is not its own; 0: no end
    uint64_t vet_max_age;
    uint64_t parse_budget; // microseconds of each second that new texts may cost; 0: no limit
    bool never_slower;     // do not fold what folding makes slower
    unsigned check_one_in; // one of so many folded lookups is checked; 0: none
    enum lookahead_mode lookahead;
    uint64_t ahead_gap, ahead_age;      // microseconds: a loop's longest pause, a held answer's greatest age
    unsigned ahead_keys;                // in one batch that is loaded ahead
    bool early_commit;                  // the end of a transaction that has only read is not waited for
    bool with_list;                     // what a list leads to is sent behind it
    size_t ahead_session, ahead_memory; // bytes of trail and held answers: of one session, of all sessions
    size_t max_session, max_memory;     // bytes of everything: of one session, of all; 0: no limit
    unsigned max_owed, max_expected;    // computed from these: SESSION_MAX_…, or less
    const struct table_name *ahead_off; // tables that are never loaded ahead. Borrowed until the next
    unsigned n_ahead_off;               // engine_set_limits or engine_destroy has returned
    struct expectation expect;          // of all that comes; watch/expect.h
    // Loops that are listed, sets of tags that are kept, and those of one loop.
    unsigned report_loops, report_tags, report_loop_tags;
};

// ---- effects

// Bytes are valid during the call only. `more`: further bytes to the same side follow at once. None of these
// may call back into the engine. What they learn (a broken connection) they report later.
struct engine_effects {
    void (*to_client)(void *owner, const uint8_t *bytes, size_t len, bool more);
    void (*to_server)(void *owner, const uint8_t *bytes, size_t len, bool more);
    // The session takes bytes from its client again: offer what was left over.
    void (*resume_client)(void *owner);
    // Send a cancel request for this session's server connection. True: it is under way, and
    // session_cancel_done() will tell its end.
    bool (*relay_cancel)(void *owner);
    // The client is gone, and no one needs the server connection any more.
    void (*finished)(void *owner);
    void (*log)(void *ctx, enum reason reason, uint64_t session, const char *message);
};

// The event loop's last two waits for events. They tell a client's pause from pgfold's own. All zero if the
// caller never says when it waits.
struct vigil {
    bool asleep;
    uint64_t woke_before; // end of the wait before the last. What had not come by then came later
    uint64_t slept, due;  // begin of the last wait, and when it was to end at the latest
    uint64_t woke;        // end of the last wait. What comes in this turn had come by then
};

struct engine {
    struct engine_limits limits;
    const struct engine_effects *effects;
    void *ctx;                // for effects->log
    uint64_t now;             // microseconds
    struct distance distance; // to the server
    struct vigil vigil;       // when the loop has waited for events
    uint64_t generation;      // of the definitions: counts statements that may have changed one
    // The generation in which a table's name came to mean another table while the old one was still there.
    uint64_t shadowed;
    struct account memory; // all
    struct shape_cache shapes;
    struct rations rations; // what new texts may cost
    struct turns turns;
    struct scopes scopes; // what tests expect
    struct identity_table identities;
    struct group_table groups;
    struct session *sessions; // list
    unsigned n_sessions;
    struct database *databases; // that sessions are logged in to, with the writes that passed through
    struct endpoint *servers;   // list: that sessions are connected to
    struct batch *batches;      // list, oldest last
    struct await_list awaiting;
    struct ahead_list aheads;
    struct followers followers;
    struct bursts bursts;
    struct begun_list begun;   // sessions with a BEGIN that the server has not got
    struct session *to_prove;  // list: sessions to prove at the end of the turn
    unsigned proving;          // identity queries under way
    struct session *late;      // list: something of ours may be under way on their connections (late.h)
    struct session *cancelled; // list: their cancel requests may have to be repeated
    struct group *listed;      // list: groups that engine_turn looks at
    uint64_t shrunk;           // microseconds: when caches last gave something up for memory (room.h)
    uint64_t next_session;
    uint64_t dice;                  // for flow/check.c
    uint64_t wanted[ENGINE_WANTED]; // mode observe: ids of groups. Writer: dry.c
    unsigned n_wanted;
    struct engine_counters counters;
    struct figures figures;
    struct report_tables report; // writer: session/reporting.c
    struct thrift thrift;
    struct answered_observer observer; // is told of every statement that is answered
    struct buf answer, request;        // scratch
};

// ---- life

// `limits` is copied; `effects` and `ctx` are borrowed until engine_destroy. NULL: out of memory.
struct engine *engine_create(const struct engine_limits *limits, const struct engine_effects *effects,
                             void *ctx);

// Every session must have been destroyed. Takes NULL.
void engine_destroy(struct engine *e);

// Frees all that is remembered, so that e->memory.used is 0. Every session must have been destroyed.
void engine_forget(struct engine *e);

// For a reload. The numbers of cached shapes and groups stay as they were.
void engine_set_limits(struct engine *e, const struct engine_limits *limits);

// ---- time

// The loop waits for events from now on, until `due` at the latest.
void engine_sleeps(struct engine *e, uint64_t now, uint64_t due);

// The loop goes on. Every entry point begins with it.
static inline void engine_wakes(struct engine *e, uint64_t now) {
    e->now = now;
    if (e->vigil.asleep)
        e->vigil.woke = now;
    e->vigil.asleep = false;
}

// Microseconds from `since` to the arrival of what is at hand, without the time that pgfold itself took. In a
// turn in which the loop was busy, or woke later than it wanted, the moment of arrival is not known.
uint64_t engine_waited(const struct engine *e, uint64_t since);

// ---- what sessions ask

// False if lookahead is off, or switched off for one of the statement's relations. A relation without a
// schema may be in any. `below`: the tables that it reads through views and the like; NULL: it reads none so.
bool engine_may_look_ahead(const struct engine *e, const struct parsed *p, const struct write_set *below);

// Has the session been answered over others' connections for so long that its own must have a turn?
bool engine_is_forgotten(const struct engine *e, const struct session *s);

// Does folding pay for the shape now?
enum guard_state engine_guard_state(const struct engine *e, struct shape *s);

// A statement may have changed definitions. What was vetted before no longer counts.
void engine_definitions_changed(struct engine *e);

// The same. Besides, a table's name means another table, and prepared statements may go on with the old one.
void engine_names_shadowed(struct engine *e);

#endif
