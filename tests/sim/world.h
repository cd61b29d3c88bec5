// SPDX-License-Identifier: PostgreSQL
//
// The simulated world: clients, pgfold's engine with a session for each, servers, and the bytes between them,
// moved in pieces of random size by one stream of random numbers and a clock that is only a number. The
// invariants are checked after every step; whatever breaks one ends the run with a sentence in `failure`.
#ifndef PGFOLD_TESTS_SIM_WORLD_H
#define PGFOLD_TESTS_SIM_WORLD_H

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "tests/sim/client.h"
#include "tests/sim/told.h"

#define WORLD_MAX_CONNECTIONS 12

// A client, its session and its server connection: what proxy/link.c is in pgfold.
struct connection {
    bool lost_statement; // its session was closed since a statement of the client's had changed
    struct world *world;
    bool used;
    unsigned id;
    struct client client;
    struct server server;
    struct session *session;
    struct told told;
    struct buf from_client, from_server; // arrived at pgfold, not taken yet
    struct buf to_client, to_server;     // left pgfold, not arrived yet
    bool resume, finished, lending;      // lending: the client is gone, others are still served
    bool slow;                           // its client reads seldom
    unsigned long answered;              // when its client was last looked at,
    uint64_t waits_since; // and since when it waits for the next answer for no reason of its own
    unsigned signals;     // that the engine's cancel requests still send: two each, the second one ends it
};

struct world_options {
    unsigned connections;
    bool disconnects, cancels, slow_readers, failing_malloc, pipelines, stalls, observe, dry, focused, bursty,
        calm, moody, transactional, never_slower, verify, wrong, locks, loops, quiet, pooled, outsiders,
        linked, all_write, books_off, hangs, bursts, pages;
    size_t max_session, max_memory;
    unsigned window, timeout, patience, max_keys, max_in_flight, max_waiting, max_answer, max_groups,
        max_shapes, parse_budget, check_one_in, ahead_keys, ahead_session, ahead_memory, ahead_gap, ahead_age;
    enum lookahead_mode lookahead;
    bool with_list;
    bool early_commit;
};

struct world_options world_options_of(uint64_t seed);

struct world {
    struct world_options options;
    struct engine *engine;
    struct sim_database db;
    struct connection connections[WORLD_MAX_CONNECTIONS];
    uint64_t random, seed, now;
    unsigned next_id;
    unsigned long units, folded, steps, checked, differences, held, again, frozen,
        held_back;                         // for the report
    unsigned long answered[OUTCOME_COUNT]; // statements
    bool draining;                         // clients finish what they have begun
    char failure[640];
};

// One run. False: an invariant was broken; w->failure says which.
bool world_run(struct world *w, uint64_t seed, unsigned steps);

// malloc that may fail, see alloc.c: one in `one_in` calls fails while it is armed; 0: none.
void alloc_arm(uint64_t *random, unsigned one_in);
void alloc_disarm(void);
long alloc_live(void); // blocks that are allocated now

#endif
