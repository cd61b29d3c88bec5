// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/find.h"

#include "batching/ahead/ahead.h"
#include "batching/ahead/burst.h"
#include "batching/ahead/pace.h"
#include "batching/ahead/predict.h"
#include "batching/ahead/trail.h"
#include "batching/flow/batches.h"
#include "batching/flow/check.h"
#include "batching/flow/named.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/ahead_cost.h"
#include "batching/session/answered.h"
#include "batching/session/apart.h"
#include "batching/session/bounds.h"
#include "batching/session/bursting.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/late.h"
#include "batching/session/lookup.h"
#include "batching/session/session.h"
#include "batching/statement/key.h"
#include "batching/trust/identity.h"
#include "protocol/message.h"

// ---- whose trails

#define OTHERS 8 // other sessions of the same identity whose trails are looked at

// May the session use what another session has read and loaded? Neither is in a transaction, and both have
// the same shared identity. What this session has done itself is checked in is_of_others().
static bool may_share(const struct session *s, const struct ahead *a) {
    const struct session *other = a->session;
    return other && other != s && other->txn == 'I' && other->identity.current &&
           other->identity.current == s->identity.current && !s->identity.current->is_private;
}

struct ahead *ahead_next(struct session *s, const struct group *g, struct ahead *a, unsigned *i) {
    if (!(*i)++ && s->ahead)
        return s->ahead;
    if (s->txn != 'I' || g->owner)
        return NULL;
    a = !a || a == s->ahead ? s->engine->aheads.newest : a->older;
    for (; a && *i <= 2 * OTHERS; a = a->older, ++*i)
        if (may_share(s, a))
            return a;
    return NULL;
}

// ---- finding

// Is some of it asked for, when it is no longer fresh?
static bool is_late(struct ahead *a, const struct session *s, struct batch *b, const struct group *g,
                    const struct key *keys) {
    uint32_t key;
    return b->group == g && !ahead_is_fresh(a, s, b) && batch_find_key(b, keys, &key) && b->ahead.left[key];
}

// Drops what is held and no longer fresh. `g`, `keys`: what is asked for now; a batch that has it is marked
// as late, and all that was sent with its list.
static void drop_stale(struct ahead *a, const struct session *s, const struct group *g,
                       const struct key *keys) {
    bool behind = false;
    for (struct batch *b = a->held; b; b = b->ahead.next)
        behind |= b->derived && is_late(a, s, b, g, keys);
    for (struct batch *b = a->held, *next; b; b = next) {
        next = b->ahead.next;
        if (ahead_is_fresh(a, s, b))
            continue;
        b->ahead.late = (behind && b->derived) || is_late(a, s, b, g, keys);
        ahead_drop_batch(a, b, true);
    }
}

// Is the batch another session's, and must not serve this one? It must not if this session has done more than
// read since, or was not proven under the configuration under which the batch was read. A write counts, too:
// the batch's check must tell what the write may have run (session/vouch.h).
static bool is_of_others(struct session *s, const struct ahead *a, const struct batch *b) {
    return a->session != s && (b->started <= s->ahead_since || b->started <= s->wrote_at ||
                               !session_identity_may_take(&s->engine->identities, &s->identity,
                                                          b->group->identity, b->news.loaded, false));
}

// A batch under way for another session is answered behind what its lender's client has asked. That may be
// waited for only if it is a lookup and that client reads.
static bool may_come_behind(const struct session *s, const struct batch *b) {
    const struct session *lender = b->ahead.ended || b->lender == s ? NULL : b->lender;
    for (unsigned i = 0; lender && i < lender->owed.n; i++) {
        const struct owed *o = owed_at(lender, i);
        if (!owed_is_own(o) && (o->kind != OWED_LOOKUP || lender->backlogged))
            return false;
        if (o->kind == OWED_BATCH && o->of.batch == b)
            return true;
    }
    return true;
}

// The batch gives one answer less. Returns true when it is the key's first.
static bool use_key(struct batch *b, uint32_t key) {
    bool first = !b->ahead.used[key];
    b->ahead.n_used += first;
    b->ahead.used[key] = true;
    b->ahead.left[key]--;
    b->ahead.n_left--;
    return first;
}

