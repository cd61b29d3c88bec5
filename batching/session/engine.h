// SPDX-License-Identifier: PostgreSQL
//
// The engine: everything that sessions share. It decides; what has an effect goes out through struct
// engine_effects, which the proxy fills with sockets and a test with buffers. No clock: every entry point is
// told the time.
//
//   e = engine_create(limits, effects, ctx)
//   s = session_create(e, …, now)             a client has logged in
//   session_from_client(s, bytes, …, now)     bytes came; effects go out
//   session_from_server(s, bytes, …, now)
//   engine_turn(e, now)                       at the end of each turn of the event loop: batches are made here
//   engine_deadline(e)                        when engine_turn wants to be called even if nothing happens
#ifndef PGFOLD_BATCHING_SESSION_ENGINE_H
#define PGFOLD_BATCHING_SESSION_ENGINE_H

#include "batching/ahead/ahead.h"
#include "batching/base/reason.h"
#include "batching/fold/batch.h"
#include "batching/session/answered.h"
#include "batching/session/awaiting.h"
#include "batching/session/counters.h"
#include "batching/session/late.h"
#include "batching/session/pooler.h"
#include "batching/session/turns.h"

struct session;

enum lookahead_mode {
    LOOKAHEAD_OFF,
    LOOKAHEAD_SNAPSHOT, // held answers only where the transaction's snapshot makes them exact
    LOOKAHEAD_BOUNDED,  // elsewhere, too, within ahead_gap and ahead_age
};

struct table_name {
    const char *schema, *name; // as PostgreSQL knows them
};

struct engine_limits {
    bool observe;    // forward all, count what would have been folded
    bool verify;     // answer all with what they say as sent, and compare
    uint64_t window; // microseconds
    unsigned max_keys, max_in_flight, max_waiting, max_shapes, max_groups, max_statements;
    size_t max_answer, max_text;
    uint64_t timeout;  // microseconds, 0: none
    uint64_t patience; // microseconds, at least, with what is not one's own (late.h); 0: no end
    uint64_t vet_max_age;
    uint64_t parse_budget; // microseconds of each second that new texts may cost; 0: no limit
    bool never_slower;     // what loses by being folded is not folded
    unsigned check_one_in; // of so many folded lookups one is checked; 0: none
    enum lookahead_mode lookahead;
    uint64_t ahead_gap, ahead_age;      // microseconds: a loop's longest pause, a held answer's greatest age
    unsigned ahead_keys;                // of one batch loaded ahead
    size_t ahead_session, ahead_memory; // bytes of trail and held answers: one session's, all sessions'
    size_t max_session, max_memory;     // bytes of everything: one session's, all that there is; 0: no limit
    unsigned max_owed, max_expected;    // made of them: SESSION_MAX_…, or less
    const struct table_name *ahead_off; // never loaded ahead. Not owned: valid until the next
    unsigned n_ahead_off;               // engine_set_limits or engine_destroy has returned
};

// Bytes are valid during the call only. `more`: further bytes to the same side follow at once. None of these
// may call back into the engine; what they learn (a broken connection) they report later.
struct engine_effects {
    void (*to_client)(void *owner, const uint8_t *bytes, size_t len, bool more);
    void (*to_server)(void *owner, const uint8_t *bytes, size_t len, bool more);
    void (*resume_client)(
        void *owner); // the session takes bytes from its client again: offer what was left over
    bool (*relay_cancel)(void *owner); // send a cancel request for this session's server connection; true:
                                       // under way, session_cancel_done() tells the end
    void (*finished)(void *owner);     // the client is gone and the server connection owes nothing any more
    void (*log)(void *ctx, enum reason reason, uint64_t session, const char *message);
};

// The loop's last waits for events, for telling a pause of a client's from pgfold's own. All zero where
// nobody says when it waits.
struct vigil {
    bool asleep;
    uint64_t woke_before; // of the wait before: what had not come by then came later
    uint64_t slept, due;  // the last one began, and was to end at the latest
    uint64_t woke;        // and has ended: what comes in this turn had come by then
};

struct engine {
    struct engine_limits limits;
    const struct engine_effects *effects;
    void *ctx;           // for effects->log
    uint64_t now;        // microseconds
    struct vigil vigil;  // when the loop has waited for events
    uint64_t generation; // of the definitions: counts statements that may have changed one
    uint64_t
        shadowed; // the one with which a table's name came to mean another one, the old one being still there
    struct account memory; // all
    struct shape_cache shapes;
    struct rations rations; // what new texts may cost
    struct turns turns;
    struct identity_table identities;
    struct group_table groups;
    struct session *sessions; // list
    unsigned n_sessions;
    struct database *databases; // that sessions are logged in to, with the writes that passed through
    struct endpoint *servers;   // list: that sessions are connected to
    struct batch *batches;      // list, oldest last
    struct await_list awaiting;
    struct ahead_list aheads;
    struct session *to_prove;  // sessions whose identity shall be proven at the end of the turn
    unsigned proving;          // identity queries under way
    struct session *late;      // on whose connection something of ours may be under way (late.h)
    struct session *cancelled; // those whose cancel request may have to be repeated
    struct group *listed;      // groups that engine_turn looks at
    uint64_t shrunk;           // microseconds: when caches have last given something up for memory (room.h)
    uint64_t next_session;
    uint64_t dice; // for check.c
    struct engine_counters counters;
    struct answered_observer observer; // is told of every statement that is answered
    struct buf answer, request;        // scratch
};

struct engine *engine_create(const struct engine_limits *limits, const struct engine_effects *effects,
                             void *ctx);
void engine_destroy(struct engine *e); // every session must have been destroyed
void engine_forget(struct engine *e);  // the same: all that is remembered; e->memory.used is 0 then
void engine_set_limits(struct engine *e,
                       const struct engine_limits *limits); // for a reload; cache sizes stay
// The loop waits for events from now on, until `due` at the latest; and it goes on.
void engine_sleeps(struct engine *e, uint64_t now, uint64_t due);
static inline void engine_wakes(struct engine *e, uint64_t now) { // every entry point begins with it
    e->now = now;
    if (e->vigil.asleep)
        e->vigil.woke = now;
    e->vigil.asleep = false;
}
// False when lookahead is off, or is switched off for one of the statement's relations. One without a schema
// may be in any.
bool engine_may_look_ahead(const struct engine *e, const struct parsed *p);
// Others' connections have answered for the session for so long that its own must have a turn.
bool engine_is_forgotten(const struct engine *e, const struct session *s);
enum guard_state engine_guard_state(const struct engine *e, struct shape *s);
void engine_definitions_changed(struct engine *e);
void engine_names_shadowed(struct engine *e); // the same, and what is prepared may go on with the old tables
// Microseconds from `since` to the arrival of what is at hand, as far as they are none of pgfold's own: of a
// turn in which it was busy, or woken later than it wanted, it cannot be known when something came.
uint64_t engine_waited(const struct engine *e, uint64_t since);

#endif
