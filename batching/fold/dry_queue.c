// SPDX-License-Identifier: PostgreSQL
#include "batching/fold/dry_queue.h"

#include <string.h>

static void expire(struct dry_queue *q, uint64_t now) {
    unsigned n = 0;
    while (n < q->n_running && q->until[n] <= now)
        n++;
    q->n_running -= n;
    memmove(q->until, q->until + n, q->n_running * sizeof *q->until);
}

static unsigned places(const struct dry_limits *l) {
    return l->max_in_flight < DRY_UNITS ? l->max_in_flight : DRY_UNITS;
}

// Engine time at which those that wait may go; UINT64_MAX: not known yet.
static uint64_t may_go(const struct dry_queue *q, const struct dry_limits *l) {
    uint64_t free = q->n_running < places(l) ? q->since : q->until[q->n_running - places(l)];
    if (l->spacing != UINT64_MAX && q->n_running < DRY_UNITS && q->sent + l->spacing < free)
        free = q->sent + l->spacing; // a far server
    uint64_t over = q->n_waiting < l->max_keys ? q->since + l->window : q->since;
    return free > over ? free : over;
}

// The first that wait go out. Returns true for a batch whose statement was not counted.
static bool start(struct dry_queue *q, const struct dry_limits *l, uint64_t at) {
    unsigned n = q->n_waiting < l->max_keys ? q->n_waiting : l->max_keys;
    uint64_t until = at + (q->takes ? q->takes : 1);
    unsigned i = q->n_running < DRY_UNITS ? q->n_running++ : DRY_UNITS - 1;
    for (; i && q->until[i - 1] > until; i--)
        q->until[i] = q->until[i - 1];
    q->until[i] = until;
    bool counts = n > 1 && !q->told;
    q->told = false;
    q->n_waiting -= n;
    q->sent = at;
    q->batch++;
    return counts;
}

static unsigned run(struct dry_queue *q, const struct dry_limits *l, uint64_t now, bool all) {
    unsigned batches = 0;
    while (q->n_waiting) {
        uint64_t at = all ? now : may_go(q, l);
        if (at > now)
            break;
        expire(q, at);
        batches += start(q, l, at);
    }
    expire(q, now);
    q->n_old = q->n_waiting;
    return batches;
}

uint64_t dry_queue_add(struct dry_queue *q, const struct dry_limits *l, uint64_t now, uint64_t *batches) {
    if (q->n_old) // those of earlier turns did not wait for this one
        *batches += run(q, l, now > 0 ? now - 1 : 0, false);
    if (!q->n_waiting++)
        q->since = now;
    unsigned keys = l->max_keys ? l->max_keys : 1, before = q->n_waiting - 1;
    uint64_t batch = q->batch + before / keys, bit = UINT64_C(1) << (batch % 64);
    if (before % keys)
        q->several |= bit;
    else
        q->several &= ~bit;
    return batch;
}

unsigned dry_queue_turn(struct dry_queue *q, const struct dry_limits *l, uint64_t now, bool all) {
    return run(q, l, now, all);
}

static uint32_t average(uint32_t old, uint64_t value) {
    uint32_t v = value < UINT32_MAX / 8 ? (uint32_t)value : UINT32_MAX / 8;
    return old ? (uint32_t)((old * UINT64_C(7) + v) / 8) : v;
}

bool dry_queue_answered(struct dry_queue *q, uint64_t batch, uint64_t took) {
    bool several = q->batch < batch + 64 && (q->several >> (batch % 64) & 1);
    q->takes = average(q->takes, took);
    q->told |= !several && batch == q->batch && q->n_waiting;
    return several;
}