// Looks for the key in a list of batches. It counts as used in every batch that has it, even if the lookup
// goes to the server this time.
static bool find_in(struct session *s, struct ahead *a, struct batch *list, const struct group *g,
                    const struct key *keys, struct ahead_hit *hit) {
    bool found = false;
    for (struct batch *b = list; b; b = b->ahead.next) {
        uint32_t key;
        if (b->group != g || !batch_find_key(b, keys, &key) || !b->ahead.left[key])
            continue;
        if (b->ahead.dry != s->engine->limits.dry)
            continue; // it has no rows, or the mode was another one
        bool first = use_key(b, key);
        bool over = !b->ahead.ended && late_is_over(s->engine, b);
        if (found || over || is_of_others(s, a, b) || !may_come_behind(s, b) || !ahead_is_fresh(a, s, b)) {
            ahead_count(a->engine, b, AHEAD_STALE, first);
            continue;
        }
        *hit = (struct ahead_hit){.ahead = a, .batch = b, .key = key, .first = first};
        hit->own = b->ahead.own && a->session == s;
        found = true;
    }
    return found;
}

// A client that asks more often than a list has rows for it wants to know what has changed. What was loaded
// before that list may be older than the answer that it got before.
static bool may_again(struct session *s, const struct group *g, struct ahead_hit *hit, uint64_t question,
                      const struct asked_entry *asked) {
    const struct association *association = ahead_association(hit->batch);
    if (hit->batch->ahead.burst)
        return burst_may_again(&s->engine->bursts, hit->batch->ahead.burst, s->id, hit->batch->started,
                               asked);
    if (!s->ahead || !association || steps_supply(association))
        return false;
    struct trail *t = &s->ahead->trail;
    if (predict_has_read(t, g, hit->keys, hit->batch, asked, hit->own, hit->first, false))
        return true;
    hit->named = ahead_is_named(s, g, hit, question) &&
                 predict_has_read(t, g, hit->keys, hit->batch, asked, hit->own, hit->first, true);
    return hit->named;
}

bool ahead_find(struct session *s, struct group *g, const struct slice *raw, uint64_t question,
                const struct asked_entry *asked, struct ahead_hit *hit) {
    unsigned i = 0;
    bool found = false;
    if (!g->held || g->state != GROUP_READY || !group_read_key(g, raw, hit->keys))
        return false;
    for (struct ahead *a = ahead_next(s, g, NULL, &i); a; a = ahead_next(s, g, a, &i)) {
        struct ahead_hit at = {0};
        drop_stale(a, s, g, hit->keys);
        // Who asks again may only be given what is newer than the list, so the newest is looked at first.
        struct batch *first = asked ? a->loading : a->held, *second = asked ? a->held : a->loading;
        bool here = find_in(s, a, first, g, hit->keys, &at) || find_in(s, a, second, g, hit->keys, &at);
        if (here && !found) {
            hit->ahead = at.ahead;
            hit->batch = at.batch;
            hit->key = at.key;
            hit->own = at.own;
            hit->first = at.first;
            hit->named = false;
        }
        if (here && found)
            ahead_count(s->engine, at.batch, AHEAD_STALE, at.first);
        found |= here;
    }
    bool may = found && ahead_is_on(s) && !s->order.n && !engine_is_forgotten(s->engine, s) &&
               (!asked || may_again(s, g, hit, question, asked));
    if (found && !may)
        ahead_count(s->engine, hit->batch, AHEAD_STALE, hit->first);
    return found && may;
}

static bool holds_in(struct session *s, struct batch *list, const struct group *g, const struct key *keys) {
    uint32_t key;
    for (struct batch *b = list; b; b = b->ahead.next)
        if (b->group == g && batch_find_key(b, keys, &key) && b->ahead.left[key] &&
            ahead_is_fresh(s->ahead, s, b))
            return true;
    return false;
}

bool ahead_holds(struct session *s, const struct group *g, const struct slice *raw) {
    struct key keys[KEY_MAX_PARTS];
    return s->ahead && g->held && g->state == GROUP_READY && ahead_is_on(s) && group_read_key(g, raw, keys) &&
           (holds_in(s, s->ahead->held, g, keys) || holds_in(s, s->ahead->loading, g, keys));
}

bool ahead_holds_any(struct session *s) {
    if (!s->ahead || !ahead_is_on(s))
        return false;
    for (struct batch *b = s->ahead->held; b; b = b->ahead.next)
        if (b->ahead.n_left && ahead_is_fresh(s->ahead, s, b))
            return true;
    return false;
}

// ---- giving

