// SPDX-License-Identifier: PostgreSQL
//
// The gate: connections between accept() and the end of their log-in. Anybody can open one, so together they
// have bounds:
//
//   places       max_logins of them. When all are taken, whoever has kept us waiting longest is closed in
//                favour of the next connection, once that has lasted for `grace`; until then the next one
//                waits in the listen queue. A pool that opens many connections at once is served in turn;
//                strangers that say nothing lose their places, those first who have answered nothing so far.
//                The more of these there are, the shorter is grace.
//                Where it is the server that keeps all of them waiting, nobody can be closed. After a while
//                some more are let in, so that cancel requests arrive; whoever is one of these and wants to
//                log in waits for a place, or is refused when too many do.
//   time         while sessions are at work, a part of the loop's: TLS handshakes, which take long, and all
//                else have one each, so that those do not delay this. In one turn never more than a handshake
//                or two. What is more waits for its turn, first come, first served.
//   descriptors  the last ones are kept back for cancel requests, and for files.
//
// Who is waited for is noted at each step of a log-in, not at each byte, so that a step byte by byte is one
// step.
#ifndef PGFOLD_PROXY_GATE_H
#define PGFOLD_PROXY_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct link;
struct proxy;

#define GATE_KEEPS 256 // descriptors, at most

struct gate {
    unsigned n;                // connections before log-in
    unsigned n_extra;          // those beyond that
    uint64_t left_at;          // microseconds: when the last of them left
    struct link *first, *last; // those that wait for their client, longest first
    uint64_t grace;            // microseconds
    unsigned evicted, told;    // closed to make room; how many of them the log has been told of
    struct gate_work {
        struct link *due, *due_end; // those whose client has come and whom the turn had no time for
        int64_t credit;             // nanoseconds of the loop's time that may be spent; below 0: more was
        uint64_t credit_at;         // nanoseconds: when it was reckoned last
    } work[2];                      // all but handshakes, handshakes
    uint64_t turn_left;             // nanoseconds, of this turn's
    uint64_t session_at;        // milliseconds of the loop's clock: when a session last had something to do
    unsigned long long n_files; // the limit on open files
    bool shut;                  // the listeners are not looked at for a while, or until a place is free
    uv_timer_t open;            // ends that
    uv_timer_t wake;            // for those that are due
};

// Of each link.
struct gate_place {
    bool taken, listed, due;
    bool extra;     // let in beyond max_logins
    unsigned kind;  // of the work that is due
    unsigned steps; // how often its client has been waited for
    uint64_t since; // microseconds: since when its client is waited for
    struct link *next, *previous, *next_due;
};

void gate_init(struct proxy *p);
void gate_tick(struct proxy *p); // once a second
void gate_turn(struct proxy *p); // before the loop waits

void gate_enter(struct link *l);
void gate_leave(struct link *l);            // logged in, a cancel request, or closed; idempotent
void gate_waits(struct link *l, bool does); // a new step: for the client, or not

// Time. A link that may not work now is called on later: link_client_is_due.
enum gate_kind { GATE_ANY, GATE_TLS };
bool gate_may_work(struct proxy *p, enum gate_kind kind);
void gate_defer(struct link *l, enum gate_kind kind);
uint64_t gate_begins(void);
void gate_worked(struct proxy *p, enum gate_kind kind, uint64_t begun);
static inline void gate_session_works(struct gate *g, uint64_t loop_now) {
    g->session_at = loop_now;
}

bool gate_is_full(const struct proxy *p);
bool gate_has_place(
    struct link *l); // to log in: one that was let in beyond max_logins takes one that is free
// Is there a place for one that is here already? Somebody may be closed for it. False: the listeners are
// left alone until there is.
bool gate_admits(struct proxy *p);
void gate_shut(struct proxy *p, uint64_t ms); // the listeners, for so long
// Closes whoever has kept us waiting longest, if for so many microseconds, those first who have answered
// nothing; or the server.
bool gate_evict(struct proxy *p, uint64_t patience);
bool gate_evict_at_server(struct proxy *p, uint64_t patience);
#define GATE_PATIENCE 250000 // the least that is given to anybody: more than a round trip around the world
#define GATE_HURRY    20000  // without descriptors

// Descriptors. The lowest that is free is always the next, so its number tells how many are in use. Those of
// a log-in are below the first limit; a client's that is not is let in as long as it is below the second, for
// it may be a cancel request.
enum gate_use { GATE_LOGIN, GATE_CANCEL };
bool gate_is_short(struct proxy *p, int fd, enum gate_use use);
int gate_files(const struct proxy *p, enum gate_use use); // it is to be below

#endif
