// SPDX-License-Identifier: PostgreSQL
#include "proxy/reach.h"

#include <stdio.h>

#include "proxy/connector.h"
#include "proxy/gate.h"

#define GOOD_FOR 2000000 // microseconds that an answer holds
#define BAD_FOR  500000
#define PATIENCE 3000000 // how long the server may take

void reach_init(struct reach *r, struct proxy *p) {
    *r = (struct reach){.proxy = p};
}

void reach_note(struct reach *r, bool made, const char *why) {
    *(made ? &r->good : &r->bad) = proxy_now();
    if (!made)
        snprintf(r->why, sizeof r->why, "%s", why);
}

static void tell(struct reach *r) {
    if (r->told)
        r->told(r->arg);
}

static void on_probed(void *arg, struct stream *stream, size_t host_index, const char *address,
                      const char *message) {
    struct reach *r = arg;
    (void)host_index;
    (void)address;
    r->probe = NULL;
    reach_note(r, stream != NULL, message ? message : "no host is left");
    if (stream)
        stream_close(stream);
    tell(r);
}

static void begin_probe(struct reach *r, uint64_t now) {
    struct proxy *p = r->proxy;
    r->begun = now;
    r->probe = connector_start(p->loop, p->settings->target, 0, NULL, on_probed, r);
    if (r->probe)
        connector_keep_back(r->probe, gate_files(p->gate, GATE_LOGIN));
    else
        reach_note(r, false, "pgfold has no file descriptors left");
}

static enum reach_state known(const struct reach *r, uint64_t now) {
    if (r->good && r->good >= r->bad && now < r->good + GOOD_FOR)
        return REACH_GOOD;
    return r->bad > r->good && now < r->bad + BAD_FOR ? REACH_BAD : REACH_UNKNOWN;
}

enum reach_state reach_ask(struct reach *r, uint64_t now) {
    if (known(r, now) == REACH_UNKNOWN && !r->probe)
        begin_probe(r, now);
    return known(r, now);
}

void reach_tick(struct reach *r, uint64_t now) {
    if (!r->probe || now < r->begun + PATIENCE)
        return;
    connector_cancel(r->probe);
    r->probe = NULL;
    reach_note(r, false, "it has not answered within 3 s");
    tell(r);
}

void reach_finish(struct reach *r) {
    r->told = NULL;
    if (r->probe)
        connector_cancel(r->probe);
    r->probe = NULL;
}
