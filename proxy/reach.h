// SPDX-License-Identifier: PostgreSQL
//
// Is the server reachable? Log-ins tell. When none has told lately and somebody asks, pgfold connects to the
// server itself and closes that connection before it says anything.
#ifndef PGFOLD_PROXY_REACH_H
#define PGFOLD_PROXY_REACH_H

#include "proxy/proxy.h"

struct connector;

enum reach_state { REACH_UNKNOWN, REACH_GOOD, REACH_BAD };

struct reach {
    struct proxy *proxy;
    struct connector *probe; // under way; NULL: none is
    uint64_t begun;          // microseconds: when it began
    uint64_t good, bad;      // microseconds: when the server was last reached, and when not
    char why[200];           // of the latter
    void (*told)(void *arg); // the question was answered
    void *arg;
};

void reach_init(struct reach *r, struct proxy *p);
void reach_tick(struct reach *r, uint64_t now); // once a second
void reach_finish(struct reach *r);             // nothing is asked or told any more

// What is known now. UNKNOWN: it is asked for, and told() will be called.
enum reach_state reach_ask(struct reach *r, uint64_t now);

// A connection to the server was made, or not; `why`: the message.
void reach_note(struct reach *r, bool made, const char *why);

#endif
