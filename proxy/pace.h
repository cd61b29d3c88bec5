// SPDX-License-Identifier: PostgreSQL
//
// How many log-ins the server is given at once. A log-in costs the server milliseconds of a core, failed or
// not: some hundreds a second of those that fail leave nothing for the sessions that are there. While
// many fail and few succeed, the server gets a few at a time. The others wait for their turn, those first who
// have logged in from the same address as the same user of late, and of those that wait for their client few
// are kept. As long as log-ins succeed all of this is without effect.
//
// Pace knows links by their place alone, and begins log-ins by a function that it is given at the start.
#ifndef PGFOLD_PROXY_PACE_H
#define PGFOLD_PROXY_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gate;
struct gate_place;
struct link;
struct proxy;

#define PACE_KNOWN 256

// What each link has.
struct pace_place {
    struct link *link;       // whose it is
    struct gate_place *gate; // its place at the gate
    uint64_t begun;          // microseconds: when the server was asked; 0: it was not
    bool working;            // the server has not answered yet
    bool asking;             // the server has asked its client for something
    bool queued;             // it waits for its turn
    unsigned lane;           // in that queue, or it was
    uint64_t who;            // digest of address and user
    struct pace_place *next, *previous;
};

struct pace_queue {
    struct pace_place *first, *last;
    unsigned n;
};

enum pace_lane { PACE_IS_KNOWN, PACE_IS_UNKNOWN, PACE_PLACELESS, PACE_LANES };

struct pace {
    struct proxy *proxy;
    void (*begin_login)(struct link *l); // a log-in's turn has come: connect to the server
    unsigned working;                    // log-ins that the server has not answered yet
    unsigned asking;                     // those whose client it has asked for something
    unsigned good, bad;                  // log-ins of late: that have succeeded, that have failed
    unsigned limit;                      // of `working`, in sixteenths
    uint64_t seed;                       // of digests
    uint64_t fastest;                    // microseconds until the server's first answer, at best
    unsigned turn;                       // whose it is: of the known, or of the others
    struct pace_queue queue[PACE_LANES]; // PLACELESS: those whom the gate has no place for
    struct {
        uint64_t who, at; // when somebody was logged in last, microseconds
    } known[PACE_KNOWN];
};

void pace_init(struct pace *s, struct proxy *p, void (*begin_login)(struct link *l));
void pace_tick(struct pace *s); // once a second
void pace_turn(struct pace *s); // before the loop waits

void pace_enter(struct pace_place *place, struct link *l, struct gate_place *gate);
// A log-in is to begin. GO: now; WAIT: pace->begin_login is called later; the others: it is to be refused.
enum pace_answer { PACE_GO, PACE_WAIT, PACE_REFUSE, PACE_FULL };
enum pace_answer pace_begins(struct pace *s, struct pace_place *place, int fd, const uint8_t *user,
                             size_t len);
// The server has answered: it wants something from the client, or not.
void pace_asks(struct pace *s, struct pace_place *place, bool asks);
// It has logged in, has failed, or has never reached the server; idempotent.
enum pace_end { PACE_LOGGED_IN, PACE_FAILED, PACE_UNREACHED };
void pace_ends(struct pace *s, struct pace_place *place, enum pace_end end);
void pace_withdraw(struct pace *s,
                   struct pace_place *place); // it counts as neither: it made room for another

#endif
