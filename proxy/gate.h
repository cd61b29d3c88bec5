// SPDX-License-Identifier: PostgreSQL
//
// The gate: bounds for connections between accept() and the end of their log-in. Anybody can open one, so
// together they have bounds:
//
//   places       max_logins of them. When all are taken, whoever has kept us waiting longest is closed in
//                favour of the next connection, once that has lasted for `grace`; until then the next one
//                waits in the listen queue. A pool that opens many connections at once is served in turn;
//                strangers that say nothing lose their places, those first who have answered nothing so far.
//                The more of these there are, the shorter is grace.
//                Where it is the server that keeps all of them waiting, nobody can be closed. After a while
//                some more are let in, so that cancel requests arrive. Whoever is one of these and wants to
//                log in waits for a place, or is refused when too many do.
//   time         while sessions are at work, a part of the loop's. TLS handshakes, which take long, and all
//                else have one part each, so that handshakes do not delay the rest. In one turn never more
//                than a handshake or two. What is more waits for its turn, first come, first served.
//   descriptors  the last ones are kept back for cancel requests, and for files.
//
// Who is waited for is noted at each step of a log-in, not at each byte: a step that comes byte by byte is
// one step.
//
// The gate knows links by their place alone. What is to be done with one it asks of struct gate_calls.
#ifndef PGFOLD_PROXY_GATE_H
#define PGFOLD_PROXY_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct link;
struct proxy;

#define GATE_KEEPS 256 // descriptors, at most

// Given at the start by main.c; each is a function of a file above this one.
struct gate_calls {
    void (*evict)(struct link *l);              // close it, to make room for others
    bool (*is_at_server)(const struct link *l); // does the server know of its log-in?
    void (*work)(struct link *l);               // its client has come, and its turn, too
    void (*listen)(struct proxy *p, bool look); // are connections to be accepted?
};

enum gate_kind { GATE_ANY, GATE_TLS }; // of work: all but handshakes, handshakes

// What each link has.
struct gate_place {
    struct link *link;   // whose it is
    bool taken;          // it is between accept() and the end of its log-in
    bool extra;          // it was let in beyond max_logins
    bool listed;         // its client is waited for: it is in the list of these
    bool due;            // its client has come, and waits for its turn
    enum gate_kind kind; // of the work that is due
    unsigned steps;      // how often its client has been waited for
    uint64_t since;      // microseconds: since when its client is waited for
    struct gate_place *next, *previous, *next_due;
};

// The work of one kind.
struct gate_work {
    struct gate_place *due, *due_end; // list: those that wait for their turn
    int64_t credit;                   // nanoseconds of the loop's time that may be spent; below 0: more was
    uint64_t credit_at;               // nanoseconds: when it was reckoned last
};

struct gate {
    struct proxy *proxy;
    const struct gate_calls *calls;
    unsigned n;                      // connections before the end of their log-in
    unsigned n_extra;                // those let in beyond max_logins, which are not in n
    uint64_t left_at;                // microseconds: when the last of the former left
    struct gate_place *first, *last; // list: those that wait for their client, longest first
    uint64_t grace;                  // microseconds
    unsigned evicted;                // closed to make room, since the start
    unsigned told;                   // how many of them the log has been told of
    struct gate_work work[2];        // by gate_kind
    uint64_t turn_left;              // nanoseconds that this turn may still spend
    uint64_t session_at;        // milliseconds of the loop's clock: when a session last had something to do
    unsigned long long n_files; // the limit on open files
    bool shut;                  // the listeners are not looked at for a while, or until a place is free
    uv_timer_t open;            // ends that
    uv_timer_t wake;            // for those that are due
};

void gate_init(struct gate *g, struct proxy *p, const struct gate_calls *calls);
void gate_tick(struct gate *g); // once a second
void gate_turn(struct gate *g); // before the loop waits

void gate_enter(struct gate *g, struct gate_place *place, struct link *l);
void gate_leave(struct gate *g,
                struct gate_place *place); // logged in, a cancel request, or closed; idempotent
void gate_waits(struct gate *g, struct gate_place *place, bool does); // a new step: for the client, or not

// ---- time: a link that may not work now has its turn later

bool gate_may_work(struct gate *g, enum gate_kind kind);
void gate_defer(struct gate *g, struct gate_place *place, enum gate_kind kind);
uint64_t gate_begins(void);
void gate_worked(struct gate *g, enum gate_kind kind, uint64_t begun);
static inline void gate_session_works(struct gate *g, uint64_t loop_now) {
    g->session_at = loop_now;
}

// ---- places

bool gate_is_full(const struct gate *g);
// Has it a place to log in? One that was let in beyond max_logins takes one that is free.
bool gate_has_place(struct gate *g, struct gate_place *place);
// Is there a place for one that is here already? Somebody may be closed for it. False: the listeners are
// left alone until there is.
bool gate_admits(struct gate *g);
void gate_shut(struct gate *g, uint64_t ms); // leaves the listeners alone for so long
// Closes whoever has kept us waiting longest, if for so many microseconds, those first who have answered
// nothing. The second one: whoever has kept the server waiting longest.
bool gate_evict(struct gate *g, uint64_t patience);
bool gate_evict_at_server(struct gate *g, uint64_t patience);
#define GATE_PATIENCE 250000 // the least that is given to anybody: more than a round trip around the world
#define GATE_HURRY    20000  // without descriptors

// ---- descriptors
//
// The lowest that is free is always the next, so its number tells how many are in use. Those of a log-in are
// below the first limit. A client that has not logged in is let in as long as it is below the second, for it
// may be a cancel request.

enum gate_use { GATE_LOGIN, GATE_CANCEL };
bool gate_is_short(struct gate *g, int fd, enum gate_use use);
int gate_files(const struct gate *g, enum gate_use use); // it is to be below

#endif
