// SPDX-License-Identifier: PostgreSQL
#include "batching/session/held.h"

#include <stdlib.h>

#include "batching/ahead/ahead.h"
#include "batching/ahead/pace.h"
#include "batching/ahead/reach.h"
#include "batching/ahead/trail.h"
#include "batching/base/memory.h"
#include "batching/fold/batch.h"
#include "batching/fold/erring.h"
#include "batching/session/ahead_cost.h"
#include "batching/session/apart.h"
#include "batching/session/engine.h"
#include "batching/session/first.h"
#include "batching/session/session.h"

// Microseconds without use until what is kept for a session is given back. A client that has read a long list
// takes some time before its loop begins.
#define IDLE 10000000

// ---- life

static void list_remove(struct ahead_list *l, struct ahead *a) {
    *(a->newer ? &a->newer->older : &l->newest) = a->older;
    *(a->older ? &a->older->newer : &l->oldest) = a->newer;
}

static void list_push(struct ahead_list *l, struct ahead *a) {
    a->newer = NULL;
    a->older = l->newest;
    *(l->newest ? &l->newest->newer : &l->oldest) = a;
    l->newest = a;
}

void ahead_use(struct ahead *a) {
    a->last_used = a->engine->now;
    if (a->engine->aheads.newest == a || !a->session)
        return;
    list_remove(&a->engine->aheads, a);
    list_push(&a->engine->aheads, a);
}

// If its session is gone, it is in no list and its bytes do not count.
void ahead_charge(struct ahead *a) {
    size_t now = a->session ? sizeof *a + a->trail.bytes + a->held_bytes : 0;
    a->engine->aheads.bytes += now - a->charged;
    account_set(a->memory, &a->charged, now);
}

void ahead_unref(struct ahead *a) {
    if (a && !--a->refs)
        free(a);
}

struct ahead *ahead_of(struct session *s) {
    if (s->ahead)
        return s->ahead;
    struct ahead *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->refs = 1;
    a->engine = s->engine;
    a->session = s;
    a->memory = &s->memory;
    trail_init(&a->trail, s->engine->limits.ahead_session / 2);
    a->trail.serial = s->lists;
    list_push(&s->engine->aheads, a);
    ahead_use(a);
    ahead_charge(a);
    s->ahead = a;
    return a;
}

uint64_t ahead_loads_before(const struct ahead *a) {
    uint64_t loads = a->engine->aheads.loads;
    for (const struct batch *b = a->loading; b; b = b->ahead.next)
        if (b->derived && !b->derived->filled && !b->derived->parent && b->ahead.number <= loads)
            loads = b->ahead.number - 1;
    return loads;
}

void ahead_step(struct session *s, const struct group *g, const struct slice *raw, bool again) {
    struct ahead *a = s->engine->limits.lookahead == LOOKAHEAD_OFF ? NULL : ahead_of(s);
    if (a)
        steps_note(&a->steps, g, raw, again);
    if (a && (g->state == GROUP_NEW || g->state == GROUP_VETTING))
        second_note(&a->seconds, &a->trail, g, raw);
}

// A list that nobody went through is no loop that has ended early.
static void note_reach(const struct batch *b) {
    struct association *association = ahead_association(b);
    bool loop = b->n_keys && (!b->ahead.behind || b->ahead.n_served);
    if (association && loop && !b->ahead.late && !b->failed)
        reach_learn(association, b->ahead.n_served);
}

// Those that are none are loaded again when they have run by themselves.
static void note_suspects(const struct batch *b) {
    for (int behind = 0; behind < 2; behind++) {
        const struct key *keys = batch_suspect(b, behind);
        if (keys)
            erring_note(b->group, keys, true);
    }
}

void ahead_give_up(struct ahead *a, struct batch *b, bool stale) {
    struct engine *e = a->engine;
    struct association *association = ahead_association(b);
    ahead_count(e, b, stale ? AHEAD_STALE : AHEAD_UNUSED, b->n_keys - b->ahead.n_used);
    if (b->ahead.behind)
        followers_ended(&e->followers, b->ahead.behind, b->group->id, b->n_keys, b->ahead.n_served,
                        b->ahead.late);
    note_reach(b);
    if (!b->derived) // its rows come in another order
        note_suspects(b);
    if (association && b->erred)
        association_erred(association, e->now, b->n_keys);
    else if (association && b->n_keys && !(b->derived && b->ahead.late)) // its pace is not the loop's
        association_ended(association, e->now, b->n_keys - b->ahead.asked - (b->ahead.known != 0),
                          b->ahead.n_served, b->ahead.late);
    b->group->held--;
    batch_destroy(b);
    ahead_unref(a);
}

