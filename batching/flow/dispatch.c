// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/dispatch.h"

#include "batching/flow/alone.h"
#include "batching/flow/batches.h"
#include "batching/flow/bursts.h"
#include "batching/flow/check.h"
#include "batching/flow/children.h"
#include "batching/flow/dry.h"
#include "batching/flow/load.h"
#include "batching/flow/own_queries.h"
#include "batching/flow/patience.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/bursting.h"
#include "batching/session/engine.h"
#include "batching/session/lists.h"
#include "batching/session/session.h"
#include "batching/statement/guard.h"

// Runs `l` alone while the queue is walked. Returns what to look at next: not always `next`, since the other
// lookups of its unit may have left the queue with it.
static struct lookup *run_alone_of(struct group *g, struct lookup *l, struct lookup *next) {
    bool several = l->pipeline;
    engine_run_lookup(l);
    return several ? g->first : next;
}

static void run_all_alone(struct group *g) {
    while (g->first)
        engine_run_lookup(g->first);
}

// Asks the catalogue on the connection of a lookup that has just been sent, behind it.
static void start_vet(struct group *g, struct session *s) {
    if (s && g->state == GROUP_NEW)
        session_start_vet(s, g);
}

// Lookups that came before their group was vetted have their keys as text only. Those without a plain key run
// alone; so do those whose own connection must have a turn (engine_is_forgotten).
static void read_keys(struct engine *e, struct group *g) {
    for (struct lookup *l = g->first, *next; l; l = next) {
        next = l->next_waiting;
        if (!l->has_key)
            l->has_key = group_read_key(g, l->raw, l->keys);
        if (!l->has_key)
            engine_note_not_folded(l, REASON_KEY_VALUE);
        if (!l->has_key || engine_is_forgotten(e, l->session))
            next = run_alone_of(g, l, next);
    }
}

// Does what is under way take too long to wait for? It, or its connection, may be stuck behind a lock.
static bool is_stalled(const struct engine *e, const struct group *g) {
    return e->now >= g->waiting_since + STALL;
}

// Is every folded lookup checked?
static bool checks_all(const struct engine *e) {
    return e->limits.verify || e->limits.check_one_in == 1;
}

// Lookups that are to be checked run as sent before they join a batch. If all are checked, those that cannot
// be run alone.
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

// What limits a far server is its own time, not that of the way there: the next batch need not wait for answers that
// are on their way back.
uint64_t engine_next_batch(const struct engine *e, const struct group *g) {
    const struct guard *guard = &g->shape->guard;
    unsigned most = guard_max_in_flight(guard, e->limits.max_in_flight);
    uint64_t spacing = guard_spacing(guard, distance_to(&e->distance), most);
    bool many = e->limits.verify || g->in_flight - g->checking >= WIDEST * most;
    return many || spacing == UINT64_MAX ? UINT64_MAX : g->sent_at + spacing;
}

// Is a place free for one more batch or lookup? In mode verify nothing starts until all originals are
// answered, so that batches are as large as in mode fold.
static bool may_start_more(const struct engine *e, const struct group *g) {
    if (e->limits.verify && g->checking)
        return false;
    return g->in_flight - g->checking < guard_max_in_flight(&g->shape->guard, e->limits.max_in_flight) ||
           e->now >= engine_next_batch(e, g);
}

// A single lookup runs as sent, unless it would wait there for earlier answers of its own session.
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
        g->waiting_since = g->sent_at = e->now;
    }
    bursts_follow(e, g);
}

bool engine_window_is_open(const struct engine *e, const struct group *g) {
    return e->limits.window && !g->urgent && g->n_waiting < e->limits.max_keys &&
           e->now < g->waiting_since + e->limits.window;
}

static void note_burst(const struct group *g, struct lookup *l) {
    if (!bursting_is_on(l->session->engine) || !burst_may_have(g))
        return;
    l->has_key = group_read_key(g, l->raw, l->keys);
    if (l->has_key)
        bursting_note(l, l->keys, engine_has_company(g));
}

// Follows loops, once for each lookup, when all that came in this turn is there: lookups of a burst fold
// instead.
static void follow_loops(struct group *g) {
    for (struct lookup *l = g->first, *next; l; l = next) {
        next = l->next_waiting;
        if (l->followed)
            continue;
        l->followed = true;
        struct session *s = l->session;
        note_burst(g, l);
        bool list = children_is_list(s, l->shape, l->tags);
        (void)ahead_follow(s, l, false, list);
        if (list)
            children_follow(s, l);
    }
}

void engine_dispatch_group(struct engine *e, struct group *g) {
    if (g->state == GROUP_READY && g->generation != e->generation)
        group_forget(g);
    if (e->limits.dry)
        dry_dispatch(e, g);
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
            start_vet(g, s); // only a NEW group is asked about
    }
    g->urgent = false;
    // It is looked at again until its window ends, something under way ends, or that takes too long.
    if (g->n_waiting)
        engine_list_group(e, g);
}
