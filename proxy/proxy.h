// SPDX-License-Identifier: PostgreSQL
//
// What the parts of the proxy share. main.c owns it; nothing here is global. The parts themselves (gate,
// pace, cancel requests) are known by pointers only, so that each can include this file.
#ifndef PGFOLD_PROXY_PROXY_H
#define PGFOLD_PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "batching/show/history.h"
#include "batching/show/shows.h"
#include "batching/watch/expect.h"
#include "proxy/log.h"
#include "proxy/settings.h"

struct cancels;
struct gate;
struct link;
struct listener;
struct pace;
struct proxy;
struct reach;

#define PROXY_READ_SIZE 65536

// What the console asks of main.c.
struct proxy_calls {
    // Reads the configuration again, with one more setting in it from now on; key NULL: with none. False with a
    // message: nothing has changed.
    bool (*reload)(struct proxy *p, const char *key, const char *value, char *err, size_t err_size);
    void (*pause)(struct proxy *p, bool paused); // forwards all, or folds again
    void (*shut_down)(struct proxy *p);
};

struct proxy {
    uv_loop_t *loop;            // the one event loop: everything but the writing of the log runs on it
    struct settings *settings;  // those in force for new links; a reference
    struct log log;             // where log lines go
    struct engine *engine;      // decides what is folded; owned
    struct link *links;         // list of all links that are not closed
    unsigned n_links;           // how many they are
    bool told;                  // a client has said its password in this turn: the stack is wiped at its end
    unsigned n_sessions;        // how many of them have a place among max_clients
    struct link *dirty;         // list: links with bytes to be sent at the end of the turn
    struct link *partial;       // list: links whose client has sent a part of a unit
    struct link *graveyard;     // list: closed links, freed at the end of the turn
    struct link *by_key;        // hash: process id of the server's cancel key -> links (cancel_key.h)
    struct cancels *cancels;    // cancel requests under way (cancel.h)
    struct listener *listeners; // list of listening sockets (listener.h)
    struct gate *gate;          // bounds for connections before the end of their log-in (gate.h)
    struct reach *reach;        // is the server reachable? (reach.h)
    struct pace *pace;          // how many log-ins the server is given at once (pace.h)
    const struct proxy_calls *calls;
    struct shows_period period;           // for averages that the console shows
    struct history history;               // for who opens the page
    unsigned n_consoles;                  // links that are consoles
    uv_timer_t consoles_wake;             // some of them rest
    struct expectation expect;            // of all statements; pgfold test
    bool paused;                          // nothing is folded, whatever the settings say
    bool draining;                        // pgfold is stopping: nobody is let in, sessions end one by one
    int spare_fd;                         // given up to tell one client that there are no descriptors left
    uint64_t next_link;                   // id of the link that was made last
    uint64_t accepted, refused;           // connections since the start: taken, turned away by pgfold
    uint8_t read_buffer[PROXY_READ_SIZE]; // every read goes here first; used only during the read
};

// Microseconds of the monotonic clock.
static inline uint64_t proxy_now(void) {
    return uv_hrtime() / 1000;
}

// What comes in a turn of the loop had come when the loop woke. So the engine is told of that also where the
// first thing done is none of a session's. (Its entry points are told the time anyway.)
static inline void proxy_is_awake(struct proxy *p) {
    engine_wakes(p->engine, proxy_now());
}

#endif