// Notes that the session is given what was loaded for the key.
static void note_given(struct session *s, const struct ahead_hit *hit, uint64_t question) {
    struct ahead *a = hit->ahead;
    struct batch *b = hit->batch;
    struct engine *e = a->engine;
    struct association *association = ahead_association(b);
    e->counters.ahead_answers++;
    e->counters.ahead_again += !hit->first;
    e->counters.ahead_with_list_answers += b->derived != NULL;
    e->counters.ahead_with_burst_answers += b->ahead.burst != 0;
    ahead_count(e, b, AHEAD_ANSWERED, hit->first);
    if (b->ahead.recorded)
        trail_note_read(&a->trail, b->ahead.recorded, e->now);
    b->ahead.recorded = 0;
    if (b->ahead.list)
        trail_note_given(&a->trail, b->ahead.list, b->key_rows[hit->key].listed,
                         b->key_rows[hit->key].n_rows);
    if (association && !b->ahead.grown && association_is_used(association, b->n_keys, b->ahead.n_used)) {
        association_grow(association, e->limits.ahead_keys);
        b->ahead.grown = true;
    }
    ahead_use(a);
    if (s->identity.state != IDENTITY_PROVEN)
        apart_given(s);
    a->last_answer = e->aheads.last_answer = e->now;
    if (hit->own)
        climb_step(&s->climb, question, hit->named, b->ahead.number, hit->key);
}

void ahead_give_dry(struct session *s, const struct ahead_hit *hit, uint64_t question) {
    note_given(s, hit, question);
    ahead_served(hit->batch, hit->key);
}

void ahead_give(const struct ahead_hit *hit, struct lookup *l) {
    struct batch *b = hit->batch;
    struct engine *e = hit->ahead->engine;
    l->outcome = OUTCOME_AHEAD;
    l->with_list = b->derived != NULL;
    l->loops = true;
    note_given(l->session, hit, l->question);
    if (b->ahead.burst)
        bursting_served(l, hit->keys, b->ahead.burst);
    if (!b->ahead.ended) {
        if (!batch_join(b, l, hit->key))
            session_run_alone(l->session, l);
        return;
    }
    engine_answer(e, b, l, hit->key);
}

// The batch that was sent with a burst, and has the key. NULL: none is held.
static struct batch *burst_batch(struct session *s, const struct group *g, const struct key *keys,
                                 const struct asked_entry *asked, uint32_t *key) {
    struct batch *b = s->ahead ? s->ahead->held : NULL;
    for (; b; b = b->ahead.next)
        if (b->group == g && b->ahead.burst && batch_find_key(b, keys, key) && b->ahead.left[*key] &&
            ahead_is_fresh(s->ahead, s, b) &&
            (!asked || burst_may_again(&s->engine->bursts, b->ahead.burst, s->id, b->started, asked)))
            return b;
    return NULL;
}

bool ahead_holds_burst(struct session *s, const struct group *g, const struct slice *raw,
                       const struct asked_entry *asked) {
    struct key keys[KEY_MAX_PARTS];
    uint32_t key;
    bool may = s->ahead && s->ahead->held && g->held && g->state == GROUP_READY && ahead_is_on(s) &&
               !s->engine->limits.dry && !engine_is_forgotten(s->engine, s);
    return may && group_read_key(g, raw, keys) && burst_batch(s, g, keys, asked, &key);
}

bool ahead_give_burst(struct lookup *l) {
    struct ahead *a = l->session->ahead;
    struct ahead_hit hit = {.ahead = a}; // not `own`: of several answers none names the next key
    if (l->state != LOOKUP_WAITING || !group_read_key(l->group, l->raw, hit.keys))
        return false;
    hit.batch = burst_batch(l->session, l->group, hit.keys, NULL, &hit.key);
    if (!hit.batch)
        return false;
    hit.first = use_key(hit.batch, hit.key);
    lookup_detach_waiting(l);
    ahead_give(&hit, l);
    if (!hit.batch->ahead.n_left)
        ahead_drop_batch(a, hit.batch, false);
    return true;
}

void ahead_give_back_stalled(struct engine *e) {
    for (struct batch *b = e->batches, *next; b; b = next) {
        next = b->next;
        if (!b->ahead.home || !b->n_left || !b->lender || !b->lender->backlogged)
            continue;
        for (uint32_t i = 0; i < b->n_members; i++) {
            struct lookup *l = b->members[i];
            if (!l || may_come_behind(l->session, b))
                continue;
            lookup_leave_batch(l);
            session_run_alone(l->session, l);
        }
    }
}
