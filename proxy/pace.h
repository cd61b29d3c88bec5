// SPDX-License-Identifier: PostgreSQL
//
// How many log-ins the server is given at once. A log-in costs the server milliseconds of a core, failed or
// not: some hundreds a second of those that fail leave nothing for the sessions that are there. While
// many fail and few succeed, the server gets a few at a time; the others wait for their turn, those first who
// have logged in from the same address as the same user of late, and of those that wait for their client few
// are kept. As long as log-ins succeed all of this is without effect.
#ifndef PGFOLD_PROXY_PACE_H
#define PGFOLD_PROXY_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buf.h"

struct link;
struct proxy;

#define PACE_KNOWN 256

struct pace_queue {
    struct link *first, *last;
    unsigned n;
};

struct pace {
    unsigned working;           // log-ins that the server has not answered yet
    unsigned asking;            // those whose client it has asked for something
    unsigned good, bad;         // of late
    unsigned limit;             // of them, in sixteenths
    uint64_t seed;              // of digests
    uint64_t fastest;           // microseconds until the server's first answer, at best
    unsigned turn;              // whose it is
    struct pace_queue queue[3]; // those who are known, the others, and those whom the gate has no place for
#define PACE_PLACELESS 2
    struct {
        uint64_t who, at; // when somebody was logged in last, microseconds
    } known[PACE_KNOWN];
};

// Of each link.
struct pace_place {
    uint64_t begun;       // microseconds: when the server was asked; 0: it was not
    bool working, asking; // counted as such
    bool queued;
    unsigned lane;
    uint64_t who;
    struct link *next, *previous;
};

enum pace_answer { PACE_GO, PACE_WAIT, PACE_REFUSE, PACE_FULL };
enum pace_answer pace_begins(struct link *l, const uint8_t *user, size_t len); // wait: login_connect later
void pace_asks(struct link *l,
               bool asks); // the server has answered: it wants something from the client, or not
void pace_ends(struct link *l, bool logged_in); // or is closed; idempotent
void pace_withdraw(struct link *l);             // it neither succeeds nor fails: it made room for another
void pace_init(struct proxy *p);
void pace_turn(struct proxy *p);
void pace_tick(struct proxy *p);

#endif
