// SPDX-License-Identifier: PostgreSQL
//
// The forgetting goes by ticks of 8 ms, in integers, so that it is exact and cheap.
#include "batching/statement/ration.h"

#define TICK_BITS 13         // microseconds: 8 ms
#define FACTOR    4277411090 // of a tick, in 1/2^32: e^(-2^13 / RATION_MEMORY)

static uint32_t decayed(uint32_t spent, uint32_t ticks) {
    uint64_t factor = FACTOR, left = spent;
    if (ticks >> 13)
        return 0;
    for (; ticks; ticks >>= 1) {
        if (ticks & 1)
            left = left * factor >> 32;
        factor = factor * factor >> 32;
    }
    return (uint32_t)left;
}

static void bring_up(struct ration *n, uint64_t now) {
    uint32_t tick = (uint32_t)(now >> TICK_BITS);
    n->spent = decayed(n->spent, tick - n->tick);
    n->tick = tick;
}

void rations_limit(struct rations *r, uint64_t per_second) {
    uint64_t most = per_second * (RATION_MEMORY / 1000);
    r->most = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

void rations_begin(struct rations *r, struct ration *own, uint64_t now) {
    r->own = own;
    r->now = now;
}

static bool is_limited(const struct rations *r) {
    return r->most && r->own;
}

// The low half of the hash gives the place, the high half is kept there.
static uint32_t *seen_place(struct rations *r, uint64_t hash) {
    return &r->seen[hash % RATION_SEEN];
}

static uint32_t mark_of(uint64_t hash) {
    return (uint32_t)(hash >> 32) | 1;
}

static uint32_t left_for(struct rations *r, bool again) {
    bring_up(&r->all, r->now);
    bring_up(r->own, r->now);
    uint32_t all = r->most > r->all.spent ? r->most - r->all.spent : 0;
    uint32_t own = again ? all : all - all / 4;
    return own > r->own->spent ? own - r->own->spent : 0;
}

static uint32_t add_capped(uint32_t a, uint64_t b) {
    return b < UINT32_MAX - a ? a + (uint32_t)b : UINT32_MAX;
}

bool rations_may(struct rations *r, uint64_t hash) {
    if (!is_limited(r))
        return true;
    bool again = *seen_place(r, hash) == mark_of(hash);
    if (r->refused == hash && r->refused_at == r->now)
        return false;
    if (left_for(r, again))
        return true;
    *seen_place(r, hash) = mark_of(hash);
    r->refused = hash;
    r->refused_at = r->now;
    return false;
}

bool rations_may_work(struct rations *r) {
    return !is_limited(r) || left_for(r, true);
}

void rations_note(struct rations *r, uint64_t cost) {
    r->n_spent += cost;
}

void rations_spend(struct rations *r, uint64_t cost) {
    r->n_spent += cost;
    if (!is_limited(r))
        return;
    bring_up(&r->all, r->now);
    bring_up(r->own, r->now);
    r->own->spent = add_capped(r->own->spent, cost);
    r->all.spent = add_capped(r->all.spent, cost);
}