void ahead_drop_batch(struct ahead *a, struct batch *b, bool stale) {
    struct batch **at = &a->held;
    while (*at != b)
        at = &(*at)->ahead.next;
    *at = b->ahead.next;
    a->held_bytes -= b->ahead.bytes;
    if (b->ahead.n_left)
        a->barren = 0; // its unused keys may be loaded again
    ahead_give_up(a, b, stale);
}

static void drop_all(struct ahead *a, bool stale) {
    a->refs++;
    while (a->held)
        ahead_drop_batch(a, a->held, stale);
    ahead_charge(a);
    ahead_unref(a);
}

// Gives back all that is kept for its session. A batch under way is given up when it ends.
static void forget(struct ahead *a) {
    drop_all(a, false);
    trail_clear(&a->trail);
    first_forget(a);
    list_remove(&a->engine->aheads, a);
    a->session->lists = a->trail.serial;
    a->session->ahead = NULL;
    a->session = NULL;
    ahead_charge(a);
    ahead_unref(a);
}

void ahead_hold_dry(struct ahead *a, struct batch *b) {
    b->started = a->engine->now;
    b->vettings = b->group->vettings;
    b->ahead.dry = b->ahead.ended = true;
    b->ahead.bytes = batch_bytes(b);
    b->ahead.next = a->held;
    a->held = b;
    a->held_bytes += b->ahead.bytes;
    ahead_charge(a);
}

void ahead_trim(struct ahead *keep, size_t max) {
    struct ahead_list *l = &keep->engine->aheads;
    while (l->bytes > max && l->oldest != keep)
        forget(l->oldest);
}

void ahead_forget_all(struct engine *e) {
    while (e->aheads.oldest)
        forget(e->aheads.oldest);
}

void ahead_shrink(struct engine *e) {
    for (unsigned n = 0; e->aheads.oldest && n < 16; n++)
        forget(e->aheads.oldest);
}

static void drop_held(struct session *s) {
    struct ahead *a = s->ahead;
    s->ahead_since = s->engine->now;
    if (!a)
        return;
    a->epoch++;
    drop_all(a, true);
}

void ahead_drop(struct session *s) {
    apart_forget(s);
    drop_held(s);
}

void ahead_run_unvetted(struct session *s) {
    apart_note_costs(s, s->apart.costs || (s->ahead && (s->ahead->held || s->ahead->loading)));
    drop_held(s);
}

void ahead_session_gone(struct session *s) {
    if (s->ahead)
        forget(s->ahead);
}

// ---- checks

bool ahead_join_checked(struct lookup *l) {
    uint32_t key;
    const struct ahead *a = l->loop;
    for (struct batch *b = a ? a->loading : NULL; b; b = b->ahead.next)
        if (b->lender == l->session && b->group == l->group && !b->failed && batch_find_key(b, l->keys, &key))
            return batch_join(b, l, key);
    return false;
}

// ---- time

void ahead_expire(struct engine *e) {
    while (e->aheads.oldest && e->now > e->aheads.oldest->last_used + IDLE)
        forget(e->aheads.oldest);
    if (e->bursts.ring && e->now > e->bursts.used + IDLE)
        bursts_finish(&e->bursts);
}

// At the end of a loop's longest pause there is nothing to do. But engine_waited() can tell how long a pause
// was only if the engine has asked to be woken then.
uint64_t ahead_deadline(const struct engine *e) {
    uint64_t gap = e->aheads.last_answer + e->limits.ahead_gap;
    uint64_t bursts = e->bursts.ring ? e->bursts.used + IDLE + 1 : UINT64_MAX;
    if (!e->aheads.oldest)
        return bursts;
    uint64_t held = e->aheads.oldest->last_used + IDLE + 1;
    if (gap > e->now)
        return gap;
    return held < bursts ? held : bursts;
}
