// SPDX-License-Identifier: PostgreSQL
//
// What the proxy's parts share: the loop, the settings in force, the engine and the list of links. Owned by
// main; nothing here is global.
#ifndef PGFOLD_PROXY_PROXY_H
#define PGFOLD_PROXY_PROXY_H

#include <uv.h>

#include "batching/session/engine.h"
#include "config/config.h"
#include "proxy/cancel.h"
#include "proxy/gate.h"
#include "proxy/log.h"
#include "proxy/pace.h"
#include "proxy/target.h"
#include "proxy/trim.h"

struct link;
struct listener;

// The settings of one reading of the configuration; a link keeps those that it began with.
struct settings {
    struct config *config;
    struct target *target;
    struct ssl_ctx_st *client_tls; // NULL when client_tls = disable
    struct table_name *ahead_off;  // the config's tables that are never loaded ahead
    unsigned n_ahead_off;
    unsigned refs;
};
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s); // takes NULL

#define PROXY_READ_SIZE 65536

struct proxy {
    uv_loop_t *loop;
    struct settings *settings;
    struct log log;
    struct engine *engine;
    struct link *links; // list
    unsigned n_links,
        n_sessions;         // connections from clients, and those among them that are logged in
    struct link *dirty;     // links with bytes to be sent at the end of the turn
    struct link *partial;   // links whose client's unit lacks its rest
    struct link *graveyard; // closed links, freed at the end of the turn
    struct link *by_key;    // hash: process id of the server's cancel key -> links
    struct cancels cancel;
    struct listener *listeners;
    struct gate gate;
    struct pace pace;
    bool draining;
    int spare_fd; // given up to tell one client that there are no descriptors left
    uint64_t next_link;
    uint64_t accepted, refused;
    struct trim trim;
    uv_timer_t tick;   // once a second: time-outs
    uv_prepare_t turn; // before the loop waits: batches go out, buffers are sent
    uv_poll_t alarm;   // a timerfd: windows and time-outs of batches, with microseconds
    int alarm_fd;
    uint64_t alarm_at;
    uint8_t read_buffer[PROXY_READ_SIZE];
};

static inline uint64_t proxy_now(void) {
    return uv_hrtime() / 1000;
}

// In front of every call into the engine: it has no clock.
static inline void proxy_tell_time(struct proxy *p) {
    engine_wakes(p->engine, proxy_now());
}

#endif
