// SPDX-License-Identifier: PostgreSQL
//
// What is shown and the engine does not know: the proxy fills it when somebody asks.
#ifndef PGFOLD_BATCHING_SHOW_OUTSIDE_H
#define PGFOLD_BATCHING_SHOW_OUTSIDE_H

#include <stdbool.h>
#include <stdint.h>

// X(name, label): the states of a client's connection, and of a server's.
#define SHOW_CLIENT_STATES(X)                                                                                \
    X(LOGIN, "login")                                                                                        \
    X(IDLE, "idle")                                                                                          \
    X(IDLE_IN_TRANSACTION, "idle_in_transaction")                                                            \
    X(ACTIVE, "active")                                                                                      \
    X(CLOSING, "closing")
#define SHOW_SERVER_STATES(X)                                                                                \
    X(LOGIN, "login")                                                                                        \
    X(IDLE, "idle")                                                                                          \
    X(IDLE_IN_TRANSACTION, "idle_in_transaction")                                                            \
    X(ACTIVE, "active")                                                                                      \
    X(LENDING, "lending") /* its client has gone */

#define X(name, label) CLIENT_##name,
enum show_client { SHOW_CLIENT_STATES(X) CLIENT_STATES };
#undef X
#define X(name, label) SERVER_##name,
enum show_server { SHOW_SERVER_STATES(X) SERVER_STATES };
#undef X

struct show_outside {
    const char *version, *mode;      // static
    uint64_t accepted, refused;      // connections since the start: taken, turned away
    uint64_t clients[CLIENT_STATES]; // connections now
    uint64_t servers[SERVER_STATES];
    bool draining;
};

#endif
