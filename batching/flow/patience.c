// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/patience.h"

#include "batching/flow/batches.h"
#include "batching/flow/cancel.h"
#include "batching/flow/check.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/cancel_request.h"
#include "batching/session/engine.h"
#include "batching/session/late.h"
#include "batching/session/lookup.h"
#include "batching/session/owed.h"
#include "batching/session/session.h"
#include "batching/statement/guard.h"

// Microseconds.
#define QUERY_PATIENCE 300000 // with a query of ours, at least
#define LONGER         100000 // most that a lender's own client waits longer than others

// ---- lookups that run as sent

void late_uncount(struct engine *e, struct group *g) {
    uint64_t patience = guard_patience(&g->shape->guard, 1, e->limits.patience);
    while (e->limits.patience && g->first_alone && e->now >= g->first_alone->asked + patience)
        lookup_uncount(e, g->first_alone);
}

// ---- a batch's members

static uint64_t past_at(uint64_t due, uint64_t deadline) {
    return due ? due : deadline;
}

// Do members of the batch still wait, so that they may leave it?
static bool may_be_left(const struct batch *b) {
    return b->sent && !b->abandoned && !b->left && b->n_left;
}

static void note_late(struct engine *e, struct batch *b) {
    b->late = true;
    guard_note_late(&b->group->shape->guard, e->now, b->patience);
}

// Members of other sessions than the lender's leave the batch and run alone.
static void leave(struct engine *e, struct batch *b) {
    b->left = true;
    for (uint32_t i = 0; i < b->n_members; i++) {
        struct lookup *l = b->members[i];
        if (!l || l->session == b->lender)
            continue;
        if (!b->late)
            note_late(e, b);
        e->counters.late++;
        lookup_leave_batch(l);
        session_run_alone(l->session, l);
    }
    if (!b->ahead.home)
        cancel_batch_if_left(b);
}

static void expire_members(struct engine *e) {
    for (struct batch *b = e->batches, *next; b; b = next) {
        next = b->next;
        if (may_be_left(b) && late_is_past(e, &b->due, b->started + b->patience))
            leave(e, b);
    }
}

// ---- a connection's own client

static bool has_ours(const struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++)
        if (owed_is_question(owed_at(s, i)) || late_is_again(owed_at(s, i)))
            return true;
    return false;
}

// Does the client wait for what is ours on its connection, as far as that can be told?
static bool client_waits(const struct session *s) {
    if (s->hold.lookups)
        return true;
    for (const struct lookup *l = s->order.first; l; l = l->next)
        if (l->state == LOOKUP_ALONE || (l->state == LOOKUP_BATCHED && l->batch->lender == s))
            return true;
    return false;
}

static uint64_t patience_of(const struct engine *e, const struct owed *o) {
    if (o->kind != OWED_BATCH)
        return e->limits.patience > QUERY_PATIENCE ? e->limits.patience : QUERY_PATIENCE;
    uint64_t patience = o->of.batch->patience;
    return patience + (patience < LONGER ? patience : LONGER);
}

// Is the first thing that the connection owes ours, waited for by the client, and not cancelled yet?
static bool may_be_cleared(const struct session *s) {
    const struct owed *o = s->owed.n ? owed_at(s, 0) : NULL;
    bool may = o && !o->unwanted && !s->server_gone && !s->opaque;
    return may && (late_is_again(o) || (owed_is_question(o) && client_waits(s)));
}

// Abandons the batch at the head, and those behind it whose members have waited as long.
static void abandon_all(struct engine *e, struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        struct batch *b = o->kind == OWED_BATCH ? o->of.batch : NULL;
        if (!b || b->abandoned || (i && !late_is_over(e, b)))
            continue;
        if (!b->late)
            note_late(e, b);
        engine_abandon_batch(b, "it took long, and its lender's client waited");
    }
}

static void clear(struct engine *e, struct session *s) {
    struct owed *o = owed_head(s);
    if (o->kind == OWED_CHECK) {
        session_end_check(s, o->of.lookup);
        return;
    }
    if (o->kind != OWED_BATCH) {
        o->unwanted = true;
        session_relay_cancel(s);
        return;
    }
    abandon_all(e, s);
}

static void expire_own(struct engine *e) {
    for (struct session *s = e->late, *next; s; s = next) {
        next = s->late.next;
        if (!has_ours(s))
            late_unlist(e, s);
        else if (may_be_cleared(s) && late_head_is_past(s, patience_of(e, owed_head(s))))
            clear(e, s);
    }
}

// ---- time

void late_expire(struct engine *e) {
    if (!e->limits.patience)
        return;
    expire_members(e);
    expire_own(e);
}

uint64_t late_deadline(const struct engine *e) {
    uint64_t least = UINT64_MAX;
    if (!e->limits.patience)
        return least;
    for (const struct batch *b = e->batches; b; b = b->next) {
        uint64_t at = past_at(b->due, b->started + b->patience);
        least = may_be_left(b) && at < least ? at : least;
    }
    for (const struct session *s = e->late; s; s = s->late.next) {
        if (!may_be_cleared(s))
            continue;
        uint64_t at = past_at(s->late.due, s->late.since + patience_of(e, owed_at(s, 0)));
        least = at < least ? at : least;
    }
    return least;
}
