// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/dispatch.h"

#include "batching/flow/alone.h"
#include "batching/flow/batches.h"
#include "batching/flow/check.h"
#include "batching/flow/load.h"
#include "batching/flow/own_queries.h"
#include "batching/flow/patience.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/lists.h"
#include "batching/session/session.h"
#include "batching/statement/guard.h"

// While a group's queue is gone through: what to look at next. Others of its unit may have left the queue
// with it.
static struct lookup *run_alone_of(struct group *g, struct lookup *l, struct lookup *next) {
    bool several = l->pipeline;
    engine_run_lookup(l);
    return several ? g->first : next;
}

static void run_all_alone(struct group *g) {
    while (g->first)
        engine_run_lookup(g->first);
}

// The catalogue is asked on the connection of a lookup that has just been sent, behind it.
static void start_vet(struct group *g, struct session *s) {
    if (s && g->state == GROUP_NEW)
        session_start_vet(s, g);
}

// Lookups that came before their group was vetted still carry their keys as text. Those without a plain key
// run alone.
static void read_keys(struct engine *e, struct group *g) {
    for (struct lookup *l = g->first, *next; l; l = next) {
        next = l->next_waiting;
        if (!l->has_key)
            l->has_key = group_read_key(g, l->raw, l->keys);
        if (!l->has_key)
            e->counters.forwarded[REASON_KEY_VALUE]++;
        if (!l->has_key || engine_is_forgotten(e, l->session))
            next = run_alone_of(g, l, next);
    }
}

// What is under way takes too long to wait for: it may be stuck behind a lock, or its connection may be.
static bool is_stalled(const struct engine *e, const struct group *g) {
    return e->now >= g->waiting_since + STALL;
}

// Nothing is folded that is not checked.
static bool checks_all(const struct engine *e) {
    return e->limits.verify || e->limits.check_one_in == 1;
}

// Lookups that are to be checked run as they were sent before they join a batch. Where all are, no other way
// leads into one.
static void start_checks(struct engine *e, struct group *g) {
    bool company = engine_has_company(g);
    for (struct lookup *l = g->first, *next; l; l = next) {
        next = l->next_waiting;
        if (company && check_draw(e, l))
            check_start(e, l);
        else if (checks_all(e) && l->check != CHECK_FOLDED)
            next = run_alone_of(g, l, next);
    }
}

// In mode verify those that have their original's answer wait for those that do not, so that batches are as
// large as in mode fold.
static bool may_start_more(const struct engine *e, const struct group *g) {
    return g->in_flight - g->checking < guard_max_in_flight(&g->shape->guard, e->limits.max_in_flight) &&
           !(e->limits.verify && g->checking);
}

// The only one that waits runs as it was sent, if it need not wait for the answers to its session's own
// before.
static bool runs_alone(const struct group *g) {
    const struct lookup *l = g->first;
    return g->n_waiting == 1 && l->check != CHECK_FOLDED && (l->session->order.first == l || l->pipeline);
}

static void dispatch_ready(struct engine *e, struct group *g) {
    read_keys(e, g);
    start_checks(e, g);
    late_uncount(e, g);
    bool always = g->urgent || is_stalled(e, g);
    while (g->n_waiting && (always || may_start_more(e, g))) {
        if (runs_alone(g) || !engine_run_batch(e, g))
            engine_run_lookup(g->first);
        g->waiting_since = e->now;
    }
}

bool engine_window_is_open(const struct engine *e, const struct group *g) {
    return e->limits.window && !g->urgent && g->n_waiting < e->limits.max_keys &&
           e->now < g->waiting_since + e->limits.window;
}

// Once for each lookup, when all that came in this turn is there: those of a burst fold instead.
static void follow_loops(struct group *g) {
    for (struct lookup *l = g->first, *next; l; l = next) {
        next = l->next_waiting;
        if (l->followed)
            continue;
        l->followed = true;
        ahead_follow(l->session, l, false);
    }
}

void engine_dispatch_group(struct engine *e, struct group *g) {
    if (g->state == GROUP_READY && g->generation != e->generation)
        group_forget(g);
    bool off = g->shape->wrong && !e->limits.verify;
    if (g->state == GROUP_READY && !off)
        follow_loops(g);
    if (guard_is_late(&g->shape->guard, e->now)) {
        engine_run_all_uncounted(g);
    } else if (g->state == GROUP_READY && !off && engine_guard_state(e, g->shape) == GUARD_FOLDING) {
        if (!engine_window_is_open(e, g))
            dispatch_ready(e, g);
    } else if (g->n_waiting) {
        bool company = engine_has_company(g);
        struct session *s = g->last->session;
        run_all_alone(g);
        if (company)
            start_vet(g, s); // unless it is READY
    }
    g->urgent = false;
    if (g->n_waiting)
        engine_list_group(e, g); // until its window ends, something under way ends, or that takes too long
}
